"""Regions of a picture as tools take them: a detection's handle, or x1 y1 x2 y2 in pixels."""

from typing import Annotated, Any

from pydantic import Field

from nuthatch.tools.base import QUOTED, Context, DetectionRef
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.geometry import Box
from nuthatch.tools.ingest import MIN_SIDE, Pixels

Coordinate = Annotated[float, QUOTED]
Sides = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
Point = tuple[Coordinate, Coordinate]
Region = DetectionRef | Sides
REGION: Any = Field(
    None, description="a detection's handle or x1 y1 x2 y2; default: the whole picture"
)


def box_of(region: str | Sides | None, image: str, context: Context) -> Box:
    """The box of a region of this image, clipped to it; without a region, the whole picture.

    Raises:
        RetryCall: it lies outside the picture, or on another one.
    """
    height, width = context.media.image(image).shape[:2]
    if region is None:
        return Box.of((0, 0, width, height))
    if isinstance(region, str):
        found = context.media.detection(region)
        if found.image != image:
            raise RetryCall(f"{region} lies on {found.image}, not {image}")
        return found.box.clip(width, height)
    try:
        return Box.of(region).clip(width, height)
    except ValueError as error:
        raise RetryCall(f"{error}; the picture is {width}x{height} pixels") from error


def cut(pixels: Pixels, box: Box, margin: float = 0.0) -> tuple[Pixels, Box]:
    """The whole pixels of a box, and where they lie; `margin` is added on each side.

    Raises:
        RetryCall: it is less than 8 pixels wide or high.
    """
    height, width = pixels.shape[:2]
    grown = box.grow(margin, width, height)
    x1, y1 = int(grown.x1), int(grown.y1)
    x2, y2 = min(width, round(grown.x2 + 0.5)), min(height, round(grown.y2 + 0.5))
    if min(x2 - x1, y2 - y1) < MIN_SIDE:
        raise RetryCall(f"the region is {x2 - x1}x{y2 - y1} pixels; take one of {MIN_SIDE} a side")
    return pixels[y1:y2, x1:x2].copy(), Box.of((x1, y1, x2, y2))
