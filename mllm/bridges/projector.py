"""The projector: each feature by itself, through one linear map or a small perceptron.

The linear map is Liu et al., "Visual Instruction Tuning" (2023), section 4.1; the perceptron is
theirs in "Improved Baselines with Visual Instruction Tuning" (2023), section 3.3.

Shapes: N media, S source features of width W, D width of the language model.
"""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedConfig


class ProjectorConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of a projector; the defaults are those of LLaVA-1.5 7B."""

    model_type = "projector"

    encoder_hidden_size: int = 1024  # W
    hidden_size: int = 4096  # D
    num_layers: int = 2  # 1 is LLaVA's `linear`, k from 2 on its `mlp{k}x_gelu`

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.num_layers < 1:
            raise ValueError(
                f"given num_layers={self.num_layers}, expected at least 1; 1 is a linear map"
            )


class Projector(nn.Sequential):
    """Linear, then exact GELU and linear as often as there are further layers.

    The linear maps are `0`, `2`, ... as in the released files; where there is only one, its name in
    the files has no number.
    """

    def __init__(self, config: ProjectorConfig) -> None:
        width = config.hidden_size
        layers: list[nn.Module] = [nn.Linear(config.encoder_hidden_size, width)]
        for _ in range(config.num_layers - 1):
            layers += [nn.GELU(), nn.Linear(width, width)]
        super().__init__(*layers)
        self.config = config

    def forward(self, features: Tensor) -> Tensor:
        """(N, S, W) to (N, S, D)."""
        projected: Tensor = super().forward(features)
        return projected
