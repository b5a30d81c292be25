"""One question under way: what it works with, and each thing that can happen in it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from nuthatch.agent.answer import (
    Answer,
    Draft,
    Event,
    Timing,
    ToolFinished,
    ToolStarted,
)
from nuthatch.agent.budget import Meter, Stopped
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.journal import Journal
from nuthatch.agent.planner import Call, Planner, in_unicode, is_turn
from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.notices import distinct
from nuthatch.tools.workers import WORKERS, TimeIsUp

Listener = Callable[[Event], None]


class PlannerFailed(RuntimeError):
    """The planner raised, or said something that is no turn. The run is recorded, and can be
    resumed: `agent.resume(error.run_id)`."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(f"{message} (run {run_id})")
        self.code = "planner_failed"
        self.run_id = run_id


@dataclass(slots=True)
class Run:
    """One question under way: what it works with, and each thing it can do."""

    talk: Conversation
    journal: Journal
    executor: ToolExecutor
    meter: Meter
    emit: Listener
    drafts: bool
    began: float
    media_written: int
    draft: Draft | None = None
    timing: Timing = field(default_factory=Timing)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def plan(self, planner: Planner) -> list[Call] | Draft:
        """Ask the planner, for as long as the budget has seconds."""
        if self.cancelled.is_set():
            raise Stopped("stopped: nobody waits for the answer any more")
        self.meter.check_time()
        began = time.perf_counter()
        try:
            turn = WORKERS.run(lambda: planner.plan(self.talk), self.meter.seconds_left)
        except TimeIsUp:
            seconds = self.meter.budget.seconds
            raise Stopped(f"stopped: the planner did not end within {seconds:g} seconds") from None
        except Exception as error:
            message = f"the planner failed: {type(error).__name__}: {error}"
            raise PlannerFailed(message, self.journal.run_id) from error
        finally:
            self.timing.plan += time.perf_counter() - began
        if not is_turn(turn):
            message = f"the planner said {turn!r:.200}; expected Draft(text) or a list of Call"
            raise PlannerFailed(message, self.journal.run_id)
        try:
            return in_unicode(turn)
        except RecursionError as error:
            message = "the planner wrote arguments that hold themselves, or are nested too deeply"
            raise PlannerFailed(message, self.journal.run_id) from error

    def say(self, turn: list[Call]) -> list[ToolCall]:
        """Give the planner's calls their ids and write them down, if the budget has them."""
        calls = [ToolCall(self.talk.next_call_id(), *call) for call in turn]
        self.meter.spend(calls)
        self.journal.write("turn", calls=calls)
        self.talk.call(calls)
        return calls

    def call(self, calls: list[ToolCall]) -> list[ToolResult]:
        """Make the calls, side by side; the talk and the journal hear each result at once."""
        for call in calls:
            self.emit(ToolStarted(call))
        began = time.perf_counter()
        results = self.executor.run(calls, seconds=self.meter.seconds_left, on_result=self.heard)
        self.timing.tools += time.perf_counter() - began
        return results

    def heard(self, result: ToolResult) -> None:
        """Write down a result of the planner's, and tell of it."""
        self.write(result)
        self.emit(ToolFinished(result))

    def write(self, result: ToolResult) -> None:
        """Write down a result, and observe it.

        The gate's own check is only written: it holds the draft, which no event may carry.
        """
        self.record(result)
        self.talk.observe(result)

    def record(self, result: ToolResult) -> None:
        """Write down a result, and the media that came into being with it. Inner results come
        by themselves, before the outer one."""
        made = self.talk.media.items()[self.media_written :]
        self.journal.write("result", result=replace(result, children=()), media=made)
        self.media_written += len(made)

    def answer(self, *, finished: bool, **parts: Any) -> Answer:
        """The answer as things stand."""
        self.timing.total = time.perf_counter() - self.began
        now = self.talk.now
        now.answer = parts.get("text", "")
        checks = [result for call, result in now.results.items() if call.startswith("check_")]
        defaults = {"text": "", "verified": False, "verdicts": [], "edits": []}
        observed = [notice for result in now.observed for notice in result.notices]
        parts["notices"] = distinct([*parts.get("notices", ()), *observed])
        return Answer(
            **{**defaults, **parts},
            draft=self.draft.text if self.draft else "",
            finished=finished,
            calls=[*now.observed, *checks],
            media=self.talk.media.items(),
            timing=self.timing,
            run_id=self.journal.run_id,
            run_folder=self.journal.folder,
        )
