"""Clips of the world as the core hears them: filter banks, padded as `CoreProcessor` pads them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.processing import filter_bank
from nuthatch.training.world.sounds import Clip


def filter_banks(clips: Sequence[Clip], core: CoreConfig) -> Tensor:
    """(B, frames, bins): the first segment of each clip; no clip is longer than one."""
    return torch.stack([filter_bank(clip.samples, core)[0] for clip in clips])
