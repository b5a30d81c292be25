"""BEATs: an audio encoder over patches of a log-mel filter bank.

Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers" (2022), in the architecture of
the released BEATs_iter3+ files and under their parameter names: convolutional positions, deep-norm
post-norm layers, and a relative position bias that each query gates (WavLM's gate, but computed
from the projected query).

Shapes: B batch, T tokens, D width, H heads.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Settings of the released files that this implementation supports with one value only.
RELEASED_CONSTANTS: dict[str, object] = {
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "conv_bias": False,
    "activation_fn": "gelu",
}


@dataclass(frozen=True)
class BeatsConfig:
    """Sizes of a BEATs encoder, under the released names; the defaults are BEATs_iter3+."""

    model_type: ClassVar[str] = "beats"

    input_patch_size: int = 16
    embed_dim: int = 512
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    conv_pos: int = 128
    conv_pos_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.encoder_embed_dim % self.encoder_attention_heads:
            raise ValueError(
                f"encoder_embed_dim={self.encoder_embed_dim} is no multiple of "
                f"encoder_attention_heads={self.encoder_attention_heads}"
            )

    @property
    def width(self) -> int:
        """Width of the features."""
        return self.encoder_embed_dim

    @classmethod
    def from_released(cls, cfg: Mapping[str, Any]) -> "BeatsConfig":
        """The sizes in the `cfg` of a released checkpoint; training-only settings are left out.

        Raises:
            ValueError: `cfg` asks for a variant that was never released and is not built here.
        """
        for name, expected in RELEASED_CONSTANTS.items():
            if cfg.get(name, expected) != expected:
                raise ValueError(
                    f"BEATs with {name}={cfg[name]!r} is not supported, only {expected!r}"
                )
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in cfg.items() if name in known})


class Beats(nn.Module):
    """Filter bank in, one feature vector per patch out."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        patch, width = config.input_patch_size, config.encoder_embed_dim
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, patch, stride=patch, bias=False)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        # The reference has no projection where the widths agree.
        self.post_extract_proj = (
            nn.Linear(config.embed_dim, width) if config.embed_dim != width else nn.Identity()
        )
        self.encoder = Encoder(config)
        self.register_load_state_dict_pre_hook(_drop_repeated_position_tables)

    def forward(self, fbank: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Encode a batch of sounds.

        Args:
            fbank: (B, frames, bins) normalised log-mel (`fbank.beats_filter_bank`), at least one
                patch each way; frames and bins beyond a multiple of the patch size are dropped.
            padding_mask: (B, frames) bool, True where a frame is padding. A token is padding where
                all of its frames are (see `token_padding_mask`).

        Returns:
            (B, T, encoder_embed_dim), T = (frames // patch) * (bins // patch), time-major: all
            bands of the first moment, then of the second. Features of padded tokens mean nothing.

        Raises:
            ValueError: wrong shape, values that are not finite, or a sound that is all padding.
        """
        self._check(fbank)
        x = self._patches(fbank)
        hidden = None
        if padding_mask is not None:
            if padding_mask.shape != fbank.shape[:2]:
                raise ValueError(
                    f"given a padding mask of shape {tuple(padding_mask.shape)} for a filter bank "
                    f"of shape {tuple(fbank.shape)}; expected (batch, frames)"
                )
            hidden = token_padding_mask(padding_mask, x.shape[1])
            if hidden.all(dim=1).any():
                raise ValueError("the padding mask hides a whole sound; drop it from the batch")
        encoded: Tensor = self.encoder(x, hidden)
        return encoded

    def hidden(self, fbank: Tensor, layers: int) -> list[Tensor]:
        """What leaves each of the first `layers` layers, each (B, T, D); otherwise as `forward`."""
        self._check(fbank)
        return self.encoder.hidden(self._patches(fbank), layers)

    def _patches(self, fbank: Tensor) -> Tensor:
        """(B, frames, bins) to one vector for each patch, (B, T, D)."""
        x = self.patch_embedding(fbank.unsqueeze(1))  # (B, embed_dim, time, band)
        x = x.flatten(2).transpose(1, 2)  # (B, T, embed_dim)
        embedded: Tensor = self.post_extract_proj(self.layer_norm(x))
        return embedded

    def features(self, segments: Tensor) -> Tensor:
        """What bridges look at: segments (N, F, frames, bins) to (N, F, T, D)."""
        return self(segments.flatten(0, 1)).unflatten(0, segments.shape[:2])  # type: ignore[no-any-return]

    def _check(self, fbank: Tensor) -> None:
        patch = self.config.input_patch_size
        if fbank.ndim != 3 or fbank.shape[1] < patch or fbank.shape[2] < patch:
            raise ValueError(
                f"given a filter bank of shape {tuple(fbank.shape)}, expected (batch, frames, "
                f"bins) with at least {patch} frames and {patch} bins"
            )
        if not torch.isfinite(fbank).all():
            raise ValueError("the filter bank holds NaN or infinity; expected finite values")


class Encoder(nn.Module):
    """Convolutional positions, then deep-norm transformer layers that share one position table."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.num_buckets, self.max_distance = config.num_buckets, config.max_distance
        self.pos_conv = nn.Sequential(PositionalConvolution(config), nn.GELU())
        self.layer_norm = nn.LayerNorm(config.encoder_embed_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(config, owns_position_table=index == 0)
            for index in range(config.encoder_layers)
        )

    def forward(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        """(B, T, D) and an optional (B, T) mask, True where padded, to (B, T, D)."""
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0.0)
        x = self.dropout(self.layer_norm(x + self.pos_conv(x)))
        position_bias = self.position_bias(x.shape[1], x.device)
        for layer in self.layers:
            x = layer(x, position_bias, padding_mask)
        return x

    def hidden(self, x: Tensor, layers: int) -> list[Tensor]:
        """(B, T, D) to what leaves each of the first `layers` layers, each (B, T, D)."""
        x = self.dropout(self.layer_norm(x + self.pos_conv(x)))
        position_bias = self.position_bias(x.shape[1], x.device)
        left = []
        for layer in self.layers[:layers]:
            x = layer(x, position_bias, None)
            left.append(x)
        return left

    def position_bias(self, tokens: int, device: torch.device | None = None) -> Tensor:
        """(H, T, T): what each head adds for a key (last) seen from a query, before the gate."""
        table: nn.Embedding = self.layers[0].self_attn.relative_attention_bias  # type: ignore[assignment,union-attr]
        position = torch.arange(tokens, device=device)
        relative = position.unsqueeze(0) - position.unsqueeze(1)  # key - query
        bucket = relative_position_bucket(relative, self.num_buckets, self.max_distance)
        bias: Tensor = table(bucket)
        return bias.permute(2, 0, 1)


class PositionalConvolution(nn.Module):
    """Grouped convolution over time whose weight has a learned norm at each kernel position.

    Written out, because the released names `weight_g` and `weight_v` are those of a form of weight
    normalisation that torch has deprecated.
    """

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, kernel, self.groups = (
            config.encoder_embed_dim,
            config.conv_pos,
            config.conv_pos_groups,
        )
        self.weight_v = nn.Parameter(torch.empty(width, width // self.groups, kernel))
        nn.init.normal_(self.weight_v, std=math.sqrt(4 / (kernel * width)))
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(0, 1), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        kernel = self.weight_v.shape[-1]
        # Summed, since `norm` over these two axes takes three times as long on processors.
        norm = self.weight_v.square().sum((0, 1), keepdim=True).sqrt()
        weight = self.weight_v * (self.weight_g / norm)
        x = F.conv1d(
            x.transpose(1, 2), weight, self.bias, padding=kernel // 2, groups=self.groups
        ).transpose(1, 2)
        # An even kernel, padded by half of itself on both sides, gives one output too many.
        return x[:, :-1] if kernel % 2 == 0 else x


class EncoderLayer(nn.Module):
    """Post-norm layer with the residual weighted by alpha (Wang et al., "DeepNet", 2022)."""

    def __init__(self, config: BeatsConfig, *, owns_position_table: bool) -> None:
        super().__init__()
        width, layers = config.encoder_embed_dim, config.encoder_layers
        self.alpha = (2 * layers) ** 0.25
        self.self_attn = GatedAttention(config, owns_position_table=owns_position_table)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_embed_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        beta = (8 * layers) ** -0.25
        for linear in (self.fc1, self.fc2, self.self_attn.v_proj, self.self_attn.out_proj):
            nn.init.xavier_normal_(linear.weight, gain=beta)
        for linear in (self.self_attn.q_proj, self.self_attn.k_proj):
            nn.init.xavier_normal_(linear.weight)

    def forward(self, x: Tensor, position_bias: Tensor, padding_mask: Tensor | None) -> Tensor:
        """(B, T, D), (H, T, T) and an optional (B, T) to (B, T, D)."""
        attended = self.self_attn(x, position_bias, padding_mask)
        x = self.self_attn_layer_norm(torch.add(self.dropout(attended), x, alpha=self.alpha))
        transformed = self.fc2(F.gelu(self.fc1(x)))
        out: Tensor = self.final_layer_norm(
            torch.add(self.dropout(transformed), x, alpha=self.alpha)
        )
        return out


class GatedAttention(nn.Module):
    """Attention whose relative position bias each query scales (WavLM, section 3.2)."""

    def __init__(self, config: BeatsConfig, *, owns_position_table: bool) -> None:
        super().__init__()
        width, self.heads = config.encoder_embed_dim, config.encoder_attention_heads
        head_width = width // self.heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.grep_linear = nn.Linear(head_width, 8)
        self.grep_a = nn.Parameter(torch.ones(1, self.heads, 1, 1))
        if owns_position_table:
            self.relative_attention_bias = nn.Embedding(config.num_buckets, self.heads)
            nn.init.normal_(self.relative_attention_bias.weight, std=0.02)

    def forward(self, x: Tensor, position_bias: Tensor, padding_mask: Tensor | None) -> Tensor:
        """(B, T, D), (H, T, T) and an optional (B, T) to (B, T, D)."""
        batch, tokens, width = x.shape
        query, key, value = (
            projection(x).view(batch, tokens, self.heads, -1).transpose(1, 2)  # (B, H, T, D / H)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        gates = self.grep_linear(query).view(batch, self.heads, tokens, 2, 4).sum(-1).sigmoid()
        update, reset = gates.split(1, dim=-1)  # (B, H, T, 1) each
        gate = update * (reset * self.grep_a - 1.0) + 2.0
        if padding_mask is not None:
            hidden = torch.zeros_like(padding_mask, dtype=x.dtype)
            hidden = hidden.masked_fill_(padding_mask, float("-inf"))[:, None, None, :]
        # Head by head: the gated bias of all heads is as large as all scores and leaves the cache.
        attended = []
        for head in range(self.heads):
            one = slice(head, head + 1)
            bias = gate[:, one] * position_bias[one]  # (B, 1, T, T)
            if padding_mask is not None:
                bias = bias + hidden
            attended.append(
                F.scaled_dot_product_attention(
                    query[:, one], key[:, one], value[:, one], attn_mask=bias
                )
            )
        x = torch.cat(attended, dim=1)  # (B, H, T, D / H)
        out: Tensor = self.out_proj(x.transpose(1, 2).reshape(batch, tokens, width))
        return out


def token_padding_mask(padding_mask: Tensor, tokens: int) -> Tensor:
    """Which tokens are padding: those whose equal share of the frames is padding throughout.

    The reference divides the frames into `tokens` contiguous runs, although the tokens of one
    moment all see the same frames; a moment that is half padding has thus half its tokens masked.

    Args:
        padding_mask: (B, frames) bool, True where padded.
        tokens: number of tokens; frames beyond a multiple of it are dropped.

    Returns:
        (B, tokens) bool.
    """
    run = padding_mask.shape[1] // tokens
    if run == 0:
        raise ValueError(
            f"a padding mask over {padding_mask.shape[1]} frames cannot be divided among {tokens} "
            "tokens; BEATs' masks need at least as many frames as tokens"
        )
    return padding_mask[:, : run * tokens].bool().view(-1, tokens, run).all(dim=-1)


def relative_position_bucket(relative: Tensor, num_buckets: int, max_distance: int) -> Tensor:
    """T5's bidirectional buckets: exact up to a quarter of them, then logarithmic, then all alike.

    Args:
        relative: key position minus query position, any shape, integer.
        num_buckets: buckets of both directions together; positive distances take the upper half.
        max_distance: distance from which on all share the last bucket.

    Returns:
        Bucket numbers, int64, in the shape of `relative`.
    """
    half = num_buckets // 2
    exact = half // 2
    distance = relative.abs()
    # float32 as in the reference: at a bucket's edge the rounding decides.
    logarithm = torch.log(distance.clamp_min(1).float() / exact) / math.log(max_distance / exact)
    coarse = exact + (logarithm * (half - exact)).long()
    bucket = torch.where(distance < exact, distance, coarse.clamp_max(half - 1))
    return bucket + half * (relative > 0)


def _drop_repeated_position_tables(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object
) -> None:
    """Released files repeat the table of layer 0, which all layers share, under every layer."""
    name = "self_attn.relative_attention_bias.weight"
    first = state_dict.get(f"{prefix}encoder.layers.0.{name}")
    for index in range(1, len(module.encoder.layers)):  # type: ignore[arg-type,union-attr]
        repeated = state_dict.pop(f"{prefix}encoder.layers.{index}.{name}", None)
        if repeated is not None and not (first is not None and torch.equal(first, repeated)):
            raise ValueError(f"layer {index} has a position table of its own; all share layer 0's")
