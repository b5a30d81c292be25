"""EVA: the vision encoder of BLIP-2, as transformers' `Blip2VisionModel` rightly set up.

Fang et al., "EVA: Exploring the Limits of Masked Visual Representation Learning at Scale" (2022).
Set up rightly means: weights start at 0.02 and not at 1e-10, the last layer norm has the epsilon of
BLIP-2's `ln_vision`, and the attention's keys have no bias, as in the released files.

Shapes: B batch, T tokens (one for the class, then the patches row by row), D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Blip2VisionConfig, Blip2VisionModel


class EvaConfig(Blip2VisionConfig):  # type: ignore[misc]
    """Sizes of an EVA encoder; the defaults are EVA ViT-g's (39 blocks, as in BLIP-2)."""

    initializer_range: float = 0.02
    post_layer_norm_eps: float = 1e-5

    @property
    def num_features(self) -> int:
        """Features of a picture: one for the class, and one for each patch."""
        return int(1 + (self.image_size // self.patch_size) ** 2)


class Eva(Blip2VisionModel):  # type: ignore[misc]
    """Pixels (B, 3, S, S), normalised, to `last_hidden_state` (B, T, D), T = 1 + (S / patch)**2.

    `pooler_output` passes the last norm twice; do not use it.
    """

    config: EvaConfig

    def __init__(self, config: EvaConfig) -> None:
        super().__init__(config)
        self.post_layernorm.eps = config.post_layer_norm_eps
        for layer in self.encoder.layers:
            layer.self_attn.qkv = QueryKeyValue(config.hidden_size)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """What bridges look at: `last_hidden_state` (B, T, D)."""
        features: Tensor = self(pixel_values).last_hidden_state
        return features


class QueryKeyValue(nn.Linear):
    """One projection to queries, keys and values (..., 3 D) in which the keys have no bias.

    A bias of the keys adds the same to all logits of a query, so softmax cancels it and its
    gradient is rounding noise, which Adam would blow up. It keeps its place in `bias`, as zeros.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 3 * width)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, 3 D)."""
        query, key, value = self.bias.chunk(3)
        return F.linear(x, self.weight, torch.cat([query, torch.zeros_like(key), value]))
