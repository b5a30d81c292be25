import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.eva import Eva, EvaConfig
from nuthatch.mllm.presets.names import PLAIN, Part, renamed
from nuthatch.mllm.presets.parts import EVA
from tests.paths import GOLDEN

TOLERANCE = 1e-5
PARTS = (Part(EVA, "visual_encoder.", ""), Part(PLAIN, "ln_vision.", "post_layernorm."))


@pytest.fixture
def eva() -> Eva:
    config = EvaConfig(
        image_size=28,
        patch_size=14,
        hidden_size=32,
        intermediate_size=139,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    model = Eva(config).eval()
    model.load_state_dict(renamed(released_weights(), PARTS))
    return model


def released_weights() -> dict[str, torch.Tensor]:
    weights = load_file(GOLDEN / "chatbridge_state_dict.safetensors")
    begins = tuple(part.theirs for part in PARTS)
    return {name: tensor for name, tensor in weights.items() if name.startswith(begins)}


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "eva_vit.safetensors")


@torch.inference_mode()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_agrees_with_the_reference_before_and_after_the_last_norm(
    eva: Eva, golden: dict[str, torch.Tensor], attention: str
) -> None:
    eva.set_attn_implementation(attention)
    before = eva.encoder(inputs_embeds=eva.embeddings(golden["pixel_values"])).last_hidden_state
    after = eva(golden["pixel_values"]).last_hidden_state
    torch.testing.assert_close(before, golden["features"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(after, golden["features_ln"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_positions_for_a_larger_picture_agree_with_the_reference(eva: Eva) -> None:
    golden = load_file(GOLDEN / "eva_pos_interp.safetensors")
    eva.embeddings.position_embedding.copy_(golden["pos_embed_2x2"])
    larger = eva.embeddings.interpolate_pos_encoding(torch.zeros(1, 10, 32), 42, 42)
    torch.testing.assert_close(larger, golden["pos_embed_3x3"], atol=TOLERANCE, rtol=0)
    features = eva(torch.randn(1, 3, 42, 42), interpolate_pos_encoding=True).last_hidden_state
    assert features.shape == (1, 10, 32)


def test_the_keys_bias_stays_zero_under_training(eva: Eva) -> None:
    optimizer = torch.optim.AdamW(eva.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        eva(torch.randn(2, 3, 28, 28)).last_hidden_state.square().sum().backward()
        optimizer.step()
    for layer in eva.encoder.layers:
        query, key, value = layer.self_attn.qkv.bias.chunk(3)
        assert (key == 0).all()
        assert (query != 0).all()
        assert (value != 0).all()


def test_the_last_norm_has_blip2s_epsilon_and_the_blocks_have_their_own(eva: Eva) -> None:
    assert eva.post_layernorm.eps == 1e-5
    assert eva.encoder.layers[0].layer_norm1.eps == 1e-6


def test_weights_start_at_the_scale_of_the_config() -> None:
    torch.manual_seed(0)
    eva = Eva(CoreConfig.embedded().vision_config)
    attention = eva.encoder.layers[0].self_attn
    for weight in (
        attention.qkv.weight,
        attention.projection.weight,
        eva.embeddings.patch_embedding.weight,
        eva.embeddings.position_embedding,
    ):
        assert weight.std().item() == pytest.approx(0.02, rel=0.1)


@torch.inference_mode()
def test_a_picture_of_128_pixels_in_patches_of_8_gives_257_tokens() -> None:
    eva = Eva(CoreConfig.embedded().vision_config).eval()
    assert eva(torch.randn(1, 3, 128, 128)).last_hidden_state.shape == (1, 257, 192)


def test_released_sizes_have_the_released_parameters() -> None:
    with torch.device("meta"):
        eva = Eva(EvaConfig())
    keys = 39 * 1408  # the keys' bias, which the released file leaves out
    norm = 2 * 1408  # ln_vision, a part of its own there
    assert sum(p.numel() for p in eva.parameters()) - keys - norm == 985_894_528


def test_a_file_without_its_last_norm_does_not_load(eva: Eva) -> None:
    released = released_weights()
    del released["ln_vision.weight"]
    with pytest.raises(RuntimeError, match=r"post_layernorm\.weight"):
        Eva(eva.config).load_state_dict(renamed(released, PARTS))
