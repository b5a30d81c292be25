"""A Whisper (arXiv:2212.04356) of the package's classes that is small in two ways.

It hears windows of any length up to its context, not of that length alone, 25 times a second
instead of 50, through wider convolutions, for it has few layers to look around with; and it says a
few hundred of GPT-2's tokens. For the package it has the English
vocabulary of 51,864, so `whisper`'s tokenizer, decoding and word times run on it unchanged.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import AudioEncoder, Conv1d, ModelDimensions, TextDecoder, Whisper

ENGLISH_VOCABULARY = 51864
POSITIONS = 0.3
"""Height of the sinusoids beside the package's, which drown what a narrow encoder hears."""
STRIDE = 4
"""Frames of the spectrum, 10 ms each, to one position of the encoder."""


class WindowEncoder(AudioEncoder):  # type: ignore[misc]
    """The package's encoder, for windows up to its context, with a stride in both convolutions,
    which see 150 ms together."""

    def __init__(self, n_mels: int, n_ctx: int, n_state: int, n_head: int, n_layer: int) -> None:
        super().__init__(n_mels, n_ctx, n_state, n_head, n_layer)
        self.conv1 = Conv1d(n_mels, n_state, 7, stride=2, padding=3)
        self.conv2 = Conv1d(n_state, n_state, 5, stride=2, padding=2)
        self.positional_embedding *= POSITIONS

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, 4 * n), n at most n_audio_ctx, to (B, n, n_audio_state)."""
        x = self.stem(mel)
        for block in self.blocks:
            x = block(x)
        hidden: Tensor = self.ln_post(x)
        return hidden

    def stem(self, mel: Tensor) -> Tensor:
        """What goes into the first layer, (B, n, n_audio_state)."""
        x: Tensor = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).permute(0, 2, 1)
        x = x + self.positional_embedding[: x.shape[1]]
        return x


class WordDecoder(TextDecoder):  # type: ignore[misc]
    """The package's decoder over the given token ids alone; all others are impossible."""

    def __init__(self, tokens: Sequence[int], dims: ModelDimensions) -> None:
        super().__init__(
            len(tokens), dims.n_text_ctx, dims.n_text_state, dims.n_text_head, dims.n_text_layer
        )
        self.n_vocab = dims.n_vocab
        ids = torch.tensor(tokens)
        places = torch.zeros(dims.n_vocab, dtype=torch.long)
        places[ids] = torch.arange(len(ids))
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: Tensor, xa: Tensor, kv_cache: dict[Any, Tensor] | None = None) -> Tensor:
        """Ids (B, n) of the whole vocabulary and sound (B, T, D) to logits (B, n, n_vocab)."""
        narrow = self.narrow(self.places[x], xa, kv_cache)
        wide = narrow.new_full((*narrow.shape[:-1], self.n_vocab), -torch.inf)
        wide[..., self.ids] = narrow
        return wide

    def narrow(self, places: Tensor, xa: Tensor, kv_cache: Any = None) -> Tensor:
        """The same over the known tokens, named by their places in the list: for training."""
        logits: Tensor = super().forward(places, xa, kv_cache)
        return logits


class MiniatureWhisper(Whisper):  # type: ignore[misc]
    """See the module.

    Args:
        dims: sizes, with `n_vocab` of the package's English models.
        tokens: ids that it can say, and the special ones that a transcript needs.

    Raises:
        ValueError: another vocabulary, or token ids outside of it.
    """

    def __init__(self, dims: ModelDimensions, tokens: Sequence[int]) -> None:
        if dims.n_vocab != ENGLISH_VOCABULARY:
            raise ValueError(f"given n_vocab {dims.n_vocab}, expected {ENGLISH_VOCABULARY}")
        if not tokens or min(tokens) < 0 or max(tokens) >= dims.n_vocab:
            raise ValueError(f"given token ids {tokens[:3]}..., expected some below {dims.n_vocab}")
        super().__init__(replace(dims, n_vocab=len(tokens)))
        self.dims = dims
        self.tokens = tuple(tokens)
        self.encoder = WindowEncoder(
            dims.n_mels,
            dims.n_audio_ctx,
            dims.n_audio_state,
            dims.n_audio_head,
            dims.n_audio_layer,
        )
        self.decoder = WordDecoder(tokens, dims)
