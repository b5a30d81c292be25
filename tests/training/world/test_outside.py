"""Pictures of other kinds than the miniature world's."""

import numpy as np
import pytest

from nuthatch.training.world.outside import KINDS, PHOTOGRAPHS, fractal, photographs, read


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_pictures_that_are_repeatable_and_differ(kind):
    one, two = (KINDS[kind](np.random.default_rng(3)) for _ in range(2))
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert np.array_equal(one, two)
    other = KINDS[kind](np.random.default_rng(4))
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_fractal_noise_is_smoother_where_its_spectrum_falls_faster():
    rough, smooth = (
        np.abs(np.diff(fractal(np.random.default_rng(0), 64, 64, falloff))).mean()
        for falloff in (0.5, 2.0)
    )
    assert smooth < 0.5 * rough


def test_some_photographs_are_not_learnt_from():
    names = {path.name for path in photographs()}
    assert set(PHOTOGRAPHS) < names
    assert len(names - set(PHOTOGRAPHS)) >= 5
    assert read("astronaut.png").shape == (512, 512, 3)
