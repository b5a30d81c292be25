"""ImageBind's audio encoder: patches of the log-mel clips of a sound, one vector for each place.

Girdhar et al., "ImageBind: One Embedding Space To Bind Them All" (2023), in the audio trunk of the
released ImageBind-huge file, used as BuboGPT does (Zhao et al., 2023): every token is kept, scaled
to one length and averaged over the clips, and the head into the joint space is left away. The
released weights may not be used commercially.

Shapes: N media (sounds), S source features of a sound, D width.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuthatch.mllm.encoders.fbank import FRAME_LENGTH, SAMPLE_RATE, kaldi_filter_bank

# ImageBind's statistics over AudioSet.
IMAGEBIND_MEAN = -4.268
IMAGEBIND_STD = 9.138

INITIAL_LOGIT_SCALE = 20.0
LARGEST_LOGIT_SCALE = 100.0


@dataclass(frozen=True)
class ImageBindConfig:
    """Sizes of ImageBind's audio encoder; the defaults are ImageBind-huge's."""

    model_type: ClassVar[str] = "imagebind"

    num_mel_bins: int = 128
    num_frames: int = 204
    patch_size: int = 16
    patch_stride: int = 10
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is no multiple of "
                f"num_attention_heads={self.num_attention_heads}"
            )
        if min(self.num_mel_bins, self.num_frames) < self.patch_size:
            raise ValueError(
                f"num_mel_bins={self.num_mel_bins} and num_frames={self.num_frames} must be at "
                f"least patch_size={self.patch_size}"
            )

    @property
    def width(self) -> int:
        """Width of the features."""
        return self.hidden_size

    @property
    def num_tokens(self) -> int:
        """S: the class token, and the patches, which overlap where the stride is the smaller."""
        bands, moments = (
            (size - self.patch_size) // self.patch_stride + 1
            for size in (self.num_mel_bins, self.num_frames)
        )
        return 1 + bands * moments


class ImageBind(nn.Module):
    """Clips of a sound in, one feature vector per token out, averaged over the clips."""

    log_logit_scale: Tensor

    def __init__(self, config: ImageBindConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.stem = nn.Conv2d(1, width, config.patch_size, stride=config.patch_stride, bias=False)
        self.stem_norm = nn.LayerNorm(width)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.positions = nn.Parameter(torch.randn(1, config.num_tokens, width) * width**-0.5)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.register_buffer("log_logit_scale", torch.tensor(INITIAL_LOGIT_SCALE).log())

    def forward(self, clips: Tensor) -> Tensor:
        """Encode a batch of sounds.

        Args:
            clips: (N, clips, num_mel_bins, num_frames) normalised log-mel (`imagebind_clips`), at
                least one clip of each sound.

        Returns:
            (N, S, D), S = 1 + bands * moments: the class token, then all moments of the lowest
            band, then of the next. Of a single clip, every vector has the length of the logit
            scale, exp(log_logit_scale) and at most 100.

        Raises:
            ValueError: wrong shape, or values that are not finite.
        """
        self._check(clips)
        x = self.stem(clips.flatten(0, 1).unsqueeze(1))  # (N * clips, D, band, moment)
        x = self.stem_norm(x.flatten(2).transpose(1, 2))
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        x = F.normalize(x, dim=-1) * self.log_logit_scale.exp().clamp_max(LARGEST_LOGIT_SCALE)
        features: Tensor = x.unflatten(0, clips.shape[:2]).mean(dim=1)
        return features

    def features(self, clips: Tensor) -> Tensor:
        """What bridges look at: clips (N, F, frames, bins) to (N, 1, S, D)."""
        return self(clips.transpose(2, 3)).unsqueeze(1)  # type: ignore[no-any-return]

    def _check(self, clips: Tensor) -> None:
        size = (self.config.num_mel_bins, self.config.num_frames)
        if clips.ndim != 4 or clips.shape[1] == 0 or clips.shape[2:] != size:
            raise ValueError(
                f"given clips of shape {tuple(clips.shape)}, expected (sounds, clips, {size[0]}, "
                f"{size[1]}) with at least one clip; imagebind_clips makes those of one sound"
            )
        if not torch.isfinite(clips).all():
            raise ValueError("the clips hold NaN or infinity; expected finite values")


class Block(nn.Module):
    """Pre-norm layer; its attention has one learned key and value beside those of the tokens."""

    def __init__(self, config: ImageBindConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.MultiheadAttention(
            width, config.num_attention_heads, add_bias_kv=True, batch_first=True
        )
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N * clips, S, D) to the same."""
        normed = self.norm_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm_2(x))))
        return out


