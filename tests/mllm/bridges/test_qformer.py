import pytest
import torch
from safetensors.torch import load_file
from transformers import Blip2QFormerConfig

from nuthatch.mllm.bridges.qformer import QFormer
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.presets import chatbridge
from nuthatch.mllm.presets.names import renamed
from tests.paths import GOLDEN

TOLERANCE = 1e-5


@pytest.fixture
def qformer() -> QFormer:
    config = Blip2QFormerConfig(
        hidden_size=28,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=56,
        encoder_hidden_size=32,
    )
    model = QFormer(config, num_query_tokens=6).eval()
    released = load_file(GOLDEN / "chatbridge_state_dict.safetensors")
    ours = renamed(released, chatbridge.SOURCES["checkpoint"])
    prefix = "bridge.qformer."
    model.load_state_dict(
        {name.removeprefix(prefix): ours[name] for name in ours if name.startswith(prefix)}
    )
    return model


@torch.inference_mode()
def test_agrees_with_the_reference(qformer: QFormer) -> None:
    golden = load_file(GOLDEN / "qformer.safetensors")
    qformer.query_tokens["image"].copy_(golden["query_tokens"])
    ours = qformer(golden["encoder_hidden_states"], "image")
    torch.testing.assert_close(ours, golden["output"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_each_sense_asks_with_its_own_queries(qformer: QFormer) -> None:
    features = torch.randn(2, 9, 32)
    seen, heard = qformer(features, "image"), qformer(features, "audio")
    assert seen.shape == heard.shape == (2, 6, 28)
    assert not torch.allclose(seen, heard)


@torch.inference_mode()
def test_the_output_has_one_size_for_any_number_of_features(qformer: QFormer) -> None:
    assert qformer(torch.randn(1, 1, 32), "image").shape == (1, 6, 28)
    assert qformer(torch.randn(1, 500, 32), "image").shape == (1, 6, 28)


def test_audio_queries_start_as_a_copy_of_the_image_queries() -> None:
    config = CoreConfig.tiny()
    queries = QFormer(config.bridge_config, num_query_tokens=32).query_tokens
    assert queries["image"].std().item() == pytest.approx(0.02, rel=0.1)
    assert torch.equal(queries["audio"], queries["image"])
    assert queries["audio"].data_ptr() != queries["image"].data_ptr()


def test_only_the_queries_of_the_sense_in_use_learn(qformer: QFormer) -> None:
    qformer(torch.randn(2, 9, 32), "audio").square().sum().backward()
    without = [name for name, p in qformer.named_parameters() if p.grad is None]
    assert without == ["query_tokens.image"]


def test_released_sizes_have_the_released_parameters() -> None:
    with torch.device("meta"):
        qformer = QFormer(Blip2QFormerConfig(), num_query_tokens=32)
    numbers = {name: p.numel() for name, p in qformer.named_parameters()}
    queries = numbers.pop("query_tokens.image") + numbers.pop("query_tokens.audio")
    assert queries == 2 * 32 * 768
    assert sum(numbers.values()) == 105_137_664
    assert len(numbers) == 255 - 1, "the released file counts its position numbers"
