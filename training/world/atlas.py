"""Sprites of the miniature world: an atlas a style, loaded once, tinted and shrunk on demand.

Shipped are the styles ``noto`` and ``twemoji`` and the letters of rendered words. The style
``openmoji`` is held out: it is never shipped and never trained on; the evaluation that measures an
unseen appearance has it built into the user's cache by ``scripts/build_atlas.py``.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from nuthatch.tools.media.files import cache_folder
from nuthatch.tools.vocabulary import TINTS

Style = Literal["noto", "twemoji", "openmoji"]
SHIPPED_STYLES: tuple[Style, ...] = ("noto", "twemoji")
SPRITE_SIDE = 128
"""Pixels, long side of every sprite of level 0."""

_SHIPPED = Path(__file__).parent / "atlas"
_LEVELS = 4  # long sides 128, 64, 32, 16


class AtlasMissing(FileNotFoundError):
    """The sprites of a style that is not shipped are not in the user's cache."""


class Atlas:
    """The sprites of one style, keyed ``category/variant`` (letters: the character)."""

    def __init__(self, sheet: Image.Image, index: dict[str, tuple[int, int, int, int]]) -> None:
        self._sheet = sheet
        self._index = index
        self._levels: dict[tuple[str, str | None, int], Image.Image] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def extent(self, key: str) -> tuple[int, int]:
        """Width and height in the sheet."""
        left, top, right, bottom = self._index[key]
        return right - left, bottom - top

    def straight(self, key: str) -> Image.Image:
        """The sprite as RGBA (not premultiplied), long side 128 px."""
        return self._sheet.crop(self._index[key])

    def level(self, key: str, tint: str | None, long_side: float) -> Image.Image:
        """The smallest prepared level whose long side is at least ``long_side`` pixels.

        Premultiplied (mode ``RGBa``), so that scaling and rotating leave no dark fringe. Drawing
        then shrinks by less than two, which bilinear sampling does without aliasing. A border of
        one transparent pixel is added on every side.
        """
        step = 0
        while step + 1 < _LEVELS and SPRITE_SIDE >> (step + 1) >= long_side:
            step += 1
        found = self._levels.get((key, tint, step))
        if found is None:
            sprite = self.straight(key)
            if tint is not None:
                sprite = tinted(sprite, tint)
            shrunk = sprite.convert("RGBa").reduce(1 << step)
            found = Image.new("RGBa", (shrunk.width + 2, shrunk.height + 2))
            found.paste(shrunk, (1, 1))
            self._levels[key, tint, step] = found
        return found


def load(style: str) -> Atlas:
    """The atlas of ``noto``, ``twemoji``, ``letters`` or (once fetched) ``openmoji``, cached.

    Raises:
        AtlasMissing: a style that is not here; the message names the command that builds it.
    """
    shipped = style in SHIPPED_STYLES or style == "letters"
    return _read(style, _SHIPPED if shipped else cache_folder("atlas"))


@lru_cache
def _read(style: str, folder: Path) -> Atlas:
    if style not in (*SHIPPED_STYLES, "letters", "openmoji"):
        raise ValueError(
            f"no style {style!r}: the styles are {', '.join(SHIPPED_STYLES)} and openmoji"
        )
    index, sheet = folder / f"{style}.json", folder / f"{style}.png"
    if not (index.exists() and sheet.exists()):
        raise AtlasMissing(
            f"the sprites of the held-out style {style} are not in {folder}; build them once, in "
            f"a clone, with: python scripts/build_atlas.py --style {style} --out {folder}"
        )
    boxes = {key: tuple(box) for key, box in json.loads(index.read_text("utf-8")).items()}
    with Image.open(sheet) as picture:
        return Atlas(picture.convert("RGBA"), boxes)


def tinted(sprite: Image.Image, tint: str) -> Image.Image:
    """Recolour an RGBA sprite so that a person names the tint; its light and shade are kept.

    One ramp from luminance to colour: the median of the solid pixels meets the tint itself, darker
    ones run to a deep shade, lighter ones to a pale one of the same hue.
    """
    alpha = sprite.getchannel("A")
    light = sprite.convert("L")
    solid = alpha.point(lambda value: 255 if value >= 128 else 0)
    ranks = np.cumsum(light.histogram(solid))
    low, middle, high = np.searchsorted(ranks, ranks[-1] * np.array([0.03, 0.5, 0.97]))
    # A flat sprite stays flat: stretching it would show its noise.
    position = np.clip((np.arange(256) - middle) / max(high - low, 64), -1, 1)
    channels = []
    for reference in TINTS[tint]:
        deep, pale = 0.55 * reference, 0.5 * (255 - reference)
        ramp = reference + np.where(position < 0, deep, pale) * position
        channels.append(light.point([round(value) for value in ramp.tolist()]))
    return Image.merge("RGBA", (*channels, alpha))
