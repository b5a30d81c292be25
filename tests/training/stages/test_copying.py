"""How the language model starts: it finds what followed the same word before."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from nuthatch.mllm.config import CoreConfig
from nuthatch.training.stages.copying import directions, start_copying

LENGTH = 24


@pytest.fixture(scope="module")
def looked() -> list[torch.Tensor]:
    """What every head of each layer looks at in texts of random words said twice."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(CoreConfig.embedded().text_config).eval()
    start_copying(model)
    model.set_attn_implementation("eager")
    words = torch.randint(10, 2048, (8, LENGTH))
    with torch.inference_mode():
        return list(model(torch.cat([words, words], 1), output_attentions=True).attentions)


def test_the_first_head_looks_at_the_place_before(looked):
    before = looked[0].diagonal(-1, 2, 3).mean((0, 2))  # (heads,)
    assert before[0] > 0.5
    assert (before[1:] < 0.2).all()


def test_two_heads_of_the_second_layer_look_at_what_followed_the_same_word(looked):
    said = torch.arange(LENGTH, 2 * LENGTH - 1)
    found = looked[1][:, :, said, said - LENGTH + 1].mean((0, 2))  # (heads,)
    assert (found[:2] > 0.15).all()
    assert (found[2:] < 0.05).all()


def test_tokens_that_are_spelt_alike_start_alike_and_only_they():
    model = LlamaForCausalLM(CoreConfig.embedded().text_config)
    start_copying(model, [(20, 40), (21, 41)])
    words = model.model.embed_tokens.weight[:, 1:192]  # without what all or none of them have
    likeness = torch.nn.functional.cosine_similarity(words[20], words[[40, 41]])
    assert likeness[0] > 0.8
    assert likeness[1].abs() < 0.3


def test_a_model_that_is_too_small_is_refused():
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    with pytest.raises(ValueError, match="1 layers of 2 heads"):
        start_copying(LlamaForCausalLM(config))


def test_directions_are_at_right_angles():
    drawn = directions(3, 8, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn @ drawn.T, torch.eye(3), atol=1e-5)
