"""Everything in a picture is cut out, within the memory of a chunk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools.base import ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.segmentation.automatic_masks import everything
from nuthatch.tools.segmentation.segment_everything import SegmentEverything
from nuthatch.tools.segmentation.segmenters import Segmenter, load
from nuthatch.tools.weights.store import EMBEDDED, Weights
from nuthatch.training.world.scenes import make_scene

LOOSE = {"points_per_side": 8, "min_predicted_iou": 0.5, "min_stability": 0.6}


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load(EMBEDDED / "segment")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return make_scene(3, "test").image


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_most_objects_have_a_mask(segmenter: Segmenter) -> None:
    best = []
    for seed in range(6):
        scene = make_scene(seed, "test")
        masks = [one.mask.numpy() for one in everything(segmenter, scene.image, **LOOSE)]
        best += [
            max((overlap(mask, scene.mask(i)) for mask in masks), default=0.0)
            for i in range(len(scene.objects))
        ]
    assert np.mean(np.array(best) > 0.5) > 0.5


def test_masks_are_distinct_best_first_and_lie_in_their_boxes(
    segmenter: Segmenter, picture: np.ndarray
) -> None:
    found = everything(segmenter, picture, **LOOSE)
    rated = [one.predicted_iou for one in found]
    assert rated == sorted(rated, reverse=True)
    for one in found:
        x1, y1, x2, y2 = map(int, one.box)
        inside = one.mask.numpy()
        assert inside[y1:y2, x1:x2].sum() == inside.sum() == one.mask.area
        assert inside[y1].any()
        assert inside[y2 - 1].any()
        assert one.stability >= LOOSE["min_stability"]


def test_the_size_of_a_chunk_changes_nothing(segmenter: Segmenter, picture: np.ndarray) -> None:
    few, many = (everything(segmenter, picture, at_once=n, **LOOSE) for n in (5, 64))
    assert [one.mask for one in few] == [one.mask for one in many]


def test_no_more_masks_than_a_chunk_gives_are_scaled_up_at_once(
    segmenter: Segmenter, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled: list[int] = []
    whole = type(segmenter.sam).postprocess_masks

    def counted(sam: object, masks: torch.Tensor, *sizes: object) -> torch.Tensor:
        scaled.append(len(masks))
        return whole(sam, masks, *sizes)

    monkeypatch.setattr(type(segmenter.sam), "postprocess_masks", counted)
    everything(segmenter, picture, at_once=4, **LOOSE)
    assert max(scaled) <= 4 * 3


def test_small_masks_can_be_left_out(segmenter: Segmenter, picture: np.ndarray) -> None:
    areas = [one.mask.area for one in everything(segmenter, picture, min_area=300, **LOOSE)]
    assert areas
    assert min(areas) >= 300


def test_the_tool_keeps_the_best_and_counts_the_rest(tmp_path: Path, picture: np.ndarray) -> None:
    media = MediaStore(tmp_path)
    media.add_image(picture)
    tool = SegmentEverything(**LOOSE)
    executor = ToolExecutor(ToolSet([tool]), media, Weights())
    (found,) = executor.run([ToolCall("call_1", tool.name, {"image": "image_1", "max_masks": 1})])
    assert found.value.masks == ["mask_1"]
    assert media["mask_1"].parents == ("image_1",)
    assert found.value.more >= 0
    assert found.value.areas == [media.mask("mask_1").area]
