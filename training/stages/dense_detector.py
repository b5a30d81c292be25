"""The eye in training: an EVA encoder that answers at every patch, and heads that are thrown away.

A vision transformer learns to see small things from dense labels: every category is asked at every
patch of every picture. What the later stages keep is the encoder and the phrase vectors.

Shapes: B batch, C cells (patches; some may be left out in training), D width, L phrases.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.mllm.encoders.eva import Eva, EvaConfig
from nuthatch.tools.heatmap_detector import PhraseEncoder, Shape
from nuthatch.training.perceive.detect_loss import Targets, detection_loss

WEIGHTS: Mapping[str, float] = {"overlap": 1.5, "distance": 1.0, "place": 1.0}
"""Of the losses that do not count once."""


class DenseDetector(nn.Module):
    """Scores of every phrase and one box at every patch; an EVA encoder does the seeing."""

    def __init__(self, config: EvaConfig, words: int, *, phrase_layers: int = 2) -> None:
        super().__init__()
        width = config.hidden_size
        self.tower = Eva(config)
        start_with_places(self.tower)
        heads = config.num_attention_heads
        self.phrases = PhraseEncoder(
            Shape(width=width, words=words, phrase_layers=phrase_layers, heads=heads)
        )
        self.name = nn.Linear(width, width)
        self.patch = nn.Linear(width, width)
        self.background = nn.Linear(width, 1)
        self.box = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4))
        self.place = nn.Linear(width, 2)
        # Scores start at about 0.02, where a focal loss wants them.
        self.bias = nn.Parameter(torch.tensor(-4.0))
        self.grid = config.image_size // config.patch_size
        self.scale = width**-0.5

    def forward(self, pixels: Tensor, phrases: Tensor) -> tuple[Tensor, Tensor]:
        """Read pictures (B, 3, S, S) for phrase vectors (L, D).

        Returns:
            Logits (B, C, L), and boxes (B, C, 4): centre x, y, width, height as shares of the
            picture.
        """
        features = self.tower(pixels).last_hidden_state[:, 1:]
        return self._scores(features, phrases), self._boxes(features, self._centres(features))

    def losses(
        self,
        pixels: Tensor,
        phrase_ids: Tensor,
        cells: Tensor,
        heat: Tensor,
        boxes: Tensor,
        labels: Tensor,
        owners: Tensor,
    ) -> dict[str, Tensor]:
        """What the pictures of a batch teach.

        Args:
            pixels: (B, 3, S, S), normalised.
            phrase_ids: (L, tokens), a name of every category.
            cells: (B, C), the patches that are looked at, counted row by row.
            heat: (B, C, L); this and the next two as in `detect_loss.Targets`, at these patches.
            boxes: (B, C, 4).
            labels: (B, C).
            owners: (B, C): the category most pixels of a patch show, L for the background.
        """
        phrases = self.phrases(phrase_ids)
        features = self._look(pixels, cells)
        centres = torch.stack([cells % self.grid, cells // self.grid], -1) + 0.5  # (B, C, 2)
        found = self._boxes(features, centres.to(features.dtype))
        wanted = Targets(heat, boxes, labels)
        losses = detection_loss(self._scores(features, phrases), found, wanted)
        shown = self.patch(features) @ phrases.T * self.scale
        shown = torch.cat([shown, self.background(features)], -1)
        losses["patch"] = functional.cross_entropy(shown.flatten(0, 1), owners.flatten())
        losses["place"] = functional.mse_loss(self.place(features), centres / self.grid)
        return {name: WEIGHTS.get(name, 1.0) * value for name, value in losses.items()}

    def _look(self, pixels: Tensor, cells: Tensor) -> Tensor:
        """Features (B, C, D) of these patches, as if the others were not there."""
        tokens = self.tower.embeddings(pixels)
        if cells.shape[1] < self.grid**2:
            picked = tokens[:, 1:].gather(1, cells[..., None].expand(-1, -1, tokens.shape[-1]))
            tokens = torch.cat([tokens[:, :1], picked], 1)
        encoded = self.tower.encoder(inputs_embeds=tokens).last_hidden_state
        features: Tensor = self.tower.post_layernorm(encoded)[:, 1:]
        return features

    def _scores(self, features: Tensor, phrases: Tensor) -> Tensor:
        scores: Tensor = self.name(features) @ phrases.T * self.scale + self.bias
        return scores

    def _centres(self, features: Tensor) -> Tensor:
        """(C, 2): x, y of all patches' centres, in patches."""
        cells = torch.arange(features.shape[1], device=features.device)
        return torch.stack([cells % self.grid, cells // self.grid], -1).to(features.dtype) + 0.5

    def _boxes(self, features: Tensor, centres: Tensor) -> Tensor:
        """Distances from the patch's centre to the four sides, in patches: 2 each at first."""
        sides = 2 * functional.softplus(self.box(features) + 0.54)
        before, after = sides.chunk(2, -1)  # left and top, right and bottom
        return torch.cat([centres + (after - before) / 2, before + after], -1) / self.grid


def start_with_places(tower: Eva) -> None:
    """Let the learned positions start as 0.3 times two-dimensional sines and cosines."""
    table = tower.embeddings.position_embedding
    grid, width = math.isqrt(table.shape[1] - 1), table.shape[2]
    rates = torch.pi * grid ** -(torch.arange(width // 4) / (width // 4))
    angles = torch.arange(grid)[:, None] * rates  # (grid, width / 4)
    waves = torch.cat([angles.sin(), angles.cos()], -1)
    across = waves[None].expand(grid, -1, -1)
    down = waves[:, None].expand(-1, grid, -1)
    with torch.no_grad():
        table[0, 1:, : width // 4 * 4] = 0.3 * torch.cat([across, down], -1).flatten(0, 1)
