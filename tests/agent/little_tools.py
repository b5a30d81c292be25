"""Tools and planners without any model, for tests of the agent."""

import threading
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, Turn
from nuthatch.tools.base import Arguments, Context, DetectionSet, ImageRef, Tool
from nuthatch.tools.faults import RetryCall, ToolUnavailable
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection
from nuthatch.tools.verification.types import Claim, Correction, Edit, Evidence, Verdict

PHOTO = np.full((48, 64, 3), 90, np.uint8)
TONE = (0.3 * np.sin(np.arange(16_000) / 9)).astype(np.float32)


class NoteArgs(Arguments):
    text: str
    seconds: float = 0.0


class Note(BaseModel):
    text: str


class WriteNote(Tool[NoteArgs, Note]):
    """Append a line to a file: what a repeated call would show."""

    name = "note"
    effects = "external"
    Args = NoteArgs
    Result = Note

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, args: NoteArgs, context: Context) -> Note:
        time.sleep(args.seconds)
        with self.path.open("a") as file:
            file.write(args.text + "\n")
        return Note(text=args.text)


class Say(Tool[NoteArgs, Note]):
    """Say a text again."""

    name = "say"
    Args = NoteArgs
    Result = Note

    def run(self, args: NoteArgs, context: Context) -> Note:
        time.sleep(args.seconds)
        return Note(text=args.text)


class Trouble(Say):
    """Fail in the way that `text` asks for."""

    name = "trouble"
    release = threading.Event()

    def run(self, args: NoteArgs, context: Context) -> Note:
        match args.text:
            case "wrong call":
                raise RetryCall("say it otherwise")
            case "unavailable":
                raise ToolUnavailable("no weights here")
            case "hang":
                self.release.wait(20)
        raise ZeroDivisionError("division by zero")


class FindArgs(Arguments):
    image: ImageRef
    labels: list[str]
    threshold: float | None = None


class Found(DetectionSet):
    labels_searched: list[str]
    labels_not_found: list[str]
    threshold: float = 0.5


class Find(Tool[FindArgs, Found]):
    """Find what was put there: {label: boxes}."""

    name = "detect"
    weights = ("detect",)
    Args = FindArgs
    Result = Found

    def __init__(self, **there: list[tuple[float, float, float, float]]) -> None:
        self.there = {name.replace("_", " "): boxes for name, boxes in there.items()}

    def run(self, args: FindArgs, context: Context) -> Found:
        context.media.image(args.image)
        detections = [
            Detection(
                image=args.image,
                label=label,
                score=0.9,
                score_kind="detector score",
                box=Box.of(box),
            )
            for label in args.labels
            for box in self.there.get(label, [])
        ]
        missing = [label for label in args.labels if label not in self.there]
        return Found(detections=detections, labels_searched=args.labels, labels_not_found=missing)


class CutArgs(Arguments):
    image: ImageRef


class Cut(Tool[CutArgs, Note]):
    """Make a new picture of a corner."""

    name = "cut"
    effects = "writes_media"
    Args = CutArgs
    Result = Note

    def run(self, args: CutArgs, context: Context) -> Note:
        corner = context.media.image(args.image)[:16, :16].copy()
        return Note(text=context.add_image(corner, parents=(args.image,)).handle)


class CheckArgs(Arguments):
    answer: str = Field(min_length=1)
    question: str | None = None
    image: str | None = None
    audio: str | None = None
    policy: str = "conservative"


class Judge(Tool[CheckArgs, Correction]):
    """Take `two` for wrong and write `three`; everything else is undecided."""

    name = "correct_answer"
    Args = CheckArgs
    Result = Correction

    def run(self, args: CheckArgs, context: Context) -> Correction:
        verdicts, edits = [], []
        at = args.answer.lower().find("two")
        if at >= 0:
            old = args.answer[at : at + 3]
            claim = Claim(
                id="c1", text=old, span=(at, at + 3), kind="count", subject="cup", predicate="count"
            )
            evidence = Evidence(
                id="e1",
                tool="detect",
                call_id=context.call_id,
                judge="detector",
                stance="refutes",
                score=0.9,
                score_kind="detector score",
                boxes=(Box.of((1, 1, 9, 9)),),
            )
            verdicts.append(
                Verdict(
                    claim=claim,
                    verdict="refuted",
                    probability=0.05,
                    rule="count.differs",
                    evidence=(evidence,),
                    correction="three",
                )
            )
            edits.append(
                Edit(
                    op="replace",
                    span=(at, at + 3),
                    old_text=old,
                    new_text="three",
                    claim_id="c1",
                    evidence_ids=("e1",),
                )
            )
        if "giraffe" in args.answer:
            at = args.answer.find("giraffe")
            claim = Claim(
                id="c2",
                text="giraffe",
                span=(at, at + 7),
                kind="existence",
                subject="giraffe",
                predicate="exists",
            )
            verdicts.append(
                Verdict(
                    claim=claim,
                    verdict="not_enough_evidence",
                    probability=0.5,
                    rule="judges.unsure",
                )
            )
        final = args.answer.replace("two", "three").replace("Two", "three")
        return Correction(
            draft=args.answer,
            revised=final,
            final=final,
            choice="revised" if edits else "draft",
            choice_reason="better supported",
            edits=edits,
            verdicts=verdicts,
        )


class Lost:
    """A planner that calls the same sort of thing for ever."""

    def __init__(self, text: str = "again {n}", tool: str = "say") -> None:
        self.text = text
        self.tool = tool
        self.turns = 0

    def plan(self, conversation: Conversation) -> Turn:
        self.turns += 1
        return [Call(self.tool, {"text": self.text.format(n=self.turns)})]
