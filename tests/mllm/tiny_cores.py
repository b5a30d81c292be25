"""Tiny cores with random weights, and media for them; 6 queries stand for a medium."""

import torch
from torch import Tensor

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core

PAD, BOS, IMAGE, AUDIO = 0, 1, 8, 9
PICTURE, SOUND = [IMAGE] * 6, [AUDIO] * 6


def random_core(width: int = 40) -> Core:
    """`width` is that of the language model."""
    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.hidden_size, config.text_config.intermediate_size = width, 2 * width
    config.text_config.head_dim = width // config.text_config.num_attention_heads
    core = Core(config).eval()
    with torch.no_grad():  # at their first scale the media would hardly matter
        for parameter in (core.bridge.llm_projection.weight, core.get_input_embeddings().weight):
            parameter.mul_(20)
    return core


def talking_core() -> Core:
    """A random core whose words depend on all that came before, and do not just repeat."""
    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.tie_word_embeddings = False
    core = Core(config).eval()
    with torch.no_grad():
        for parameter in core.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return core


def pictures(number: int) -> Tensor:
    return torch.randn(number, 3, 28, 28, generator=torch.Generator().manual_seed(1))


def sounds(number: int) -> Tensor:
    return torch.randn(number, 1, 64, 32, generator=torch.Generator().manual_seed(2))
