"""BEATs as released with its classifier, with tiny random weights in the released format."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nuthatch.mllm.encoders.beats import Beats, BeatsConfig
from nuthatch.mllm.encoders.fbank import beats_filter_bank
from nuthatch.tools.audio.audioset_tagger import AudioSetTagger
from nuthatch.tools.audio.load_sound_tagger import load
from nuthatch.tools.audio.tag_sound import SoundEvents, TagSound
from nuthatch.tools.base import ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights

FILE = "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt"
IDS = ["/m/0bt9lr", "/m/05tny_", "/m/09x0r", "/m/04rlf", "/t/dd00038"]
LIST = 'index,mid,display_name\n0,/m/09x0r,"Speech"\n7,/m/05tny_,"Bark"\n3,/m/0bt9lr,"Dog"\n'
TINY = BeatsConfig(
    embed_dim=8,
    encoder_layers=2,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=16,
    encoder_attention_heads=2,
    conv_pos=8,
    conv_pos_groups=2,
    num_buckets=16,
    max_distance=32,
)


def released(**changes: Any) -> dict[str, Any]:
    """What the file holds: settings, tensors (a position table in every layer), and the classes."""
    torch.manual_seed(0)
    beats, predictor = Beats(TINY), torch.nn.Linear(16, len(IDS))
    torch.nn.init.normal_(predictor.weight)
    model = {name: tensor.clone() for name, tensor in beats.state_dict().items()}
    table = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
    model[table.format(1)] = model[table.format(0)].clone()
    model |= {f"predictor.{name}": tensor for name, tensor in predictor.state_dict().items()}
    settings = asdict(TINY) | {"dropout": 0.1, "deep_norm": True, "activation_fn": "gelu"}
    settings |= {"finetuned_model": True, "predictor_class": len(IDS), "predictor_dropout": 0.1}
    whole = {"cfg": settings, "model": model, "label_dict": dict(enumerate(IDS))}
    return {**whole, **changes}


def folder(path: Path, names: str | None = LIST, **changes: Any) -> Path:
    torch.save(released(**changes), path / FILE)
    if names is not None:
        (path / "class_labels_indices.csv").write_text(names, encoding="utf-8")
    return path


def noise(seconds: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000))
    return samples.astype(np.float32)


def test_a_released_file_loads_with_all_its_weights_and_classes(tmp_path: Path) -> None:
    tagger = load(folder(tmp_path))
    assert isinstance(tagger, AudioSetTagger)
    assert tagger.events == ("Dog", "Bark", "Speech", "/m/04rlf", "/t/dd00038")
    assert not tagger.training
    given = released()["model"]
    for name, tensor in tagger.state_dict().items():
        assert torch.equal(tensor, given[name.removeprefix("beats.")]), name


def test_without_the_list_of_names_a_class_is_called_by_its_id(tmp_path: Path) -> None:
    assert load(folder(tmp_path, names=None)).events == tuple(IDS)


def test_scores_are_the_sigmoid_of_the_mean_over_tokens(tmp_path: Path) -> None:
    tagger = load(folder(tmp_path))
    sound = noise(1.3)
    model = released()["model"]
    encoder = Beats(TINY)
    encoder.load_state_dict(
        {name: tensor for name, tensor in model.items() if not name.startswith("predictor.")}
    )
    with torch.inference_mode():
        features = encoder.eval()(beats_filter_bank(torch.from_numpy(sound)[None], 128))[0]
        assert len(features) == 8 * 8  # 128 frames, cut to whole patches; 128 bands
        scores = features @ model["predictor.weight"].T + model["predictor.bias"]
    expected = scores.mean(0).sigmoid()
    assert dict(tagger.tag(sound)) == pytest.approx(
        dict(zip(tagger.events, expected.tolist(), strict=True)), abs=1e-5
    )
    assert (scores.sigmoid().mean(0) - expected).abs().max() > 1e-3  # the other order would show


@pytest.mark.parametrize("seconds", [1 / 16_000, 0.1, 0.175, 1, 10, 10.01, 31])
def test_a_sound_of_any_length_is_heard_within_its_own_time(tmp_path: Path, seconds: float) -> None:
    sound = noise(seconds)
    heard = load(folder(tmp_path)).listen(sound)
    assert len(heard) == len(IDS)
    for event in heard:
        assert 0 < event.probability < 1
        assert 0 <= event.start < event.end <= len(sound) / 16_000
        assert event.end - event.start <= 10


def test_a_long_sound_is_as_likely_as_its_surest_window(tmp_path: Path) -> None:
    tagger = load(folder(tmp_path))
    sound = np.concatenate([noise(10), np.zeros(160_000, np.float32)])
    windows = [dict(tagger.tag(sound[start : start + 160_000])) for start in (0, 80_000, 160_000)]
    for event, probability in tagger.tag(sound):
        assert probability == pytest.approx(max(window[event] for window in windows), abs=1e-5)


def test_the_tool_says_what_it_hears_and_what_makes_it(tmp_path: Path) -> None:
    tagger = load(folder(tmp_path))
    weights = Weights()
    weights.put("tag_sound", tagger)
    media = MediaStore(tmp_path / "media")
    media.add_audio(noise(1))
    executor = ToolExecutor(ToolSet([TagSound()]), media, weights)
    result = executor.execute(ToolCall("call_1", "tag_sound", {"audio": "audio_1", "top_k": 5}))
    assert isinstance(result.value, SoundEvents), result.fault
    assert {each.event: (each.description, each.object) for each in result.value.events} == {
        "Dog": ("dog", "dog"),
        "Bark": ("bark", "dog"),
        "Speech": ("speech", "person"),
        "/m/04rlf": ("/m/04rlf", "/m/04rlf"),
        "/t/dd00038": ("/t/dd00038", "/t/dd00038"),
    }
    scores = [each.score for each in result.value.events]
    assert scores == sorted(scores, reverse=True)


def test_the_weights_service_loads_it_by_its_name(tmp_path: Path) -> None:
    weights = Weights(folders={"tag_sound": folder(tmp_path)})
    assert weights.status("tag_sound").present
    assert isinstance(weights.get("tag_sound"), AudioSetTagger)


# -- files that are something else ----------------------------------------------------------------


def without(part: str) -> dict[str, Any]:
    model = released()["model"]
    return {name: tensor for name, tensor in model.items() if not name.startswith(part)}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": without("predictor")}, "take one of those called finetuned_on_AS2M"),
        ({"model": None}, "is no BEATs with a classifier"),
        ({"label_dict": None}, "does not say what its 5 classes are"),
        ({"label_dict": {0: "/m/0bt9lr"}}, "expected 'label_dict' with the keys 0 to 4"),
        ({"label_dict": dict.fromkeys(range(5), "/m/0bt9lr")}, "two classes .* the same name"),
        ({"cfg": asdict(TINY) | {"layer_norm_first": True}}, "layer_norm_first=True"),
        ({"names": "index,id,name\n"}, "expected mid, display_name"),
    ],
)
def test_another_file_is_refused_with_what_to_take(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load(folder(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": without("encoder.layers.1.fc1")}, "Missing key"),
        ({"model": released()["model"] | {"quantize.weight": torch.ones(2)}}, "Unexpected key"),
        ({"cfg": asdict(TINY) | {"conv_pos": 16}}, "size mismatch"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(RuntimeError, match=says):
        load(folder(tmp_path, **changes))


def test_a_file_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    torch.save({"cfg": {}, "model": print}, tmp_path / FILE)
    with pytest.raises(pickle.UnpicklingError):
        load(tmp_path)


def test_two_files_in_a_folder_are_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "BEATs_iter3.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="leave one of them there"):
        load(tmp_path)


def test_a_converted_encoder_has_no_classifier(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "beats"}')
    with pytest.raises(ValueError, match="an encoder without a classifier"):
        load(tmp_path)
