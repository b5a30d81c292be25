"""The tagger, second judge: crops, boxes, whole pictures, and what its scores are worth."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools.tagging.taggers import (
    LABELS,
    NOTHING,
    TINT_LABELS,
    Calibration,
    CropNet,
    Presence,
    Rate,
    Reliability,
    Tagger,
    cut,
    load,
    tiles,
    widen,
)
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.world.scenes import make_scene


@cache
def shipped() -> Tagger:
    return load(EMBEDDED / "tag")


def untrained() -> Tagger:
    torch.manual_seed(0)
    return Tagger(CropNet((8, 16)))


def test_the_shipped_weights_name_objects_and_tints():
    right = tint_right = total = 0
    for seed in range(25):
        scene = make_scene(seed, "test")
        tags = shipped().tag_boxes(scene.image, [each.box for each in scene.objects])
        for each, name, tint in zip(scene.objects, tags.best(), tags.best_tint(), strict=True):
            right += name[0] == each.category
            tint_right += tint[0] == (each.tint or "plain")
            total += 1
    assert right / total > 0.85
    assert tint_right / total > 0.85


def test_the_shipped_weights_rank_what_a_picture_shows_above_what_it_does_not():
    scores, present = [], []
    for seed in range(6):
        scene = make_scene(seed, "test")
        tags = shipped().tag_image(scene.image)
        scores += tags.values()
        present += [name in scene.counts() for name in tags]
    assert np.median(np.array(scores)[present]) > 0.9
    assert np.median(np.array(scores)[~np.array(present)]) < 0.1


def test_an_empty_wall_shows_nothing():
    wall = np.full((40, 40, 3), 200, np.uint8)
    assert shipped().tag_crops([wall]).best()[0][0] == NOTHING


def test_every_category_is_scored_once_for_a_picture():
    scores = untrained().tag_image(np.zeros((64, 96, 3), np.uint8))
    assert tuple(scores) == CATEGORIES
    assert all(0 <= score <= 1 for score in scores.values())


def test_probabilities_of_a_crop_sum_to_one():
    crops = [np.zeros((30, 50, 3), np.uint8), np.full((7, 7, 3), 255, np.uint8)]
    tags = untrained().tag_crops(crops)
    assert tags.categories.shape == (2, len(LABELS))
    assert tags.tints.shape == (2, len(TINT_LABELS))
    assert np.allclose(tags.categories.sum(axis=1), 1, atol=1e-5)


def test_no_crops_and_no_boxes_give_no_rows():
    assert untrained().tag_crops([]).categories.shape == (0, len(LABELS))
    assert untrained().tag_boxes(np.zeros((9, 9, 3), np.uint8), []).best() == []


@pytest.mark.parametrize(
    ("width", "height"), [(128, 128), (640, 360), (30, 100), (300, 40), (1, 1)]
)
def test_tiles_of_every_size_cover_the_picture(width, height):
    boxes = tiles(width, height)
    for side in np.unique((boxes[:, 2] - boxes[:, 0]).round(6)):
        of_size = boxes[np.isclose(boxes[:, 2] - boxes[:, 0], side)]
        covered = np.zeros((height, width), bool)
        for x1, y1, x2, y2 in of_size.round().astype(int).clip(0):
            covered[y1:y2, x1:x2] = True
        if min(width, height) > 1:
            assert covered.all()
        if side <= width:
            assert of_size[:, 0].min() >= 0
            assert of_size[:, 2].max() <= width + 1e-6


def test_neighbouring_tiles_overlap_by_at_least_half():
    boxes = tiles(128, 128)
    smallest = boxes[np.isclose(boxes[:, 2] - boxes[:, 0], 32)]
    assert np.diff(np.unique(smallest[:, 0])).max() <= 16


def test_a_box_is_widened_to_a_square_around_it():
    square = widen(np.array([[10.0, 20.0, 30.0, 60.0]]), 0.1)[0]
    assert square.tolist() == [-4.0, 16.0, 44.0, 64.0]


def test_beyond_the_border_a_picture_is_continued_by_its_edge():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 200
    crop = cut(image, np.array([[10.0, 0.0, 30.0, 20.0]]))[0]
    assert (crop[2:-2, 2:-2] == 200).all()


def test_a_crop_shows_the_place_that_was_asked_for():
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 20:40, 0] = 255
    crop = cut(image, np.array([[20.0, 40.0, 40.0, 60.0]]))[0]
    assert crop[2:-2, 2:-2, 0].min() == 255
    assert cut(image, np.array([[60.0, 40.0, 80.0, 60.0]]))[0].max() == 0


def test_another_kind_of_array_is_refused_with_what_was_expected():
    with pytest.raises(ValueError, match="expected uint8"):
        untrained().tag_image(np.zeros((10, 10), np.uint8))


def test_weights_of_another_vocabulary_are_refused(tmp_path: Path):
    settings = {"widths": [8, 16], "categories": ["cat"], "tints": []}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="another vocabulary"):
        load(tmp_path)


def test_a_score_settles_presence_only_beyond_a_threshold():
    calibration = with_presence(
        Presence(
            present=Rate(threshold=0.8, precision=0.96, n=50),
            absent=Rate(threshold=0.2, precision=0.97, n=900),
            pictures_with=60,
            pictures_without=940,
        )
    )
    verdicts = [calibration.sees("cat", score) for score in (0.8, 0.79, 0.2, 0.19)]
    assert verdicts == [True, None, None, False]


def test_without_a_threshold_no_score_settles_anything():
    never = Rate(threshold=None, precision=0.5, n=3)
    calibration = with_presence(
        Presence(present=never, absent=never, pictures_with=1, pictures_without=2)
    )
    assert calibration.sees("cat", 1.0) is None
    assert calibration.sees("cat", 0.0) is None


def with_presence(presence: Presence) -> Calibration:
    flat = Reliability(scores=(0.0,), probabilities=(0.5,), n=(1,))
    return Calibration(
        weights="",
        split="calibrate",
        pictures=1000,
        precision=0.95,
        crops={},
        crops_reliability=flat,
        tints={},
        tints_reliability=flat,
        presence={"cat": presence},
        presence_reliability=flat,
    )


def test_reliability_is_a_step_function_of_the_score():
    steps = Reliability(scores=(0.0, 0.5, 0.9), probabilities=(0.1, 0.6, 0.99), n=(5, 5, 5))
    assert [steps.at(score) for score in (0.0, 0.49, 0.5, 0.95, 1.0)] == [0.1, 0.1, 0.6, 0.99, 0.99]


def test_the_shipped_calibration_covers_the_vocabulary_and_rises():
    calibration = Calibration.load(EMBEDDED / "tag")
    assert set(calibration.presence) == set(CATEGORIES)
    assert set(calibration.crops) == set(LABELS)
    for table in (calibration.crops_reliability, calibration.presence_reliability):
        assert list(table.probabilities) == sorted(table.probabilities)
