"""Grounding DINO through transformers, on a tiny model with random weights."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    RTDetrResNetConfig,
)

from nuthatch.tools.detection import load as load_detection
from nuthatch.tools.detection.detectors import Trust
from nuthatch.tools.detection.grounding_dino import GroundingDino, Prompter
from nuthatch.tools.media.framing import Framing

ROOM = 24
FRAMING = Framing({"shortest_edge": 32, "longest_edge": 64}, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def tokenizer() -> Tokenizer:
    """Separators have BERT's ids: transformers' Grounding DINO looks for them."""
    vocabulary = {f"[unused{number}]": number for number in range(1030)}
    known = {"[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
    known |= {word: 200 + i for i, word in enumerate(("cup", "dog", "teddy", "bear", "wine"))}
    taken = set(known.values())
    vocabulary = {k: v for k, v in vocabulary.items() if v not in taken} | known
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


@cache
def tiny_model() -> GroundingDinoForObjectDetection:
    torch.manual_seed(0)
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        out_features=["stage2"],
    )
    text = BertConfig(
        vocab_size=1030,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=ROOM,
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        num_queries=6,
        num_feature_levels=1,
        d_model=32,
        encoder_layers=1,
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        max_text_len=ROOM,
    )
    return GroundingDinoForObjectDetection(config).eval()


@cache
def tiny_detector() -> GroundingDino:
    return GroundingDino(tiny_model(), Prompter(tokenizer(), ROOM), FRAMING, "tiny")


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_label_is_found_again_at_its_own_tokens() -> None:
    words = tokenizer()
    prompt = Prompter(words, ROOM).prompt(["teddy bear", "cup", "bear"])
    read = [[words.id_to_token(prompt.ids[at]) for at in span] for span in prompt.spans]
    assert read == [["teddy", "bear"], ["cup"], ["bear"]]
    ends = [words.id_to_token(prompt.ids[at]) for at in (0, -2, -1)]
    assert ends == ["[CLS]", ".", "[SEP]"]


def test_a_full_stop_inside_a_label_does_not_split_it() -> None:
    prompter = Prompter(tokenizer(), ROOM)
    assert prompter.tokens("teddy.bear?") == prompter.tokens("teddy bear")


@pytest.mark.parametrize("label", ["...", "☃ ☂", "[SEP]", " ".join(["cup"] * ROOM)])
def test_a_label_that_cannot_be_read_or_does_not_fit_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="short noun phrase"):
        tiny_detector().find([picture(32, 32)], [[label]], threshold=0.5)


def test_more_labels_than_a_prompt_holds_are_asked_in_several() -> None:
    labels = [f"cup {word}" for word in ("dog", "bear", "wine", "cup", "teddy")] * 3
    labels = [f"{label} {'dog ' * index}".strip() for index, label in enumerate(labels)]
    prompter = Prompter(tokenizer(), ROOM)
    parts = prompter.chunks(labels)
    assert len(parts) > 1
    assert [label for part in parts for label in part] == labels
    assert all(len(prompter.prompt(part).ids) <= ROOM for part in parts)


def test_pictures_of_the_released_size_are_taken_two_by_two() -> None:
    large = Framing({"shortest_edge": 800, "longest_edge": 1333}, FRAMING.mean, FRAMING.std)
    detector = GroundingDino(tiny_model(), Prompter(tokenizer(), ROOM), large, "tiny")
    assert (detector._at_once, tiny_detector()._at_once) == (2, 16)


def test_boxes_lie_in_pictures_of_any_size_though_they_share_a_padded_batch() -> None:
    images = [picture(40, 100), picture(90, 30), picture(2, 2)]
    results = tiny_detector().find(images, [["cup", "dog"]] * 3, threshold=0.0)
    for image, found in zip(images, results, strict=True):
        assert found
        for each in found:
            x1, y1, x2, y2 = each.box
            assert 0 <= x1 < x2 <= image.shape[1]
            assert 0 <= y1 < y2 <= image.shape[0]


def test_a_folder_that_transformers_wrote_loads_with_all_its_weights(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    FRAMING.save(tmp_path / "preprocessor_config.json")
    fields = {"weights": "w", "scenes": 1, "floor": 0.02, "threshold": 0.42, "slope": 1.0}
    trust = dict.fromkeys(Trust.__dataclass_fields__, 0)
    content = json.dumps(fields | {"categories": {}, "pooled": trust})
    (tmp_path / "calibration.json").write_text(content)
    loaded = load_detection.load(tmp_path)
    assert isinstance(loaded, GroundingDino)
    assert loaded.calibration is not None
    assert (tiny_detector().threshold, loaded.threshold) == (0.35, 0.42)
    image, labels = picture(32, 48), ["cup", "teddy bear"]
    (expected,), (found,) = (
        each.find([image], [labels], threshold=0.0) for each in (tiny_detector(), loaded)
    )
    assert [each.score for each in found] == pytest.approx([x.score for x in expected], abs=1e-5)
    assert loaded.model_id.startswith("grounding-dino-d32-")
