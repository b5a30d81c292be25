"""Clips of the world as the core hears them: filter banks, padded as `CoreProcessor` pads them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.fbank import beats_filter_bank
from nuthatch.mllm.processing import segments
from nuthatch.training.world.sounds import Clip


def filter_banks(clips: Sequence[Clip], core: CoreConfig) -> Tensor:
    """(B, frames, bins): one segment of the core for each clip."""
    banks = [
        beats_filter_bank(
            torch.from_numpy(clip.samples).float(),
            core.num_mel_bins,
            mean=core.fbank_mean,
            std=core.fbank_std,
        )
        for clip in clips
    ]
    return torch.stack([segments(bank, core.segment_frames, 1)[0] for bank in banks])
