"""Boxes to text and back, in the ways of writing that multimodal language models use.

A box is x1 y1 x2 y2 in pixels of the upright original image, right and bottom exclusive; a point
is x y; a size is (width, height). NumPy arrays of boxes (N, 4) or points (N, 2) will do, and sizes
of whole numbers of any kind, such as 640.0. Every codec is a value: two with the same fields are
the same.

What is encoded must be a box: finite, x1 < x2, y1 < y2. Of a box that reaches out of the picture
the part inside is written. What is decoded is what the text says, and a model can write anything:
such a box may be empty, or inverted. Whoever uses it checks it. What holds a whole number of ten
digits or more is no box.

Example: `examples/box_notations.py`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nuthatch.mllm.codecs.coordinates import (
    INTEGER,
    Box,
    Point,
    Size,
    as_fractions,
    at_least_one,
    box_as_fractions,
    find_all,
    in_pixels,
    integers_in,
    picture_sides,
    to_boxes,
    visible_fractions,
)

__all__ = [
    "BinGroups",
    "Box",
    "BoxCodec",
    "CellTokens",
    "DecimalBoxes",
    "DecimalGroups",
    "Point",
    "ResizedBins",
    "Size",
    "Thousandths",
]

THOUSAND = 1000  # of `Thousandths`: what coordinates are multiplied by, and divided by
KEPT_DECIMALS = 3  # of a box in `DecimalGroups` and `BinGroups`, before it is written

_FRACTION = r"(?:0(?:\.[0-9]+)?|1(?:\.0+)?)"  # 0 to 1
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_BRACKET = rf"\[{_NUMBER}(?:, ?{_NUMBER}){{3}}\]"


class BoxCodec(Protocol):
    """One way to write boxes."""

    @property
    def pattern(self) -> str:
        """Regular expression, without groups, of all that one call of `encode` writes."""

    def encode(self, boxes: Sequence[Box], size: Size) -> str:
        """Boxes in pixels of a picture of this size, as text.

        Raises:
            ValueError: no box, a box that is empty, inverted or not finite, a size without pixels;
                or a box outside the picture. (`DecimalGroups` and `BinGroups` write the edge that
                is nearest to it.)
        """

    def decode(self, text: str, size: Size) -> list[Box]:
        """The boxes that stand in the text, in order, in pixels; what is no box is passed over.

        Raises:
            ValueError: a box is written wrongly, or the size has no pixels.
        """

    def tokens(self) -> list[str]:
        """What the tokenizer's vocabulary must hold for this codec; empty if it writes plain text.

        Text around the boxes must not hold any of them.
        """


@dataclass(frozen=True)
class CellTokens:
    """A box as two tokens: the cells in which its upper-left and its lower-right corner lie.

    Kosmos-2 (Peng et al., 2023, section 3.1): cells are numbered row by row. A box is read back
    from centre to centre of its two cells; where these share a row or a column, from edge to edge.
    """

    cells: int = 32
    """On each side of the picture; a power of two, so that edges have no rounding error."""

    def __post_init__(self) -> None:
        if self.cells not in (2, 4, 8, 16, 32, 64):
            raise ValueError(f"given {self.cells} cells, expected a power of two from 2 to 64")

    @property
    def pattern(self) -> str:
        pair = "(?:<patch_index_[0-9]{4}>){2}"
        return f"<object>{pair}(?:</delimiter_of_multi_objects/>{pair})*</object>"

    def encode(self, boxes: Sequence[Box], size: Size) -> str:
        pairs = []
        for box in at_least_one(boxes):
            x1, y1, x2, y2 = (self.cells * value for value in visible_fractions(box, size))
            first = math.floor(y1) * self.cells + math.floor(x1)
            last = (math.ceil(y2) - 1) * self.cells + math.ceil(x2) - 1
            pairs.append(f"<patch_index_{first:04d}><patch_index_{last:04d}>")
        return f"<object>{'</delimiter_of_multi_objects/>'.join(pairs)}</object>"

    def decode(self, text: str, size: Size) -> list[Box]:
        values: list[float] = []
        for place in find_all(self.pattern, self.tokens(), text):
            indices = iter(integers_in(place, self.cells**2))
            for first, last in zip(indices, indices, strict=True):
                values += self._corners(first, last)
        return to_boxes(values, size)

    def tokens(self) -> list[str]:
        cells = [f"<patch_index_{index:04d}>" for index in range(self.cells**2)]
        return ["<object>", "</object>", "</delimiter_of_multi_objects/>", *cells]

    def _corners(self, first: int, last: int) -> list[float]:
        """x1 y1 x2 y2, 0 to 1, of the box between two cells."""
        row1, column1 = divmod(first, self.cells)
        row2, column2 = divmod(last, self.cells)
        inset = 0.0 if row1 == row2 or column1 == column2 else 0.5
        corners = (column1 + inset, row1 + inset, column2 + 1 - inset, row2 + 1 - inset)
        return [corner / self.cells for corner in corners]


class _Groups:
    """Several boxes (kind "b"), or several points (kind "p"), between one pair of tags.

    Shikra (Chen et al., 2023, section 5.2). As released: a box is rounded to three decimals before
    it is written, a point is not; both are squeezed to the picture's edge if they lie outside.
    """

    @property
    def pattern(self) -> str:
        return self._pattern("b")

    def encode(self, boxes: Sequence[Box], size: Size) -> str:
        rows = [box_as_fractions(box, size) for box in at_least_one(boxes)]
        return self._write("b", [[round(value, KEPT_DECIMALS) for value in row] for row in rows])

    def decode(self, text: str, size: Size) -> list[Box]:
        return to_boxes(self._read("b", text), size)

    def encode_points(self, points: Sequence[Point], size: Size) -> str:
        """Points in pixels, as text.

        Raises:
            ValueError: no point, a point that is not finite, or a size without pixels.
        """
        return self._write("p", [as_fractions(point, size, 2) for point in at_least_one(points)])

    def decode_points(self, text: str, size: Size) -> list[Point]:
        """The points that stand in the text, in order, in pixels.

        Raises:
            ValueError: as in `decode`.
        """
        pixels = in_pixels(self._read("p", text), size)
        return list(zip(pixels, pixels, strict=True))

    def _pattern(self, kind: str) -> str:
        raise NotImplementedError

    def _write(self, kind: str, rows: Sequence[Sequence[float]]) -> str:
        raise NotImplementedError

    def _read(self, kind: str, text: str) -> list[float]:
        raise NotImplementedError


@dataclass(frozen=True)
class DecimalGroups(_Groups):
    """Boxes, or points, as decimals in one bracket: `[0.100,0.200,0.300,0.400;0.500,...]`.

    A bracket that is not written exactly so, 0 to 1 and without blanks, is text like any other.
    """

    precision: int = 3
    """Decimals, 1 to 3."""

    small_brackets: bool = False
    """`(...)` instead of `[...]`."""

    def __post_init__(self) -> None:
        if not 1 <= self.precision <= KEPT_DECIMALS:
            raise ValueError(f"given a precision of {self.precision} decimals, expected 1 to 3")

    def tokens(self) -> list[str]:
        return []

    def _pattern(self, kind: str) -> str:
        row = ",".join([_FRACTION] * (4 if kind == "b" else 2))
        rows = f"{row}(?:;{row})*"
        return rf"\({rows}\)" if self.small_brackets else rf"\[{rows}\]"

    def _write(self, kind: str, rows: Sequence[Sequence[float]]) -> str:
        text = ";".join(",".join(f"{value:.{self.precision}f}" for value in row) for row in rows)
        return f"({text})" if self.small_brackets else f"[{text}]"

    def _read(self, kind: str, text: str) -> list[float]:
        places = re.findall(self._pattern(kind), text)
        return [float(value) for place in places for value in re.findall(_FRACTION, place)]


@dataclass(frozen=True)
class BinGroups(_Groups):
    """Boxes, or points, as bins between tags: `<b_st><bin_k> <bin_k> <bin_k> <bin_k><b_ed>`.

    k = round((bins - 1) x), a half to the even bin. Points stand between `<p_st>` and `<p_ed>`.
    """

    bins: int = 1001
    """2 to 1001: with more, three decimals would not tell one bin from the next."""

    def __post_init__(self) -> None:
        if not 2 <= self.bins <= 10**KEPT_DECIMALS + 1:
            raise ValueError(f"given {self.bins} bins, expected 2 to {10**KEPT_DECIMALS + 1}")

    def tokens(self) -> list[str]:
        tags = [f"<{kind}_{end}>" for kind in "bp" for end in ("st", "sep", "ed")]
        return tags + [f"<bin_{k}>" for k in range(self.bins)]

    def _pattern(self, kind: str) -> str:
        row = " ?".join([f"<bin_{INTEGER}>"] * (4 if kind == "b" else 2))
        return f"<{kind}_st>{row}(?:<{kind}_sep>{row})*<{kind}_ed>"

    def _write(self, kind: str, rows: Sequence[Sequence[float]]) -> str:
        top = self.bins - 1
        written = (" ".join(f"<bin_{round(top * value)}>" for value in row) for row in rows)
        return f"<{kind}_st>{f'<{kind}_sep>'.join(written)}<{kind}_ed>"

    def _read(self, kind: str, text: str) -> list[float]:
        either = f"{self._pattern('b')}|{self._pattern('p')}"
        places = [p for p in find_all(either, self.tokens(), text) if p.startswith(f"<{kind}_")]
        return [k / (self.bins - 1) for place in places for k in integers_in(place, self.bins)]


@dataclass(frozen=True)
class Thousandths:
    """A box as whole numbers from 0 to 999: `<box>(x1,y1),(x2,y2)</box>`, one after another.

    Qwen-VL (Bai et al., 2023, section 2.2): thousandths of the picture's width and height, here
    rounded to the nearest, and the picture's end to 999.
    """

    @property
    def pattern(self) -> str:
        point = rf"\({INTEGER},{INTEGER}\)"
        return f"(?:<box>{point},{point}</box>)+"

    def encode(self, boxes: Sequence[Box], size: Size) -> str:
        text = ""
        for box in at_least_one(boxes):
            numbers = (round(THOUSAND * value) for value in visible_fractions(box, size))
            x1, y1, x2, y2 = (min(number, THOUSAND - 1) for number in numbers)
            text += f"<box>({x1},{y1}),({x2},{y2})</box>"
        return text

    def decode(self, text: str, size: Size) -> list[Box]:
        places = find_all(self.pattern, self.tokens(), text)
        return to_boxes([n / THOUSAND for p in places for n in integers_in(p, THOUSAND)], size)

    def tokens(self) -> list[str]:
        return ["<box>", "</box>"]


@dataclass(frozen=True)
class ResizedBins:
    """A box as four bins of the resized picture: `<bin_k> <bin_k> <bin_k> <bin_k>`.

    OFA (Wang et al., 2022, section 3.1): the picture is stretched to a square of `image_size`
    pixels, then k = round((bins - 1) x / max_size), a half to the even bin.
    """

    bins: int = 1000
    image_size: int = 512
    """Side of the resized picture, pixels."""

    max_size: int = 512
    """Side of the largest picture that the bins can describe, pixels."""

    def __post_init__(self) -> None:
        if self.bins < 2 or not 1 <= self.image_size <= self.max_size:
            raise ValueError(f"given {self}, expected 2 bins or more, image_size 1 to max_size")

    @property
    def pattern(self) -> str:
        box = " ?".join([f"<bin_{INTEGER}>"] * 4)
        return f"{box}(?: ?{box})*"

    def encode(self, boxes: Sequence[Box], size: Size) -> str:
        values = [value for box in at_least_one(boxes) for value in visible_fractions(box, size)]
        return " ".join(f"<bin_{round(self._bins_a_side() * value)}>" for value in values)

    def decode(self, text: str, size: Size) -> list[Box]:
        places = find_all(self.pattern, self.tokens(), text)
        last = self._bins_a_side()  # the picture's edge; bins past it are an error
        indices = [index for place in places for index in integers_in(place, round(last) + 1)]
        return to_boxes([min(index / last, 1.0) for index in indices], size)

    def tokens(self) -> list[str]:
        return [f"<bin_{k}>" for k in range(self.bins)]

    def _bins_a_side(self) -> float:
        return (self.bins - 1) * self.image_size / self.max_size


@dataclass(frozen=True)
class DecimalBoxes:
    """A box as decimals in a bracket of its own: `[0.10, 0.20, 0.30, 0.40]`.

    LLaVA (Liu et al., 2023, section 3; 1.5: two decimals). Four numbers in a bracket are a box.
    """

    decimals: int = 2
    padded: bool = False
    """Fractions of the picture padded to a square, with the picture in the middle, instead."""

    def __post_init__(self) -> None:
        if not 1 <= self.decimals <= 6:
            raise ValueError(f"given {self.decimals} decimals, expected 1 to 6")

    @property
    def pattern(self) -> str:
        return f"{_BRACKET}(?:, ?{_BRACKET})*"

    def encode(self, boxes: Sequence[Box], size: Size) -> str:
        frame = self._frame(size)
        written = []
        for box in at_least_one(boxes):
            pairs = zip(visible_fractions(box, size), frame, strict=True)
            numbers = (f"{v * scale + shift:.{self.decimals}f}" for v, (scale, shift) in pairs)
            written.append(f"[{', '.join(numbers)}]")
        return ", ".join(written)

    def decode(self, text: str, size: Size) -> list[Box]:
        frame = self._frame(size)
        values = []
        for box in re.findall(_BRACKET, text):
            for number, (scale, shift) in zip(re.findall(_NUMBER, box), frame, strict=True):
                if not 0 <= float(number) <= 1:
                    raise ValueError(f"'{box}' holds {number}, expected numbers from 0 to 1")
                values.append(min(max(0.0, (float(number) - shift) / scale), 1.0))
        return to_boxes(values, size)

    def tokens(self) -> list[str]:
        return []

    def _frame(self, size: Size) -> list[tuple[float, float]]:
        """For each of x1 y1 x2 y2 how fractions of the picture become those that are written."""
        sides = picture_sides(size)
        if not self.padded:
            return [(1.0, 0.0)] * 4
        whole = max(sides)
        return [(side / whole, (whole - side) // 2 / whole) for side in sides * 2]
