"""CLIP through transformers, on a tiny model of random weights, and the tools that it serves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.regions import cut
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.tagging import taggers
from nuthatch.tools.tagging.clip import ClipEncoder
from nuthatch.tools.tagging.describe_attributes import DescribeAttributes
from nuthatch.tools.tagging.lens import COSINE, Contrastive
from nuthatch.tools.tagging.tag import TagPicture
from nuthatch.tools.tagging.word_lists import Vocabulary
from nuthatch.tools.weights.store import Weights
from tests.tools.tagging.lens_models import clip_model, save_clip

PICTURES = [
    np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    for seed, (height, width) in enumerate([(40, 60), (16, 16), (9, 200), (90, 30)])
]
WORDS = Vocabulary.of("words", ["cup", "dog", "wine glass", "äpple"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vocabularies"


@pytest.fixture
def encoder(folder: Path) -> ClipEncoder:
    loaded = taggers.load(folder)
    assert isinstance(loaded, ClipEncoder)
    assert isinstance(loaded, Contrastive)
    return loaded


def executor(tmp_path: Path, encoder: Any, *tools: Any) -> ToolExecutor:
    media = MediaStore(tmp_path / "media")
    for picture in PICTURES[:2]:
        media.add_image(picture)
    weights = Weights(tmp_path / "none")
    weights.put("tag", encoder)
    return ToolExecutor(ToolSet(tools), media, weights)


def run(executor: ToolExecutor, tool: str, **arguments: Any) -> ToolResult:
    return executor.execute(ToolCall("call_1", tool, {"image": "image_1", **arguments}))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def counted(encoder: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    work = getattr(encoder, name)
    monkeypatch.setattr(encoder, name, lambda given: calls.append(len(given)) or work(given))
    return calls


def test_cosines_are_those_of_transformers_own_forward_pass(encoder, folder):
    from transformers import CLIPProcessor

    inputs = CLIPProcessor.from_pretrained(folder, backend="pil")(
        text=list(WORDS.sentences),
        images=PICTURES[0],
        input_data_format="channels_last",
        padding=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        logits = clip_model()(**inputs).logits_per_image[0] / clip_model().logit_scale.exp()
    cosines = encoder.matrix(WORDS) @ encoder.picture(PICTURES[0])
    assert cosines == pytest.approx(logits.numpy(), abs=1e-5)
    assert np.ptp(cosines) > 0.01


def test_a_batch_sees_and_reads_what_one_by_one_does(encoder):
    alone = np.concatenate([encoder.see([picture]) for picture in PICTURES])
    assert encoder.see(PICTURES) == pytest.approx(alone, abs=1e-6)
    alone = np.concatenate([encoder.read([text]) for text in WORDS.sentences])
    assert encoder.read(WORDS.sentences) == pytest.approx(alone, abs=1e-6)


def test_of_a_very_slim_picture_the_middle_is_seen_without_scaling_all_of_it(encoder):
    slim = np.zeros((8, 500_000, 3), np.uint8)
    middle = slim[:, 250_000 - 32 : 250_000 + 32]
    middle[:] = PICTURES[0][:8, :1]
    assert encoder.picture(slim) == pytest.approx(encoder.picture(middle), abs=1e-6)


def test_a_matrix_is_computed_once_and_kept_for_this_encoder_alone(
    encoder, folder, cache, monkeypatch
):
    first = encoder.matrix(WORDS)
    (kept,) = cache.rglob("*.safetensors")
    assert kept.relative_to(cache).parts[0] == encoder.encoder_id
    assert kept.stem == WORDS.sha256
    again = taggers.load(folder)
    reads = [counted(each, "read", monkeypatch) for each in (encoder, again)]
    assert (encoder.matrix(WORDS) == first).all()
    assert (again.matrix(WORDS) == first).all()
    assert reads == [[], []]
    again.matrix(Vocabulary.of("", ["cup"]))
    assert len(list(cache.rglob("*.safetensors"))) == 1, "labels of the moment are not kept"


def test_a_damaged_file_or_a_folder_that_cannot_be_written_costs_time_only(
    encoder, folder, cache, tmp_path, monkeypatch
):
    first = encoder.matrix(WORDS)
    (kept,) = cache.rglob("*.safetensors")
    kept.write_bytes(b"cut off")
    assert (taggers.load(folder).matrix(WORDS) == first).all()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept"):
        unkept = taggers.load(folder)
    assert (unkept.matrix(WORDS) == first).all()


def test_other_words_or_weights_make_another_encoder(folder, tmp_path):
    other = save_clip(tmp_path / "other")
    assert taggers.load(other).encoder_id == taggers.load(folder).encoder_id
    tokens = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps(tokens, indent=1))
    names = {taggers.load(other).encoder_id}
    weights = load_file(other / "model.safetensors")
    weights["visual_projection.weight"] += 1
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    names.add(taggers.load(other).encoder_id)
    assert len(names | {taggers.load(folder).encoder_id}) == 3


@pytest.mark.parametrize("change", ["missing", "left over", "shape"])
def test_weights_that_do_not_fit_are_refused(tmp_path, change):
    save_clip(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    if change == "missing":
        del weights["visual_projection.weight"]
    elif change == "left over":
        weights["text_model.encoder.layers.2.mlp.fc1.bias"] = torch.zeros(24)
    else:
        weights["visual_projection.weight"] = torch.zeros(12, 17)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(RuntimeError, match=r"do not fit.*(visual_projection|layers\.2)"):
        taggers.load(tmp_path)


def test_weights_as_the_first_releases_hold_them_are_read(encoder, tmp_path):
    """A pickle that torch reads as weights only, with the positions that were stored then."""
    save_clip(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(64)[None]
    torch.save(weights, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert (taggers.load(tmp_path).see(PICTURES) == encoder.see(PICTURES)).all()


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json"])
def test_a_missing_file_is_named(tmp_path, name):
    (save_clip(tmp_path) / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        taggers.load(tmp_path)


def test_a_broken_tokenizer_is_a_plain_error(tmp_path):
    (save_clip(tmp_path) / "tokenizer.json").write_text('{"version": "9", "model": {}}')
    with pytest.raises(ValueError, match=r"tokenizer in .* cannot be read"):
        taggers.load(tmp_path)


def test_an_unknown_kind_of_tagger_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}')
    with pytest.raises(ValueError, match="known: 'clip'"):
        taggers.load(tmp_path)


def test_labels_are_ranked_by_cosine_and_say_that_they_are_no_probabilities(encoder, tmp_path):
    here = executor(tmp_path, encoder, TagPicture(threshold=-1.0))
    labels = [entry[0] for entry in WORDS.entries]
    tags = value(run(here, "tag", labels=[*labels, " cup "], top_k=3))
    cosines = encoder.matrix(WORDS) @ encoder.picture(PICTURES[0])
    assert [tag.label for tag in tags.tags] == [labels[i] for i in np.argsort(-cosines)[:3]]
    assert tags.tags[0].score == pytest.approx(cosines.max(), abs=1e-6)
    assert (tags.score_kind, tags.threshold) == (COSINE, -1.0)
    assert tags.encoder == encoder.encoder_id
    assert tags.unknown == []
    assert tags.vocabulary is None
    assert value(run(executor(tmp_path, encoder, TagPicture(threshold=1.0)), "tag")).tags == []


def test_a_vocabulary_is_the_users_own_or_one_of_the_package(encoder, tmp_path):
    (tmp_path / "pets.txt").write_text("cat\ndog\n")
    mine = {"pets": tmp_path / "pets.txt", "tools": ["hammer", "saw"]}
    here = executor(tmp_path, encoder, TagPicture(mine, threshold=-1.0))
    pets = value(run(here, "tag", vocabulary="pets"))
    assert {tag.label for tag in pets.tags} == {"cat", "dog"}
    assert pets.vocabulary == "pets"
    assert pets.vocabulary_sha256 == Vocabulary.of("", ["cat", "dog"]).sha256
    assert {tag.label for tag in value(run(here, "tag", vocabulary="tools")).tags} == {
        "hammer",
        "saw",
    }
    assert len(value(run(here, "tag", vocabulary="coco", top_k=100)).tags) == 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vocabulary": "petz"}, "no vocabulary 'petz'; did you mean 'pets'"),
        ({"vocabulary": "tints"}, "attributes, not labels"),
        ({"labels": ["cup"], "vocabulary": "coco"}, "not both"),
        ({"labels": ["cup", " "]}, "blank"),
        ({"labels": ["\ud800"]}, "no text"),
        ({"labels": ["cup " * 500]}, "use a short phrase"),
    ],
)
def test_a_wrong_call_says_how_to_call(encoder, tmp_path, arguments, words):
    fault = run(
        executor(tmp_path, encoder, TagPicture({"pets": ["cat"]})), "tag", **arguments
    ).fault
    assert fault is not None
    assert fault.is_retryable
    assert words in fault.message


def test_a_tagger_with_words_of_its_own_takes_no_vocabulary(tmp_path):
    from tests.fakes import FakeTagger

    fault = run(executor(tmp_path, FakeTagger([]), TagPicture()), "tag", vocabulary="coco").fault
    assert fault is not None
    assert "leave out the vocabulary" in fault.message


def test_a_picture_is_encoded_once_for_tags_and_attributes(encoder, tmp_path, monkeypatch):
    seen = counted(encoder, "see", monkeypatch)
    here = executor(tmp_path, encoder, TagPicture(), DescribeAttributes(threshold=-1.0))
    value(run(here, "tag", labels=["cup"]))
    pairs = value(run(here, "describe_attributes", top_k=4)).pairs
    value(run(here, "tag", vocabulary="miniature"))
    assert seen == [1]
    assert len(pairs) == 4
    assert [pair.score for pair in pairs] == sorted((p.score for p in pairs), reverse=True)
    value(run(here, "tag", image="image_2"))
    value(run(here, "describe_attributes", region=(10, 10, 40, 30)))
    assert seen == [1, 1, 1]


def test_attributes_are_pairs_of_the_users_vocabulary_in_the_region(encoder, tmp_path):
    parts = [("cup", "a handle"), ("dog", "a tail"), ("dog", "red fur")]
    here = executor(tmp_path, encoder, DescribeAttributes(parts, threshold=-1.0))
    whole = value(run(here, "describe_attributes"))
    assert {(pair.object, pair.attribute) for pair in whole.pairs} == set(parts)
    assert whole.score_kind == COSINE
    assert (whole.objects, whole.tints) == ([], [])
    part = value(run(here, "describe_attributes", region=(10, 10, 40, 30)))
    crop, _ = cut(PICTURES[0], Box.of((10, 10, 40, 30)), 0.1)
    cosines = encoder.matrix(Vocabulary.of("", parts)) @ encoder.picture(crop)
    assert part.pairs[0].score == pytest.approx(cosines.max(), abs=1e-6)
    fault = run(here, "describe_attributes", region=(10, 10, 11, 11)).fault
    assert fault is not None
    assert "take one of 8" in fault.message


def test_settings_with_the_wrong_kind_of_vocabulary_are_refused():
    with pytest.raises(ValueError, match="takes labels"):
        TagPicture({"parts": [("cup", "a handle")]})
    with pytest.raises(ValueError, match="takes pairs"):
        DescribeAttributes(["cup"])


def test_other_settings_are_another_version_for_caches_and_provenance():
    versions = {
        tool.version
        for tool in (
            TagPicture(),
            TagPicture(threshold=0.3),
            TagPicture({"pets": ["cat"]}),
            TagPicture({"pets": ["dog"]}),
        )
    }
    assert len(versions) == 4
    assert TagPicture().version == TagPicture.version
