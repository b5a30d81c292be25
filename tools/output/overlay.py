"""Boxes, masks and labels drawn on a picture, in colours that colour-blind people can tell apart.

The colours are Okabe and Ito's ("Color Universal Design", 2008), made darker where white letters
stand on them.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.ingest import Pixels

Colour = tuple[int, int, int]
VERDICT_COLOURS: dict[str, Colour] = {
    "supported": (0, 120, 88),
    "refuted": (190, 76, 0),
    "not_enough_evidence": (110, 110, 110),
}
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
)
NOTICE_COLOUR: Colour = (150, 84, 0)
PAPER: Colour = (250, 250, 248)
LabelledBox = tuple[Box, str, Colour | None]
"""A box, its label, its colour; without one it has that of its label's first word."""
Line = tuple[str, int, Colour]
"""Text below a picture, the size of its letters in pixels, its colour."""
SMALLEST = 640
"""A picture is enlarged, by a whole number, until its longer side has as many pixels."""


def overlay(
    pixels: Pixels,
    boxes: Sequence[LabelledBox],
    masks: Sequence[Mask] = (),
) -> Image.Image:
    """The picture with boxes, labels and masks drawn on it; small pictures are enlarged.

    Args:
        pixels: (height, width, 3) uint8 RGB.
        boxes: in pixels of the picture.
        masks: of the picture's size; each has a colour of its own and an outline.
    """
    height, width = pixels.shape[:2]
    scale = max(1, -(-SMALLEST // max(width, height)))
    canvas = Image.fromarray(pixels).resize(
        (width * scale, height * scale), Image.Resampling.LANCZOS
    )
    for number, mask in enumerate(masks):
        _tint(canvas, mask, PALETTE[number % len(PALETTE)])
    draw = ImageDraw.Draw(canvas)
    scaled = [
        (tuple(side * scale for side in box.xyxy), label, colour)
        for box, label, colour in coloured(boxes)
    ]
    for (x1, y1, x2, y2), _, colour in scaled:
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=colour, width=3)
    taken: list[tuple[float, float, float, float]] = []
    for sides, label, colour in scaled:
        if label:
            _write(draw, label, sides, colour, canvas.size, taken)
    return canvas


def coloured(boxes: Sequence[LabelledBox]) -> list[tuple[Box, str, Colour]]:
    """The boxes, each with its colour."""
    names = list(dict.fromkeys(name_of(label) for _, label, colour in boxes if colour is None))
    return [
        (box, label, colour or PALETTE[names.index(name_of(label)) % len(PALETTE)])
        for box, label, colour in boxes
    ]


def captioned(drawn: Image.Image, lines: Sequence[Line]) -> Image.Image:
    """The picture with lines of text on a strip below it."""
    heights = [round(1.1 * size) + (6 if size > 15 else 5) for _, size, _ in lines]
    width = _wide_enough(drawn)
    canvas = Image.new("RGB", (width, drawn.height + sum(heights) + 24), PAPER)
    canvas.paste(drawn, ((width - drawn.width) // 2, 0))
    pen = ImageDraw.Draw(canvas)
    y = drawn.height + 12
    for (line, size, colour), height in zip(lines, heights, strict=True):
        pen.text((14, y), line, fill=colour, font=ImageFont.load_default(size=size))
        y += height
    return canvas


def columns_below(drawn: Image.Image) -> int:
    """Letters of a line of `captioned` that surely fit."""
    return _wide_enough(drawn) // 10


def _wide_enough(drawn: Image.Image) -> int:
    return max(drawn.width, 560)


def name_of(label: str) -> str:
    """What a label names: `cup 0.93` and `cup 0.87` have the same colour."""
    words = label.rsplit(" ", 1)
    return words[0] if len(words) == 2 and words[1].replace(".", "").isdigit() else label


def _write(
    draw: ImageDraw.ImageDraw,
    label: str,
    sides: Sequence[float],
    colour: Colour,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """A label by its box, where no other label stands if there is such a place."""
    font = ImageFont.load_default(size=15)
    left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
    wide, high = right - left + 8, bottom - top + 6
    x1, y1, _, y2 = sides
    x = max(0.0, min(x1, size[0] - wide))
    rows = [y1 - high, y1, y2, y2 - high, *(y1 + step * high for step in range(1, 6))]
    inside = [(x, y, x + wide, y + high) for y in rows if 0 <= y <= size[1] - high]
    free = [place for place in inside if not any(_overlap(place, other) for other in taken)]
    place = next(iter(free or inside), (x, 0.0, x + wide, float(high)))
    taken.append(place)
    draw.rectangle(place, fill=colour)
    ink = "black" if _luminance(colour) > 0.35 else "white"
    draw.text((place[0] + 4 - left, place[1] + 3 - top), label, fill=ink, font=font)


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _luminance(colour: Colour) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.1)."""
    linear = (np.array(colour) / 255) ** 2.2
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _tint(canvas: Image.Image, mask: Mask, colour: Colour) -> None:
    """The mask's pixels tinted, its outer rim in the full colour."""
    inside = mask.numpy()
    padded = np.pad(inside, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    strength = np.where(inside & ~core, 255, np.where(inside, 90, 0)).astype(np.uint8)
    stencil = Image.fromarray(strength).resize(canvas.size, Image.Resampling.NEAREST)
    canvas.paste(Image.new("RGB", canvas.size, colour), (0, 0), stencil)
