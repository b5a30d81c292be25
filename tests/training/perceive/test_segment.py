"""Training and measuring the segmenter."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools.segmentation.segmenters import Segmenter, load
from nuthatch.training.perceive.segment import (
    DenselyAsked,
    _add_losses,
    _loss,
    export,
)
from nuthatch.training.perceive.segment_quality import (
    box_ious,
    interval,
    jitter_box,
    mask_iou,
    visible_objects,
)
from nuthatch.training.recipes.perception import SegmentRecipe
from nuthatch.training.world.scenes import make_scene

SMALL = SegmentRecipe(images=1, boxes=2)


def untrained() -> DenselyAsked:
    torch.manual_seed(0)
    return DenselyAsked()


def test_a_few_steps_lower_the_loss_on_one_batch():
    model = untrained()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    totals = []
    for _ in range(4):
        total = torch.stack(list(_loss(model, SMALL, step=0).values())).sum()
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(float(total.detach()))
    assert totals[-1] < totals[0]


def test_the_batch_is_a_function_of_the_step():
    model = untrained()
    first, again, other = (_loss(model, SMALL, step)["focal"].item() for step in (3, 3, 4))
    assert first == again
    assert first != other


def test_what_is_exported_is_what_was_trained(tmp_path: Path):
    model = untrained()
    export(model.sam, tmp_path)
    scene = make_scene(1, "train")
    boxes = [each.box for each in scene.objects]
    trained = Segmenter(model.sam).segment(scene.image, boxes=boxes)
    loaded = load(tmp_path).segment(scene.image, boxes=boxes)
    assert (trained.masks == loaded.masks).mean() > 0.98
    assert (tmp_path / "model.safetensors").stat().st_size < 4e6


def test_a_right_mask_costs_less_than_a_wrong_one_and_quality_is_the_overlap():
    target = torch.zeros(1, 8, 8)
    target[:, 2:6, 2:6] = 1
    right, wrong = (target[:, None] - 0.5) * 20, (0.5 - target[:, None]) * 20
    costs: list[dict[str, list[torch.Tensor]]] = []
    for logits in (right, wrong):
        totals: dict[str, list[torch.Tensor]] = {"focal": [], "dice": [], "quality": []}
        _add_losses(totals, logits, torch.ones(1, 1), target)
        costs.append(totals)
    assert costs[0]["dice"][0] < 0.05 < costs[1]["dice"][0]
    assert costs[0]["focal"][0] < costs[1]["focal"][0]
    assert costs[0]["quality"][0] == pytest.approx(0)
    assert costs[1]["quality"][0] == pytest.approx(1)


def test_of_several_masks_only_the_best_is_taught():
    target = torch.ones(1, 4, 4)
    logits = torch.stack([torch.full((4, 4), 9.0), torch.full((4, 4), -9.0)])[None]
    logits.requires_grad_()
    totals: dict[str, list[torch.Tensor]] = {"focal": [], "dice": [], "quality": []}
    _add_losses(totals, logits, torch.zeros(1, 2), target)
    (totals["focal"][0] + totals["dice"][0]).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].abs().sum() > 0
    assert logits.grad[0, 1].abs().sum() == 0


def test_a_jittered_box_stays_near_and_inside_the_picture():
    rng = np.random.default_rng(0)
    for _ in range(200):
        x1, y1, x2, y2 = jitter_box((0.0, 30.0, 50.0, 128.0), 0.06, rng)
        assert 0 <= x1 <= 3
        assert 47 <= x2 <= 53
        assert 30 - 5.9 <= y1 <= 30 + 5.9
        assert y2 <= 128


def test_overlap_of_masks():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert mask_iou(a, a) == 1
    assert mask_iou(a, b) == pytest.approx(1 / 3)


def test_the_interval_widens_when_objects_of_a_scene_agree():
    apart = interval([[0.0], [1.0]] * 50)
    agreeing = interval([[0.0, 0.0], [1.0, 1.0]] * 25)
    assert apart["value"] == agreeing["value"] == 0.5
    assert apart["n"] == agreeing["n"] == 100
    assert agreeing["high"] - agreeing["low"] > apart["high"] - apart["low"]


def test_every_visible_object_is_measured():
    scenes = [make_scene(seed, "calibrate") for seed in range(2)]
    measured = box_ious(Segmenter(untrained().sam), scenes, jitter=0.0)
    assert [len(group) for group in measured] == [len(visible_objects(s)) for s in scenes]
