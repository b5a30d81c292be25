"""Masks of everything in a picture, without prompts: a grid of points, and what they agree on.

Kirillov et al., "Segment Anything" (2023), section 4 and appendix B: each point of a grid gives
three masks; those that the model rates well and that stand still when the threshold moves are kept,
of those that overlap the best ones. Masks are encoded chunk by chunk, so that what is in memory at
a time depends on the chunk, not on the grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import nms  # type: ignore[import-untyped]

from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.segmentation.segmenters import PROMPTS_AT_ONCE, Segmenter, decode

MIN_PREDICTED_IOU = 0.88
MIN_STABILITY = 0.95
STABILITY_OFFSET = 1.0
MAX_BOX_IOU = 0.7
"""The published settings, for the released models."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """One mask."""

    mask: Mask
    box: tuple[float, float, float, float]
    """x1 y1 x2 y2 in pixels, right and bottom exclusive."""
    predicted_iou: float
    """The model's own estimate of its quality, 0 to 1."""
    stability: float
    """Overlap of the masks at a lower and a higher threshold, 0 to 1."""


@torch.inference_mode()
def everything(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    *,
    points_per_side: int = 32,
    min_area: int = 0,
    min_predicted_iou: float = MIN_PREDICTED_IOU,
    min_stability: float = MIN_STABILITY,
    max_box_iou: float = MAX_BOX_IOU,
    at_once: int = PROMPTS_AT_ONCE,
    check: Callable[[], None] = lambda: None,
) -> list[Segmented]:
    """Masks of all that the grid's points lie on, the best first.

    Args:
        image: (H, W, 3) uint8 RGB.
        points_per_side: points of the grid along either side.
        min_area: pixels that a mask has at least.
        min_predicted_iou: what the model must think of a mask.
        min_stability: how still a mask must stand when the threshold moves by `STABILITY_OFFSET`.
        max_box_iou: of two masks whose boxes overlap by more, the better one stays.
        at_once: points of a chunk; memory grows with it.
        check: called before each chunk; what it raises ends the work.
    """
    height, width = image.shape[:2]
    steps = (np.arange(points_per_side) + 0.5) / points_per_side
    grid = np.stack(np.meshgrid(steps * width, steps * height), axis=-1).reshape(-1, 2)
    frame = segmenter.embed(image)
    found: list[Segmented] = []
    for start in range(0, len(grid), at_once):
        check()
        chunk = [(float(x), float(y)) for x, y in grid[start : start + at_once]]
        logits, quality = decode(
            segmenter.sam, frame.features, points=segmenter.coords(chunk, frame.original_size)
        )
        good = quality > min_predicted_iou  # (n, 3): before anything is scaled up
        if good.any():
            threshold = segmenter.sam.mask_threshold
            for scaled, rated in zip(
                segmenter.scaled(logits[good], frame), quality[good].tolist(), strict=True
            ):
                one = _stable(scaled, rated, threshold, min_stability, min_area)
                found += [one] if one else []
    return _distinct(found, max_box_iou)


def _stable(
    scaled: Tensor, quality: float, threshold: float, least: float, min_area: int
) -> Segmented | None:
    """The mask of logits (H, W), if it stands still and is large enough."""
    larger = int((scaled > threshold - STABILITY_OFFSET).sum())
    smaller = int((scaled > threshold + STABILITY_OFFSET).sum())
    stability = smaller / max(1, larger)
    mask = (scaled > threshold).cpu().numpy()
    if stability < least or mask.sum() < max(min_area, 1):
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Segmented(
        mask=Mask.of(mask),
        box=(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)),
        predicted_iou=min(1.0, max(0.0, quality)),
        stability=stability,
    )


def _distinct(found: list[Segmented], max_iou: float) -> list[Segmented]:
    if not found:
        return []
    boxes = torch.tensor([each.box for each in found])
    scores = torch.tensor([each.predicted_iou for each in found])
    kept = nms(boxes, scores, max_iou)
    return [found[index] for index in kept.tolist()]
