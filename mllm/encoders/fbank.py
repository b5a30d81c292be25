"""Kaldi's log-mel filter bank, the input of BEATs and of ImageBind's audio tower.

Follows `compute-fbank-feats` of Kaldi (Povey et al., "The Kaldi Speech Recognition Toolkit", 2011,
feat/feature-fbank.cc and feat/mel-computations.cc) with 25 ms frames every 10 ms, snipped edges
and no dither, in float32.
"""

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

SAMPLE_RATE = 16_000
FRAME_LENGTH = 400
FRAME_SHIFT = 160
FFT_LENGTH = 512
LOWEST_FREQUENCY = 20.0
PREEMPHASIS = 0.97

# BEATs' statistics over AudioSet (its `preprocess`), used for every number of bins.
BEATS_MEAN = 15.41663
BEATS_STD = 6.55582

Window = Literal["povey", "hanning"]


def kaldi_filter_bank(waveform: Tensor, num_mel_bins: int, *, window: Window = "povey") -> Tensor:
    """Natural logarithm of the energy in each mel band of each frame.

    Args:
        waveform: (..., samples) at 16 kHz, mono, in any amplitude unit; at least 400 samples.
        num_mel_bins: bands between 20 Hz and 8 kHz, evenly spaced on the mel scale.
        window: "povey" (Kaldi's own, a Hann window to the power 0.85) or "hanning" (ImageBind).

    Returns:
        (..., frames, num_mel_bins) float32, of the 1 + (samples - 400) // 160 frames that lie
        wholly inside the sound. Energy below float32's epsilon is raised to it, so silence is
        -15.94.

    Raises:
        ValueError: fewer than 400 samples, or samples that are not finite.
    """
    if waveform.ndim == 0 or waveform.shape[-1] < FRAME_LENGTH:
        raise ValueError(
            f"given a waveform of shape {tuple(waveform.shape)}, expected at least {FRAME_LENGTH} "
            "samples (25 ms at 16 kHz) in the last dimension; pad it with zeros"
        )
    waveform = waveform.to(torch.float32)
    if not torch.isfinite(waveform).all():
        raise ValueError("the waveform holds NaN or infinity; expected finite samples")
    frames = waveform.unfold(-1, FRAME_LENGTH, FRAME_SHIFT)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    frames = (frames - PREEMPHASIS * before) * _window(window).to(waveform.device)
    spectrum = torch.fft.rfft(frames, n=FFT_LENGTH)
    power = spectrum.real.square() + spectrum.imag.square()
    energy = power @ mel_filters(num_mel_bins).to(waveform.device)
    log_energy: Tensor = energy.clamp_min(torch.finfo(torch.float32).eps).log()
    return log_energy


def beats_filter_bank(
    waveform: Tensor,
    num_mel_bins: int = 128,
    *,
    mean: float = BEATS_MEAN,
    std: float = BEATS_STD,
) -> Tensor:
    """What BEATs reads: the filter bank of 16-bit amplitudes, shifted and scaled.

    Args:
        waveform: (..., samples) at 16 kHz, mono, in [-1, 1]; at least 400 samples.
        num_mel_bins: 128 as released by BEATs, 64 for ChatBridge.
        mean: what is taken from the filter bank.
        std: half of what the rest is divided by.

    Returns:
        (..., frames, num_mel_bins) float32, near zero mean and half a unit's deviation.

    Raises:
        ValueError: see `kaldi_filter_bank`.
    """
    filter_bank = kaldi_filter_bank(waveform * 2**15, num_mel_bins)
    return (filter_bank - mean) / (2 * std)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # a cached tensor must also serve a caller who wants gradients
def mel_filters(num_mel_bins: int) -> Tensor:
    """Triangles on the mel scale, (FFT_LENGTH // 2 + 1, num_mel_bins); Nyquist weighs nothing."""
    nyquist = SAMPLE_RATE / 2
    edges = torch.linspace(
        _mel(LOWEST_FREQUENCY), _mel(nyquist), num_mel_bins + 2, dtype=torch.float64
    )
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    frequencies = torch.arange(FFT_LENGTH // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / FFT_LENGTH
    mel = (1127.0 * torch.log1p(frequencies / 700.0)).unsqueeze(-1)
    rising = (mel - left) / (centre - left)
    falling = (right - mel) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp_min(0.0)
    triangles[-1] = 0.0
    return triangles.to(torch.float32)


@lru_cache(maxsize=2)
@torch.inference_mode(False)  # a cached tensor must also serve a caller who wants gradients
def _window(name: Window) -> Tensor:
    hann = torch.hann_window(FRAME_LENGTH, periodic=False, dtype=torch.float64)
    return (hann.pow(0.85) if name == "povey" else hann).to(torch.float32)


def _mel(frequency: float) -> float:
    return 1127.0 * math.log1p(frequency / 700.0)
