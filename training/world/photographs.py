"""Photographs that a domain check learns from, and those that it is measured with.

Pictures are (H, W, 3) uint8 RGB. They lie in scikit-image and scikit-learn, development
dependencies, and in Debian's packages of desktop wallpapers (`PACKAGES`).
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuthatch.training.world.changes import cropped, resized

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = (
    *("camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png"),
    *("flower.jpg", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png"),
    *("microaneurysms.png", "moon.png", "motorcycle_left.png", "motorcycle_right.png"),
    *("retina.jpg", "rocket.jpg", "text.png"),
)
"""Those that are learnt from; the others are for measuring."""
_NO_PHOTOGRAPHS = ("chessboard_GRAY", "chessboard_RGB", "color", "logo", "phantom")
PACKAGES = ("mate-backgrounds", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")
WALLPAPERS = Path("/usr/share/backgrounds")
WALLPAPER_NAMES = (
    *("mate/nature/Aqua.jpg", "mate/nature/Blinds.jpg", "mate/nature/Dune.jpg"),
    *("mate/nature/FreshFlower.jpg", "mate/nature/Garden.jpg", "mate/nature/GreenMeadow.jpg"),
    *("mate/nature/LadyBird.jpg", "mate/nature/RainDrops.jpg", "mate/nature/Storm.jpg"),
    *("mate/nature/TwoWings.jpg", "mate/nature/Wood.jpg", "mate/nature/YellowFlower.jpg"),
    *("Bridge_by_Sander_Klootwijk.jpg", "Dragonfly_by_Bolly.jpg", "Fossa_by_Jasper_Roks.jpg"),
    *("Kleiber_by_Lukas_Baubkus.jpg", "Picture_0B_by_freespace.jpg", "Wine_by_Jakkub_Mede.jpg"),
    *("Painting-Colors_by__herobrine7gamer.jpg", "Picture_1A_by_freespace.jpg"),
    *("aitzgorri_by_Aitzol_Berasategi.jpg", "free_by_Peter_Nerlich.jpg"),
    *("friends_by_Aitzol_Berasategi.jpg", "greentock_by_Peter_Nerlich.jpg"),
    *("life_by_Aitzol_Berasategi.jpg", "picosdeeuropa_by_Aitzol_Berasategi.jpg"),
    *("seeding_by_Clements_Engelhardt.jpg", "sunset_by_Aitzol_Berasategi.jpg"),
    *("umang_by_Abhishek_Mudgal.jpg", "mate/abstract/Elephants.jpg"),
)
_LARGEST = 1200
"""Pixels a side of a wallpaper as it is read."""


def photograph(rng: np.random.Generator) -> Pixels:
    """A window of a photograph out of scikit-image or scikit-learn (`PHOTOGRAPHS`), or of two."""
    views = [
        _window(read(PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))]), rng)
        for _ in range(2 if rng.random() < 0.15 else 1)
    ]
    if len(views) == 2:
        views = [resized(view, 128, 160) for view in views]
    return np.concatenate(views, axis=1)


def wallpaper(rng: np.random.Generator) -> Pixels:
    """A window of a wallpaper (`WALLPAPER_NAMES`)."""
    name = WALLPAPER_NAMES[int(rng.integers(len(WALLPAPER_NAMES)))]
    return _window(read_wallpaper(name), rng)


def _window(picture: Pixels, rng: np.random.Generator) -> Pixels:
    return cropped(picture, rng, (0.1, 0.25, 0.6)[int(rng.integers(3))])


def photographs() -> list[Path]:
    """The pictures inside scikit-image and scikit-learn that photographs are taken from.

    Raises:
        ImportError: one of them is not installed.
    """
    import skimage
    import sklearn

    shown = Path(skimage.__file__).parent / "data"
    more = Path(sklearn.__file__).parent / "datasets" / "images"
    found = [*shown.glob("*.png"), *shown.glob("*.jpg"), *more.glob("*.jpg")]
    return sorted(path for path in found if path.stem not in _NO_PHOTOGRAPHS)


@cache
def read(name: str) -> Pixels:
    """A picture of `photographs` by its file's name."""
    path = next(path for path in photographs() if path.name == name)
    picture: Pixels = np.asarray(Image.open(path).convert("RGB"))
    return picture


@cache
def read_wallpaper(name: str) -> Pixels:
    """A wallpaper by its path below `WALLPAPERS`, no larger than 1,200 pixels a side.

    Raises:
        FileNotFoundError: the packages are not installed.
    """
    path = WALLPAPERS / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; the wallpapers are learnt from: apt-get install "
            f"{' '.join(PACKAGES)}"
        )
    with Image.open(path) as image:
        image.draft("RGB", (_LARGEST, _LARGEST))
        small = image.convert("RGB")
    small.thumbnail((_LARGEST, _LARGEST))
    picture: Pixels = np.asarray(small)
    return picture
