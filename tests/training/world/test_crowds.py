"""Crowds: many objects, each of another category."""

import numpy as np

from nuthatch.training.world.crowds import crowd


def test_a_crowd_shows_every_category_once_and_nothing_that_is_held_out():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scene = crowd(rng, rows=4)
        assert len(scene.objects) == len(scene.counts()) in (4, 9, 16)
        assert not scene.held_out_composition
