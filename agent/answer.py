"""What leaves the house: an answer that carries its evidence, and the events on the way to it.

`Draft` is what a planner said; only the gate turns it into an `Answer`.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.media import Media
from nuthatch.tools.verification.types import Edit, Verdict


@dataclass(frozen=True, slots=True)
class Draft:
    """Unchecked text of a planner. It never leaves a run by default."""

    text: str


class Timing(BaseModel):
    """Seconds spent in each part of a run; those of a resumed run since it was resumed."""

    load: float = 0.0  # taking in pictures and sounds, reading back an earlier talk
    plan: float = 0.0
    tools: float = 0.0
    verify: float = 0.0
    total: float = 0.0


class Answer(BaseModel):
    """A checked answer.

    `finished` is False when the run had to stop; `reason` says why, and `text` is then empty.
    `verified` is False when the gate was left open (`verify=False`) or never reached.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    text: str
    draft: str
    finished: bool
    verified: bool
    reason: str | None = None
    verdicts: list[Verdict]
    edits: list[Edit]
    calls: list[ToolResult]  # the planner's in its order, then the gate's
    media: list[Media]  # all of the talk
    timing: Timing
    run_id: str
    run_folder: Path

    @property
    def undecided(self) -> list[Verdict]:
        """Claims that the evidence could not decide."""
        return [v for v in self.verdicts if v.verdict == "not_enough_evidence"]

    def __str__(self) -> str:
        return self.text if self.finished else f"(no answer: {self.reason})"


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolFinished:
    result: ToolResult


@dataclass(frozen=True, slots=True)
class Drafted:
    """Unchecked text; sent only to those who ask for drafts."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class ClaimChecked:
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Answered:
    """The last event of a run."""

    answer: Answer


Event = ToolStarted | ToolFinished | Drafted | ClaimChecked | Answered
