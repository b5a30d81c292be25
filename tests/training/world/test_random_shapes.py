"""Noise for pictures that are drawn by rules."""

import numpy as np

from nuthatch.training.world.random_shapes import fractal


def test_fractal_noise_is_smoother_where_its_spectrum_falls_faster():
    rough, smooth = (
        np.abs(np.diff(fractal(np.random.default_rng(0), 64, 64, falloff))).mean()
        for falloff in (0.5, 2.0)
    )
    assert smooth < 0.5 * rough
