"""Targets and losses of the bridge: which query answers for what, and what it should say.

Every query is at home at an anchor: a place in the picture, or, for sounds, a direction among the
phrase vectors. What is there goes to queries by Hungarian matching (Carion et al. 2020, DETR), in
the first half of training on the distance to the anchors alone, which needs no forward pass and
does not waver; afterwards also on what the queries say.

Shapes: B batch, Q queries, N what is there, at most, K names, D width of the phrase vectors.
Boxes are centre x, centre y, width, height as shares of the picture; those of sounds span the
sound's time from left to right at full height.
"""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from torchvision.ops import (  # type: ignore[import-untyped]
    box_convert,
    generalized_box_iou_loss,
)

ROWS = (5, 6, 5, 6, 5, 5)
"""Anchors of pictures: so many in each row, 32 in all."""
SHARPNESS = 10.0
"""Logit of a name whose phrase vector a query gives exactly."""
EMPTY = 5.0
"""Logit of "nothing"; a name must be given at least half way."""
EMPTY_WEIGHT = 0.3
PRESENT_WEIGHT = 4.0


@dataclass(frozen=True)
class Wanted:
    """What is there."""

    names: Tensor
    """(B, N) indices of names, -1 beyond what is there."""
    boxes: Tensor
    """(B, N, 4)."""


def places(queries: int) -> Tensor:
    """Anchors (Q, 2) in the picture: x, y of 0 to 1, in rows; for other numbers than 32 a grid."""
    rows = ROWS if queries == sum(ROWS) else _even_rows(queries)
    return torch.tensor(
        [
            ((column + 0.5) / count, (row + 0.5) / len(rows))
            for row, count in enumerate(rows)
            for column in range(count)
        ]
    )


def directions(queries: int, width: int) -> Tensor:
    """Anchors (Q, D) among the phrase vectors: fixed random directions of unit length."""
    drawn = torch.randn(queries, width, generator=torch.Generator().manual_seed(0))
    return functional.normalize(drawn, dim=-1)


def distances_in_picture(wanted: Wanted, anchors: Tensor) -> Tensor:
    """(B, Q, N): how far each query's place is from the middle of each box."""
    centres = wanted.boxes[..., :2]
    return torch.cdist(anchors.expand(len(centres), -1, -1), centres)


def distances_in_meaning(wanted: Wanted, anchors: Tensor, vectors: Tensor) -> Tensor:
    """(B, Q, N): from 0 where a query's direction is the name's, to 1 where it is opposite."""
    return (1 - anchors @ vectors[wanted.names.clamp_min(0)].transpose(1, 2)) / 2


def match(cost: Tensor, wanted: Wanted) -> Tensor:
    """(B, Q): the index among the N that each query answers for, -1 for none; cost (B, Q, N)."""
    owner = torch.full(cost.shape[:2], -1)
    for row, (costs, names) in enumerate(zip(cost.detach().cpu(), wanted.names.cpu(), strict=True)):
        there = int((names >= 0).sum())
        queries, things = linear_sum_assignment(costs[:, :there].float().numpy())
        owner[row, queries] = torch.from_numpy(things)
    return owner.to(cost.device)


def prediction_cost(given: Tensor, boxes: Tensor, wanted: Wanted, vectors: Tensor) -> Tensor:
    """(B, Q, N): what a query says against what is there; see `bridge_losses` for the arguments."""
    chances = logits(given, vectors).softmax(-1)  # (B, Q, K + 1)
    index = wanted.names.clamp_min(0)[:, None].expand(-1, chances.shape[1], -1)
    return 0.5 * torch.cdist(boxes, wanted.boxes, p=1) - chances.gather(-1, index)


def logits(given: Tensor, vectors: Tensor) -> Tensor:
    """(B, Q, K + 1) of every name, and last of "nothing"; given (B, Q, D), vectors (K, D)."""
    said = SHARPNESS * given @ vectors.T
    return torch.cat([said, torch.full_like(said[..., :1], EMPTY)], -1)


def presence(given: Tensor, vectors: Tensor) -> Tensor:
    """(B, K): the log odds that a name is there, by the query that is surest of it."""
    return logits(given, vectors)[..., :-1].amax(1) - EMPTY


def bridge_losses(
    given: Tensor, boxes: Tensor, owner: Tensor, wanted: Wanted, vectors: Tensor
) -> dict[str, Tensor]:
    """The losses of one layer's answers.

    Args:
        given: (B, Q, D), the phrase vector that each query gives; near 0 for nothing.
        boxes: (B, Q, 4).
        owner: (B, Q), from `match`.
        wanted: what is there.
        vectors: (K, D), the phrase vectors of all names.
    """
    filled = owner >= 0
    index = owner.clamp_min(0)
    names = wanted.names.gather(1, index).masked_fill(~filled, len(vectors))  # (B, Q)
    weights = torch.ones(len(vectors) + 1, device=given.device)
    weights[-1] = EMPTY_WEIGHT
    said = logits(given, vectors)
    chosen = functional.cross_entropy(said.flatten(0, 1), names.flatten(), weights)

    none = torch.zeros_like(vectors[:1])
    meant = torch.cat([vectors, none])[names]  # (B, Q, D)
    apart = (given - meant).square().sum(-1)

    count = filled.sum().clamp_min(1)
    true = wanted.boxes.gather(1, index[..., None].expand(-1, -1, 4))
    off = ((boxes - true).abs().sum(-1) * filled).sum() / count
    overlap = generalized_box_iou_loss(_corners(boxes), _corners(true), reduction="none")

    there = functional.one_hot(wanted.names + 1, len(vectors) + 1).amax(1)[:, 1:]
    there = there.to(given.dtype)
    positive = torch.tensor(PRESENT_WEIGHT, device=given.device)
    present = functional.binary_cross_entropy_with_logits(
        presence(given, vectors), there, pos_weight=positive
    )
    return {
        "name": chosen,
        "apart": apart.mean(),
        "box": 2 * off,
        "overlap": 0.5 * (overlap * filled).sum() / count,
        "present": 2 * present,
    }


def _corners(boxes: Tensor) -> Tensor:
    sides = boxes[..., 2:].clamp_min(1e-3)  # a linear head may give less than nothing
    corners: Tensor = box_convert(torch.cat([boxes[..., :2], sides], -1), "cxcywh", "xyxy")
    return corners


def _even_rows(queries: int) -> tuple[int, ...]:
    rows = max(1, round(queries**0.5))
    return tuple(queries // rows + (row < queries % rows) for row in range(rows))
