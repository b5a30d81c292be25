"""Calibration of detector scores on cases worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from nuthatch.tools.detection.detectors import Calibration, Found, Trust
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.perceive.detect_quality import (
    FLOOR,
    Seen,
    calibrate,
    fit_curves,
    trust,
    write_calibration,
)
from nuthatch.training.world.scenes import make_scene


def test_scores_that_separate_give_both_thresholds_and_their_counts() -> None:
    best = np.array([0.9] * 40 + [0.1] * 40)
    there = np.array([True] * 40 + [False] * 40)
    found = trust(best, there, 0.0, 1.0)
    assert (found.present, found.absent) == (40, 40)
    assert found.present_from == 0.9
    assert found.absent_below == pytest.approx(0.5)  # even odds
    assert (found.hits, found.false_alarms) == (40, 0)
    assert (found.misses, found.correct_rejections) == (0, 40)


def test_scores_that_say_nothing_give_no_threshold() -> None:
    best = np.array([0.2, 0.8] * 40)
    there = np.array([True, True, False, False] * 20)
    found = trust(best, there, 0.0, 1.0)
    assert found.present_from is None
    assert found.absent_below is None


def test_a_few_cases_without_a_mistake_are_not_yet_sure() -> None:
    best, there = np.array([0.9] * 5 + [0.1] * 5), np.array([True] * 5 + [False] * 5)
    assert trust(best, there, 0.0, 1.0).present_from is None


def test_the_threshold_of_presence_leaves_out_the_score_that_fires_on_absent_things() -> None:
    best = np.array([0.9] * 40 + [0.5] * 20 + [0.5] * 20 + [0.1] * 40)
    there = np.array([True] * 60 + [False] * 60)
    found = trust(best, there, 0.0, 1.0)
    assert found.present_from == 0.9
    assert (found.hits, found.false_alarms) == (40, 0)
    assert found.absent_below == pytest.approx(0.5)


def test_curves_recover_the_odds_that_made_the_scores() -> None:
    rng = np.random.default_rng(0)
    log_odds = rng.normal(0, 2, (4000, 2))
    there = rng.random(log_odds.shape) < 1 / (1 + np.exp(-(1.5 * log_odds)))
    best = 1 / (1 + np.exp(-log_odds))
    slope, offsets, common = fit_curves(best, there)
    assert slope == pytest.approx(1.5, abs=0.1)
    assert offsets == pytest.approx([0, 0], abs=0.15)
    assert common == pytest.approx(0, abs=0.15)


def test_a_category_whose_scores_run_low_gets_a_higher_probability_for_the_same_score() -> None:
    rng = np.random.default_rng(0)
    log_odds = rng.normal(0, 2, (2000, 2))
    there = rng.random(log_odds.shape) < 1 / (1 + np.exp(-(log_odds + np.array([0, 2]))))
    _, offsets, _ = fit_curves(1 / (1 + np.exp(-log_odds)), there)
    assert offsets[1] > offsets[0] + 0.5


def seen(mistakes: bool) -> Seen:
    scenes = [make_scene(seed, "calibrate") for seed in range(40)]
    found = [
        [Found(each.category, 0.9, each.box) for each in scene.objects]
        + ([Found(scene.focus, 0.3, (0, 0, 9, 9))] if mistakes else [])
        for scene in scenes
    ]
    return Seen(scenes, found)


def test_a_detector_that_is_always_right_counts_right_and_misses_nothing() -> None:
    perfect = seen(mistakes=False)
    assert perfect.count_accuracy(0.5).value == 1.0
    assert perfect.average_precision(0.75, resamples=0).value == 1.0
    assert ((perfect.best_scores() > FLOOR) == perfect.presence()).all()


def test_weak_false_boxes_push_the_count_threshold_above_them(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    calibration = calibrate(seen(mistakes=True), weights)
    assert 0.3 < calibration.threshold <= 0.9
    path = tmp_path / "calibration.json"
    write_calibration(calibration, path)
    assert Calibration.load(path) == calibration
    assert set(calibration.categories) == set(CATEGORIES)


def test_probability_grows_with_the_score_and_with_the_prior() -> None:
    nothing = Trust(0.0, 1, 1, None, None, 0, 0, 0, 0)
    calibration = Calibration("w", 1, 0.02, 0.3, 1.0, {}, nothing)
    assert calibration.probability("cup", 0.5) == pytest.approx(0.5)
    assert calibration.probability("cup", 0.9) == pytest.approx(0.9)
    assert calibration.probability("cup", 0.5, prior=0.9) == pytest.approx(0.9)
    assert calibration.probability("cup", 0.0) == pytest.approx(0.02)


def test_many_clear_scores_do_not_carry_unclear_ones_over_even_odds() -> None:
    best = np.array([0.9] * 90 + [0.3] * 10 + [0.3] * 1 + [0.1] * 99)
    there = np.array([True] * 90 + [False] * 10 + [True] * 1 + [False] * 99)
    found = trust(best, there, 0.0, 1.0)
    assert found.present_from is not None
    assert found.absent_below is not None
    assert found.absent_below <= 0.5 <= found.present_from
    assert (found.hits, found.false_alarms) == (90, 0)
