"""Scenes whose objects are drawn anew."""

import numpy as np

from nuthatch.training.world.restyled import restyled
from nuthatch.training.world.scenes import make_scene


def test_objects_have_few_colours_and_the_ground_stays():
    scene = make_scene(3, "train", size=256)
    picture = restyled(scene, np.random.default_rng(1))
    assert picture.shape == (128, 128, 3)
    before = scene.image.reshape(128, 2, 128, 2, 3).mean((1, 3))
    objects = scene.instances.reshape(128, 2, 128, 2).max((1, 3)) > 0
    away = np.abs(picture - before).max(axis=2)
    assert np.median(away[~objects]) <= 1
    assert np.mean(away[objects]) > 10
