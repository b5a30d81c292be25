"""The eye in training: an EVA encoder that answers at every patch, and heads that are thrown away.

A vision transformer learns to see small things from dense labels: every category is asked at every
patch of every picture. What the later stages keep is the encoder and the phrase vectors.

Shapes: B batch, C cells (the patches, row by row), D width, L phrases.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.mllm.encoders.eva import Eva, EvaConfig
from nuthatch.tools.heatmap_detector import PhraseEncoder, Shape
from nuthatch.training.perceive.detect_loss import Targets, detection_loss
from nuthatch.training.stages.phrase_vectors import apart

WEIGHTS: Mapping[str, float] = {"overlap": 1.5, "distance": 1.0, "place": 1.0}
"""Of the losses that do not count once."""


class DenseDetector(nn.Module):
    """Scores of every phrase and one box at every patch; an EVA encoder does the seeing."""

    centres: Tensor
    """(C, 2): x, y of every patch's centre, as shares of the picture."""

    def __init__(self, config: EvaConfig, words: int, *, phrase_layers: int = 2) -> None:
        super().__init__()
        width = config.hidden_size
        self.tower = Eva(config)
        start_wide(self.tower)
        start_with_places(self.tower)
        heads = config.num_attention_heads
        self.phrases = PhraseEncoder(
            Shape(width=width, words=words, phrase_layers=phrase_layers, heads=heads)
        )
        # Words must weigh more than what the layers add to all of them alike.
        nn.init.normal_(self.phrases.words.weight)
        self.name = nn.Linear(width, width)
        self.thing = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.patch = nn.Linear(width, width)
        self.background = nn.Linear(width, 1)
        self.box = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4))
        self.place = nn.Linear(width, 2)
        # Scores start at about 0.02, where a focal loss wants them.
        self.bias = nn.Parameter(torch.tensor(-4.0))
        self.grid = config.image_size // config.patch_size
        cells = torch.arange(self.grid**2)
        centres = torch.stack([cells % self.grid, cells // self.grid], -1)
        self.register_buffer("centres", (centres + 0.5) / self.grid, persistent=False)

    def forward(self, pixels: Tensor, phrases: Tensor) -> tuple[Tensor, Tensor]:
        """Read pictures (B, 3, S, S) for what `phrases` gives (L, D) for all categories.

        Returns:
            Logits (B, C, L), and boxes (B, C, 4): centre x, y, width, height as shares of the
            picture.
        """
        return self._answer(self._look(pixels), apart(phrases))

    def losses(
        self,
        pixels: Tensor,
        phrase_ids: Tensor,
        heat: Tensor,
        boxes: Tensor,
        labels: Tensor,
        owners: Tensor,
    ) -> dict[str, Tensor]:
        """What the pictures of a batch teach.

        Args:
            pixels: (B, 3, S, S), normalised.
            phrase_ids: (L, tokens), a name of every category.
            heat: (B, C, L); this and the next two as in `detect_loss.Targets`.
            boxes: (B, C, 4).
            labels: (B, C).
            owners: (B, C): the category most pixels of a patch show, L for the background.
        """
        phrases = apart(self.phrases(phrase_ids))
        features = self._look(pixels)
        scores, found = self._answer(features, phrases)
        losses = detection_loss(scores, found, Targets(heat, boxes, labels))
        shown = self.patch(features) @ phrases.T
        shown = torch.cat([shown, self.background(features)], -1)
        losses["patch"] = functional.cross_entropy(shown.flatten(0, 1), owners.flatten())
        place = self.centres.expand(len(features), -1, -1)
        losses["place"] = functional.mse_loss(self.place(features), place)
        return {name: WEIGHTS.get(name, 1.0) * value for name, value in losses.items()}

    def _look(self, pixels: Tensor) -> Tensor:
        """Features of the patches, (B, C, D)."""
        features: Tensor = self.tower(pixels).last_hidden_state[:, 1:]
        return features

    def _answer(self, features: Tensor, phrases: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C, L) and boxes (B, C, 4) of features (B, C, D)."""
        logits = self.name(features) @ phrases.T + self.thing(features) + self.bias
        # Distances from the patch's centre to the four sides, in patches: 2 each at first.
        sides = 2 / self.grid * functional.softplus(self.box(features) + 0.54)
        before, after = sides.chunk(2, -1)  # left and top, right and bottom
        return logits, torch.cat([self.centres + (after - before) / 2, before + after], -1)


def start_wide(tower: Eva) -> None:
    """Let all matrices start as large as EVA's 0.02 is at EVA's width, 0.75 / sqrt(inputs).

    At a width of 192 the same 0.02 would leave attention even, and what layers add small.
    """
    for name, matrix in tower.named_parameters():
        if name.endswith("weight") and matrix.ndim >= 2:
            nn.init.trunc_normal_(matrix, std=0.75 * matrix[0].numel() ** -0.5)


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
