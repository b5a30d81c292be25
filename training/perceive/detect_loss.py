"""Losses of the tiny Grounding DINO: dense for its proposals, matched for its queries.

All boxes here are centre x, centre y, width, height as shares of the picture. Logits are per text
token, (..., T); an object's class is the set of its label's tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import (  # type: ignore[import-untyped]
    box_convert,
    generalized_box_iou,
    generalized_box_iou_loss,
)

INNER = 0.5
"""A cell learns the box of an object when it lies in this inner share of it."""


class Truth(NamedTuple):
    """The objects of one picture that the prompt asks for."""

    boxes: Tensor
    """(N, 4)."""
    label: Tensor
    """(N,): the index of each object's label in the prompt."""
    spans: Tensor
    """(L, T): 1 at the tokens of each label, else 0."""

    @property
    def tokens(self) -> Tensor:
        """(N, T): 1 at the tokens of each object's label."""
        return self.spans[self.label]


@dataclass(frozen=True)
class DenseTargets:
    """What every cell of the feature map should say; C = cells, row by row."""

    heat: Tensor
    """(B, C, T): 1 at the cell with an object's centre, falling off like a Gaussian around it."""
    boxes: Tensor
    """(B, C, 4)."""
    label: Tensor
    """(B, C): which label of the prompt the cell's object has, -1 where there is none."""
    spans: Tensor
    """(B, L, T): 1 at the tokens of every label of the prompt; rows without one are padding."""


def dense_targets(truths: Sequence[Truth], grid: int) -> DenseTargets:
    """Centre heat maps per token (Zhou et al. 2019, Objects as Points) on a `grid` x `grid` map."""
    tokens = truths[0].spans.shape[1]
    heat: NDArray[np.float32] = np.zeros((len(truths), grid, grid, tokens), np.float32)
    boxes: NDArray[np.float32] = np.zeros((len(truths), grid, grid, 4), np.float32)
    labels: NDArray[np.int64] = np.full((len(truths), grid, grid), -1)
    nearest: NDArray[np.float32] = np.full((len(truths), grid, grid), np.inf, np.float32)
    centres = (np.arange(grid, dtype=np.float32) + 0.5) / grid
    for index, truth in enumerate(truths):
        marks = truth.tokens.numpy()
        for box, label, mark in zip(truth.boxes.numpy(), truth.label, marks, strict=True):
            x, y, width, height = box
            column, row = min(int(x * grid), grid - 1), min(int(y * grid), grid - 1)
            across = (np.arange(grid) - column) / max(width * grid / 6, 0.4)
            down = (np.arange(grid) - row) / max(height * grid / 6, 0.4)
            bump = np.exp(-0.5 * (across[None, :] ** 2 + down[:, None] ** 2))
            for token in np.flatnonzero(mark):
                np.maximum(heat[index, ..., token], bump, out=heat[index, ..., token])
            inner = (np.abs(centres - x) <= INNER * width / 2)[None, :] & (
                np.abs(centres - y) <= INNER * height / 2
            )[:, None]
            inner[row, column] = True
            away = np.hypot(centres[None, :] - x, centres[:, None] - y)
            away[row, column] = 0
            mine = inner & (away < nearest[index])
            nearest[index][mine] = away[mine]
            boxes[index][mine] = box
            labels[index][mine] = label
    return DenseTargets(
        torch.from_numpy(heat).flatten(1, 2),
        torch.from_numpy(boxes).flatten(1, 2),
        torch.from_numpy(labels).flatten(1, 2),
        pad_sequence([truth.spans for truth in truths], batch_first=True),
    )


