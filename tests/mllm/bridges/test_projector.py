import json

import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.bridges.projector import Projector, ProjectorConfig
from tests.paths import GOLDEN

TOLERANCE = 1e-5


@torch.inference_mode()
def test_two_layers_agree_with_the_reference() -> None:
    golden = load_file(GOLDEN / "llava_projector.safetensors")
    projector = Projector(ProjectorConfig(encoder_hidden_size=24, hidden_size=32))
    projector.load_state_dict(
        {
            name.removeprefix("projector."): tensor
            for name, tensor in golden.items()
            if name.startswith("projector.")
        }
    )
    ours = projector(golden["input"])
    torch.testing.assert_close(ours, golden["output"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_one_layer_is_a_linear_map() -> None:
    projector = Projector(ProjectorConfig(encoder_hidden_size=24, hidden_size=32, num_layers=1))
    features = torch.randn(2, 9, 24)
    weight, bias = projector.state_dict().values()
    torch.testing.assert_close(projector(features), features @ weight.T + bias)


def test_k_layers_have_the_names_of_the_released_files() -> None:
    projector = Projector(ProjectorConfig(encoder_hidden_size=24, hidden_size=32, num_layers=3))
    linear = {name.split(".")[0] for name in projector.state_dict()}
    assert linear == {"0", "2", "4"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_feature_becomes_a_token_and_every_parameter_learns(dtype: torch.dtype) -> None:
    projector = Projector(ProjectorConfig(encoder_hidden_size=24, hidden_size=32)).to(dtype)
    tokens = projector(torch.randn(2, 9, 24, dtype=dtype))
    assert tokens.shape == (2, 9, 32)
    assert tokens.dtype == dtype
    tokens.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in projector.parameters())


def test_released_sizes_have_the_released_shapes() -> None:
    with torch.device("meta"):
        projector = Projector(ProjectorConfig())
    assert {name: tuple(tensor.shape) for name, tensor in projector.state_dict().items()} == {
        "0.weight": (4096, 1024),
        "0.bias": (4096,),
        "2.weight": (4096, 4096),
        "2.bias": (4096,),
    }


def test_a_config_survives_json() -> None:
    config = ProjectorConfig(encoder_hidden_size=24, hidden_size=32, num_layers=3)
    assert ProjectorConfig(**json.loads(json.dumps(config.to_dict()))).to_dict() == config.to_dict()


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="num_layers=0, expected at least 1"):
        ProjectorConfig(num_layers=0)
