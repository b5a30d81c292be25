"""Released files become a core that speaks as the reference does, or a precise error."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from nuthatch.__main__ import CONVERSIONS, main
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.convert.command import sources_of
from nuthatch.mllm.convert.reading import CheckpointError
from nuthatch.mllm.convert.released import convert
from nuthatch.mllm.core import Core
from nuthatch.mllm.encoders.beats import Beats, BeatsConfig
from nuthatch.mllm.presets import Preset, chatbridge, llava, llava_plus
from nuthatch.mllm.processing import CoreProcessor
from tests.mllm.released import (
    GOLDEN,
    released_config,
    released_core,
    released_tokenizer,
    released_weights,
)

LANGUAGE = "llama_model."
DEAF = "for hearing, which this core does not"


def files(folder: Path, **changes: object) -> dict[str, Path]:
    """A checkpoint as it is released, with its optimizer, and a language model in a folder."""
    weights = released_weights()
    language = {n.removeprefix(LANGUAGE): weights.pop(n) for n in list(weights) if LANGUAGE in n}
    checkpoint = {"model": {**weights, **changes}, "optimizer": {"lr": 1.0}, "epoch": 3}
    torch.save(checkpoint, folder / "checkpoint.pth")
    (folder / "vicuna").mkdir()
    torch.save(language, folder / "vicuna" / "pytorch_model.bin")
    text = released_config().text_config.to_dict()
    (folder / "vicuna" / "config.json").write_text(json.dumps(text, default=str))
    return {"checkpoint": folder / "checkpoint.pth", "vicuna": folder / "vicuna"}


@torch.inference_mode()
def test_a_checkpoint_and_its_language_model_become_the_same_core(tmp_path: Path) -> None:
    report = convert(chatbridge, files(tmp_path), tmp_path / "core", config=released_config())
    core, expected = Core.from_pretrained(tmp_path / "core"), released_core().state_dict()
    assert core.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[n]) for n, value in core.state_dict().items())
    golden = load_file(GOLDEN / "chatbridge_activations.safetensors")
    close = torch.testing.assert_close
    close(core.embed_image(golden["video"]), golden["video_embeds"], atol=1e-5, rtol=0)
    said = "\n".join(report.lines())
    assert "tensors used" in said
    assert "a constant that is computed anew" in said
    assert "not for commercial use" in said


def test_the_norm_that_is_never_trained_need_not_be_in_a_file(tmp_path: Path) -> None:
    sources = files(tmp_path)
    saved = torch.load(sources["checkpoint"], weights_only=True)
    saved["model"] = {n: v for n, v in saved["model"].items() if not n.startswith("ln_audio.")}
    torch.save(saved, sources["checkpoint"])
    report = convert(chatbridge, sources, tmp_path / "core", config=released_config())
    assert report.filled == ["bridge.audio_norm.weight", "bridge.audio_norm.bias"]
    norm = Core.from_pretrained(tmp_path / "core").bridge.audio_norm
    assert bool((norm.weight == 1).all() and (norm.bias == 0).all())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"extra.weight": torch.zeros(1)}, CheckpointError, r"1 tensors are not known.*extra"),
        ({"llama_proj.bias": torch.zeros(7)}, ValueError, r"llama_proj\.bias.*\(7,\).*\(40,\)"),
    ],
)
def test_files_that_do_not_make_the_core_are_errors_that_name_the_tensor(
    tmp_path: Path, changes: dict[str, Tensor], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        convert(chatbridge, files(tmp_path, **changes), tmp_path / "core", config=released_config())
    assert not (tmp_path / "core" / "model.safetensors").exists()


def test_what_no_file_holds_is_named(tmp_path: Path) -> None:
    sources = {"checkpoint": files(tmp_path)["checkpoint"]}
    with pytest.raises(ValueError, match=r"missing: .*language_model"):
        convert(chatbridge, sources, tmp_path / "core", config=released_config())
    with pytest.raises(ValueError, match=r"given llama, expected some of eva, blip2"):
        convert(chatbridge, {"llama": tmp_path}, tmp_path / "core")


def test_ears_can_be_left_out(tmp_path: Path) -> None:
    config = released_config(senses=("image",))
    sources = files(tmp_path)
    report = convert(chatbridge, sources, tmp_path / "core", config=config)
    assert any("audio_encoder." in name for name in report.dropped[DEAF])
    assert "tokenizer.json" in "\n".join(report.lines()), "says what is missing"
    core, whole = Core.from_pretrained(tmp_path / "core"), released_core()
    picture = torch.randn(1, 3, *[config.vision_config.image_size] * 2)
    torch.testing.assert_close(core.embed_image(picture), whole.embed_image(picture))


def small_vicuna_of(vicuna: Path, **config: object) -> Path:
    """The same with a configuration of 2023, which names other tokens and much besides."""
    text = json.loads((vicuna / "config.json").read_text())
    more = {"pad_token_id": -1, "mm_hidden_size": 1024, "model_type": "llama"}
    (vicuna / "config.json").write_text(json.dumps(text | more | config))
    return vicuna


def small_preset(**changes: object) -> Preset:
    """ChatBridge with the language model that is given and tiny everything else."""
    config = released_config(prompt_style="v0")
    sizes = config.to_dict() | {"text_config": config.text_config} | changes
    return Preset(CoreConfig(**sizes), chatbridge.CHAT)


class SmallChatBridge:
    SOURCES, NEVER_TRAINED = chatbridge.SOURCES, chatbridge.NEVER_TRAINED
    preset = staticmethod(small_preset)


def test_the_language_models_tokenizer_comes_along_with_placeholders(tmp_path: Path) -> None:
    sources = files(tmp_path)
    released_tokenizer().save_pretrained(sources["vicuna"])
    strange = tmp_path / "blip2"  # also a folder, with a tokenizer that is not the core's
    strange.mkdir()
    sources["checkpoint"].rename(strange / "pytorch_model.bin")
    small = released_tokenizer()
    small.add_tokens(["<strange>"] * 3)
    small.save_pretrained(strange)
    sources["vicuna"] = small_vicuna_of(sources["vicuna"])
    report = convert(
        SmallChatBridge, {"vicuna": sources["vicuna"], "checkpoint": strange}, tmp_path / "core"
    )
    assert report.tokenizer == sources["vicuna"]
    processor = CoreProcessor.from_pretrained(tmp_path / "core")
    named = processor.tokenizer.convert_tokens_to_ids(["<image>", "<audio>"])
    assert tuple(named) == processor.config.media_token_ids
    text = processor.config.text_config
    assert (text.pad_token_id, text.bos_token_id) == (
        released_config().text_config.pad_token_id,
        released_config().text_config.bos_token_id,
    )
    assert not hasattr(text, "mm_hidden_size")
    assert any("optimizer, epoch" in line for line in report.lines())


def test_a_language_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    sources = files(tmp_path)
    small_vicuna_of(sources["vicuna"], model_type="gpt2")
    with pytest.raises(ValueError, match="type 'gpt2', expected a Llama or Vicuna"):
        convert(SmallChatBridge, sources, tmp_path / "core")


def test_another_vicuna_that_is_taken_all_the_same_has_no_style(tmp_path: Path) -> None:
    sources = files(tmp_path)
    small_vicuna_of(sources["vicuna"])
    usual = {"text_config": released_config().text_config.to_dict() | {"vocab_size": 120}}

    class OtherVicuna(SmallChatBridge):
        preset = staticmethod(lambda **changes: small_preset(**(usual | changes)))

    with pytest.raises(ValueError, match=r"has 99 tokens.*Vicuna of 120.*--any-language-model"):
        convert(OtherVicuna, sources, tmp_path / "core")
    convert(OtherVicuna, sources, tmp_path / "core", any_language_model=True)
    assert CoreConfig.from_pretrained(tmp_path / "core").prompt_style == ""


@pytest.mark.parametrize("half", ["q_bias", "v_bias"])
def test_a_bias_of_another_size_or_without_its_half_is_refused(tmp_path: Path, half: str) -> None:
    name = f"visual_encoder.blocks.0.attn.{half}"
    sources = files(tmp_path, **{name: torch.zeros(5)})
    with pytest.raises(ValueError, match=rf"{half} \(checkpoint\): \(5,\), expected"):
        convert(chatbridge, sources, tmp_path / "core", config=released_config())
    saved = torch.load(sources["checkpoint"], weights_only=True)
    del saved["model"][name]
    torch.save(saved, sources["checkpoint"])
    with pytest.raises(ValueError, match="not the bias that belongs to it"):
        convert(chatbridge, sources, tmp_path / "core", config=released_config())


def test_what_a_released_file_says_of_itself_is_believed() -> None:
    assert llava.found_in(["model.mm_projector.0.weight", "model.mm_projector.2.weight"], {}) == {
        "projector_layers": 2
    }
    assert llava.found_in(["model.mm_projector.weight"], {}) == {}
    assert llava_plus.found_in([], {"vocab_size": 32000})["version"] == "v1"
    assert llava_plus.found_in([], {"vocab_size": 32003})["version"] == "v0"


def test_what_was_not_given_is_named(tmp_path: Path) -> None:
    sources = {"vicuna": files(tmp_path)["vicuna"]}
    with pytest.raises(ValueError, match="not given: eva, blip2, beats, checkpoint"):
        convert(chatbridge, sources, tmp_path / "core", config=released_config())


def test_another_vicuna_than_the_system_was_trained_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 99 tokens.*Vicuna of 32,001.*gibberish"):
        convert(chatbridge, files(tmp_path), tmp_path / "core")


def test_the_command_converts_and_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = tmp_path / "sizes.json"
    config: CoreConfig = released_config()
    sizes.write_text(json.dumps(config.to_dict(), default=str))
    given = files(tmp_path)
    released_tokenizer().save_pretrained(given["vicuna"])
    sources = [f"--source={name}={path}" for name, path in given.items()]
    out = tmp_path / "core"
    words = ["convert", "chatbridge", *sources, f"--sizes={sizes}", f"--out={out}"]
    assert main(words) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    assert isinstance(Core.from_pretrained(out), Core)
    assert CoreProcessor.from_pretrained(out).tokenizer.get_vocab() == (
        released_tokenizer().get_vocab()
    )
    assert (out / "model.safetensors").stat().st_mode & 0o444 == 0o444
    assert main(words) == 2, "the folder holds weights already"
    assert main(["convert", "chatbridge", "--source=x", f"--out={out}"]) == 2
    assert main(["convert", "beats", *sources, f"--out={tmp_path / 'beats'}"]) == 2


def test_an_encoder_alone_is_converted_by_the_sizes_in_its_file(tmp_path: Path) -> None:
    released = released_weights()
    state = {
        name.removeprefix("audio_encoder."): value
        for name, value in released.items()
        if name.startswith("audio_encoder.")
    }
    cfg = json.loads((GOLDEN / "chatbridge_config.json").read_text())["beats"]
    torch.save({"cfg": cfg, "model": state}, tmp_path / "beats.pt")
    out = tmp_path / "out"
    assert (
        main(["convert", "beats", f"--source=checkpoint={tmp_path / 'beats.pt'}", f"--out={out}"])
        == 0
    )
    sizes = json.loads((out / "config.json").read_text())
    assert sizes.pop("model_type") == "beats"
    Beats(BeatsConfig(**sizes)).load_state_dict(load_file(out / "model.safetensors"))


def test_a_delta_is_added_and_new_tokens_are_its_own(tmp_path: Path) -> None:
    base = {"model.embed_tokens.weight": torch.ones(3, 2), "lm_head.weight": torch.ones(3, 2)}
    delta = {name: torch.full((4, 2), 0.5) for name in base}
    torch.save(base, tmp_path / "base.bin")
    torch.save(delta, tmp_path / "delta.bin")
    sources = [f"--source={name}={tmp_path / name}.bin" for name in ("base", "delta")]
    assert main(["convert", "vicuna-delta", *sources, f"--out={tmp_path / 'vicuna'}"]) == 0
    whole = load_file(tmp_path / "vicuna" / "model.safetensors")
    assert whole["lm_head.weight"].tolist() == [[1.5, 1.5]] * 3 + [[0.5, 0.5]]


def test_the_help_names_the_files_of_each_kind() -> None:
    assert {kind: tuple(names.split()) for kind, names in CONVERSIONS.items()} == {
        kind: sources_of(kind) for kind in CONVERSIONS
    }
    with pytest.raises(ValueError, match=f"expected one of {', '.join(CONVERSIONS)}"):
        sources_of("blip3")
