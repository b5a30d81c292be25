"""Whether a picture is of the kind that a detector was trained on, by the cells of its network.

Each cell of the backbone, 8 pixels apart, has features from fine to coarse. A small head turns each
cell into hidden features, and their mean and deviation over the picture into one score: local
texture tells photographs, pages and drawings from the miniature world wherever it is. The head is
trained on scenes of the world and on other kinds of pictures (outlier exposure, Hendrycks et al.
2019, arXiv:1812.04606); its threshold keeps a given share of the scenes of the split "calibrate".

The share of the picture that is plain is added to that: the grounds of the world are of two colours
(`plain_share`).

What a picture's size, shape and margins are does not matter: plain margins are cut off, and a long
picture is looked at in parts that keep its aspect. Shapes: C cells, D features, H hidden.
"""

import math
from pathlib import Path
from typing import Self

import numpy as np
import PIL.Image as Pictures
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.media.types import Pixels
from nuthatch.tools.weights.folder import DOMAIN_FILE

PLAIN = 12
"""Values of 255 by which the pixels of a plain margin may differ; JPEG makes them differ."""
KEPT_MARGIN = 0.08
"""Of the longer side of what is inside: so much of a margin stays."""
SAMPLES = 256
"""Lines a side that are looked at for margins."""
LONG = 1.5
"""A picture is looked at in one part for every `LONG` by which it is longer than wide."""
MOST_PARTS = 4
GROUND = 96
"""Pixels a side of the picture whose ground is looked for,"""
BIN, NEAR, BESIDE = 24, 50, 7
"""in levels of 255: colours that count as one, the length of half the line, its half width."""
SUMMARY = 16
"""Hidden features of a whole picture."""
CELL = 8
"""Pixels of the network's input."""
LAYERS = (2, 4, 5, 6)
"""Layers of the backbone whose means in each cell are its features; of the first also the most."""
FINEST = LAYERS[0]


def without_margins(image: Pixels) -> Pixels:
    """The picture (H, W, 3) without the margins of one colour around it; a plain one as it is."""
    height, width = image.shape[:2]
    step, rows = _step(image), _sampled(image)
    top, bottom = _plain_lines(rows), _plain_lines(rows[::-1])
    if top + bottom >= len(rows):  # plain, or of two colours
        return image
    columns = rows[top : len(rows) - bottom].transpose(1, 0, 2)
    left, right = _plain_lines(columns), _plain_lines(columns[::-1])
    if left + right >= len(columns):
        return image
    x1, x2, y1, y2 = left * step, width - right * step, top * step, height - bottom * step
    margin = int(KEPT_MARGIN * max(x2 - x1, y2 - y1))
    return image[
        max(0, y1 - margin) : min(height, y2 + margin),
        max(0, x1 - margin) : min(width, x2 + margin),
    ]


