"""Where to look in a picture, so that what is small in it is seen: views of wide, tall and
stretched pictures, and of those with plain margins.

A detector or tagger that scales a picture to a fixed size loses small objects. A view is a part of
the picture at about the shape and scale that such a model was trained on. An ordinary picture, of
about square shape and filled to its edges, has one view: the whole.

Boxes are x1 y1 x2 y2 in whole pixels of the picture, right and bottom exclusive.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from nuthatch.tools.media.types import Pixels

Box = tuple[int, int, int, int]
Box4 = tuple[float, float, float, float]

ORDINARY_ASPECT = 1.5
"""Longer by shorter side, up to which a part of a picture is looked at as it is."""
STRETCHED = 3.3
"""Longer by shorter side, up to which a picture may be a square one that was stretched."""
FILLED = 0.6
"""Share of the picture's longer side from which its content fills it."""
LONG = 2.0
"""As `ORDINARY_ASPECT`, of a content with margins: a single object may be as long."""
AROUND = (2.5, 1.1)
"""Sides of the views of a content with margins, by the content's longer side: a scene whose
background differs from the margin fills the second; a single object has the first around it."""
STRIDE = 0.5
"""From one tile of a long part to the next, by the tile's side: objects of up to half a tile lie
whole in one."""
EDGE = 0.02
"""Of a tile's side: a box that ends nearer than this to where the tile cuts the picture is cut."""
MOST_TILES = 16
"""With detail; where there are more, objects are too small to be looked for."""
SMALLEST, LARGEST = 0.09, 0.7
"""Longer sides of boxes, by the view's side, that a finer or a coarser view leaves to this one."""
SAMPLES = 256
"""Of a row or a column at most, to find the margins."""
PLAIN = 28
"""Largest difference of neighbouring samples, in levels of a channel, within a plain margin."""
LEAST_SIDE = 32
"""Pixels: nobody tells objects in a picture that is narrower."""


class Content(NamedTuple):
    """The part of a picture inside its plain margins, and which samples are not plain."""

    box: Box
    detailed: NDArray[np.bool_]
    """(rows, columns) of samples, `step` pixels apart"""
    step: int


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture, and how it is shown."""

    box: Box
    squeezed: bool = False
    """Shown as a square whatever its shape: undoes a picture's being stretched."""
    finest: bool = True
    """No other view shows this part larger."""
    coarsest: bool = True
    """No other view shows more around it."""
    within: Box | None = None
    """Of a tile: what ends outside of this part is cut through, and whole in another view."""

    def of(self, image: Pixels) -> Pixels:
        """The pixels to look at, (height, width, 3)."""
        x1, y1, x2, y2 = self.box
        part = image[y1:y2, x1:x2]
        if not self.squeezed:
            return part
        side = min(part.shape[:2])
        square = PIL.Image.fromarray(part).resize((side, side), PIL.Image.Resampling.BILINEAR)
        return np.asarray(square)

    def place(self, box: Box4) -> Box4:
        """From pixels of `of` to pixels of the picture."""
        x1, y1, x2, y2 = self.box
        across = down = 1.0
        if self.squeezed:
            side = min(x2 - x1, y2 - y1)
            across, down = (x2 - x1) / side, (y2 - y1) / side
        left, top, right, bottom = box
        return (left * across + x1, top * down + y1, right * across + x1, bottom * down + y1)

    def suits(self, box: Box4) -> bool:
        """Whether an object with this box, in pixels of the picture, is best seen in this view."""
        if self.within is not None and not _lies_in(box, self.within):
            return False
        wide, high = self.box[2] - self.box[0], self.box[3] - self.box[1]
        if not self.squeezed:
            wide = high = max(wide, high)
        share = max((box[2] - box[0]) / wide, (box[3] - box[1]) / high)
        return (self.finest or share >= SMALLEST) and (self.coarsest or share <= LARGEST)