def dense_loss(
    logits: Tensor, box_logits: Tensor, targets: DenseTargets, read: Tensor
) -> dict[str, Tensor]:
    """Penalty-reduced focal loss of the heat maps, and L1 with GIoU of the boxes.

    Args:
        logits: (B, C, T).
        box_logits: (B, C, 4), before the sigmoid.
        targets: see `dense_targets`.
        read: (B, T), 1 for tokens that are no padding.
    """
    centre = targets.heat == 1
    logits = logits.masked_fill(~read[:, None, :].bool(), -30.0)
    score = logits.sigmoid()
    sure, unsure = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    loss = torch.where(centre, (1 - score) ** 2 * sure, (1 - targets.heat) ** 4 * score**2 * unsure)
    heat = -loss.sum() / centre.sum().clamp(min=1)
    wanted = targets.label >= 0
    predicted, truth = box_logits[wanted].sigmoid(), targets.boxes[wanted]
    return {
        "dense_class": heat,
        "dense_choice": choice_loss(logits[wanted], targets, wanted),
        **_box_losses(predicted, truth, "dense"),
    }


def choice_loss(logits: Tensor, targets: DenseTargets, wanted: Tensor) -> Tensor:
    """Which of the labels asked for is it? Cross entropy at every cell on an object.

    The heat map learns from one cell an object; this compares labels at all of its cells, and
    leaves the level of their scores to the heat map.

    Args:
        logits: (K, T), of the cells in `wanted`.
        targets: of all cells.
        wanted: (B, C) bool.
    """
    if not len(logits):
        return logits.sum()
    picture = wanted.nonzero()[:, 0]
    share = targets.spans / targets.spans.sum(-1, keepdim=True).clamp(min=1)
    scores = torch.einsum("kt,klt->kl", logits, share[picture])
    scores = scores.masked_fill(targets.spans.sum(-1)[picture] == 0, -30.0)
    return functional.cross_entropy(scores, targets.label[wanted])


def matched_loss(
    logits: Tensor, boxes: Tensor, truths: Sequence[Truth], read: Tensor
) -> dict[str, Tensor]:
    """DETR's loss of every decoder layer (Carion et al. 2020), one query for one object.

    Args:
        logits: (L, B, Q, T).
        boxes: (L, B, Q, 4).
        truths: one a picture.
        read: (B, T), 1 for tokens that are no padding.
    """
    logits = logits.masked_fill(~read[None, :, None, :].bool(), -30.0)
    wanted = torch.zeros_like(logits)
    predicted, true = [], []
    for layer in range(len(logits)):
        for index, truth in enumerate(truths):
            if not len(truth.boxes):
                continue
            rows, columns = _match(logits[layer, index], boxes[layer, index], truth)
            wanted[layer, index, rows] = truth.tokens[columns]
            predicted.append(boxes[layer, index, rows])
            true.append(truth.boxes[columns])
    score = logits.sigmoid()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    wrong = torch.where(wanted > 0, 1 - score, score)
    weight = torch.where(wanted > 0, 1.0, 0.5)
    classes = (weight * wrong**2 * cross_entropy).sum() / wanted.sum().clamp(min=1)
    found = torch.cat(predicted) if predicted else boxes.new_zeros(0, 4)
    truth_boxes = torch.cat(true) if true else boxes.new_zeros(0, 4)
    layers = len(logits)
    return {"matched_class": classes * layers, **_box_losses(found, truth_boxes, "matched", layers)}


@torch.no_grad()
def _match(logits: Tensor, boxes: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    score = logits.sigmoid()
    gain = (1 - score) ** 2 * -(score + 1e-8).log() - score**2 * -(1 - score + 1e-8).log()
    share = truth.tokens / truth.tokens.sum(1, keepdim=True)
    cost = (
        2 * gain @ share.T
        + 5 * torch.cdist(boxes, truth.boxes, p=1)
        - 2 * generalized_box_iou(_corners(boxes), _corners(truth.boxes))
    )
    rows, columns = linear_sum_assignment(cost.numpy())
    return torch.from_numpy(rows), torch.from_numpy(columns)


def _box_losses(predicted: Tensor, truth: Tensor, name: str, times: int = 1) -> dict[str, Tensor]:
    count = max(1, len(truth)) / times
    distance = (predicted - truth).abs().sum() / count
    overlap = generalized_box_iou_loss(_corners(predicted), _corners(truth), reduction="sum")
    return {f"{name}_l1": 5 * distance, f"{name}_giou": 2 * overlap / count}


def _corners(boxes: Tensor) -> Tensor:
    corners: Tensor = box_convert(boxes, "cxcywh", "xyxy")
    return corners
