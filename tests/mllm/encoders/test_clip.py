import json
from typing import Any

import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPVisionModel

from nuthatch.mllm.encoders.clip import Clip, ClipConfig
from nuthatch.mllm.presets.names import Part, plan, renamed
from nuthatch.mllm.presets.parts import CLIP_BESIDE, clip

TOLERANCE = 1e-6
TINY = {
    "image_size": 42,
    "patch_size": 14,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


@pytest.fixture(scope="module")
def whole() -> CLIPVisionModel:
    """transformers' encoder with all layers, at weights that let every layer count."""
    torch.manual_seed(0)
    model = CLIPVisionModel(ClipConfig(**TINY)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def tower(whole: CLIPVisionModel, **changes: Any) -> Clip:
    config = ClipConfig(**(TINY | changes))
    released = {f"vision_model.{name}": tensor for name, tensor in whole.state_dict().items()}
    model = Clip(config).eval()
    model.load_state_dict(renamed(released, parts(config)))
    return model


def parts(config: ClipConfig) -> list:
    return [Part(clip(config), "vision_model.", ""), *CLIP_BESIDE]


@torch.inference_mode()
@pytest.mark.parametrize("select_layer", [-4, -3, -2, -1, 0, 1, 3])
def test_features_are_the_patches_of_the_selected_states(
    whole: CLIPVisionModel, select_layer: int
) -> None:
    pixels = torch.randn(2, 3, 42, 42)
    states = whole(pixels, output_hidden_states=True).hidden_states
    ours = tower(whole, select_layer=select_layer).features(pixels)
    assert ours.shape == (2, 9, 32)
    torch.testing.assert_close(ours, states[select_layer][:, 1:], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_the_last_layer_but_one_is_selected_unless_told_otherwise(whole: CLIPVisionModel) -> None:
    pixels = torch.randn(2, 3, 42, 42)
    default, told = tower(whole), tower(whole, select_layer=-2)
    assert torch.equal(default.features(pixels), told.features(pixels))
    assert len(default.encoder.layers) == 2


@torch.inference_mode()
def test_the_class_token_comes_first_where_selected(whole: CLIPVisionModel) -> None:
    pixels = torch.randn(2, 3, 42, 42)
    states = whole(pixels, output_hidden_states=True).hidden_states
    ours = tower(whole, select_class_token=True).features(pixels)
    torch.testing.assert_close(ours, states[-2], atol=TOLERANCE, rtol=0)


def test_of_a_released_file_only_what_has_no_use_is_left_out() -> None:
    texts = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    released = CLIPModel(CLIPConfig(text_config=texts, vision_config=TINY)).state_dict()
    released["vision_model.embeddings.position_ids"] = torch.arange(10).expand(1, -1)
    config = ClipConfig(**TINY)
    Clip(config).load_state_dict(renamed(released, parts(config)))
    dropped = plan(released, parts(config)).dropped
    assert {name for name in dropped if name.startswith("vision_model.")} == {
        "vision_model.embeddings.position_ids",
        "vision_model.post_layernorm.weight",
        "vision_model.post_layernorm.bias",
        *(name for name in released if name.startswith("vision_model.encoder.layers.2.")),
    }
    for beside in CLIP_BESIDE:
        assert any(name.startswith(beside.theirs) for name in dropped), beside


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("vision_model.encoder.layers.1.mlp.fc1.bias", "Missing"),
        ("vision_model.encoder.layers.1.mlp.fc3.bias", "Unexpected"),
    ],
)
def test_a_file_that_lacks_a_weight_or_has_an_unknown_one_does_not_load(
    whole: CLIPVisionModel, name: str, complaint: str
) -> None:
    released = {f"vision_model.{name}": tensor for name, tensor in whole.state_dict().items()}
    if released.pop(name, None) is None:
        released[name] = torch.zeros(1)
    config = ClipConfig(**TINY)
    with pytest.raises(RuntimeError, match=complaint):
        Clip(config).load_state_dict(renamed(released, parts(config)))


def test_released_sizes_have_the_released_parameters() -> None:
    with torch.device("meta"):
        clip = Clip(ClipConfig())
    layer = 12_596_224  # the last, which has no use here
    norm, projection = 2 * 1024, 1024 * 768  # of the class token, likewise
    ours = sum(p.numel() for p in clip.parameters())
    assert ours == 290_909_184
    assert ours + layer + norm + projection == 304_293_888
    assert clip.embeddings.num_patches == 576


def test_a_config_survives_json() -> None:
    config = ClipConfig(**TINY, select_layer=-3, select_class_token=True)
    again = ClipConfig(**json.loads(json.dumps(config.to_dict())))
    assert again.to_dict() == config.to_dict()
    assert (again.select_layer, again.select_class_token) == (-3, True)


@pytest.mark.parametrize("select_layer", [-5, 4])
def test_a_layer_the_encoder_does_not_have_is_refused(select_layer: int) -> None:
    with pytest.raises(ValueError, match=f"select_layer={select_layer}, expected -4 to 3"):
        ClipConfig(**TINY, select_layer=select_layer)
