"""Link phrases of a text to what they mean in a picture: `ground`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from nuthatch.messages import shown
from nuthatch.tools.base.tool import FOR_PEOPLE, Arguments, Context, ImageRef, Tool
from nuthatch.tools.detection.detect import Found
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.store import Detection
from nuthatch.tools.segmentation.segment import Masks
from nuthatch.tools.verification.extraction.words import DETERMINERS, NONE, NUMBERS
from nuthatch.tools.vocabulary import canonical

AT_ONCE = 64
"""Detections that a call of `segment` takes."""
WORDS = 8
"""Of a label at most."""
_BEFORE_NOUNS = (DETERMINERS | {*NUMBERS, "of", "several"}) - NONE - {"no"}
_MARKS = ".,;:!?\"'()[]"


class Phrase(BaseModel):
    """A phrase, and the characters of the answer where it stands, `end` exclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1)
    start: int = Field(ge=0)
    end: int

    @model_validator(mode="after")
    def _fills_its_span(self) -> Self:
        if self.end - self.start != len(self.text):
            raise ValueError(
                f"characters {self.start} to {self.end} are {self.end - self.start}, but "
                f"{shown(self.text)!r} has {len(self.text)}; give end = start + length"
            )
        return self


class GroundArgs(Arguments):
    """Programs may give a phrase as `{text, start, end}`; planners are shown plain strings."""

    image: ImageRef
    phrases: list[str | SkipJsonSchema[Phrase]] = Field(
        min_length=1, max_length=64, description="noun phrases of a text"
    )


class PhraseLink(BaseModel):
    """A phrase and what it means in the picture."""

    phrase: str
    detections: list[str]  # handles, best first; empty: nothing fits
    masks: Annotated[list[str], FOR_PEOPLE] = []  # handles, in the order of the detections
    score: Annotated[float | None, FOR_PEOPLE] = None  # of the best detection
    span: Annotated[tuple[int, int] | None, FOR_PEOPLE] = None  # characters, as they were given


class Grounded(BaseModel):
    """A link for every phrase, in their order; the detections are those of inner `detect` calls."""

    links: list[PhraseLink]

    def in_short(self) -> str:
        """For people."""
        return "; ".join(
            f"{link.phrase}: {', '.join(link.detections) or 'nothing fits'}" for link in self.links
        )


class Ground(Tool[GroundArgs, Grounded]):
    """Link phrases of a text to the objects they mean in a picture.

    The display layer of BuboGPT (arXiv:2307.08581) without its matcher: what is looked for are the
    phrases themselves, so that their places in the text and the handles of what was found belong
    together from the start. Articles and numbers are left off. A phrase that finds nothing as it
    stands is looked for by the known noun at its end (`red cup`: `cup`); the detection's label
    tells which. All objects that fit are linked, even if the phrase speaks of one.

    Args:
        masks: also cut the objects out, with `segment`.

    Raises:
        RetryCall: a phrase that names nothing, or of more than 8 words.
        ToolUnavailable: `detect` or `segment` cannot work here.
    """

    name = "ground"
    timeout = 180.0
    effects = "writes_media"
    weights = ("detect", "segment")
    Args = GroundArgs
    Result = Grounded

    def __init__(self, *, masks: bool = True) -> None:
        self.masks = masks
        if not masks:
            self.weights = ("detect",)  # type: ignore[misc, assignment]

    def run(self, args: GroundArgs, context: Context) -> Grounded:
        phrases = [each if isinstance(each, str) else each.text for each in args.phrases]
        labels = [label_of(phrase) for phrase in phrases]
        found = _look(labels, args.image, context)
        nouns = [known_noun(label) for label in labels]
        unseen = [noun for label, noun in zip(labels, nouns, strict=True) if not found[label]]
        by_noun = _look([noun for noun in unseen if noun], args.image, context)
        fitting = [
            found[label] or by_noun.get(noun or "", [])
            for label, noun in zip(labels, nouns, strict=True)
        ]
        masks = self._cut_out(fitting, args.image, context)
        return Grounded(
            links=[
                PhraseLink(
                    phrase=phrase,
                    detections=[each.handle for each in fits],
                    masks=[masks[each.handle] for each in fits if each.handle in masks],
                    score=fits[0].score if fits else None,
                    span=None if isinstance(given, str) else (given.start, given.end),
                )
                for given, phrase, fits in zip(args.phrases, phrases, fitting, strict=True)
            ]
        )

    def _cut_out(
        self, found: Sequence[Sequence[Detection]], image: str, context: Context
    ) -> dict[str, str]:
        """Handle of a detection -> handle of its mask."""
        handles = list(dict.fromkeys(each.handle for fits in found for each in fits))
        masks: dict[str, str] = {}
        for start in range(0, len(handles) if self.masks else 0, AT_ONCE):
            part = handles[start : start + AT_ONCE]
            made: Masks = context.call("segment", image=image, detections=part)
            masks |= dict(zip(part, made.masks, strict=True))
        return masks


def label_of(phrase: str) -> str:
    """What to look for: the phrase without articles and numbers before it, in lower case.

    Raises:
        RetryCall: nothing is left, or more than `WORDS` words are.
    """
    words = [word.strip(_MARKS) for word in phrase.lower().replace(".", " ").split()]
    words = [word for word in words if word]
    while words and (words[0] in _BEFORE_NOUNS or words[0].isdigit()):
        words = words[1:]
    if not 0 < len(words) <= WORDS:
        raise RetryCall(
            f"phrase {phrase[:80]!r} has {len(words)} words to look for; "
            f"give a noun phrase of 1 to {WORDS} words"
        )
    return " ".join(words)


def known_noun(label: str) -> str | None:
    """The longest noun of the vocabulary that a label ends in; None: it has none, or is one."""
    words = label.split()
    if canonical(label):
        return None
    ends = (" ".join(words[start:]) for start in range(1, len(words)))
    return next((end for end in ends if canonical(end)), None)


def _look(labels: Sequence[str], image: str, context: Context) -> dict[str, list[Detection]]:
    """Of each label what was found, best first."""
    found: dict[str, list[Detection]] = defaultdict(list)
    if labels:
        names = list(dict.fromkeys(canonical(label) or label for label in labels))
        seen: Found = context.call("detect", image=image, labels=names)
        for each in seen.detections:
            found[each.label].append(each)
    return {label: found[canonical(label) or label] for label in labels}
