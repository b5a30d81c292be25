"""Changes that leave a picture what it is."""

import numpy as np
import pytest

from nuthatch.training.world.changes import CHANGES, changed, cropped, jpeg, with_margins
from nuthatch.training.world.scenes import make_scene


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return make_scene(1, "train").image


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_gives_a_picture_and_is_repeatable(name, picture):
    one, two = (CHANGES[name](picture, np.random.default_rng(5)) for _ in range(2))
    assert one.dtype == np.uint8
    assert one.shape[2] == 3
    assert np.array_equal(one, two)


def test_a_crop_keeps_at_least_the_share_asked_for(picture):
    rng = np.random.default_rng(0)
    assert all(min(cropped(picture, rng, 0.6).shape[:2]) >= 76 for _ in range(50))


def test_margins_go_around_the_whole_picture(picture):
    rng = np.random.default_rng(1)
    for _ in range(20):
        larger = with_margins(picture, rng)
        high, wide = larger.shape[:2]
        assert high >= 128
        assert wide >= 128
        assert any(
            np.array_equal(larger[y : y + 128, x : x + 128], picture)
            for y in range(high - 127)
            for x in range(wide - 127)
            if np.array_equal(larger[y, x], picture[0, 0])
        )


def test_jpeg_of_low_quality_differs_a_little(picture):
    away = np.abs(jpeg(picture, 60).astype(int) - picture)
    assert 0 < away.mean() < 12


def test_several_changes_are_drawn_from_one_generator(picture):
    one, two = (changed(picture, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one, two)
