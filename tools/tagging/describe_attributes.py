"""Look closely at one region: `describe_attributes`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from nuthatch.tools.base.regions import REGION, Region, box_of, cut
from nuthatch.tools.base.tool import FOR_PEOPLE, Arguments, Context, ImageRef, Tool
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.tagging.lens import COSINE, THRESHOLD, Contrastive, best
from nuthatch.tools.tagging.word_lists import Source, choose, vocabulary_of

if TYPE_CHECKING:
    from nuthatch.tools.tagging.taggers import Tagger

DEFAULT = "tints"
MARGIN = 0.1
"""Added on each side of a region for an encoder of whole pictures."""


class DescribeAttributesArgs(Arguments):
    image: ImageRef
    region: Region | None = REGION
    top_k: int = Field(3, ge=1, le=20)


class ScoredWord(BaseModel):
    word: str
    score: float  # 0 to 1


class ObjectAttribute(BaseModel):
    object: str
    attribute: str
    score: float  # 0 to 1; of a cosine -1 to 1


class Attributes(BaseModel):
    """What the region shows; each list best first.

    A tagger of fixed words fills `objects` and `tints`, a contrastive encoder `pairs`.
    """

    objects: list[ScoredWord] = []
    tints: list[ScoredWord] = []  # "plain" is an object in its natural colours
    score_kind: str
    pairs: list[ObjectAttribute] = []
    threshold: Annotated[float | None, FOR_PEOPLE] = (
        None  # of the best pairs, those below this score were left out
    )
    vocabulary: str | None = None
    vocabulary_sha256: Annotated[str | None, FOR_PEOPLE] = None
    encoder: Annotated[str | None, FOR_PEOPLE] = None


class DescribeAttributes(Tool[DescribeAttributesArgs, Attributes]):
    """Name the object in one region of a picture and its colour.

    The tagger that ships judges objects and tints apart. A contrastive encoder such as CLIP ranks
    pairs of object and attribute, as in LENS (arXiv:2306.16410), from any vocabulary; the whole
    picture is encoded once for this tool and for `tag`.

    Args:
        vocabulary: pairs (object, attribute) for contrastive encoders, or a text file with one
            pair a line, a tab between its parts.
        threshold: lowest cosine kept.

    Raises:
        RetryCall: the region lies outside the picture, or is too small for an encoder.
        ToolUnavailable: weights or packages are missing.
    """

    name = "describe_attributes"
    weights = ("tag",)
    caches = True
    Args = DescribeAttributesArgs
    Result = Attributes

    def __init__(self, vocabulary: Source | None = None, *, threshold: float = THRESHOLD) -> None:
        self.vocabulary = None if vocabulary is None else vocabulary_of("attributes", vocabulary)
        self.threshold = threshold
        if vocabulary is not None or threshold != THRESHOLD:  # other settings, other results
            words = self.vocabulary.sha256 if self.vocabulary else DEFAULT
            self.version = f"{self.version} {threshold} {words}"  # type: ignore[misc]
        if self.vocabulary is not None and not self.vocabulary.pairs:
            raise ValueError(
                f"vocabulary {self.vocabulary.name!r} holds labels; describe_attributes takes "
                "pairs (object, attribute)"
            )

    def run(self, args: DescribeAttributesArgs, context: Context) -> Attributes:
        tagger: Any = context.weights.get("tag")
        if isinstance(tagger, Contrastive):
            return self._matched(tagger, args, context)
        return _judged(tagger, args, context)

    def _matched(
        self, encoder: Contrastive, args: DescribeAttributesArgs, context: Context
    ) -> Attributes:
        vocabulary = self.vocabulary or choose(DEFAULT, {})
        pixels = context.media.image(args.image)
        key = context.media[args.image].sha256
        if args.region is not None:
            pixels, box = cut(pixels, box_of(args.region, args.image, context), MARGIN)
            key = f"{key} {box.xyxy}"
        try:
            matrix = encoder.matrix(vocabulary)
        except ValueError as error:
            raise RetryCall(str(error)) from error
        picture = encoder.picture(pixels, key)
        found = best(picture, matrix, top_k=args.top_k, threshold=self.threshold)
        named = [(vocabulary.entries[row], score) for row, score in found]
        return Attributes(
            score_kind=COSINE,
            pairs=[
                ObjectAttribute(object=thing, attribute=attribute, score=score)
                for (thing, attribute), score in named
            ],
            threshold=self.threshold,
            vocabulary=vocabulary.name,
            vocabulary_sha256=vocabulary.sha256,
            encoder=encoder.encoder_id,
        )


def _judged(tagger: "Tagger", args: DescribeAttributesArgs, context: Context) -> Attributes:
    """By a tagger of fixed words."""
    from nuthatch.tools.tagging.taggers import LABELS, TINT_LABELS

    pixels = context.media.image(args.image)
    box = box_of(args.region, args.image, context)
    tags = tagger.tag_boxes(pixels, [box.xyxy])
    return Attributes(
        objects=_ranked(LABELS, tags.categories[0], args.top_k),
        tints=_ranked(TINT_LABELS, tags.tints[0], args.top_k),
        score_kind="probability",
    )


def _ranked(words: Sequence[str], scores: NDArray[np.float32], top_k: int) -> list[ScoredWord]:
    ranked = np.argsort(-scores)[:top_k]
    return [ScoredWord(word=words[i], score=float(scores[i])) for i in ranked]