def _step(image: Pixels) -> int:
    height, width = image.shape[:2]
    return int(max(1, max(height, width) // SAMPLES))


def _sampled(image: Pixels) -> NDArray[np.int16]:
    """About `SAMPLES` rows or columns of the longer side, and as dense ones of the other."""
    return image[:: _step(image), :: _step(image)].astype(np.int16)


def _plain_lines(lines: NDArray[np.int16]) -> int:
    """How many of the lines (N, M, 3), from the first on, have the colour of the first."""
    away = np.abs(lines - np.median(lines[0], axis=0)).max(axis=(1, 2)) > PLAIN
    return int(away.argmax()) if away.any() else len(lines)


def parts(image: Pixels) -> list[Pixels]:
    """The picture, or, where it is long, overlapping parts of it that are nearly square."""
    height, width = image.shape[:2]
    longer = max(height, width)
    number = min(MOST_PARTS, math.ceil(longer / min(height, width) / LONG))
    if number < 2:
        return [image]
    side = min(longer, math.ceil(1.15 * longer / number))
    starts = [round(step * (longer - side) / (number - 1)) for step in range(number)]
    if height > width:
        return [image[start : start + side] for start in starts]
    return [image[:, start : start + side] for start in starts]


def plain_share(image: Pixels) -> float:
    """Share of the pixels that are the ground's, if it is of one colour or runs between two.

    Their colours lie on a short line through the colour that is seen most.
    """
    small = Pictures.fromarray(image).resize((GROUND, GROUND), Pictures.Resampling.BILINEAR)
    colours = np.asarray(small, np.float32).reshape(-1, 3)
    bins = (colours // BIN).astype(np.int64) @ (256, 16, 1)
    most = colours[bins == np.bincount(bins).argmax()].mean(axis=0)
    near = colours[np.abs(colours - most).max(axis=1) < NEAR]
    near = near - near.mean(axis=0)
    _, axes = np.linalg.eigh(near.T @ near)
    beside = np.linalg.norm(near - np.outer(near @ axes[:, 2], axes[:, 2]), axis=1)
    return float((beside < BESIDE).sum() / len(colours))


class PictureDomain(nn.Module):
    """The head: cells (C, D) of a picture -> one score, higher for pictures of other kinds."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(features))
        self.deviation = nn.Buffer(torch.ones(features))
        self.cell = nn.Linear(features, hidden)
        self.picture = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(2 * hidden, SUMMARY), nn.ReLU(), nn.Linear(SUMMARY, 1)
        )
        self.plain = nn.Buffer(torch.zeros(()))
        """What a picture that is wholly plain takes off its score."""
        self.threshold = math.inf
        self.weights = ""
        """First digits of the SHA-256 of the weights whose cells these are."""

    def forward(self, cells: Tensor) -> Tensor:
        """Scores (B,) of pictures by their cells (B, C, D)."""
        seen = self.cell((cells - self.mean) / self.deviation).relu()
        summary = torch.cat([seen.mean(dim=1), seen.std(dim=1, correction=0)], dim=1)
        scores: Tensor = self.picture(summary)[:, 0]
        return scores

    @torch.inference_mode()
    def score(self, backbone: nn.Sequential, framing: Framing, image: Pixels) -> float:
        """The score of a picture (H, W, 3) uint8 RGB; it is known up to the threshold. One of a
        single colour shows nothing of any world: infinity."""
        cut = without_margins(image)
        rows = _sampled(cut)
        if _plain_lines(rows) == len(rows):
            return math.inf
        by_cells = float(self(cells_of(backbone, framing, cut)[None]))
        return by_cells - float(self.plain) * plain_share(cut)

    @classmethod
    def beside(cls, folder: Path) -> Self | None:
        """The one that lies beside the weights in `folder`, if there is one; raises as `load`."""
        path = folder / DOMAIN_FILE
        return cls.load(path) if path.is_file() else None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `domain.safetensors`.

        Raises:
            ToolUnavailable: the file holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
                said = file.metadata() or {}
            hidden, features = tensors["cell.weight"].shape
            domain = cls(features, hidden)
            domain.load_state_dict(tensors)
            domain.threshold, domain.weights = float(said["threshold"]), said["weights"]
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise ToolUnavailable(f"{path} cannot be read as a domain: {error!r}") from error
        return domain.eval()

    def save(self, path: Path) -> None:
        """Write what `load` reads; numbers as bfloat16."""
        from safetensors.torch import save_file

        numbers = {
            name: value.detach().to(torch.bfloat16).contiguous()
            for name, value in self.state_dict().items()
        }
        save_file(numbers, path, {"threshold": repr(self.threshold), "weights": self.weights})


@torch.inference_mode()
def cells_of(backbone: nn.Sequential, framing: Framing, image: Pixels) -> Tensor:
    """Features (C, D) of the cells that lie in a picture.

    Args:
        backbone: of `heatmap_detector.HeatmapNetwork`.
        framing: of a fixed size.
        image: (H, W, 3) uint8 RGB, without margins.
    """
    values, _, inside = framing.tensor(parts(image))
    features = values.to(next(backbone.parameters()).device)
    features = features.contiguous(memory_format=torch.channels_last)
    rows, columns = (side // CELL for side in values.shape[-2:])
    layers: list[Tensor] = []
    for number, layer in enumerate(backbone[: LAYERS[-1] + 1]):
        features = layer(features)
        if number in LAYERS:
            layers.append(functional.adaptive_avg_pool2d(features, (rows, columns)))
        if number == FINEST:
            layers.append(functional.adaptive_max_pool2d(features, (rows, columns)))
    every = torch.cat(layers, dim=1)
    return torch.cat(
        [
            every[part, :, : max(1, high // CELL), : max(1, wide // CELL)].flatten(1).T
            for part, (high, wide) in enumerate(inside)
        ]
    )
