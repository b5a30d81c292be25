"""How the eye starts: with attention that looks at neighbours, as a convolution would.

A transformer that starts at random spends much of a short training on finding out that patches
beside each other belong together. Here every head starts by looking at one neighbour of each patch
(after Zheng, Li, Lucey: "Structured Initialization for Attention in Vision Transformers", 2024).
These are starting values and nothing else: all of them are trained.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from nuthatch.mllm.encoders.eva import Eva

NEIGHBOURS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
"""Columns and rows from a patch to the one that a head looks at."""
SHARPNESS = 3.0
"""By how much that neighbour's logit starts above those of the patches beside it."""


def start_wide(tower: Eva) -> None:
    """Let all matrices start as large as EVA's 0.02 is at EVA's width, 0.75 / sqrt(inputs).

    At a width of 192 the same 0.02 would leave attention even, and what layers add small.
    """
    for name, matrix in tower.named_parameters():
        if name.endswith("weight") and matrix.ndim >= 2:
            nn.init.trunc_normal_(matrix, std=0.75 * matrix[0].numel() ** -0.5)


@torch.no_grad()
def start_local(tower: Eva) -> None:
    """Let every head look at one neighbour of each patch.

    The first channels, as many as a head has, say where a patch is, in sines and cosines of its
    column and row; at first neither pixels nor layers write to them. A step to a neighbour turns
    each pair of sine and cosine by an angle, so a head that turns its queries so meets the keys of
    that neighbour.
    """
    config = tower.config
    grid = config.image_size // config.patch_size
    wide = config.hidden_size // config.num_attention_heads
    rates = math.pi * grid ** -(torch.arange(wide // 4) / (wide // 4))  # radians a patch

    places = tower.embeddings.position_embedding
    places.zero_()
    angles = torch.arange(grid)[:, None] * rates
    waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)  # (grid, wide / 2)
    places[0, 1:, :wide] = torch.cat(
        [waves.repeat(grid, 1), waves.repeat_interleave(grid, 0)], dim=-1
    )
    tower.embeddings.patch_embedding.weight[:wide] = 0

    # The logit of two places is the sum over rates of cos(rate * distance), scaled.
    falls = float((1 - rates.cos()).sum())
    size = (SHARPNESS * wide**0.5 / falls) ** 0.5
    neighbours = itertools.cycle(NEIGHBOURS)
    for layer in tower.encoder.layers:
        query, key, _ = layer.self_attn.qkv.weight.chunk(3)
        for own in torch.arange(config.hidden_size).split(wide):
            query[own], key[own] = 0, 0
            query[own, :wide] = size * turning(rates, *next(neighbours))
            key[own, :wide] = size * torch.eye(wide)
        layer.self_attn.projection.weight[:wide] = 0
        layer.mlp.fc2.weight[:wide] = 0


def turning(rates: Tensor, columns: int, rows: int) -> Tensor:
    """(4 R, 4 R): takes the waves of a place to those of the place so many columns and rows on."""
    turns = [
        torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        for steps in (columns, rows)
        for angle in (steps * rates).tolist()
    ]
    turned: Tensor = torch.block_diag(*turns)
    return turned
