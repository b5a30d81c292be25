"""Training and measuring the tagger."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools.tagging.taggers import LABELS, NOTHING, TINT_LABELS, CropNet, Tagger, load
from nuthatch.training.perceive.tag import _loss, export
from nuthatch.training.perceive.tag_crops import (
    AMBIGUOUS,
    IGNORED,
    NOTHING_SHOWN,
    alter,
    batch,
    label_of,
    outlined,
    shown_in,
)
from nuthatch.training.perceive.tag_quality import (
    _presence,
    _rate,
    average_precision,
    calibrate,
    reliability,
    wilson,
)
from nuthatch.training.recipes.perception import TagRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.world.layout import Background, Placement, Plan
from nuthatch.training.world.scenes import Scene, draw

SMALL = TagRecipe(widths=(8, 16), scenes=1, crowds=1, tiles=2, schedule=Schedule(steps=1, lr=1e-3))


def two_objects() -> Scene:
    """A cat in the top left corner and a red bus in the bottom right one."""
    placements = (
        Placement("cat", 30.0, 30.0, 40.0),
        Placement("bus", 100.0, 100.0, 30.0, tint="red"),
    )
    return draw(Plan("street", "cat", placements, Background()))


def test_a_window_around_an_object_shows_it():
    scene = two_objects()
    assert shown_in(scene, (5.0, 5.0, 55.0, 55.0)) == 0
    assert shown_in(scene, (80.0, 80.0, 120.0, 120.0)) == 1


def test_an_empty_window_and_one_with_a_sliver_show_nothing():
    scene = two_objects()
    assert shown_in(scene, (70.0, 5.0, 110.0, 45.0)) == NOTHING_SHOWN
    x2 = scene.objects[0].box[2]
    assert shown_in(scene, (x2 - 4, 10.0, x2 + 40, 54.0)) == NOTHING_SHOWN


def test_a_window_with_half_an_object_is_not_used():
    scene = two_objects()
    x1, y1, x2, y2 = scene.objects[0].box
    assert shown_in(scene, (x1, y1, (x1 + x2) / 2, y2)) == AMBIGUOUS


def test_labels_name_category_and_tint_and_nothing_has_no_tint():
    scene = two_objects()
    category, tint = label_of(scene, 1)
    assert (LABELS[category], TINT_LABELS[tint]) == ("bus", "red")
    assert TINT_LABELS[label_of(scene, 0)[1]] == "plain"
    assert label_of(scene, NOTHING_SHOWN) == (LABELS.index(NOTHING), IGNORED)


def test_drawn_outlines_change_pixels_at_edges_only():
    scene = two_objects()
    changed = (outlined(scene, np.random.default_rng(0)) != scene.image).any(axis=2)
    assert changed.any()
    inside = np.zeros_like(changed)
    inside[1:-1, 1:-1] = (
        (scene.instances[1:-1, 1:-1] == scene.instances[:-2, 1:-1])
        & (scene.instances[1:-1, 1:-1] == scene.instances[2:, 1:-1])
        & (scene.instances[1:-1, 1:-1] == scene.instances[1:-1, :-2])
        & (scene.instances[1:-1, 1:-1] == scene.instances[1:-1, 2:])
    )
    assert not changed[inside].any()


def test_altered_crops_stay_pixels_and_say_which_were_recoloured():
    crops = torch.rand(64, 3, 40, 40) * 255
    torch.manual_seed(0)
    altered, recoloured = alter(crops, 0.5)
    assert altered.shape == crops.shape
    assert altered.min() >= 0
    assert altered.max() <= 255
    assert 10 < recoloured.sum() < 54
    assert not alter(crops, 0.0)[1].any()


def test_a_batch_is_a_function_of_its_seeds_and_holds_objects_and_nothing():
    first = batch(range(4), 2, 6, np.random.default_rng(1))
    again = batch(range(4), 2, 6, np.random.default_rng(1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    crops, labels, tints = first
    assert len(crops) == len(labels) == len(tints)
    assert LABELS.index(NOTHING) in labels
    assert ((tints == IGNORED) == (labels == LABELS.index(NOTHING))).all()


def test_a_few_steps_lower_the_loss_on_one_batch():
    torch.manual_seed(0)
    net = CropNet(SMALL.widths)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    totals = []
    for _ in range(6):
        torch.manual_seed(1)
        total = torch.stack(list(_loss(net, SMALL, step=0).values())).sum()
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(float(total.detach()))
    assert totals[-1] < totals[0]


def test_what_is_exported_is_what_was_trained(tmp_path: Path):
    torch.manual_seed(0)
    net = CropNet(SMALL.widths)
    export(net, SMALL, tmp_path)
    crops = [np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)]
    trained = Tagger(net).tag_crops(crops).categories
    assert load(tmp_path).tag_crops(crops).categories == pytest.approx(trained, abs=0.01)


def test_calibration_holds_every_label_whatever_the_net_says(tmp_path: Path):
    torch.manual_seed(0)
    net = CropNet(SMALL.widths)
    export(net, SMALL, tmp_path)
    calibration = calibrate(Tagger(net), tmp_path / "model.safetensors", 6)
    assert set(calibration.crops) == set(LABELS)
    assert set(calibration.tints) == set(TINT_LABELS)
    assert calibration.pictures == 6


def test_the_threshold_is_the_lowest_that_keeps_the_precision():
    scores = np.concatenate([np.linspace(0.8, 1, 100), np.linspace(0.5, 0.79, 100)])
    right = np.arange(200) < 100  # all right from .8 on, all wrong below
    rate = _rate(scores, right)
    assert rate.threshold is not None
    assert 0.77 < rate.threshold <= 0.8
    assert rate.precision >= 0.95
    assert rate.n >= 100


def test_few_cases_or_poor_ones_get_no_threshold():
    assert _rate(np.array([0.99] * 5), np.ones(5, bool)).threshold is None
    assert _rate(np.linspace(0, 1, 200), np.arange(200) % 2 == 0).threshold is None


def test_presence_is_settled_at_even_odds_on_both_sides():
    rng = np.random.default_rng(0)
    present = np.arange(2000) < 100
    scores = np.where(present, rng.uniform(0.6, 1, 2000), rng.uniform(0, 0.3, 2000))
    settled = _presence(scores, present)
    assert settled.present.threshold is not None
    assert settled.absent.threshold is not None
    assert settled.present.precision >= 0.95
    assert settled.absent.precision >= 0.95
    assert settled.absent.threshold <= 0.68
    assert (settled.pictures_with, settled.pictures_without) == (100, 1900)


def test_scores_that_mean_nothing_settle_nothing():
    rng = np.random.default_rng(0)
    settled = _presence(rng.uniform(size=2000), np.arange(2000) < 100)
    assert settled.present.threshold is None
    assert settled.absent.threshold is None


def test_reliability_rises_and_finds_the_rate():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=20_000)
    right = rng.uniform(size=20_000) < scores**2
    table = reliability(scores, right, np.ones(20_000))
    assert list(table.probabilities) == sorted(table.probabilities)
    assert table.at(0.9) == pytest.approx(0.81, abs=0.06)
    assert table.at(0.5) == pytest.approx(0.25, abs=0.06)
    assert sum(table.n) == 20_000


def test_wilson_keeps_away_from_certainty():
    figure = wilson(np.ones(100, bool))
    assert figure["value"] == 1
    assert 0.95 < figure["low"] < 0.97


def test_average_precision_of_a_perfect_and_of_an_upside_down_ranking():
    present = np.array([[True, False], [False, True]])
    assert average_precision(np.array([[0.9, 0.1], [0.2, 0.8]]), present) == 1
    assert average_precision(np.array([[0.1, 0.9], [0.8, 0.2]]), present) == pytest.approx(5 / 12)


def test_training_ends_with_weights_calibration_and_a_card(tmp_path: Path):
    from nuthatch.training.perceive.tag import train

    config = replace(
        SMALL,
        evaluate_every=0,
        calibrate_scenes=8,
        test_scenes=3,
        out=str(tmp_path / "run"),
        export=str(tmp_path / "tag"),
    )
    train(config)
    made = {path.name for path in (tmp_path / "tag").iterdir()}
    assert made == {"config.json", "model.safetensors", "calibration.json", "README.md"}
    assert "held-out" in (tmp_path / "tag" / "README.md").read_text()
