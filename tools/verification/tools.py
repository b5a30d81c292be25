"""The verifier as tools: `verify_answer` and `correct_answer`."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nuthatch.messages import as_unicode
from nuthatch.tools.base.notices import Notice
from nuthatch.tools.base.tool import Arguments, AudioRef, Context, ImageRef, Tool
from nuthatch.tools.verification.correction import Item, correct_items, verify_items
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.no_verifier import absent_judges
from nuthatch.tools.verification.evidence.perception import ToolSenses
from nuthatch.tools.verification.rules import POLICIES
from nuthatch.tools.verification.types import Correction, Report, Verdict
from nuthatch.tools.weights.store import Weights

Text = Annotated[str, AfterValidator(as_unicode)]
"""Lone surrogates, which are no Unicode, become `?`: the result holds the text."""


class CheckArgs(Arguments):
    answer: Text = Field(description="the answer to check, as text")
    question: Text | None = Field(
        None, description="what was asked; gives a bare 'yes' its meaning"
    )
    image: ImageRef | None = None
    audio: AudioRef | None = None
    policy: Literal["conservative", "balanced", "strict"] = Field(
        "conservative", description="how sure a verdict must be"
    )


class VerifyAnswer(Tool[CheckArgs, Report]):
    """Check each claim of an answer against a picture and a sound.

    Claims are read by rules (after Woodpecker, arXiv:2310.16045, without its language models),
    judged by two independent judges, and reported as supported, refuted or undecided. `authors`
    names the judges whose models wrote the words: they are no judges. `sources` names those whose
    findings the words quote: they decide as far as such quotations were measured.

    Raises:
        RetryCall: a handle names nothing, or the answer has more than 20 000 characters.
    """

    name = "verify_answer"
    # Its inner calls name detections; one after the other, so that names can be repeated.
    effects = "writes_media"
    timeout = 120.0
    weights = ("detect", "tag", "tag_sound")
    Args = CheckArgs
    Result = Report

    def lack(self, weights: Weights) -> str:
        return _lack(weights)

    def __init__(self, authors: Iterable[str] = (), sources: Iterable[str] = ()) -> None:
        self.authors, self.sources = frozenset(authors), frozenset(sources)

    def run(self, args: CheckArgs, context: Context) -> Report:
        (report,) = verify_items(
            [_item(args, self.authors, self.sources)],
            ToolSenses(context),
            Calibration(context.weights),
            POLICIES[args.policy],
        )
        missing = _absent(context, report.verdicts, args)
        return report.model_copy(update={"notices": [*report.notices, *missing]})


class CorrectAnswer(Tool[CheckArgs, Correction]):
    """Check an answer and put right what is refuted, word by word.

    Edits are typed and replay exactly; the draft stays where the revision is not better supported.
    `authors` and `sources` as for `verify_answer`.

    Raises:
        RetryCall: a handle names nothing, or the answer has more than 20 000 characters.
    """

    name = "correct_answer"
    effects = "writes_media"
    timeout = 120.0
    weights = ("detect", "tag", "tag_sound")
    Args = CheckArgs
    Result = Correction

    def lack(self, weights: Weights) -> str:
        return _lack(weights)

    def __init__(self, authors: Iterable[str] = (), sources: Iterable[str] = ()) -> None:
        self.authors, self.sources = frozenset(authors), frozenset(sources)

    def run(self, args: CheckArgs, context: Context) -> Correction:
        (correction,) = correct_items(
            [_item(args, self.authors, self.sources)],
            ToolSenses(context),
            Calibration(context.weights),
            POLICIES[args.policy],
        )
        missing = _absent(context, correction.verdicts, args)
        return correction.model_copy(update={"notices": [*correction.notices, *missing]})


def _lack(weights: Weights) -> str:
    """Claims can be checked as long as one judge works."""
    lacks = [weights.lack(name) for name in VerifyAnswer.weights]
    return "; ".join(lacks) if all(lacks) else ""


def _absent(context: Context, verdicts: Sequence[Verdict], args: CheckArgs) -> list[Notice]:
    image, audio = args.image is not None, args.audio is not None
    return absent_judges(context, verdicts, image=image, audio=audio)


def _item(args: CheckArgs, authors: frozenset[str], sources: frozenset[str]) -> Item:
    return Item(args.answer, args.question, args.image, args.audio, authors, sources)
