"""Words, type faces and colours for pictures that are drawn by rules."""

from functools import cache

import numpy as np
from PIL import ImageFont

_WORDS = tuple(
    """
    the of and to in model value time data price number report table average market system first
    under these result between small large city river house light north open year people water
    change
    """.split()  # noqa: SIM905
)
_FACES = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "STIXGeneral", "cmr10")
"""They come with matplotlib."""
Colour = tuple[int, int, int]


def words(rng: np.random.Generator, number: int) -> str:
    """Some words, one after another."""
    return " ".join(rng.choice(_WORDS, number))


def face(rng: np.random.Generator, size: float) -> ImageFont.FreeTypeFont:
    """One of five type faces; `size` in pixels."""
    return ImageFont.truetype(_files()[int(rng.integers(len(_FACES)))], max(5, int(size)))


def colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    """Channels from `low` to below `high`."""
    red, green, blue = (int(channel) for channel in rng.integers(low, high, 3))
    return red, green, blue


@cache
def _files() -> tuple[str, ...]:
    from matplotlib import font_manager

    return tuple(font_manager.findfont(name) for name in _FACES)
