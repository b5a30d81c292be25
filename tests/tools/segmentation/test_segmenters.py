"""Segmenters: prompts in, masks at the size of the picture out."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools.segmentation.segmenters import (
    FilledBoxPromptEncoder,
    Segmenter,
    build_sam,
    load,
)
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.world.scenes import make_scene


@cache
def shipped() -> Segmenter:
    return load(EMBEDDED / "segment")


def untrained() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(build_sam("embedded"))


def picture(height: int = 128, width: int = 128) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_shipped_weights_cut_out_what_a_box_shows():
    ious = []
    for seed in range(12):
        scene = make_scene(seed, "test")
        masks = shipped().segment(scene.image, boxes=[each.box for each in scene.objects]).masks
        ious += [iou(mask, scene.mask(i)) for i, mask in enumerate(masks)]
    assert np.mean(ious) > 0.7


def test_the_shipped_weights_cut_out_what_a_point_lies_on():
    ious = []
    for seed in range(8):
        scene = make_scene(seed, "test")
        for index in range(len(scene.objects)):
            rows, columns = np.nonzero(scene.mask(index))
            middle = len(rows) // 2
            point = (float(columns[middle]), float(rows[middle]))
            ious.append(
                iou(shipped().segment(scene.image, points=[point]).masks[0], scene.mask(index))
            )
    assert np.mean(ious) > 0.5


def test_no_prompts_give_no_masks_and_cost_no_look_at_the_picture():
    segmenter = untrained()
    looks = count_looks(segmenter)
    masks, quality = segmenter.segment(picture(60, 90), boxes=[])
    assert masks.shape == (0, 60, 90)
    assert quality.shape == (0,)
    assert looks == []


def test_a_picture_is_embedded_once_for_all_its_prompts():
    segmenter = untrained()
    looks = count_looks(segmenter)
    segmenter.segment(picture(), boxes=[(5, 5, 50, 50), (60, 60, 90, 100)])
    segmenter.segment(picture(), points=[(20.0, 20.0)])
    assert len(looks) == 1
    segmenter.segment(255 - picture(), boxes=[(5, 5, 50, 50)])
    assert len(looks) == 2


def count_looks(segmenter: Segmenter) -> list[int]:
    looks: list[int] = []
    segmenter.sam.image_encoder.register_forward_hook(lambda *_: looks.append(1))
    return looks


@pytest.mark.parametrize(("height", "width"), [(128, 128), (50, 200), (300, 70), (1, 1)])
def test_masks_have_the_size_of_the_picture(height, width):
    masks, quality = untrained().segment(picture(height, width), boxes=[(0, 0, width, height)])
    assert masks.shape == (1, height, width)
    assert masks.dtype == bool
    assert 0 <= quality[0] <= 1


def test_many_pictures_at_once_give_what_each_gives_alone():
    scenes = [make_scene(seed, "test") for seed in range(3)]
    boxes = [[each.box for each in scene.objects] for scene in scenes]
    boxes[1] = []
    together = shipped().segment_many([scene.image for scene in scenes], boxes, batch=2)
    for scene, prompts, masks in zip(scenes, boxes, together, strict=True):
        alone = shipped().segment(scene.image, boxes=prompts)
        assert masks.masks.shape == alone.masks.shape
        assert (masks.masks == alone.masks).mean() > 0.999 if prompts else True


def test_more_prompts_than_fit_at_once_keep_their_order():
    scene = make_scene(3, "test")
    box = scene.objects[0].box
    filler = [(float(i), float(i), i + 20.0, i + 20.0) for i in range(40)]
    masks = shipped().segment(scene.image, boxes=[*filler, box]).masks
    alone = shipped().segment(scene.image, boxes=[box]).masks[0]
    assert len(masks) == 41
    assert iou(masks[-1], alone) > 0.98


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({}, "exactly one"),
        ({"boxes": [(1, 1, 5, 5)], "points": [(1.0, 1.0)]}, "exactly one"),
        ({"boxes": [(50, 10, 20, 40)]}, r"box \(50.0, 10.0, 20.0, 40.0\) holds no pixel"),
        ({"boxes": [(130, 10, 150, 40)]}, "holds no pixel of the 128 x 128 image"),
        ({"points": [(128.0, 5.0)]}, r"point \(128.0, 5.0\) lies outside"),
    ],
)
def test_a_prompt_that_cannot_be_meant_is_refused(prompts, message):
    with pytest.raises(ValueError, match=message):
        untrained().segment(picture(), **prompts)


def test_another_kind_of_array_is_refused_with_what_was_expected():
    with pytest.raises(ValueError, match=r"float32 of shape .* expected uint8"):
        untrained().segment(picture().astype(np.float32), boxes=[(0, 0, 9, 9)])


def test_a_box_prompt_fills_exactly_the_pixels_of_the_box():
    encoder = build_sam("embedded").prompt_encoder
    assert isinstance(encoder, FilledBoxPromptEncoder)
    last_pixels = torch.tensor([[10.0, 20.0, 29.0, 59.0]])  # x 10-29, y 20-59
    filled = encoder._filled(last_pixels)[0, 0]
    assert filled.sum() == 20 * 40
    assert filled[20:60, 10:30].all()


def test_an_unknown_size_names_the_known_ones():
    with pytest.raises(ValueError, match="known: embedded, vit_b, vit_l, vit_h"):
        build_sam("vit_xs")


def test_a_folder_without_weights_says_what_was_expected(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"size": "embedded"}))
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load(tmp_path)
