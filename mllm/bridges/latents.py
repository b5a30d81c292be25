"""The latent-query projection: learned latents look once at the features and at themselves.

Peng et al., "Kosmos-2: Grounding Multimodal Large Language Models to the World" (2023), after
Huang et al., "Language Is Not All You Need" (2023), section 2.1; released names. Kosmos-2 feeds it
the encoder's last states behind their norm, each scaled to unit length.

Shapes: N media, S source features of width W, Q latent queries, D width of the language model,
H heads.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig


class LatentsConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of a latent-query projection; the defaults are those of Kosmos-2."""

    model_type = "latents"

    encoder_hidden_size: int = 1024  # W
    hidden_size: int = 2048  # D
    num_attention_heads: int = 32
    num_query_tokens: int = 64

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"given hidden_size={self.hidden_size}, expected a multiple of "
                f"num_attention_heads={self.num_attention_heads}"
            )


class LatentProjection(nn.Module):
    """A fixed number of tokens for any number of features, whose order does not matter."""

    def __init__(self, config: LatentsConfig) -> None:
        super().__init__()
        self.config = config
        self.dense = nn.Linear(config.encoder_hidden_size, config.hidden_size)
        self.latent_query = nn.Parameter(torch.randn(config.num_query_tokens, config.hidden_size))
        self.x_attn = CrossAttention(config.hidden_size, config.num_attention_heads)

    def forward(self, features: Tensor) -> Tensor:
        """(N, S, W) to (N, Q, D)."""
        latents = self.latent_query.expand(len(features), -1, -1)
        tokens: Tensor = self.x_attn(latents, torch.cat([self.dense(features), latents], dim=1))
        return tokens


class CrossAttention(nn.Module):
    """Scaled dot-product attention in which all projections have biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, queries: Tensor, source: Tensor) -> Tensor:
        """Queries (N, Q, D) that look at a source (N, S, D), to (N, Q, D)."""
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, H, ., D / H)
            for projected in (self.q_proj(queries), self.k_proj(source), self.v_proj(source))
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out
