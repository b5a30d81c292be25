"""Open-vocabulary detectors: one protocol, and the back end that a weights folder asks for.

Boxes are x1 y1 x2 y2 as float pixels of the given picture, right and bottom exclusive, clipped.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

Image = NDArray[np.uint8]
Box4 = tuple[float, float, float, float]

DUPLICATE_IOU = 0.4
"""Two boxes of one label that overlap more than this are one object."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object: its label as asked for, a score from 0 to 1 (not yet a probability), its box."""

    label: str
    score: float
    box: Box4


class Detector(Protocol):
    """Finds the objects that short noun phrases name."""

    @property
    def model_id(self) -> str:
        """Back end, size, first digits of the weights' SHA-256: the name in evidence."""
        ...

    @property
    def threshold(self) -> float:
        """The score from which counts are most often right; the default of `detect`."""
        ...

    def find(
        self, images: Sequence[Image], labels: Sequence[Sequence[str]], *, threshold: float
    ) -> list[list[Found]]:
        """Objects of every picture, best first, scores at least `threshold`, duplicates removed.

        Args:
            images: (H, W, 3) uint8 RGB; sizes may differ.
            labels: for every picture its own labels, at least one.
            threshold: lowest score kept, 0 to 1.

        Raises:
            ValueError: pictures and labels differ in number, a label list is empty, a label is
                blank or longer than the model can read, or a picture is no (H, W, 3) uint8 array.
        """
        ...


def load(folder: Path, device: str = "cpu") -> Detector:
    """The detector whose `config.json` and `model.safetensors` lie in `folder`.

    Raises:
        FileNotFoundError: the folder holds no `config.json`.
        ValueError: no back end knows the model type that it names.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no detector at {folder}: expected config.json and model.safetensors there"
        )
    model_type = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    if model_type == "grounding-dino":
        from nuthatch.tools.grounding_dino import GroundingDino

        return GroundingDino.load(folder, device)
    if model_type == "heatmap":
        from nuthatch.tools.heatmap_detector import HeatmapDetector

        return HeatmapDetector.load(folder, device)
    raise ValueError(f"{path} names model_type {model_type!r}; known: 'grounding-dino', 'heatmap'")


@dataclass(frozen=True, slots=True)
class Trust:
    """What the scores of one category are worth; counts of labels over held-out scenes.

    All of it holds for even odds, as if the category were there in half of the pictures.
    """

    offset: float
    """Of the logistic curve, see `Calibration.probability`."""
    present: int
    """Scenes that show the category,"""
    absent: int
    """and those that do not."""
    present_from: float | None
    """At this best score or a higher one the category is there with at least 0.95; None: never.
    Never below the score of even odds."""
    absent_below: float | None
    """Below this best score it is absent with at least 0.95; None: never. Never above the score of
    even odds."""
    hits: int
    """Scenes with the category at or above `present_from`,"""
    false_alarms: int
    """and without it."""
    misses: int
    """Scenes with the category below `absent_below`,"""
    correct_rejections: int
    """and without it."""


@dataclass(frozen=True)
class Calibration:
    """How to read a detector's scores, measured on scenes it was neither trained nor tested on.

    The file `calibration.json` beside the weights: the fields of this class, `categories` with the
    fields of `Trust` each. A category's best score is the highest of its boxes in a picture, and
    `floor` where no box reaches that.
    """

    weights: str
    """First digits of the SHA-256 of the weights it was measured with."""
    scenes: int
    floor: float
    threshold: float
    """The box score from which counts of 0 to 6 are most often right."""
    slope: float
    categories: dict[str, Trust]
    pooled: Trust
    """All categories together: for labels that are no category."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `calibration.json`.

        Raises:
            FileNotFoundError: there is none.
            pydantic.ValidationError: a field is missing or of another type.
        """
        return TypeAdapter(cls).validate_json(path.read_bytes())

    def probability(self, label: str, best_score: float, prior: float = 0.5) -> float:
        """How likely the label is there, given its best score.

        A logistic curve over the score's log odds, one slope for all, an offset per category
        (Platt 1999), moved to the given prior.
        """
        trust = self.categories.get(label, self.pooled)
        log_odds = self.slope * logit(max(best_score, self.floor)) + trust.offset + logit(prior)
        return 1 / (1 + math.exp(-log_odds))


def logit(probability: float) -> float:
    """Log odds; 0 and 1 are taken as 1e-6 from them."""
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def check(
    images: Sequence[Image], labels: Sequence[Sequence[str]], threshold: float
) -> list[tuple[str, ...]]:
    """The labels of every picture, checked, repeats dropped; see `Detector.find` for the errors."""
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures but {len(labels)} label lists; give one for each")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected 0 to 1")
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f"a picture is {image.dtype} of shape {image.shape}; expected uint8 (H, W, 3) RGB"
            )
    for each in labels:
        if not each or any(not label.strip() for label in each):
            raise ValueError(f"labels are {list(each)}; expected at least one, none of them blank")
    return [tuple(dict.fromkeys(each)) for each in labels]


def above(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: Sequence[str],
    threshold: float,
) -> list[Found]:
    """Every (box, label) whose score reaches the threshold and whose box has an area.

    Args:
        boxes: (N, 4), x1 y1 x2 y2.
        scores: (N, labels).
        labels: their names.
        threshold: lowest score kept.
    """
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return [
        Found(labels[column], float(scores[row, column]), _box4(boxes[row]))
        for row, column in np.argwhere((scores >= threshold) & real[:, None])
    ]


def _box4(row: NDArray[np.float32]) -> Box4:
    x1, y1, x2, y2 = (float(value) for value in row)
    return x1, y1, x2, y2


def chunk(lengths: Sequence[int], tokens: int, most: int) -> list[range]:
    """Split labels of these token counts, in order, into runs that fit a prompt.

    Args:
        lengths: tokens of every label, its separator included.
        tokens: room of a prompt.
        most: labels of a prompt at most.
    """
    runs: list[range] = []
    start = used = 0
    for index, length in enumerate(lengths):
        if index > start and (used + length > tokens or index - start == most):
            runs.append(range(start, index))
            start, used = index, 0
        used += length
    return [*runs, range(start, len(lengths))] if lengths else []


def keep_distinct(found: Sequence[Found], duplicate_iou: float = DUPLICATE_IOU) -> list[Found]:
    """Best first; of the boxes of one label that overlap too much only the best stays.

    Non-maximum suppression for each label alone: a cup before a couch stays.
    """
    kept: list[Found] = []
    for candidate in sorted(found, key=lambda each: -each.score):
        if all(
            candidate.label != other.label or iou(candidate.box, other.box) <= duplicate_iou
            for other in kept
        ):
            kept.append(candidate)
    return kept


def iou(a: Box4, b: Box4) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return both / (area - both)
