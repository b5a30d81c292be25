"""CLIP: a vision encoder of which one inner layer's states are the features.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021); the
patches of the last layer but one as features are Liu et al., "Visual Instruction Tuning" (2023),
section 4.1. Layers behind the selected one, and the norm behind the last, are not built.

Shapes: N media, T tokens (one for the class, then the patches row by row), W width.
"""

from typing import Any

from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.modeling_outputs import BaseModelOutput


class ClipConfig(CLIPVisionConfig):  # type: ignore[misc]
    """Sizes of a CLIP encoder and which states are its features; the defaults are ViT-L/14-336's.

    `num_hidden_layers` counts the layers of the released encoder, used or not.
    """

    hidden_size: int = 1024
    intermediate_size: int = 4096
    projection_dim: int = 768
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    image_size: int = 336
    patch_size: int = 14
    select_layer: int = -2  # 0 is what enters the first layer, -1 what leaves the last
    select_class_token: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        states = self.num_hidden_layers + 1
        if not -states <= self.select_layer < states:
            raise ValueError(
                f"given select_layer={self.select_layer}, expected {-states} to {states - 1}: the "
                f"encoder has {self.num_hidden_layers} layers and so {states} states to select"
            )

    @property
    def num_features(self) -> int:
        """Features of a picture: one for each patch, and one for the class where it is selected."""
        return int(self.select_class_token) + (self.image_size // self.patch_size) ** 2

    @property
    def num_used_layers(self) -> int:
        """How many layers lie before the selected states."""
        return self.select_layer % (self.num_hidden_layers + 1)


class Clip(CLIPVisionModel):  # type: ignore[misc]
    """Pixels (N, 3, S, S), normalised, to the states of the selected layer."""

    config: ClipConfig

    def __init__(self, config: ClipConfig) -> None:
        super().__init__(config)
        self.encoder.layers = self.encoder.layers[: config.num_used_layers]
        del self.post_layernorm

    def forward(self, pixel_values: Tensor) -> BaseModelOutput:
        """Pictures (N, 3, S, S) to `last_hidden_state` (N, T, W) of the layers used.

        Raises:
            ValueError: the pictures are not of `image_size`.
        """
        hidden = self.pre_layrnorm(self.embeddings(pixel_values))
        return self.encoder(inputs_embeds=hidden)

    def features(self, pixel_values: Tensor) -> Tensor:
        """Pictures (N, 3, S, S) to (N, (S / patch)**2, W), one more where the class is selected.

        Raises:
            ValueError: the pictures are not of `image_size`.
        """
        states: Tensor = self(pixel_values).last_hidden_state
        return states if self.config.select_class_token else states[:, 1:]
