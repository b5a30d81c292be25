"""Sprites of the miniature world: an atlas a style, loaded once, tinted and shrunk on demand.

Shipped are the styles ``noto`` and ``twemoji`` and the letters of rendered words. The style
``openmoji`` is held out: it is never shipped and never trained on; the evaluation that measures an
unseen appearance has it built into the user's cache by ``scripts/build_atlas.py``.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from platformdirs import user_cache_path

from nuthatch.tools.vocabulary import TINTS

Style = Literal["noto", "twemoji", "openmoji"]
SHIPPED_STYLES: tuple[Style, ...] = ("noto", "twemoji")
SPRITE_SIDE = 128
"""Pixels, long side of every sprite of level 0."""

_SHIPPED = Path(__file__).parent / "atlas"
_LEVELS = 4  # long sides 128, 64, 32, 16


class AtlasMissing(FileNotFoundError):
    """The sprites of a style that is not shipped are not in the user's cache."""


def cache_folder() -> Path:
    """Where a fetched style lives: ``$NUTHATCH_CACHE/atlas``, else the user's cache folder."""
    home = os.environ.get("NUTHATCH_CACHE")
    return (Path(home) if home else user_cache_path("nuthatch")) / "atlas"


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

        Premultiplied (mode ``RGBa``), so that scaling and rotating it leaves no dark fringe. Drawing
        it then shrinks by less than two, which bilinear sampling does without aliasing. A border of
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


@lru_cache
def _load(style: str, folder: Path) -> Atlas:
    index = json.loads((folder / f"{style}.json").read_text("utf-8"))
    with Image.open(folder / f"{style}.png") as sheet:
        return Atlas(sheet.convert("RGBA"), {key: tuple(box) for key, box in index.items()})


def load(style: str) -> Atlas:
    """The atlas of ``noto``, ``twemoji``, ``letters`` or (once fetched) ``openmoji``, cached.

    Raises:
        AtlasMissing: a style that is not here; the message names the command that builds it.
    """
    shipped = style in SHIPPED_STYLES or style == "letters"
    folder = _SHIPPED if shipped else cache_folder()
    if not (folder / f"{style}.json").exists():
        raise AtlasMissing(
            f"the sprites of the style {style!r} are not in {folder}; build them once, from a clone, with: "
            f"python scripts/build_atlas.py --style {style} --out {folder}"
            if style == "openmoji"
            else f"no style {style!r}: the styles are {', '.join(SHIPPED_STYLES)} and openmoji"
        )
    return _load(style, folder)


def tinted(sprite: Image.Image, tint: str) -> Image.Image:
    """Recolour an RGBA sprite so that a person names the tint; light and shade are kept.

    The sprite's luminance is stretched so that its median meets the tint itself; darker parts run
    to a deep shade, lighter parts to a pale one of the same hue.
    """
    pixels = np.asarray(sprite, np.float32)
    solid = pixels[..., 3] >= 128
    light = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    low, middle, high = np.percentile(light[solid], (3, 50, 97))
    spread = max(high - low, 0.25)  # flat sprites stay flat instead of showing their noise
    stretched = np.clip((light - middle) / spread, -1, 1)[..., None]
    colour = np.array(TINTS[tint], np.float32)
    deep = colour * 0.45
    pale = colour + (255 - colour) * 0.5
    shade = np.where(
        stretched < 0, colour + (colour - deep) * stretched, colour + (pale - colour) * stretched
    )
    out: npt.NDArray[Any] = np.concatenate([shade, pixels[..., 3:]], axis=2)
    return Image.fromarray(np.clip(out + 0.5, 0, 255).astype(np.uint8), "RGBA")
