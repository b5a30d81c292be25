"""The budget of a run: steps, calls, seconds, repeats and retries. On by default."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from threading import TIMEOUT_MAX
from time import monotonic

from nuthatch.tools.base.tool import ToolCall, ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds of one question; `float("inf")` lifts one."""

    steps: float = 12  # turns in which the planner calls tools
    calls: float = 40  # calls in all
    seconds: float = 120.0  # from the question to the checked answer
    repeats: float = 2  # how often the very same call may be made again
    retries: float = 3  # turns in a row with a call that was wrong, or came upon a bug

    def __post_init__(self) -> None:
        for name, bound in asdict(self).items():
            if not bound >= 0:
                raise ValueError(
                    f"budget {name}={bound!r}: expected a number of at least 0, or float('inf') "
                    "for no bound"
                )


class Stopped(Exception):
    """The run has to stop; the message says why and what would let it continue."""


@dataclass(slots=True)
class Meter:
    """What a run has used of its budget. `count` adds what a resumed run used before; its seconds
    start anew."""

    budget: Budget
    began: float = field(default_factory=monotonic)
    steps: int = 0
    calls: int = 0
    wrong_in_a_row: int = 0
    made: dict[str, int] = field(default_factory=dict)  # how often each call was made

    @property
    def seconds_left(self) -> float:
        """At least 0, at most what a lock can wait."""
        left = self.began + self.budget.seconds - monotonic()
        return min(max(0.0, left), TIMEOUT_MAX)

    def spend(self, calls: Sequence[ToolCall]) -> None:
        """Count the calls of one turn before they are made.

        Raises:
            Stopped: they are more than the budget allows; none of them should be made.
        """
        self.count(calls)
        if self.steps > self.budget.steps:
            raise self._over("steps", "without an answer")
        if self.calls > self.budget.calls:
            raise self._over("calls", "were not enough for an answer")
        for call in calls:
            if self.made[_as_said(call)] - 1 > self.budget.repeats:
                raise self._over("repeats", f"of the same call, {call.tool}")

    def count(self, calls: Sequence[ToolCall]) -> None:
        """Count the calls of a turn that was allowed before: of a run that is resumed."""
        self.steps += 1
        self.calls += len(calls)
        for call in calls:
            same = _as_said(call)
            self.made[same] = self.made.get(same, 0) + 1

    def record_failures(self, results: Sequence[ToolResult]) -> None:
        """Count turns with wrong calls, or calls of tools that have a bug.

        Raises:
            Stopped: there were too many such turns in a row.
        """
        faults = [result.fault for result in results if result.fault is not None]
        wrong = [fault for fault in faults if fault.is_retryable or fault.is_bug]
        self.wrong_in_a_row = self.wrong_in_a_row + 1 if wrong else 0
        if self.wrong_in_a_row > self.budget.retries:
            last = wrong[0].message
            raise self._over("retries", f"did not lead to a valid call; last: {last}")

    def check_time(self) -> None:
        """
        Raises:
            Stopped: the seconds are used up.
        """
        if self.seconds_left <= 0:
            raise self._over("seconds", "are over")

    def _over(self, name: str, what: str) -> Stopped:
        bound = asdict(self.budget)[name]
        return Stopped(f"stopped: {bound:g} {name} {what} (raise it with Budget({name}=...))")


def _as_said(call: ToolCall) -> str:
    return f"{call.tool}{call.arguments}"
