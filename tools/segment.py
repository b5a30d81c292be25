"""Outline objects exactly: `segment`."""

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, model_validator

from nuthatch.tools.base import (
    Arguments,
    Context,
    DetectionRef,
    ImageRef,
    Tool,
    exactly_one_of,
)
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.geometry import Box, Mask
from nuthatch.tools.regions import Point, Sides

if TYPE_CHECKING:
    from nuthatch.tools.segmenters import Segmenter


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
    upright original image.

    Raises:
        RetryCall: a box lies outside the picture, or detections are of another picture.
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
        height, width = pixels.shape[:2]
        boxes = self._boxes(args, context, width, height)
        if not boxes and not args.points:
            return Masks(masks=[], predicted_iou=[], areas=[])
        masks, quality = segmenter.segment(pixels, boxes=boxes, points=args.points)
        handles, areas = [], []
        for pixels_of_one in masks:
            mask = Mask.of(pixels_of_one)
            handles.append(context.add_mask(mask, parents=(args.image,)).handle)
            areas.append(mask.area)
        return Masks(
            masks=handles,
            predicted_iou=[min(1.0, max(0.0, float(q))) for q in quality],
            areas=areas,
        )

    def _boxes(
        self, args: SegmentArgs, context: Context, width: int, height: int
    ) -> list[tuple[float, float, float, float]] | None:
        if args.points is not None:
            for x, y in args.points:
                if not (0 <= x < width and 0 <= y < height):
                    raise RetryCall(f"point ({x}, {y}) lies outside the {width}x{height} picture")
            return None
        if args.detections is not None:
            found = [d for handle in args.detections for d in context.media.detections(handle)]
            other = next((d for d in found if d.image != args.image), None)
            if other:
                raise RetryCall(f"{other.handle} lies on {other.image}, not on {args.image}")
            return [d.box.xyxy for d in found]
        try:
            return [Box.of(box).clip(width, height).xyxy for box in args.boxes or []]
        except ValueError as error:
            raise RetryCall(f"{error}; the picture is {width}x{height} pixels") from error
