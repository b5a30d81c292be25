import json
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from nuthatch.mllm.bridges.resampler import Resampler, ResamplerConfig, sine_cosine_table
from tests.paths import GOLDEN

TOLERANCE = 1e-5
TINY = ResamplerConfig(
    encoder_hidden_size=24,
    hidden_size=32,
    num_attention_heads=4,
    grid_size=4,
    output_projection=False,
)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "qwen_resampler.safetensors")


@pytest.fixture
def resampler(golden: dict[str, torch.Tensor]) -> Resampler:
    model = Resampler(TINY)
    model.load_state_dict(released(golden))
    return model


def released(golden: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prefix = "resampler."
    return {n.removeprefix(prefix): t for n, t in golden.items() if n.startswith(prefix)}


def counted(calls: list[int]) -> Callable[..., torch.Tensor]:
    original = F.interpolate

    def interpolate(*args: object, **kwargs: object) -> torch.Tensor:
        calls.append(1)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    return interpolate


def test_positions_agree_with_the_reference(golden: dict[str, torch.Tensor]) -> None:
    ours = sine_cosine_table(4, 32)
    torch.testing.assert_close(ours, golden["pos_table_4x4"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(Resampler(TINY).pos_embed, ours, atol=0, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("side", [4, 6, 8])
def test_agrees_with_the_reference_on_every_grid(
    resampler: Resampler, golden: dict[str, torch.Tensor], side: int
) -> None:
    positions = resampler.key_positions(side)
    torch.testing.assert_close(
        positions, golden[f"grid{side}/key_position"], atol=TOLERANCE, rtol=0
    )
    ours = resampler(golden[f"grid{side}/input"])
    torch.testing.assert_close(ours, golden[f"grid{side}/output"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_the_output_projection_stands_behind_a_norm(golden: dict[str, torch.Tensor]) -> None:
    config = ResamplerConfig(**(TINY.to_dict() | {"output_projection": True}))
    last = {"ln_post.weight": torch.randn(32), "ln_post.bias": torch.randn(32)}
    last["proj"] = torch.randn(32, 32)
    model = Resampler(config)
    model.load_state_dict(released(golden) | last)
    normed = F.layer_norm(
        golden["grid8/output"], (32,), last["ln_post.weight"], last["ln_post.bias"], 1e-6
    )
    ours = model(golden["grid8/input"])
    torch.testing.assert_close(ours, normed @ last["proj"], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_where_a_feature_lies_matters(resampler: Resampler) -> None:
    features = torch.randn(1, 36, 24)
    assert not torch.allclose(resampler(features), resampler(features.flip(1)), atol=1e-2)


@pytest.mark.parametrize("sources", [0, 8, 257])
def test_a_number_of_features_that_is_no_square_is_refused(
    resampler: Resampler, sources: int
) -> None:
    with pytest.raises(ValueError, match=f"given {sources} features a medium, expected a square"):
        resampler(torch.randn(1, sources, 24))


@torch.inference_mode()
def test_positions_are_resized_once_a_grid_and_again_only_when_the_table_changes(
    resampler: Resampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(F, "interpolate", counted(calls))
    for side in (6, 8, 6, 8, 4):
        resampler(torch.randn(1, side**2, 24))
    assert len(calls) == 2, "one for each grid that is not the queries' own"
    before, state = resampler.key_positions(6), resampler.state_dict()
    resampler.load_state_dict(state | {"pos_embed": 2 * state["pos_embed"]})
    torch.testing.assert_close(resampler.key_positions(6), 2 * before, atol=TOLERANCE, rtol=0)
    assert resampler.bfloat16().key_positions(6).dtype == torch.bfloat16


def test_the_state_dict_holds_the_queries_table_and_no_resized_one(resampler: Resampler) -> None:
    resampler(torch.randn(1, 64, 24))
    shapes = {name: tuple(tensor.shape) for name, tensor in resampler.state_dict().items()}
    assert [name for name, shape in shapes.items() if "pos" in name] == ["pos_embed"]
    assert shapes["pos_embed"] == (16, 32)


def test_every_parameter_learns_also_after_use_without_gradients() -> None:
    model = Resampler(ResamplerConfig(**(TINY.to_dict() | {"output_projection": True})))
    features = torch.randn(2, 64, 24)
    with torch.inference_mode():
        model(features)  # makes the resized table
    tokens = model(features)
    (tokens * torch.randn_like(tokens)).sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert not model.pos_embed.requires_grad


@torch.inference_mode()
def test_bfloat16_gives_the_same_to_its_precision(
    resampler: Resampler, golden: dict[str, torch.Tensor]
) -> None:
    ours = resampler.bfloat16()(golden["grid8/input"].bfloat16())
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), golden["grid8/output"], atol=0.05, rtol=0)


def test_made_in_bfloat16_all_parts_are() -> None:
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = Resampler(TINY)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    assert torch.equal(model.pos_embed, sine_cosine_table(4, 32).bfloat16()), "rounded once"


def test_released_sizes_have_the_released_shapes() -> None:
    with torch.device("meta"):
        resampler = Resampler(ResamplerConfig())
    assert len(resampler.query) == 256
    assert {name: tuple(tensor.shape) for name, tensor in resampler.state_dict().items()} == {
        "query": (256, 4096),
        "pos_embed": (256, 4096),
        "kv_proj.weight": (4096, 1664),
        "attn.in_proj_weight": (3 * 4096, 4096),
        "attn.in_proj_bias": (3 * 4096,),
        "attn.out_proj.weight": (4096, 4096),
        "attn.out_proj.bias": (4096,),
        "ln_q.weight": (4096,),
        "ln_q.bias": (4096,),
        "ln_kv.weight": (4096,),
        "ln_kv.bias": (4096,),
        "ln_post.weight": (4096,),
        "ln_post.bias": (4096,),
        "proj": (4096, 4096),
    }


def test_a_config_survives_json() -> None:
    assert ResamplerConfig(**json.loads(json.dumps(TINY.to_dict()))).to_dict() == TINY.to_dict()


@pytest.mark.parametrize("width", [30, 36])
def test_a_width_without_room_for_positions_or_heads_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match=f"hidden_size={width}, expected a multiple of 4"):
        ResamplerConfig(hidden_size=width, num_attention_heads=5)
