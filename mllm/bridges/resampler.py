"""The position-aware resampler: a grid of queries looks once at a grid of features.

Bai et al., "Qwen-VL: A Versatile Vision-Language Model for Understanding, Localization, Text
Reading, and Beyond" (2023), section 2.1. Queries and keys carry fixed 2-D sine-cosine positions,
values carry none. Released names; the last norm and projection are in the released files and not in
the paper.

Shapes: N media, S source features of width W in a square grid, Q queries in a square grid, D width
of the language model.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig


class ResamplerConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of a resampler; the defaults are those of Qwen-VL."""

    model_type = "resampler"

    encoder_hidden_size: int = 1664  # W
    hidden_size: int = 4096  # D
    num_attention_heads: int = 32
    grid_size: int = 16  # queries along each side
    layer_norm_eps: float = 1e-6
    output_projection: bool = True  # `ln_post` and `proj` behind the attention

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.hidden_size % 4 or self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"given hidden_size={self.hidden_size}, expected a multiple of 4 (for the "
                f"positions) and of num_attention_heads={self.num_attention_heads}"
            )


class Resampler(nn.Module):
    """`grid_size` squared tokens for any square grid of features."""

    pos_embed: Tensor

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.config = config
        width, eps = config.hidden_size, config.layer_norm_eps
        self.query = nn.Parameter(torch.empty(config.grid_size**2, width))
        # Fixed, but kept in the state dict because the released files hold it.
        table = sine_cosine_table(config.grid_size, width)
        self.register_buffer("pos_embed", table.to(self.query.dtype))
        self.kv_proj = nn.Linear(config.encoder_hidden_size, width, bias=False)
        self.attn = nn.MultiheadAttention(width, config.num_attention_heads, batch_first=True)
        self.ln_q = nn.LayerNorm(width, eps=eps)
        self.ln_kv = nn.LayerNorm(width, eps=eps)
        if config.output_projection:
            self.ln_post = nn.LayerNorm(width, eps=eps)
            self.proj = nn.Parameter(torch.empty(width, width))
            nn.init.normal_(self.proj, std=width**-0.5)
        for weight in (self.query, self.kv_proj.weight, self.attn.out_proj.weight):
            nn.init.trunc_normal_(weight, std=0.02)
        self._resized: dict[int, Tensor] = {}  # key positions by the side of their grid
        self.register_load_state_dict_post_hook(_forget_resized_tables)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, S, W), row after row of a square grid, to (N, Q, D).

        Raises:
            ValueError: S is no square.
        """
        side = math.isqrt(features.shape[1])
        if side == 0 or side**2 != features.shape[1]:
            raise ValueError(
                f"given {features.shape[1]} features a medium, expected a square number, one for "
                "each place of a square grid; leave out the class token and crop to a square"
            )
        values = self.ln_kv(self.kv_proj(features))  # (N, S, D)
        keys = values + self.key_positions(side)
        queries = (self.ln_q(self.query) + self.pos_embed).expand(len(features), -1, -1)
        tokens: Tensor = self.attn(queries, keys, values, need_weights=False)[0]  # (N, Q, D)
        if self.config.output_projection:
            tokens = self.ln_post(tokens) @ self.proj
        return tokens

    def key_positions(self, side: int) -> Tensor:
        """The positions of a grid of `side` by `side` features, (S, D); kept once made."""
        table = self.pos_embed
        known = self._resized.get(side)
        if known is None or (known.device, known.dtype) != (table.device, table.dtype):
            known = self._resized[side] = resize_table(table, side)
        return known


def sine_cosine_table(side: int, width: int) -> Tensor:
    """Fixed positions of a `side` by `side` grid, row after row: (side**2, width) float32.

    The first half of the channels tells the column, the second the row; in each half, the sines of
    the place at all frequencies come before the cosines. Frequencies fall from 1 towards 1/10000.
    """
    frequencies = 10_000.0 ** -(torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    angles = torch.outer(torch.arange(side, dtype=torch.float32), frequencies)
    places = torch.cat([angles.sin(), angles.cos()], dim=-1)  # (side, width / 2)
    return torch.cat([places.repeat(side, 1), places.repeat_interleave(side, dim=0)], dim=-1)


def resize_table(table: Tensor, side: int) -> Tensor:
    """Positions (Q, D) of a square grid, bicubically to those of `side` by `side`, (side**2, D)."""
    if len(table) == side**2:
        return table
    own = math.isqrt(len(table))
    grid = table.float().view(1, own, own, -1).permute(0, 3, 1, 2)  # (1, D, own, own)
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return grid.flatten(2).squeeze(0).T.to(table.dtype)


def _forget_resized_tables(module: nn.Module, _: object) -> None:
    module._resized.clear()  # type: ignore[operator,union-attr]
