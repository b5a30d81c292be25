import json

import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.bridges.latents import LatentProjection, LatentsConfig
from tests.paths import GOLDEN

TOLERANCE = 1e-5
TINY = LatentsConfig(
    encoder_hidden_size=24, hidden_size=32, num_attention_heads=4, num_query_tokens=5
)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "kosmos2_projection.safetensors")


@pytest.fixture
def projection(golden: dict[str, torch.Tensor]) -> LatentProjection:
    model = LatentProjection(TINY)
    prefix = "projection."
    model.load_state_dict(
        {n.removeprefix(prefix): t for n, t in golden.items() if n.startswith(prefix)}
    )
    return model


@torch.inference_mode()
def test_agrees_with_the_reference(
    projection: LatentProjection, golden: dict[str, torch.Tensor]
) -> None:
    ours = projection(golden["features"])
    torch.testing.assert_close(ours, golden["output"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_bfloat16_gives_the_same_to_its_precision(
    projection: LatentProjection, golden: dict[str, torch.Tensor]
) -> None:
    ours = projection.bfloat16()(golden["features"].bfloat16())
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), golden["output"], atol=0.05, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("sources", [1, 9, 100])
def test_the_output_has_one_size_for_any_number_of_features(
    projection: LatentProjection, sources: int
) -> None:
    tokens = projection(torch.randn(2, sources, 24))
    assert tokens.shape == (2, 5, 32)


@torch.inference_mode()
def test_the_order_of_the_features_does_not_matter(projection: LatentProjection) -> None:
    features = torch.randn(2, 9, 24)
    torch.testing.assert_close(
        projection(features), projection(features.flip(1)), atol=TOLERANCE, rtol=0
    )


def test_every_parameter_learns(projection: LatentProjection) -> None:
    projection(torch.randn(2, 9, 24)).square().sum().backward()
    sizes = {n: 0.0 if p.grad is None else p.grad.norm() for n, p in projection.named_parameters()}
    del sizes["x_attn.k_proj.bias"]  # cancels in the softmax
    assert all(size > 1e-3 for size in sizes.values()), sizes


def test_released_sizes_have_the_released_shapes() -> None:
    with torch.device("meta"):
        projection = LatentProjection(LatentsConfig())
    maps = [f"x_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj")]
    assert {name: tuple(tensor.shape) for name, tensor in projection.state_dict().items()} == {
        "dense.weight": (2048, 1024),
        "dense.bias": (2048,),
        "latent_query": (64, 2048),
        **{f"{name}.weight": (2048, 2048) for name in maps},
        **{f"{name}.bias": (2048,) for name in maps},
    }


def test_a_config_survives_json() -> None:
    assert LatentsConfig(**json.loads(json.dumps(TINY.to_dict()))).to_dict() == TINY.to_dict()


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_size=32, expected a multiple of num_attention"):
        LatentsConfig(hidden_size=32, num_attention_heads=5)
