"""Outline objects exactly: `segment`."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from nuthatch.tools.base.regions import Point, Sides, check_finite, inside
from nuthatch.tools.base.tool import (
    Arguments,
    Context,
    DetectionRef,
    ImageRef,
    Tool,
    exactly_one_of,
)
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.ingest import Pixels

if TYPE_CHECKING:
    from nuthatch.tools.segmentation.segmenters import Segmenter

AT_ONCE = 32
PIXELS_AT_ONCE = 2**26
"""Prompts that are cut out together: each mask is as large as the picture until it is encoded."""


class SegmentArgs(Arguments):
    model_config = exactly_one_of("boxes", "points", "detections")

    image: ImageRef
    boxes: list[Sides] | None = Field(
        None, max_length=64, description="x1 y1 x2 y2 in pixels of the image"
    )
    points: list[Point] | None = Field(
        None, max_length=64, description="x y in pixels, one point on each object"
    )
    detections: list[DetectionRef] | None = Field(None, max_length=64)

    @model_validator(mode="after")
    def _one_kind_of_prompt(self) -> Self:
        given = [n for n in ("boxes", "points", "detections") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of boxes, points, detections (given: {given})")
        return self


class Masks(BaseModel):
    """One mask per prompt, in the order of the prompts."""

    masks: list[str]  # handles
    predicted_iou: list[float]  # the model's own guess of the overlap with the truth, 0 to 1
    areas: list[int]  # pixels


class Segment(Tool[SegmentArgs, Masks]):
    """Cut out the objects that boxes, points or earlier detections show.

    Promptable segmentation after Segment Anything (arXiv:2304.02643). Masks have the size of the
    upright original image. A prompt that is empty, inverted or outside the picture has an empty
    mask.

    Raises:
        RetryCall: detections are of another picture, or a coordinate is not finite.
        ToolUnavailable: weights or packages are missing.
    """

    name = "segment"
    effects = "writes_media"
    weights = ("segment",)
    Args = SegmentArgs
    Result = Masks

    def run(self, args: SegmentArgs, context: Context) -> Masks:
        segmenter: Segmenter = context.weights.get("segment")
        pixels = context.media.image(args.image)
        prompts = _prompts(args, context, pixels)
        found: list[tuple[Mask, float]] = []
        height, width = pixels.shape[:2]
        at_once = min(AT_ONCE, max(1, PIXELS_AT_ONCE // (height * width)))
        for start in range(0, len(prompts), at_once):
            context.check()
            some = prompts[start : start + at_once]
            found += _cut_out(segmenter, pixels, some, are_points=args.points is not None)
        return Masks(
            masks=[context.add_mask(mask, parents=(args.image,)).handle for mask, _ in found],
            predicted_iou=[min(1.0, max(0.0, quality)) for _, quality in found],
            areas=[mask.area for mask, _ in found],
        )


def _prompts(args: SegmentArgs, context: Context, pixels: Pixels) -> list[Any]:
    """Boxes x1 y1 x2 y2, clipped, or points x y; None for one that lies outside the picture."""
    height, width = pixels.shape[:2]
    if args.points is not None:
        check_finite(*args.points)
        return [(x, y) if 0 <= x < width and 0 <= y < height else None for x, y in args.points]
    boxes = args.boxes or []
    if args.detections is not None:
        found = [d for handle in args.detections for d in context.media.detections(handle)]
        other = next((d for d in found if d.image != args.image), None)
        if other:
            raise RetryCall(f"{other.handle} lies on {other.image}, not on {args.image}")
        boxes = [d.box.xyxy for d in found]
    parts = [inside(box, width, height) for box in boxes]
    return [None if part is None else part.xyxy for part in parts]


def _cut_out(
    segmenter: "Segmenter", pixels: Pixels, prompts: list[Any], *, are_points: bool
) -> list[tuple[Mask, float]]:
    """Of each prompt its mask and the model's guess of its quality; of None an empty mask."""
    real = [each for each in prompts if each is not None]
    boxes, points = (None, real) if are_points else (real, None)
    masks, quality = segmenter.segment(pixels, boxes=boxes, points=points) if real else ((), ())
    found = iter([(Mask.of(mask), float(q)) for mask, q in zip(masks, quality, strict=True)])
    nothing = Mask.of(np.zeros(pixels.shape[:2], bool)), 0.0
    return [nothing if each is None else next(found) for each in prompts]
