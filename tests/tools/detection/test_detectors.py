"""The detectors' protocol, and the heat-map detector behind it, on a small untrained network."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nuthatch.tools.detection import load as load_detection
from nuthatch.tools.detection.detectors import Calibration, Found, Trust, chunk, iou, keep_distinct
from nuthatch.tools.detection.heatmap_detector import HeatmapDetector, HeatmapNetwork, save
from nuthatch.tools.detection.heatmap_shape import Shape
from nuthatch.tools.media.framing import Framing
from nuthatch.training.perceive.detect import MEAN, STD, build_tokenizer

SMALL = Shape(picture_size=64, width=32, stem=8, blocks=1, heads=2, words=400)
FRAMING = Framing({"height": 64, "width": 64}, MEAN, STD)


@cache
def small_detector() -> HeatmapDetector:
    torch.manual_seed(0)
    network = HeatmapNetwork(SMALL).eval()
    return HeatmapDetector(network, build_tokenizer(), FRAMING, SMALL, "small")


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def scores(found: list[Found]) -> list[float]:
    return [each.score for each in found]


def test_boxes_that_touch_at_an_edge_do_not_overlap() -> None:
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)


def test_of_two_boxes_of_one_label_on_one_object_the_better_stays() -> None:
    weak, strong = Found("cup", 0.4, (0, 0, 10, 10)), Found("cup", 0.9, (1, 0, 10, 10))
    assert keep_distinct([weak, strong]) == [strong]


def test_boxes_of_different_labels_on_one_place_both_stay() -> None:
    cup, vase = Found("cup", 0.4, (0, 0, 10, 10)), Found("vase", 0.9, (0, 0, 10, 10))
    assert keep_distinct([cup, vase]) == [vase, cup]


def test_labels_are_split_in_order_into_prompts_that_fit() -> None:
    assert chunk([3, 3, 3, 2], tokens=6, most=10) == [range(0, 2), range(2, 4)]
    assert chunk([1, 1, 1], tokens=6, most=2) == [range(0, 2), range(2, 3)]
    assert chunk([], tokens=6, most=2) == []


def test_boxes_lie_in_the_picture_whatever_its_size_and_come_best_first() -> None:
    images = [picture(40, 200), picture(300, 90), picture(1, 1)]
    results = small_detector().find(images, [["cup", "dog"]] * 3, threshold=0.0)
    for image, found in zip(images, results, strict=True):
        height, width = image.shape[:2]
        assert found
        assert scores(found) == sorted(scores(found), reverse=True)
        for each in found:
            x1, y1, x2, y2 = each.box
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            assert each.label in ("cup", "dog")


def test_only_scores_from_the_threshold_on_are_given() -> None:
    (every,) = small_detector().find([picture(64, 64)], [["cup"]], threshold=0.0)
    middle = scores(every)[len(every) // 2]
    (some,) = small_detector().find([picture(64, 64)], [["cup"]], threshold=middle)
    assert some
    assert min(scores(some)) >= middle
    assert len(some) < len(every)


def test_a_score_does_not_depend_on_the_other_labels_or_pictures() -> None:
    images = [picture(64, 64, seed) for seed in range(3)]
    labels = [["cup"], ["dog", "wine glass", "cup"], ["stop sign", "cup"]]
    together = small_detector().find(images, labels, threshold=0.0)
    for image, expected in zip(images, together, strict=True):
        (alone,) = small_detector().find([image], [["cup"]], threshold=0.0)
        cups = [each for each in expected if each.label == "cup"]
        assert scores(alone) == pytest.approx(scores(cups), abs=1e-5)


def test_case_does_not_matter_and_the_label_comes_back_as_given() -> None:
    lower, upper = small_detector().find(
        [picture(64, 64)] * 2, [["wine glass"], ["Wine Glass"]], threshold=0.0
    )
    assert scores(lower) == pytest.approx(scores(upper))
    assert {each.label for each in upper} == {"Wine Glass"}


def test_unknown_words_are_spelt_and_differ() -> None:
    quokka, qubit = small_detector().find(
        [picture(64, 64)] * 2, [["quokka"], ["qubit"]], threshold=0.0
    )
    assert scores(quokka) != pytest.approx(scores(qubit))


@pytest.mark.parametrize("label", ["a" * 30, " ".join(["cup"] * 30)])
def test_a_label_longer_than_the_detector_reads_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="short noun phrase"):
        small_detector().find([picture(64, 64)], [[label]], threshold=0.5)


@pytest.mark.parametrize("labels", [[], ["cup", " "]])
def test_empty_labels_are_refused(labels: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        small_detector().find([picture(64, 64)], [labels], threshold=0.5)


def test_every_picture_needs_its_labels() -> None:
    with pytest.raises(ValueError, match="2 pictures but 1 label"):
        small_detector().find([picture(64, 64)] * 2, [["cup"]], threshold=0.5)


def test_a_picture_of_floats_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        small_detector().find([np.zeros((8, 8, 3))], [["cup"]], threshold=0.5)  # type: ignore[list-item]


def test_a_threshold_that_is_no_score_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        small_detector().find([picture(8, 8)], [["cup"]], threshold=35)


def test_no_picture_gives_no_result() -> None:
    assert small_detector().find([], [], threshold=0.5) == []


def test_saved_weights_load_and_find_nearly_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = HeatmapNetwork(SMALL).eval()
    save(network, build_tokenizer(), FRAMING, SMALL, tmp_path)
    loaded = load_detection.load(tmp_path)
    (expected,) = small_detector().find([picture(64, 64)], [["cup"]], threshold=0.0)
    (found,) = loaded.find([picture(64, 64)], [["cup"]], threshold=0.0)
    assert found[0].score == pytest.approx(expected[0].score, rel=0.1)  # bfloat16
    assert loaded.model_id.startswith("heatmap-d32-")
    assert loaded.threshold == 0.35


def test_the_default_threshold_comes_from_the_calibration(tmp_path: Path) -> None:
    save(HeatmapNetwork(SMALL), build_tokenizer(), FRAMING, SMALL, tmp_path)
    trust = dict.fromkeys(Trust.__dataclass_fields__, 0)
    fields = {"weights": "w", "scenes": 1, "floor": 0.02, "threshold": 0.42, "slope": 1.0}
    content = json.dumps(fields | {"categories": {}, "pooled": trust})
    (tmp_path / "calibration.json").write_text(content)
    assert load_detection.load(tmp_path).threshold == 0.42
    assert Calibration.load(tmp_path / "calibration.json").scenes == 1


def test_a_folder_without_weights_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_detection.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "heatmap"}))
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load_detection.load(tmp_path)


def test_an_unknown_model_type_says_which_are_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "yolo"}))
    with pytest.raises(ValueError, match="grounding-dino"):
        load_detection.load(tmp_path)
