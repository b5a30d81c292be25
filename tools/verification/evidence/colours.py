"""The second judge of tints: what the pixels of a box say by themselves, without any model.

An object of the miniature world that carries a tint runs from a deep to a pale shade of it, so its
pixels lie near one line through the reference colour. Objects in their own colours, and
backgrounds, fool this judge: it never decides alone.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.vocabulary import TINTS

DEEP, PALE = 0.5, 0.45
"""How far the shades of a tint run towards black and towards white."""
NEAR = 45.0
"""Largest distance of a pixel from the shades of its tint, in RGB levels."""
STEPS = 9
_BITS = 6
_SHIFT = 8 - _BITS
STRIP = 2**18
"""Pixels that are looked at together,"""
COMPARED = 2**13
"""and colours that are compared with every shade."""
ROUNDED = 1.0
"""Squared levels: differences below it may come of rounding."""
YES, NO = 0.3, 0.12
"""Shares that speak for a tint and against it. On 400 scenes of the split "calibrate" 98 % of the
objects of a tint lie above the first; of other tints' objects, 5 % at most (gray: 9 %)."""
GRAY_YES, GRAY_NO = 0.6, 0.35  # many backgrounds are grayish


def _shades() -> NDArray[np.float32]:
    """(tints, STEPS, 3): each tint from deep over itself to pale."""
    lines = []
    for reference in TINTS.values():
        colour = np.array(reference, np.float32)
        deep, pale = colour * (1 - DEEP), colour + (255 - colour) * PALE
        down, up = (
            np.linspace(deep, colour, STEPS // 2 + 1),
            np.linspace(colour, pale, STEPS // 2 + 1),
        )
        lines.append(np.concatenate([down, up[1:]]))
    return np.stack(lines).astype(np.float32)


_SHADES = _shades()
NO_TINT = len(TINTS)
_OPEN = NO_TINT + 1  # of a cell whose colours are not all of one kind
_OUTSIDE = NO_TINT + 2


def tint_shares(picture: Pixels, box: Box) -> dict[str, float]:
    """Tint -> share of the pixels in the box's inner ellipse that are shades of it, 0 to 1.

    Of a box that reaches outside the picture, the part inside counts. Memory stays below that of
    the part, which is read in strips.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box.clip(width, height).xyxy
    rows = slice(int(y1), max(int(np.ceil(y2)), int(y1) + 1))
    columns = slice(int(x1), max(int(np.ceil(x2)), int(x1) + 1))
    crop = picture[rows, columns]
    down = (np.arange(crop.shape[0]) + 0.5) / crop.shape[0] * 2 - 1
    across = (np.arange(crop.shape[1]) + 0.5) / crop.shape[1] * 2 - 1
    counts = np.zeros(_OUTSIDE + 1, np.int64)
    strip = max(1, STRIP // crop.shape[1])
    for start in range(0, crop.shape[0], strip):
        part = slice(start, start + strip)
        outside = down[part, None] ** 2 + across[None, :] ** 2 > 0.8
        found = nearest_tints(crop[part], outside)
        counts += np.bincount(found.ravel(), minlength=_OUTSIDE + 1)
    of_tints = counts[:NO_TINT] / counts[:_OPEN].sum()
    return dict(zip(TINTS, of_tints.tolist(), strict=True))


def nearest_tints(pixels: Pixels, outside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Index of the tint that each pixel (h, w, 3) is a shade of, `NO_TINT` where it is of none,
    and `_OUTSIDE` where it is `outside` (h, w).

    Most colours lie in cells of the colour cube that are of one kind throughout; the others are
    compared with every shade, each colour once.
    """
    cells = pixels >> _SHIFT
    codes = cells[..., 0].astype(np.int32) << 2 * _BITS
    codes |= cells[..., 1].astype(np.int32) << _BITS
    codes |= cells[..., 2]
    found: NDArray[np.uint8] = _cells().take(codes)
    found[outside] = _OUTSIDE
    left = found == _OPEN
    if left.any():
        red, green, blue = pixels[left].astype(np.int32).T
        found[left] = _of_each((red << 16) | (green << 8) | blue)
    return found


def _of_each(codes: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Kind of each colour (n,) in the form 0xRRGGBB; runs of one colour are compared once."""
    starts = np.concatenate([[True], codes[1:] != codes[:-1]])
    once, back = np.unique(codes[starts], return_inverse=True)
    colours = np.stack([once >> 16, once >> 8 & 255, once & 255], axis=1).astype(np.float32)
    kinds = [_compared(colours[at : at + COMPARED]) for at in range(0, len(colours), COMPARED)]
    found: NDArray[np.uint8] = np.concatenate(kinds)[back][np.cumsum(starts) - 1]
    return found


def _compared(colours: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Kind of each colour (n, 3), by its distances to all shades."""
    near, nearest, other = _nearest(colours)
    kinds = np.where(near <= NEAR**2, nearest, NO_TINT).astype(np.uint8)
    # The products are rounded more than the differences are: what is close is settled by these.
    close = np.flatnonzero((abs(near - NEAR**2) < ROUNDED) | (other - near < ROUNDED))
    if len(close):
        distances = np.linalg.norm(colours[close, None, None, :] - _SHADES, axis=3).min(axis=2)
        kinds[close] = np.where(distances.min(axis=1) <= NEAR, distances.argmin(axis=1), NO_TINT)
    return kinds


def _nearest(
    colours: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
    """Of each colour (n, 3) the square of its distance to the nearest tint, which tint that is, and
    the square of its distance to the next one."""
    shades = _SHADES.reshape(-1, 3)
    squares = (shades**2).sum(axis=1)[:, None] - 2 * (shades @ colours.T) + (colours**2).sum(axis=1)
    tints = squares.reshape(NO_TINT, STEPS, -1).min(axis=1)
    nearest = tints.argmin(axis=0)
    rows = np.arange(len(colours))
    near = tints[nearest, rows]
    tints[nearest, rows] = np.inf
    return near, nearest, tints.min(axis=0)


@cache
def _cells() -> NDArray[np.uint8]:
    """Kind of each cell of the colour cube, in the order red, green, blue: a tint, none, or open.

    By the distances from a cell's middle: no colour in it is farther from there than `reach`.
    """
    side = 2**_SHIFT
    reach = (side - 1) / 2 * 3**0.5 + 0.1  # and to spare, for what is rounded
    levels = np.arange(2**_BITS, dtype=np.float32) * side + (side - 1) / 2
    kinds = []
    for red in levels:
        middles = np.stack(np.meshgrid(red, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
        squared, nearest, next_squared = _nearest(middles)
        near, other = np.sqrt(squared.clip(0)), np.sqrt(next_squared.clip(0))
        settled = (near + reach <= NEAR) & (other - near > 2 * reach)
        kind = np.where(settled, nearest, _OPEN)
        kinds.append(np.where(near - reach > NEAR, NO_TINT, kind).astype(np.uint8))
    return np.concatenate(kinds)


def opinion(tint: str, share: float) -> float:
    """How likely the tint is, given its share; never beyond 0.1 and 0.9."""
    no, yes = (GRAY_NO, GRAY_YES) if tint == "gray" else (NO, YES)
    return 0.1 + 0.8 * min(1.0, max(0.0, (share - no) / (yes - no)))
