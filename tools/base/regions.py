"""Regions of a picture as tools take them: a detection's handle, or x1 y1 x2 y2 in pixels."""

import math
from typing import Annotated, Any

from pydantic import Field

from nuthatch.tools.base.tool import QUOTED, Context, DetectionRef
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import MIN_SIDE, Pixels

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
        RetryCall: nothing of it lies inside the picture, or it lies on another one.
    """
    box = part_of(region, image, context)
    if box is None:
        height, width = context.media.image(image).shape[:2]
        raise RetryCall(
            f"the region {region} is empty, inverted or outside: give x1 < x2 and y1 < y2 inside "
            f"the picture, which is {width}x{height} pixels"
        )
    return box


def part_of(region: str | Sides | None, image: str, context: Context) -> Box | None:
    """As `box_of`, for tools that give lists; None: nothing of the region lies inside the picture,
    so that nothing can be found there.

    Raises:
        RetryCall: it lies on another picture, or its sides are not finite.
    """
    height, width = context.media.image(image).shape[:2]
    if region is None:
        return Box.of((0, 0, width, height))
    if isinstance(region, str):
        found = context.media.detection(region)
        if found.image != image:
            raise RetryCall(f"{region} lies on {found.image}, not {image}")
        region = found.box.xyxy
    return inside(region, width, height)


def inside(sides: Sides, width: int, height: int) -> Box | None:
    """The part of a box that lies inside a picture of this size; None: it has none.

    Raises:
        RetryCall: a side is not finite.
    """
    check_finite(sides)
    x1, y1 = max(0.0, sides[0]), max(0.0, sides[1])
    x2, y2 = min(float(width), sides[2]), min(float(height), sides[3])
    return Box.of((x1, y1, x2, y2)) if x1 < x2 and y1 < y2 else None


def check_finite(*shapes: Sides | Point) -> None:
    """Refuse boxes and points that have no place.

    Raises:
        RetryCall: a coordinate is not finite.
    """
    for shape in shapes:
        if not all(map(math.isfinite, shape)):
            raise RetryCall(f"{shape} holds what is no number; give pixels of the picture")


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
