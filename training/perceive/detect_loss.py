"""Targets and losses of the heat-map detector.

All boxes here are centre x, centre y, width, height as shares of the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.ops import (  # type: ignore[import-untyped]
    box_convert,
    generalized_box_iou_loss,
)

INNER = 0.5
"""A cell learns the box and the label of an object when it lies in this inner share of it."""


class Truth(NamedTuple):
    """The objects of one picture."""

    boxes: Tensor
    """(N, 4)."""
    labels: Tensor
    """(N,): the index of each object's label among those asked for."""


@dataclass(frozen=True)
class Targets:
    """What every cell should say; C = cells, row by row, L = labels asked for."""

    heat: Tensor
    """(B, C, L): 1 at the cell with an object's centre, falling off like a Gaussian around it."""
    boxes: Tensor
    """(B, C, 4)."""
    labels: Tensor
    """(B, C): the label of the object the cell lies on, -1 where there is none."""


def targets(truths: Sequence[Truth], grid: int, labels: int) -> Targets:
    """Centre heat maps (Zhou et al. 2019, Objects as Points) on a `grid` x `grid` map."""
    shape = (len(truths), grid, grid)
    heat: NDArray[np.float32] = np.zeros((*shape, labels), np.float32)
    boxes: NDArray[np.float32] = np.zeros((*shape, 4), np.float32)
    owners: NDArray[np.int64] = np.full(shape, -1)
    nearest: NDArray[np.float32] = np.full(shape, np.inf, np.float32)
    cells = np.arange(grid, dtype=np.float32)
    centres = (cells + 0.5) / grid
    for index, truth in enumerate(truths):
        for box, label in zip(truth.boxes.numpy(), truth.labels.tolist(), strict=True):
            x, y, width, height = box
            column, row = min(int(x * grid), grid - 1), min(int(y * grid), grid - 1)
            across = (cells - column) / max(width * grid / 6, 0.4)
            down = (cells - row) / max(height * grid / 6, 0.4)
            bump = np.exp(-0.5 * (across[None, :] ** 2 + down[:, None] ** 2))
            np.maximum(heat[index, ..., label], bump, out=heat[index, ..., label])
            inner = (np.abs(centres - x) <= INNER * width / 2)[None, :] & (
                np.abs(centres - y) <= INNER * height / 2
            )[:, None]
            inner[row, column] = True
            away = np.hypot(centres[None, :] - x, centres[:, None] - y)
            away[row, column] = 0
            mine = inner & (away < nearest[index])
            nearest[index][mine] = away[mine]
            boxes[index][mine] = box
            owners[index][mine] = label
    return Targets(
        torch.from_numpy(heat).flatten(1, 2),
        torch.from_numpy(boxes).flatten(1, 2),
        torch.from_numpy(owners).flatten(1, 2),
    )


def detection_loss(logits: Tensor, boxes: Tensor, wanted: Targets) -> dict[str, Tensor]:
    """Heat maps by a penalty-reduced focal loss; at cells on objects also label and box.

    The heat map learns a name from one cell an object. `choice` compares the labels at all of its
    cells, and leaves the level of their scores to the heat map; names are learned much sooner.

    Args:
        logits: (B, C, L).
        boxes: (B, C, 4).
        wanted: see `targets`.
    """
    centre = wanted.heat == 1
    score = logits.sigmoid()
    loss = torch.where(
        centre,
        (1 - score) ** 2 * functional.logsigmoid(logits),
        (1 - wanted.heat) ** 4 * score**2 * functional.logsigmoid(-logits),
    )
    on_object = wanted.labels >= 0
    count = on_object.sum().clamp(min=1)
    found, true = boxes[on_object], wanted.boxes[on_object]
    overlap = generalized_box_iou_loss(_corners(found), _corners(true), reduction="sum")
    choice = functional.cross_entropy(logits[on_object], wanted.labels[on_object], reduction="sum")
    return {
        "heat": -loss.sum() / centre.sum().clamp(min=1),
        "choice": choice / count,
        "distance": 5 * (found - true).abs().sum() / count,
        "overlap": 2 * overlap / count,
    }


def _corners(boxes: Tensor) -> Tensor:
    corners: Tensor = box_convert(boxes, "cxcywh", "xyxy")
    return corners
