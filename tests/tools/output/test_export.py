"""Results in COCO's form, read back by COCO's own tools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nuthatch import Toolbox
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.output.export import UNNAMED
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector

SIDES = [(10.0, 10.0, 40.0, 50.0), (50.0, 20.0, 70.0, 45.0)]


@pytest.fixture(scope="module")
def box() -> Toolbox:
    weights = Weights()
    weights.put("detect", FakeDetector([("cup", SIDES[0]), ("bell", SIDES[1], 0.6)]))
    return Toolbox(weights=weights)


@pytest.fixture(scope="module")
def picture() -> Any:
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def loaded(written: dict[str, Any], folder: Path) -> COCO:
    path = folder / "annotations.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    return COCO(str(path))


def test_detections_are_ground_truth_of_which_they_are_perfect_results(
    box: Toolbox, picture: Any, tmp_path: Path
) -> None:
    written = box.run("detect", image=picture, labels=["cup", "bell"]).to_coco()
    truth = loaded(written, tmp_path)
    results = truth.loadRes(
        [
            {name: each[name] for name in ("image_id", "category_id", "bbox", "score")}
            for each in written["annotations"]
        ]
    )
    score = COCOeval(truth, results, "bbox")
    score.evaluate()
    score.accumulate()
    score.summarize()
    assert score.stats[0] == pytest.approx(1.0)


@pytest.mark.parametrize("prompt", [{"boxes": SIDES}, {"points": [(25, 30), (60, 30)]}])
def test_masks_without_names_are_annotations_with_their_box_and_area(
    box: Toolbox, picture: Any, tmp_path: Path, prompt: dict[str, Any]
) -> None:
    masks = box.run("segment", image=picture, **prompt)
    written = masks.to_coco()
    assert [each["name"] for each in written["categories"]] == [UNNAMED]
    truth = loaded(written, tmp_path)
    kept = [
        handle for handle, area in zip(masks.value.masks, masks.value.areas, strict=True) if area
    ]
    assert len(truth.getAnnIds()) == len(kept) > 0
    for handle, annotation in zip(kept, truth.loadAnns(truth.getAnnIds()), strict=True):
        pixels = box.media.mask(handle).numpy()
        assert np.array_equal(truth.annToMask(annotation).astype(bool), pixels)
        encoded = coco_masks.encode(np.asfortranarray(pixels.astype(np.uint8)))
        assert annotation["bbox"] == coco_masks.toBbox(encoded).tolist()
        assert annotation["area"] == pixels.sum()


def test_a_mask_of_nothing_is_no_annotation(box: Toolbox, picture: Any) -> None:
    written = box.run("segment", image=picture, boxes=[(90, 70, 95, 75)]).to_coco()
    assert written["annotations"] == []


def test_masks_of_detections_carry_their_names(box: Toolbox, picture: Any, tmp_path: Path) -> None:
    found = box.run("detect", image=picture, labels=["cup", "bell"])
    handles = [each.handle for each in found.value.detections]
    truth = loaded(box.run("segment", image=picture, detections=handles).to_coco(), tmp_path)
    names = [truth.cats[each["category_id"]]["name"] for each in truth.loadAnns(truth.getAnnIds())]
    assert names == ["cup", "bell"]
    assert all("segmentation" in each for each in truth.loadAnns(truth.getAnnIds()))


@pytest.mark.parametrize("seed", range(6))
def test_the_box_of_a_mask_is_that_of_the_coco_tools(seed: int) -> None:
    noise = np.random.default_rng(seed)
    pixels = np.zeros((17, 23), bool)
    y, x = noise.integers(0, 10, 2)
    pixels[y : y + seed + 1, x : x + 4] = noise.random((seed + 1, 4)) < 0.7
    pixels[:, 20] = seed % 2  # a whole column
    box = Mask.of(pixels).box()
    encoded = coco_masks.encode(np.asfortranarray(pixels.astype(np.uint8)))
    left, top, width, height = coco_masks.toBbox(encoded).tolist()
    expected = (left, top, left + width, top + height) if pixels.any() else None
    assert (box and box.xyxy) == expected
