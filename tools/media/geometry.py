"""Boxes and masks: one frame, one order, checked once.

Frame: pixels of the upright original image, origin at the top left, x to the right, y down.
A box is x1 y1 x2 y2 as floats, right and bottom exclusive. A mask is COCO run-length encoded
(column-major, compressed counts), checked here before anything decodes it: a malformed string
would make the usual C decoder read memory that is not its own, and a few characters can stand for
more pixels than fit into any memory.
"""

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nuthatch.tools.media.ingest import MAX_PIXELS

LONGEST_RUN = 8
"""Characters of a run of up to `MAX_PIXELS`, and to spare."""


class Box(BaseModel):
    """A rectangle in pixels of the upright original image; right and bottom exclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x1: float = Field(ge=0, allow_inf_nan=False)
    y1: float = Field(ge=0, allow_inf_nan=False)
    x2: float = Field(allow_inf_nan=False)
    y2: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise ValueError(f"box {self.xyxy} is empty or inverted; expected x1 < x2 and y1 < y2")
        return self

    @classmethod
    def of(cls, xyxy: Sequence[float]) -> "Box":
        """A box from four numbers in the order x1 y1 x2 y2."""
        x1, y1, x2, y2 = (float(value) for value in xyxy)
        return cls(x1=x1, y1=y1, x2=x2, y2=y2)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return (self.x1, self.y1, self.x2, self.y2)

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)

    def clip(self, width: int, height: int) -> "Box":
        """The part inside a picture of this size.

        Raises:
            ValueError: nothing of the box lies inside.
        """
        if self.x1 >= width or self.y1 >= height:
            raise ValueError(f"box {self.xyxy} is empty inside the picture")
        return Box(
            x1=min(self.x1, width),
            y1=min(self.y1, height),
            x2=min(self.x2, width),
            y2=min(self.y2, height),
        )

    def grow(self, fraction: float, width: int, height: int) -> "Box":
        """The box with a margin of `fraction` of its sides, kept inside the picture."""
        dx, dy = self.width * fraction, self.height * fraction
        return Box(
            x1=max(0.0, self.x1 - dx),
            y1=max(0.0, self.y1 - dy),
            x2=min(float(width), self.x2 + dx),
            y2=min(float(height), self.y2 + dy),
        )


def intersection(a: Box, b: Box) -> float:
    """Common area of two boxes, square pixels."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, width) * max(0.0, height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    common = intersection(a, b)
    return common / (a.area + b.area - common)


class Mask(BaseModel):
    """A binary mask as COCO RLE: `size` is (height, width), `counts` the compressed runs.

    Raises (on construction):
        ValueError: the runs are malformed or do not add up to height x width, or that is more
            than `MAX_PIXELS`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int]
    counts: str

    @model_validator(mode="after")
    def _runs_fill_the_picture(self) -> Self:
        height, width = self.size
        if height < 1 or width < 1:
            raise ValueError(f"mask size {self.size} must be positive")
        if height * width > MAX_PIXELS:
            raise ValueError(f"mask size {self.size} has more than {MAX_PIXELS:,} pixels")
        if len(self.counts) > LONGEST_RUN * (height * width + 1):
            raise ValueError(f"mask counts hold more runs than the {height * width} pixels need")
        total = sum(_decode_counts(self.counts))
        if total != height * width:
            raise ValueError(f"mask runs cover {total} pixels, the picture has {height * width}")
        return self

    @classmethod
    def of(cls, pixels: NDArray[np.bool_]) -> "Mask":
        """Encode a (height, width) boolean array."""
        if pixels.ndim != 2:
            raise ValueError(f"a mask has shape (height, width), given {pixels.shape}")
        flat = np.asarray(pixels, dtype=bool).flatten(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
        if flat[0]:
            runs.insert(0, 0)
        return cls(size=(pixels.shape[0], pixels.shape[1]), counts=_encode_counts(runs))

    def numpy(self) -> NDArray[np.bool_]:
        """Decode to a (height, width) boolean array."""
        runs = _decode_counts(self.counts)
        values = np.arange(len(runs)) % 2 == 1
        return np.repeat(values, runs).reshape(self.size, order="F")

    @property
    def area(self) -> int:
        """Number of pixels that belong to the mask."""
        return sum(_decode_counts(self.counts)[1::2])

    def box(self) -> Box | None:
        """The smallest box around the mask's pixels; None where it has none."""
        height = self.size[0]
        ends = np.cumsum([0, *_decode_counts(self.counts)])
        starts, stops = ends[1:-1:2], ends[2::2] - 1  # of the mask's runs, down the columns
        real = stops >= starts
        starts, stops = starts[real], stops[real]
        if not len(starts):
            return None
        left, right = starts // height, stops // height
        whole = bool((right > left).any())  # a run over two columns touches top and bottom
        top = 0 if whole else int((starts % height).min())
        bottom = height if whole else int((stops % height).max()) + 1
        return Box.of((int(left.min()), top, int(right.max()) + 1, bottom))


def _encode_counts(runs: Iterable[int]) -> str:
    """Runs to COCO's text form: differences to the run two before, in 5-bit groups from chr(48)."""
    runs = list(runs)
    text: list[str] = []
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            group = value & 0x1F
            value >>= 5
            more = value != (-1 if group & 0x10 else 0)
            text.append(chr(48 + (group | (0x20 if more else 0))))
    return "".join(text)


def _decode_counts(text: str) -> list[int]:
    """The inverse of `_encode_counts`.

    Raises:
        ValueError: a foreign character, a cut-off group, or a negative run.
    """
    runs: list[int] = []
    value = shift = 0
    for char in text:
        code = ord(char) - 48
        if not 0 <= code < 64:
            raise ValueError(f"mask counts hold {char!r}, which no COCO encoder writes")
        value |= (code & 0x1F) << shift
        shift += 5
        if shift > 40:
            raise ValueError("mask counts hold a run longer than any picture")
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise ValueError("mask counts hold a negative run")
        runs.append(value)
        value = shift = 0
    if shift:
        raise ValueError("mask counts end in the middle of a run")
    return runs
