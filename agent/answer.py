"""The answer with its evidence, and the events of a run on the way to it.

`Draft` is the text of a planner; only verification turns it into an `Answer`.
"""

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict

from nuthatch.agent.home import JournalError, as_journal_errors
from nuthatch.agent.picture import draw
from nuthatch.tools.base.notices import Notice, texts
from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.media.files import whole_file
from nuthatch.tools.media.store import Media
from nuthatch.tools.verification.editing.edits import mark
from nuthatch.tools.verification.types import Edit, Span, Verdict


@dataclass(frozen=True, slots=True)
class Draft:
    """Unchecked text of a planner. It is not returned to the caller by default."""

    text: str


class Timing(BaseModel):
    """Seconds spent in each part of a run; those of a resumed run since it was resumed."""

    load: float = 0.0  # taking in pictures and sounds, reading back an earlier conversation
    plan: float = 0.0
    tools: float = 0.0
    verify: float = 0.0
    total: float = 0.0


class Answer(BaseModel):
    """A checked answer.

    `text` is what the edits make of the draft, to the byte. As a string, in notebooks and pictures
    an answer also marks the claims that could not be decided, those that are refuted but could not
    be put right, and what was not read at all: `A wombat [unverified] and a cat [refuted]. It was
    painted in 1889 [not checked].`

    `finished` is False when the run had to stop; `reason` says why, and `text` is then empty.
    `verified` is True only if every part of `text` was read and judged, so that nothing in it is
    marked; a text that states nothing about its media (`I cannot tell.`, a greeting) holds nothing
    to mark. It is False when the gate was left open (`verify=False`) or never reached, where no
    judge works here, and where the draft was withheld.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    text: str
    draft: str
    finished: bool
    verified: bool
    reason: str | None = None
    verdicts: list[Verdict]
    edits: list[Edit]
    unread: list[Span] = []  # ranges of `text` from which no claim was read
    notices: list[Notice] = []  # what must be known about the answer as a whole
    calls: list[ToolResult]  # the planner's in its order, then the gate's
    media: list[Media]  # all of the conversation
    timing: Timing
    run_id: str
    run_folder: Path

    @property
    def undecided(self) -> list[Verdict]:
        """Claims that the evidence could not decide."""
        return [v for v in self.verdicts if v.verdict == "not_enough_evidence"]

    @property
    def withheld(self) -> bool:
        """Whether the draft was a guess and was withheld: `text` says so in its place."""
        return any(edit.op == "abstain" for edit in self.edits)

    def __str__(self) -> str:
        return mark(self.text, self) if self.finished else f"(no answer: {self.reason})"

    def __repr__(self) -> str:
        return f"<Answer {str(self)!r}, {len(self.verdicts)} claims checked, run {self.run_id}>"

    def picture(self) -> Image | None:
        """What was asked about with boxes, masks and verdict colours, and the claims below it;
        None if there was no picture.

        Raises:
            MediaError: the file of the picture is gone or damaged.
        """
        item = self._asked_about()
        if item is None:
            return None
        if self.withheld:  # nothing of the guess is shown: neither its words nor its boxes
            return draw(item, str(self), self.text, (), (), (), texts(self.notices))
        told = texts(self.notices)
        return draw(item, str(self), self.draft, self.verdicts, self.calls, self.media, told)

    def save_picture(self) -> Path | None:
        """Write `picture()` into the run's folder; where it lies, or None.

        Raises:
            MediaError: as `picture`.
            JournalError: the folder cannot be written to, or is gone: the run was deleted.
        """
        picture = self.picture()
        if picture is None:
            return None
        if not self.run_folder.is_dir():
            message = f"run {self.run_id} was deleted; save picture() where you want it"
            raise JournalError(message, "run_not_found")
        path = self.run_folder / "answer.png"
        with as_journal_errors(), whole_file(path) as file:
            picture.save(file, "PNG")
        return path

    def _repr_html_(self) -> str:
        """For notebooks: the picture, which holds the answer and its claims, or those as text."""
        picture = self.picture()
        if picture is not None:
            file = BytesIO()
            picture.save(file, "PNG")
            encoded = b64encode(file.getvalue()).decode("ascii")
            return f'<img alt="{escape(str(self))}" src="data:image/png;base64,{encoded}">'
        claims = "".join(
            f"<li>{escape(v.claim.text)}: {v.verdict.replace('_', ' ')}</li>" for v in self.verdicts
        )
        told = "".join(f"<p>{escape(text)}</p>" for text in texts(self.notices))
        return f"<p><b>{escape(str(self))}</b></p><ul>{claims}</ul>{told}"

    def _asked_about(self) -> Media | None:
        """The picture that the gate checked against, else the latest that was given."""
        checked = [result.call.arguments.get("image") for result in self.calls[-1:]]
        given = [m for m in self.media if m.type == "image" and m.made_by is None]
        return next((m for m in given if m.handle in checked), given[-1] if given else None)


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
