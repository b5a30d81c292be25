"""Look closely at one region: `describe_attributes`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from nuthatch.tools.base import Arguments, Context, ImageRef, Tool
from nuthatch.tools.regions import REGION, Region, box_of

if TYPE_CHECKING:
    from nuthatch.tools.taggers import Tagger


class DescribeAttributesArgs(Arguments):
    image: ImageRef
    region: Region | None = REGION
    top_k: int = Field(3, ge=1, le=20)


class ScoredWord(BaseModel):
    word: str
    score: float  # 0 to 1


class Attributes(BaseModel):
    """What the region shows, and in which tint; each list best first."""

    objects: list[ScoredWord]
    tints: list[ScoredWord]  # "plain" is an object in its natural colours
    score_kind: str


class DescribeAttributes(Tool[DescribeAttributesArgs, Attributes]):
    """Name the object in one region of a picture and its colour.

    Raises:
        RetryCall: the region lies outside the picture.
        ToolUnavailable: weights or packages are missing.
    """

    name = "describe_attributes"
    weights = ("tag",)
    Args = DescribeAttributesArgs
    Result = Attributes

    def run(self, args: DescribeAttributesArgs, context: Context) -> Attributes:
        from nuthatch.tools.taggers import LABELS, TINT_LABELS

        tagger: Tagger = context.weights.get("tag")
        pixels = context.media.image(args.image)
        box = box_of(args.region, args.image, context)
        tags = tagger.tag_boxes(pixels, [box.xyxy])
        return Attributes(
            objects=_ranked(LABELS, tags.categories[0], args.top_k),
            tints=_ranked(TINT_LABELS, tags.tints[0], args.top_k),
            score_kind="probability",
        )


def _ranked(words: Sequence[str], scores: NDArray[np.float32], top_k: int) -> list[ScoredWord]:
    best = np.argsort(-scores)[:top_k]
    return [ScoredWord(word=words[i], score=float(scores[i])) for i in best]
