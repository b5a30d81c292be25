"""Coordinates of boxes and points: checked, as fractions of a picture's sides, and in pixels again.

Shapes and order as in `boxes`: x1 y1 x2 y2 in pixels of the upright original image, right and
bottom exclusive.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import cycle
from numbers import Real
from typing import TypeVar

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Size = tuple[int, int]

INTEGER = "[0-9]{1,9}"  # more would be no bin or thousandth, but work for the reader
Item = TypeVar("Item", Box, Point)


def picture_sides(size: Size) -> Size:
    """Width and height, checked, as Python's own numbers."""
    if len(size) != 2 or not all(_is_whole(side) and side >= 1 for side in size):
        raise ValueError(
            f"given the size {tuple(size)}, expected (width, height) in whole pixels from 1"
        )
    return int(size[0]), int(size[1])


def _is_whole(number: object) -> bool:
    return isinstance(number, Real) and float(number).is_integer()


def at_least_one(items: Sequence[Item]) -> Sequence[Item]:
    if len(items) == 0:  # an array has no truth value
        raise ValueError("nothing to write: given no box or point, expected at least one")
    return items


def as_fractions(values: Sequence[float], size: Size, numbers: int) -> list[float]:
    """x y ... in pixels, moved to the edge where they lie outside, as fractions of the sides."""
    sides = cycle(picture_sides(size))
    if len(values) != numbers or not all(math.isfinite(value) for value in values):
        raise ValueError(f"given {tuple(values)}, expected {numbers} finite coordinates in pixels")
    return [min(max(0.0, float(v) / side), 1.0) for v, side in zip(values, sides, strict=False)]


def box_as_fractions(box: Box, size: Size) -> list[float]:
    values = as_fractions(box, size, 4)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(
            f"box {tuple(box)} is empty or inverted; expected x1 < x2 and y1 < y2, drop or mend it"
        )
    return values


def visible_fractions(box: Box, size: Size) -> list[float]:
    """As `box_as_fractions`; a box that has no part in the picture is an error."""
    x1, y1, x2, y2 = values = box_as_fractions(box, size)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"box {tuple(box)} lies outside a picture of {size[0]} x {size[1]} pixels")
    return values


def find_all(pattern: str, tokens: Sequence[str], text: str) -> list[str]:
    """Every match of the pattern; a token that stands outside of them is an error."""
    rest = re.sub(pattern, " ", text)
    if stray := next((token for token in tokens if token in rest), None):
        raise ValueError(f"'{stray}' stands outside of a complete box or point in '{text}'")
    return re.findall(pattern, text)


def integers_in(place: str, limit: int) -> list[int]:
    numbers = [int(digits) for digits in re.findall(INTEGER, place)]
    if max(numbers) >= limit:
        raise ValueError(f"'{place}' holds {max(numbers)}, expected 0 to {limit - 1}")
    return numbers


def in_pixels(values: Sequence[float], size: Size) -> Iterator[float]:
    return (value * side for value, side in zip(values, cycle(picture_sides(size)), strict=False))


def to_boxes(values: Sequence[float], size: Size) -> list[Box]:
    pixels = in_pixels(values, size)
    return list(zip(pixels, pixels, pixels, pixels, strict=True))
