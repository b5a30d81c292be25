import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.encoders.fbank import kaldi_filter_bank
from nuthatch.mllm.encoders.imagebind import (
    ImageBind,
    ImageBindConfig,
    imagebind_clips,
)
from nuthatch.mllm.presets.names import Part, renamed
from nuthatch.mllm.presets.parts import IMAGEBIND
from tests.paths import GOLDEN

TOLERANCE = 1e-5
FBANK_TOLERANCE = 2e-3 / 9.138
SECOND = 16_000


def released_weights() -> dict[str, torch.Tensor]:
    weights = load_file(GOLDEN / "bubogpt_state_dict.safetensors")
    return {name: weights[name] for name in weights if name.startswith("multimodal_encoder.")}


def converted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return renamed(state, [Part(IMAGEBIND, "multimodal_encoder.", "")])


@pytest.fixture
def imagebind() -> ImageBind:
    sizes = json.loads((GOLDEN / "bubogpt_prompts.json").read_text())["imagebind"]
    config = ImageBindConfig(
        num_mel_bins=sizes["mel"],
        num_frames=sizes["target_len"],
        patch_size=sizes["kernel"],
        patch_stride=sizes["stride"],
        hidden_size=sizes["audio_embed_dim"],
        intermediate_size=4 * sizes["audio_embed_dim"],
        num_hidden_layers=sizes["audio_num_blocks"],
        num_attention_heads=sizes["audio_num_heads"],
    )
    model = ImageBind(config).eval()
    model.load_state_dict(converted(released_weights()))
    return model


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    activations = load_file(GOLDEN / "bubogpt_activations.safetensors")
    # The reference gives every clip the one channel of its convolution.
    return {"clips": activations["audio"].squeeze(2), "features": activations["audio_features"]}


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) / 8


def log_mel(wave: torch.Tensor) -> torch.Tensor:
    """(128, frames) before its length is changed and before it is normalised."""
    return kaldi_filter_bank(wave - wave.mean(), 128, window="hanning").T


def normalised(bank: torch.Tensor) -> torch.Tensor:
    return (bank + 4.268) / 9.138


def squeezed(bank: torch.Tensor, frames: int) -> torch.Tensor:
    """Linear interpolation at the centres of `frames` equal runs, written without torch."""
    before = bank.shape[1]
    centres = (np.arange(frames) + 0.5) * before / frames - 0.5
    rows = [np.interp(centres, np.arange(before), row) for row in bank.numpy()]
    return torch.tensor(np.array(rows), dtype=torch.float32)