def views(image: Pixels) -> list[View]:
    """Where to look in a picture, (height, width, 3) uint8: the whole first, then closer.

    Parts of about square shape are looked at as they are; a longer one also squeezed to a square,
    in case the picture was stretched, and in square tiles, in case it is long. Tiles without any
    detail are left out, and all where there are more than `MOST_TILES`.
    """
    height, width = image.shape[:2]
    content = content_of(image)
    x1, y1, x2, y2 = content.box
    longer = max(x2 - x1, y2 - y1)
    parts: list[Box] = []
    if longer < FILLED * max(width, height):
        parts = [around(content.box, scale * longer, width, height) for scale in AROUND]
        if aspect(content.box) > LONG:
            parts.append(content.box)
    whole = (0, 0, width, height)
    parts = [whole, *(part for part in parts if part != whole)]
    closest = parts[-1]
    closer = [
        View(part, squeezed=True)
        for part in dict.fromkeys((whole, closest))
        if ORDINARY_ASPECT < aspect(part) <= STRETCHED
    ]
    tiled = aspect(closest) > ORDINARY_ASPECT
    if tiled:
        detailed = [tile for tile in tiles(closest) if shows(content, tile)]
        closer += [
            View(tile, coarsest=False, within=_uncut(tile, closest))
            for tile in detailed
            if len(detailed) <= MOST_TILES
        ]
    last = len(parts) - 1
    return [
        *(
            View(part, finest=number == last and not tiled, coarsest=number == 0)
            for number, part in enumerate(parts)
        ),
        *closer,
    ]


def too_small(looks: list[View]) -> bool:
    """Whether objects may be too small in a picture with these views for anybody to say that they
    are not there: it is too narrow, or too long for its tiles."""
    x1, y1, x2, y2 = looks[0].box
    if min(x2 - x1, y2 - y1) < LEAST_SIDE:
        return True
    tiled = any(view.within is not None for view in looks)
    return not tiled and aspect(looks[-1].box) > STRETCHED


def content_of(image: Pixels) -> Content:
    """What lies inside a picture's plain margins; the whole picture where nothing is plain, or all.

    A margin is plain where neighbouring samples of its rows and columns hardly differ, so that a
    gradient or weak noise counts as plain too.
    """
    height, width = image.shape[:2]
    step = max(1, math.ceil(max(height, width) / SAMPLES))
    samples = image[::step, ::step].transpose(2, 0, 1).astype(np.int16, order="C")
    across = np.abs(np.diff(samples, axis=2)).max(axis=0) > PLAIN
    down = np.abs(np.diff(samples, axis=1)).max(axis=0) > PLAIN
    detailed = np.zeros(samples.shape[1:], bool)
    detailed[:, 1:] |= across
    detailed[:, :-1] |= across
    detailed[1:] |= down
    detailed[:-1] |= down
    rows, columns = np.flatnonzero(detailed.any(axis=1)), np.flatnonzero(detailed.any(axis=0))
    if not len(rows):
        return Content((0, 0, width, height), detailed, step)
    box = (
        int(columns[0]) * step,
        int(rows[0]) * step,
        min(width, (int(columns[-1]) + 1) * step),
        min(height, (int(rows[-1]) + 1) * step),
    )
    return Content(box, detailed, step)


def around(box: Box, side: float, width: int, height: int) -> Box:
    """A part with this longer side around the middle of a box, kept inside the picture; at least
    the box, and of about square shape where the picture has room."""
    sides = []
    for low, high, length in ((box[0], box[2], width), (box[1], box[3], height)):
        wanted = min(length, max(round(side), high - low))
        start = min(max(0, (low + high - wanted) // 2), length - wanted)
        sides.append((start, start + wanted))
    (x1, x2), (y1, y2) = sides
    return x1, y1, x2, y2


def tiles(part: Box) -> Iterator[Box]:
    """Squares that cover a long part and overlap."""
    x1, y1, x2, y2 = part
    side, length = sorted((x2 - x1, y2 - y1))
    count = math.ceil((length - side) / (STRIDE * side)) + 1
    for start in np.linspace(0, length - side, count).round().astype(int).tolist():
        x, y = (x1 + start, y1) if x2 - x1 > y2 - y1 else (x1, y1 + start)
        yield x, y, x + side, y + side


def shows(content: Content, part: Box) -> bool:
    """Whether a part has any detail."""
    x1, y1, x2, y2 = (side // content.step for side in part)
    return bool(content.detailed[y1 : y2 + 1, x1 : x2 + 1].any())


def aspect(part: Box) -> float:
    """Longer by shorter side."""
    wide, high = part[2] - part[0], part[3] - part[1]
    return max(wide, high) / min(wide, high)


def _uncut(tile: Box, part: Box) -> Box:
    """The tile without its rims, where it cuts through the part."""
    rim = math.ceil(EDGE * (tile[2] - tile[0]))
    low = [at if at == end else at + rim for at, end in zip(tile[:2], part[:2], strict=True)]
    high = [at if at == end else at - rim for at, end in zip(tile[2:], part[2:], strict=True)]
    return low[0], low[1], high[0], high[1]


def _lies_in(box: Box4, part: Box) -> bool:
    return box[0] >= part[0] and box[1] >= part[1] and box[2] <= part[2] and box[3] <= part[3]
