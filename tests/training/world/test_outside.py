"""Pictures of other kinds than the miniature world's."""

import numpy as np
import pytest

from nuthatch.training.world.outside import KINDS
from nuthatch.training.world.photographs import WALLPAPERS

needs_wallpapers = pytest.mark.skipif(
    not (WALLPAPERS / "mate").is_dir(), reason="the wallpapers are not installed"
)
FROM_WALLPAPERS = ("wallpaper", "few colours")
EVERY = [
    pytest.param(kind, marks=needs_wallpapers if kind in FROM_WALLPAPERS else ()) for kind in KINDS
]


@pytest.mark.parametrize("kind", EVERY)
def test_every_kind_gives_pictures_that_are_repeatable_and_differ(kind):
    one, two = (KINDS[kind](np.random.default_rng(3)) for _ in range(2))
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert np.array_equal(one, two)
    other = KINDS[kind](np.random.default_rng(4))
    assert one.shape != other.shape or not np.array_equal(one, other)


@needs_wallpapers
def test_few_colours_are_few():
    for seed in range(4):
        picture = KINDS["few colours"](np.random.default_rng(seed))
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) <= 24