@torch.inference_mode()
def test_agrees_with_the_reference(imagebind: ImageBind, golden: dict[str, torch.Tensor]) -> None:
    ours = imagebind(golden["clips"])
    torch.testing.assert_close(ours, golden["features"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_sounds_of_a_batch_are_independent(
    imagebind: ImageBind, golden: dict[str, torch.Tensor]
) -> None:
    clips = golden["clips"]
    alone = torch.cat([imagebind(clip.unsqueeze(0)) for clip in clips])
    torch.testing.assert_close(imagebind(clips), alone)


@torch.inference_mode()
def test_a_sound_is_the_mean_of_its_clips_in_any_order(
    imagebind: ImageBind, golden: dict[str, torch.Tensor]
) -> None:
    clips = golden["clips"]
    together = imagebind(clips)
    apart = torch.stack([imagebind(clips[:, [index]]) for index in range(3)]).mean(dim=0)
    torch.testing.assert_close(together, apart)
    torch.testing.assert_close(together, imagebind(clips[:, [2, 0, 1]]))


@torch.inference_mode()
@pytest.mark.parametrize(("stored", "used"), [(20.0, 20.0), (150.0, 100.0)])
def test_each_vector_of_a_clip_has_the_stored_length_up_to_100(
    imagebind: ImageBind, golden: dict[str, torch.Tensor], stored: float, used: float
) -> None:
    imagebind.log_logit_scale.fill_(math.log(stored))
    lengths = imagebind(golden["clips"][:, :1]).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full((2, 11), used))


def test_released_sizes_have_the_released_parameters() -> None:
    with torch.device("meta"):
        model = ImageBind(ImageBindConfig())
    head = 2 * 768 + 768 * 1024  # norm and projection into the joint space, not built here
    assert sum(p.numel() for p in model.parameters()) + head == 86_235_648
    state = model.state_dict()
    assert len(state) == 6 + 12 * 14  # the logit scale is a buffer and no parameter
    assert state["positions"].shape == (1, 229, 768)
    assert state["blocks.11.attn.in_proj_weight"].shape == (2304, 768)
    assert state["blocks.11.attn.bias_k"].shape == (1, 1, 768)


def test_every_parameter_learns(imagebind: ImageBind, golden: dict[str, torch.Tensor]) -> None:
    model = ImageBind(imagebind.config)
    features = model(golden["clips"])
    # The vectors' lengths are fixed, so only a loss that sees directions teaches anything.
    (features * torch.randn_like(features)).sum().backward()
    idle = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert idle == []


def test_what_imagebinds_own_file_holds_besides_is_dropped(imagebind: ImageBind) -> None:
    own = {n.removeprefix("multimodal_encoder."): v for n, v in released_weights().items()}
    own["modality_heads.audio.0.weight"] = torch.ones(24)
    own["modality_trunks.depth.blocks.0.norm_1.weight"] = torch.ones(24)
    imagebind.load_state_dict(renamed(own, [Part(IMAGEBIND, "", "")]))


def test_a_file_without_the_logit_scale_does_not_load(imagebind: ImageBind) -> None:
    state = released_weights()
    del state["multimodal_encoder.modality_postprocessors.audio.1.log_logit_scale"]
    with pytest.raises(RuntimeError, match="log_logit_scale"):
        imagebind.load_state_dict(converted(state))


def test_a_config_survives_json(imagebind: ImageBind) -> None:
    stored = json.loads(json.dumps(asdict(imagebind.config)))
    assert ImageBindConfig(**stored) == imagebind.config


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"hidden_size": 770}, "hidden_size=770 is no multiple of num_attention_heads=12"),
        ({"num_frames": 15}, "num_frames=15 must be at least patch_size=16"),
    ],
)
def test_sizes_that_cannot_be_built_are_errors(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageBindConfig(**sizes)


@pytest.mark.parametrize(
    "shape", [(3, 32, 64), (2, 0, 32, 64), (2, 3, 64, 32), (2, 3, 32, 63), (2, 3, 1, 32, 64)]
)
def test_clips_of_a_wrong_shape_are_an_error_that_names_it(
    imagebind: ImageBind, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"expected \(sounds, clips, 32, 64\)"):
        imagebind(torch.zeros(shape))


def test_clips_that_are_not_finite_are_an_error(imagebind: ImageBind) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        imagebind(torch.full((1, 1, 32, 64), float("nan")))


def test_a_short_clip_is_the_reference_filter_bank_padded_with_log_mel_zeros() -> None:
    golden = load_file(GOLDEN / "fbank.safetensors")
    wave = golden["waveform_int16"].float() / 2**15
    ours = imagebind_clips(wave, clips=1, clip_seconds=1.0)
    expected = torch.zeros(1, 128, 204)
    expected[0, :, :98] = golden["imagebind_fbank_128"].T
    torch.testing.assert_close(ours, normalised(expected), atol=FBANK_TOLERANCE, rtol=0)


def test_a_clip_of_exactly_204_frames_keeps_its_shape_and_values() -> None:
    wave = noise(400 + 203 * 160)
    ours = imagebind_clips(wave, clips=1, clip_seconds=len(wave) / SECOND)
    torch.testing.assert_close(ours, normalised(log_mel(wave)).unsqueeze(0))


def test_six_clips_of_5_s_are_spread_from_the_start_to_the_end() -> None:
    wave = noise(15 * SECOND)
    ours = imagebind_clips(wave)
    assert ours.shape == (6, 128, 204)
    for index, clip in enumerate(ours):
        part = log_mel(wave[2 * index * SECOND : (2 * index + 5) * SECOND])
        torch.testing.assert_close(clip, normalised(squeezed(part, 204)), atol=1e-4, rtol=0)


def test_the_whole_sound_is_one_more_clip() -> None:
    wave = noise(7 * SECOND)
    ours = imagebind_clips(wave, whole=True)
    torch.testing.assert_close(ours[:6], imagebind_clips(wave))
    expected = normalised(squeezed(log_mel(wave), 204))
    torch.testing.assert_close(ours[6:], expected.unsqueeze(0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("samples", [1, 3 * SECOND, 5 * SECOND])
def test_a_sound_of_at_most_one_clip_is_repeated_to_fill_it(samples: int) -> None:
    wave = noise(samples)
    ours = imagebind_clips(wave, clips=2)
    filled = imagebind_clips(torch.cat([wave] * math.ceil(5 * SECOND / samples))[: 5 * SECOND])
    torch.testing.assert_close(ours, filled[:2])
    torch.testing.assert_close(ours[0], ours[1])


@torch.inference_mode()
def test_clips_of_any_size_are_what_the_encoder_reads(imagebind: ImageBind) -> None:
    clips = imagebind_clips(noise(SECOND), num_mel_bins=32, num_frames=64)
    assert imagebind(clips.unsqueeze(0)).shape == (1, imagebind.config.num_tokens, 24)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(0), r"shape \(0,\).*n > 0"),
        (torch.zeros(1, 800), r"shape \(1, 800\)"),
        (torch.zeros(800, dtype=torch.int16), r"torch\.int16.*floats"),
    ],
)
def test_samples_that_are_no_mono_sound_are_an_error(samples: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imagebind_clips(samples)


def test_samples_that_are_not_finite_are_an_error_even_where_no_clip_is() -> None:
    wave = noise(10 * SECOND)
    wave[9 * SECOND] = float("nan")
    with pytest.raises(ValueError, match="the samples hold NaN or infinity"):
        imagebind_clips(wave, clips=1)


@pytest.mark.parametrize(("clips", "seconds"), [(0, 5.0), (6, 0.02)])
def test_clips_too_few_or_too_short_are_an_error(clips: int, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"clips={clips} of clip_seconds={seconds}"):
        imagebind_clips(torch.zeros(SECOND), clips=clips, clip_seconds=seconds)
