"""Changes of a picture that leave it what it is: other sizes, margins, crops, JPEG, words on top.

Pictures are (H, W, 3) uint8 RGB. Every change is drawn from the generator that it is given.
"""

import io
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nuthatch.training.world.typesetting import colour, face, words

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]
_FILTERS = (
    Image.Resampling.NEAREST,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
)


def compressed(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """As a JPEG file of quality 50 to 94 shows it."""
    return jpeg(picture, int(rng.integers(50, 95)))


def jpeg(picture: Pixels, quality: int) -> Pixels:
    """As a JPEG file shows it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def cropped(picture: Pixels, rng: np.random.Generator, least: float = 0.6) -> Pixels:
    """A window with at least this share of each side."""
    height, width = picture.shape[:2]
    wide, high = (max(1, int(side * rng.uniform(least, 1))) for side in (width, height))
    x, y = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    return picture[y : y + high, x : x + wide]


def with_margins(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """On a plain canvas: up to 4 times as wide, or as high, or 2.2 times both."""
    height, width = picture.shape[:2]
    across, down = ((1.1, 4), (1, 1)), ((1, 1), (1.1, 4))
    factors = (across, down, ((1.1, 2.2), (1.1, 2.2)))[int(rng.integers(3))]
    wide, high = (
        int(side * rng.uniform(*by)) for side, by in zip((width, height), factors, strict=True)
    )
    papers = ((255, 255, 255), (0, 0, 0), colour(rng, 180), colour(rng))
    canvas = np.full((high, wide, 3), papers[int(rng.integers(4))], np.uint8)
    x, y = int(rng.integers(wide - width + 1)), int(rng.integers(high - height + 1))
    canvas[y : y + height, x : x + width] = picture
    return canvas


def stretched(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Up to 1.5 times as wide, or as narrow."""
    height, width = picture.shape[:2]
    factor = math.exp(rng.uniform(-1, 1) * math.log(1.5))
    return resized(picture, round(width * factor), height)


def smaller(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Half to nine tenths of its size."""
    height, width = picture.shape[:2]
    factor = rng.uniform(0.5, 0.9)
    return resized(picture, round(width * factor), round(height * factor))


def larger(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """1.3 to 4 times its size, by one of three filters."""
    height, width = picture.shape[:2]
    factor = rng.uniform(1.3, 4)
    by = _FILTERS[int(rng.integers(3))]
    return resized(picture, round(width * factor), round(height * factor), by)


def resized(
    picture: Pixels, width: int, height: int, by: Image.Resampling = Image.Resampling.BILINEAR
) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((max(1, width), max(1, height)), by))


def lettered(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """With two words on it, on a sign or not."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    draw, font, text = (
        ImageDraw.Draw(image),
        face(rng, rng.uniform(0.06, 0.14) * height),
        words(rng, 2),
    )
    at = rng.uniform(0, 0.4) * width, rng.uniform(0, 0.85) * height
    if rng.random() < 0.6:
        draw.rectangle(draw.textbbox(at, text, font=font), fill=colour(rng, 180))
    draw.text(at, text, fill=colour(rng, 0, 90), font=font)
    return np.asarray(image)


def under_a_sign(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Below a band with two words."""
    height, width = picture.shape[:2]
    band = max(8, int(height * rng.uniform(0.1, 0.3)))
    image = Image.new("RGB", (width, height + band), colour(rng, 200))
    image.paste(Image.fromarray(picture), (0, band))
    font = face(rng, 0.6 * band)
    ImageDraw.Draw(image).text((4, 0.2 * band), words(rng, 2), fill=colour(rng, 0, 80), font=font)
    return np.asarray(image)


CHANGES: Mapping[str, Change] = {
    "JPEG": compressed,
    "cropped": cropped,
    "margins": with_margins,
    "stretched": stretched,
    "smaller": smaller,
    "larger": larger,
    "words on it": lettered,
    "under a sign": under_a_sign,
}


def changed(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """After up to two changes."""
    kinds = list(CHANGES.values())
    for _ in range(int(rng.choice(3, p=(0.15, 0.6, 0.25)))):
        picture = kinds[int(rng.integers(len(kinds)))](picture, rng)
    return picture
