"""The eye in training: an EVA encoder that answers at every patch, and heads that are thrown away.

A vision transformer learns to see small things from dense labels: every category is asked at every
patch of every picture. What the later stages keep is the encoder and the phrase vectors.

Shapes: B batch, C cells (the patches, row by row), D width, L phrases.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.mllm.encoders.eva import Eva, EvaConfig
from nuthatch.tools.detection.heatmap_detector import PhraseEncoder
from nuthatch.tools.detection.heatmap_shape import Shape
from nuthatch.training.perceive.detect_loss import Targets, detection_loss
from nuthatch.training.stages.phrase_vectors import apart
from nuthatch.training.stages.starting import start_local, start_wide

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
        start_local(self.tower)
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
