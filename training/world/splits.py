"""What is held out, by construction: layouts and compositions.

Three splits never share a layout: a layout (which categories stand in which cells of an 8x8 grid)
hashes to exactly one split, so even equal seeds cannot leak one. Beyond that some compositions
never occur in ``train`` and ``calibrate``: for every category one tint, and about one pair of
categories in sixteen. ``test`` draws them as often as any other.
"""

from collections.abc import Iterable
from functools import cache
from typing import Literal
from zlib import crc32

from nuthatch.tools.vocabulary import TINTS

Split = Literal["train", "calibrate", "test"]
SPLITS: tuple[Split, ...] = ("train", "calibrate", "test")

LAYOUT_CELL = 16
"""Pixels of the 128-pixel reference picture."""

_SHARES: tuple[Split, ...] = ("train", "train", "calibrate", "test")


def layout_split(centres: Iterable[tuple[str, float, float]]) -> Split:
    """The one split that may show a layout.

    Args:
        centres: category, x, y of every object, in pixels of the 128-pixel reference picture.
    """
    cells = sorted((name, int(x) // LAYOUT_CELL, int(y) // LAYOUT_CELL) for name, x, y in centres)
    return _SHARES[crc32(repr(cells).encode()) % len(_SHARES)]


@cache
def held_out_tint(category: str) -> str:
    """The one tint in which a category is seen in ``test`` only."""
    return tuple(TINTS)[crc32(f"tint of {category}".encode()) % len(TINTS)]


@cache
def held_out_pair(a: str, b: str) -> bool:
    """Whether two categories stand together in one picture in ``test`` only."""
    first, second = sorted((a, b))
    return a != b and crc32(f"{first} with {second}".encode()) % 16 == 0
