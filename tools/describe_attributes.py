"""Look closely at one region: `describe_attributes`."""

from nuthatch.tools.taggers import Tagger
from pydantic import BaseModel, Field

from nuthatch.tools.base import Arguments, Context, DetectionRef, ImageRef, Tool
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.geometry import Box


class DescribeAttributesArgs(Arguments):
    image: ImageRef
    region: DetectionRef | tuple[float, float, float, float] | None = Field(
        None, description="a detection's handle or x1 y1 x2 y2; default: the whole picture"
    )
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
        tagger: Tagger = context.weights.get("tag")
        pixels = context.media.image(args.image)
        height, width = pixels.shape[:2]
        crop = pixels
        if args.region is not None:
            if isinstance(args.region, str):
                box = context.media.detection(args.region).box
            else:
                box = Box.of(args.region)
            try:
                x1, y1, x2, y2 = box.clip(width, height).xyxy
            except ValueError as error:
                raise RetryCall(f"{error}; the picture is {width}x{height} pixels") from error
            crop = pixels[int(y1) : max(int(y2), int(y1) + 1), int(x1) : max(int(x2), int(x1) + 1)]
        described = tagger.describe_crop(crop)
        return Attributes(
            objects=_ranked(described.objects, args.top_k),
            tints=_ranked(described.tints, args.top_k),
            score_kind="probability",
        )


def _ranked(scores: dict[str, float], top_k: int) -> list[ScoredWord]:
    ranked = sorted(scores.items(), key=lambda item: -item[1])[:top_k]
    return [ScoredWord(word=word, score=score) for word, score in ranked]