def imagebind_clips(
    samples: Tensor,
    *,
    clips: int = 6,
    clip_seconds: float = 5.0,
    whole: bool = False,
    num_mel_bins: int = 128,
    num_frames: int = 204,
) -> Tensor:
    """What ImageBind reads of one sound: log-mel clips, spread evenly from its start to its end.

    A sound shorter than a clip is repeated until it fills one, so all its clips are alike.

    Args:
        samples: (n,) mono samples at 16 kHz, floats in -1 to 1, n > 0.
        clips: how many clips; 6 as in BuboGPT.
        clip_seconds: length of a clip, at least 0.025 s; 5 s as in BuboGPT, 2 s in ImageBind.
        whole: whether the whole sound follows as one more clip, squeezed into the same number of
            frames. BuboGPT did so in training only.
        num_mel_bins: height of a clip.
        num_frames: width of a clip. A clip with fewer filter bank frames (10 ms each) is padded
            with zeros at its end, one with more is squeezed by linear interpolation.

    Returns:
        (clips, num_mel_bins, num_frames) float32, (x + 4.268) / 9.138 of the log-mel; one clip more
        if `whole`.

    Raises:
        ValueError: an empty sound, one that is not mono floats or not finite, or clips that are
            too few or too short.
    """
    if samples.ndim != 1 or samples.numel() == 0 or not samples.is_floating_point():
        raise ValueError(
            f"given samples of shape {tuple(samples.shape)} and type {samples.dtype}, expected "
            "(n,) mono samples at 16 kHz as floats in -1 to 1, n > 0"
        )
    if not torch.isfinite(samples).all():
        raise ValueError("the samples hold NaN or infinity; expected finite values")
    length = round(clip_seconds * SAMPLE_RATE)
    if clips < 1 or length < FRAME_LENGTH:
        raise ValueError(
            f"given clips={clips} of clip_seconds={clip_seconds}, expected at least one clip of "
            f"at least {FRAME_LENGTH / SAMPLE_RATE} s"
        )
    samples = samples.to(torch.float32)
    if len(samples) < length:
        samples = samples.repeat(-(-length // len(samples)))[:length]
    last = len(samples) - length
    starts = [last * index // max(1, clips - 1) for index in range(clips)]
    heard = torch.stack([samples[start : start + length] for start in starts])
    banks = [_normalised_bank(heard, num_mel_bins, num_frames)]
    if whole:
        banks.append(_normalised_bank(samples.unsqueeze(0), num_mel_bins, num_frames))
    return torch.cat(banks)


def _normalised_bank(waves: Tensor, num_mel_bins: int, num_frames: int) -> Tensor:
    """(clips, samples) to (clips, num_mel_bins, num_frames)."""
    waves = waves - waves.mean(dim=-1, keepdim=True)
    bank = kaldi_filter_bank(waves, num_mel_bins, window="hanning").transpose(1, 2)
    if bank.shape[-1] > num_frames:
        # Without antialiasing: BuboGPT resizes as torchvision did tensors by default up to 0.16.
        bank = F.interpolate(bank, size=num_frames, mode="linear")
    # The zeros belong to the log-mel, before the normalisation, as in the reference.
    bank = F.pad(bank, (0, num_frames - bank.shape[-1]))
    return (bank - IMAGEBIND_MEAN) / IMAGEBIND_STD
