"""The detectors' protocol, and Grounding DINO behind it, on a tiny untrained model."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools import detectors
from nuthatch.tools.detectors import Found, chunk, iou, keep_distinct
from nuthatch.tools.grounding_dino import Framing, GroundingDino, Prompter
from nuthatch.training.fit import Schedule
from nuthatch.training.perceive.detect import (
    MEAN,
    STD,
    Config,
    build_model,
    build_tokenizer,
    export,
)

SMALL = Config(
    schedule=Schedule(steps=1, lr=1e-3),
    picture_size=64,
    width=32,
    backbone_widths=(8, 32),
    backbone_depths=(1, 1),
    encoder_layers=1,
    decoder_layers=2,
    feed_forward=32,
    heads=2,
    queries=8,
)


@cache
def small_detector() -> GroundingDino:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = build_model(SMALL, tokenizer.get_vocab_size()).eval()
    framing = Framing({"height": 64, "width": 64}, MEAN, STD)
    return GroundingDino(model, Prompter(tokenizer, SMALL.text_tokens), framing, "small")


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


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


def test_a_label_is_found_again_at_its_own_tokens() -> None:
    tokenizer = build_tokenizer()
    prompt = Prompter(tokenizer, 64).prompt(["teddy bear", "cup", "bear"])
    read = [[tokenizer.id_to_token(prompt.ids[at]) for at in span] for span in prompt.spans]
    assert read == [["teddy", "bear"], ["cup"], ["bear"]]
    assert tokenizer.id_to_token(prompt.ids[0]) == "[CLS]"
    assert tokenizer.id_to_token(prompt.ids[-1]) == "[SEP]"
    assert tokenizer.id_to_token(prompt.ids[-2]) == "."


def test_a_full_stop_inside_a_label_does_not_split_it() -> None:
    prompter = Prompter(build_tokenizer(), 64)
    assert prompter.tokens("t.v.") == prompter.tokens("t v")


def test_an_unknown_word_falls_apart_into_letters() -> None:
    tokenizer = build_tokenizer()
    ids = Prompter(tokenizer, 64).tokens("Quokka")
    assert [tokenizer.id_to_token(each) for each in ids] == ["q", "##u", "##o", "##k", "##k", "##a"]


@pytest.mark.parametrize("label", ["...", "a" * 70, " ".join(["cup"] * 70)])
def test_a_label_that_cannot_be_read_or_does_not_fit_is_refused(label: str) -> None:
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


def test_boxes_lie_in_the_picture_whatever_its_size_and_come_best_first() -> None:
    images = [picture(40, 200), picture(300, 90), picture(1, 1)]
    seen = 0
    results = small_detector().find(images, [["cup", "dog"]] * 3, threshold=0.0)
    for image, found in zip(images, results, strict=True):
        height, width = image.shape[:2]
        seen += len(found)
        assert [each.score for each in found] == sorted((x.score for x in found), reverse=True)
        for each in found:
            x1, y1, x2, y2 = each.box
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            assert each.label in ("cup", "dog")
    assert seen


def test_a_batch_gives_what_single_pictures_give() -> None:
    images = [picture(64, 64, seed) for seed in range(3)]
    labels = [["cup"], ["dog", "wine glass", "cat"], ["stop sign", "cup"]]
    together = small_detector().find(images, labels, threshold=0.0)
    for image, asked, expected in zip(images, labels, together, strict=True):
        (alone,) = small_detector().find([image], [asked], threshold=0.0)
        assert [each.score for each in alone] == pytest.approx(
            [each.score for each in expected], abs=1e-4
        )


def test_exported_weights_load_and_find_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    tokenizer = build_tokenizer()
    model = build_model(SMALL, tokenizer.get_vocab_size()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16())
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.copy_(buffer.bfloat16())
    export(model, tokenizer, SMALL, tmp_path)
    loaded = detectors.load(tmp_path)
    framing = Framing({"height": 64, "width": 64}, MEAN, STD)
    fresh = GroundingDino(model, Prompter(tokenizer, SMALL.text_tokens), framing, "fresh")
    image, labels = picture(64, 64), ["cup", "dog"]
    (expected,), (found,) = (
        each.find([image], [labels], threshold=0.0) for each in (fresh, loaded)
    )
    assert [each.score for each in found] == pytest.approx([x.score for x in expected], abs=1e-5)
    assert loaded.model_id.startswith("grounding-dino-d32-")


def test_a_folder_without_weights_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        detectors.load(tmp_path)


def test_an_unknown_model_type_says_which_are_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "yolo"}))
    with pytest.raises(ValueError, match="grounding-dino"):
        detectors.load(tmp_path)
