"""Sizes of the heatmap detector's network."""

from dataclasses import dataclass

from pydantic import ConfigDict


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; with `model_type`, its `config.json`."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    picture_size: int = 128
    """Pixels a side that a picture is scaled to fit."""
    width: int = 128
    """Channels of the cells' features."""
    stem: int = 32
    """Channels of the first convolutions."""
    blocks: int = 4
    """Residual blocks at the cells' resolution."""
    words: int = 512
    """Entries of the vocabulary."""
    phrase_tokens: int = 24
    """Tokens of a label at most."""
    phrase_layers: int = 1
    """Layers of the phrase encoder."""
    heads: int = 4
    """Attention heads of the phrase encoder."""
