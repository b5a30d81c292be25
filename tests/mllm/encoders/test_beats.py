import json

import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.encoders.beats import (
    Beats,
    BeatsConfig,
    relative_position_bucket,
    token_padding_mask,
)
from tests.paths import GOLDEN

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def beats() -> Beats:
    released = json.loads((GOLDEN / "beats_config.json").read_text())
    model = Beats(BeatsConfig.from_released(released)).eval()
    model.load_state_dict(load_file(GOLDEN / "beats_state_dict.safetensors"))
    return model


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "beats.safetensors")


@torch.inference_mode()
def test_agrees_with_the_reference(beats: Beats, golden: dict[str, torch.Tensor]) -> None:
    ours = beats(golden["fbank"])
    torch.testing.assert_close(ours, golden["output"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_agrees_with_the_reference_under_a_padding_mask(
    beats: Beats, golden: dict[str, torch.Tensor]
) -> None:
    frames = golden["padding_mask_frames"].bool()
    ours = beats(golden["fbank"], frames)
    assert torch.equal(token_padding_mask(frames, 48), golden["token_padding_mask"].bool())
    torch.testing.assert_close(ours, golden["output_masked"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_each_stage_agrees_with_the_reference(
    beats: Beats, golden: dict[str, torch.Tensor]
) -> None:
    patches = beats.patch_embedding(golden["fbank"].unsqueeze(1)).flatten(2).transpose(1, 2)
    projected = beats.post_extract_proj(beats.layer_norm(patches))
    stages = {
        "patch_tokens": patches,
        "projected": projected,
        "after_pos_conv": beats.encoder.layer_norm(projected + beats.encoder.pos_conv(projected)),
        "position_bias": beats.encoder.position_bias(48),
    }
    for name, ours in stages.items():
        torch.testing.assert_close(
            ours, golden[f"stage/{name}"].view(ours.shape), atol=TOLERANCE, rtol=0
        )


def test_position_buckets_of_the_released_size_agree_with_the_reference() -> None:
    golden = load_file(GOLDEN / "beats_buckets_320_800.safetensors")
    ours = relative_position_bucket(golden["relative_position"].long(), 320, 800)
    assert torch.equal(ours, golden["bucket"].long())


@torch.inference_mode()
def test_what_lies_under_the_padding_mask_changes_no_real_token(
    beats: Beats, golden: dict[str, torch.Tensor]
) -> None:
    frames = golden["padding_mask_frames"].bool()
    # Moments of 16 frames that are partly real keep real tokens, which may hear all their frames.
    whole_moments = frames.view(2, 24, 16).all(dim=-1).repeat_interleave(16, dim=1)
    assert whole_moments.any()
    noisy = golden["fbank"].masked_fill(whole_moments.unsqueeze(-1), 7.0)
    real = ~token_padding_mask(frames, 48)
    before, after = beats(golden["fbank"], frames), beats(noisy, frames)
    torch.testing.assert_close(before[real], after[real])


def test_released_sizes_have_the_released_parameters() -> None:
    with torch.device("meta"):
        state = Beats(BeatsConfig()).state_dict()
    assert len(state) == 250 - 11, "the released file repeats the position table of layer 0"
    assert sum(tensor.numel() for tensor in state.values()) == 90_311_792
    assert state["encoder.pos_conv.0.weight_g"].shape == (1, 1, 128)
    assert state["encoder.layers.11.self_attn.grep_a"].shape == (1, 12, 1, 1)


def test_a_file_that_repeats_the_shared_position_table_loads(beats: Beats) -> None:
    state = load_file(GOLDEN / "beats_state_dict.safetensors")
    name = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
    copy = Beats(beats.config)
    copy.load_state_dict(state | {name.format(1): state[name.format(0)].clone()})
    assert torch.equal(copy.state_dict()[name.format(0)], state[name.format(0)])
    with pytest.raises(ValueError, match="layer 1 has a position table of its own"):
        copy.load_state_dict(state | {name.format(1): state[name.format(0)] + 1})


def test_variants_that_are_not_built_are_refused() -> None:
    with pytest.raises(ValueError, match="layer_norm_first=True is not supported"):
        BeatsConfig.from_released({"layer_norm_first": True})


@pytest.mark.parametrize("shape", [(384, 32), (1, 15, 32), (1, 384, 8), (1, 1, 384, 32)])
def test_a_wrong_shape_is_an_error_that_names_it(beats: Beats, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected \\(batch, frames, bins\\)"):
        beats(torch.zeros(shape))


def test_values_that_are_not_finite_are_an_error(beats: Beats) -> None:
    fbank = torch.zeros(1, 32, 32)
    fbank[0, 3, 3] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity"):
        beats(fbank)


def test_masks_that_cannot_be_meant_are_errors(beats: Beats) -> None:
    fbank = torch.zeros(2, 64, 32)
    with pytest.raises(ValueError, match="padding mask of shape \\(2, 8\\)"):
        beats(fbank, torch.zeros(2, 8, dtype=torch.bool))
    whole = torch.zeros(2, 64, dtype=torch.bool)
    whole[1] = True
    with pytest.raises(ValueError, match="hides a whole sound"):
        beats(fbank, whole)


def test_every_parameter_learns(beats: Beats, golden: dict[str, torch.Tensor]) -> None:
    model = Beats(beats.config)
    model(golden["fbank"][:, :64]).square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
