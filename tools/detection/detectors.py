"""Open-vocabulary detectors: one protocol, and the back end that a weights folder asks for.

Boxes are x1 y1 x2 y2 as float pixels of the given picture, right and bottom exclusive, clipped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from nuthatch.deprecated import renamed
from nuthatch.tools.media.types import Pixels

Box4 = tuple[float, float, float, float]

DUPLICATE_IOU = 0.4
"""Two boxes of one label that overlap more than this are one object."""
TILE_OVERLAP = 0.2
"""What a tile shares with its neighbour, of its own side."""
SMALLEST_TILE = 32
"""Pixels a side."""
TILE_EDGE = 0.02
"""Of a tile's side: a box that ends nearer than this to where the tile cuts the picture is cut."""


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
        self, images: Sequence[Pixels], labels: Sequence[Sequence[str]], *, threshold: float
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

    @classmethod
    def beside(cls, folder: Path) -> Self | None:
        """The one that lies beside the weights in `folder`, if there is one."""
        path = folder / "calibration.json"
        return cls.load(path) if path.is_file() else None

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
    images: Sequence[Pixels], labels: Sequence[Sequence[str]], threshold: float
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


def find_in_tiles(
    detector: Detector,
    images: Sequence[Pixels],
    labels: Sequence[Sequence[str]],
    tiles: Sequence[int],
    *,
    threshold: float,
) -> list[list[Found]]:
    """As `Detector.find`, with a closer look at small objects.

    Each picture is looked at whole and, where its number in `tiles` is n > 1, in n x n tiles that
    overlap. What a tile cuts through is left to its neighbours and to the whole picture; what is
    found twice is merged as duplicates are.
    """
    views: list[tuple[int, tuple[int, int, int, int]]] = []
    for index, (image, number) in enumerate(zip(images, tiles, strict=True)):
        height, width = image.shape[:2]
        parts = tiles_of(width, height, number)
        views += [(index, (0, 0, width, height)), *((index, part) for part in parts)]
    parts_found = detector.find(
        [images[index][y1:y2, x1:x2] for index, (x1, y1, x2, y2) in views],
        [labels[index] for index, _ in views],
        threshold=threshold,
    )
    found: list[list[Found]] = [[] for _ in images]
    for (index, part), hits in zip(views, parts_found, strict=True):
        x1, y1, x2, y2 = part
        found[index] += _whole_ones(clipped(hits, x2 - x1, y2 - y1), part, images[index])
    overlap = getattr(detector, "duplicate_iou", DUPLICATE_IOU)
    return [
        keep_distinct(each, overlap) if number > 1 else each
        for each, number in zip(found, tiles, strict=True)
    ]


def clipped(found: Iterable[Found], width: int, height: int) -> list[Found]:
    """What a detector found in a picture of this size, boxes clipped to it; without those that have
    no part inside, or coordinates or a score that are no numbers."""
    kept = []
    for each in found:
        x1, y1, x2, y2 = each.box
        if not all(map(math.isfinite, (*each.box, each.score))):
            continue
        box = (max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2))
        if box[0] < box[2] and box[1] < box[3]:
            kept.append(each if box == each.box else replace(each, box=box))
    return kept


def tiles_of(width: int, height: int, number: int) -> list[tuple[int, int, int, int]]:
    """`number` x `number` tiles x1 y1 x2 y2 that cover the picture and overlap by `TILE_OVERLAP`.

    None for number 1, and where a side of a tile would be shorter than `SMALLEST_TILE`.
    """
    wide, high = (
        math.ceil(side / (number - (number - 1) * TILE_OVERLAP)) for side in (width, height)
    )
    if number == 1 or min(wide, high) < SMALLEST_TILE:
        return []

    def starts(side: int, tile: int) -> list[int]:
        return [round(step * (side - tile) / (number - 1)) for step in range(number)]

    return [(x, y, x + wide, y + high) for y in starts(height, high) for x in starts(width, wide)]


def _whole_ones(
    found: Sequence[Found], tile: tuple[int, int, int, int], image: Pixels
) -> list[Found]:
    """What a tile does not cut through, in coordinates of the picture."""
    x1, y1, x2, y2 = tile
    height, width = image.shape[:2]
    across, down = TILE_EDGE * (x2 - x1), TILE_EDGE * (y2 - y1)
    low_x, low_y = 0 if x1 == 0 else across, 0 if y1 == 0 else down
    high_x = x2 - x1 - (0 if x2 == width else across)
    high_y = y2 - y1 - (0 if y2 == height else down)
    kept = []
    for each in found:
        left, top, right, bottom = each.box
        if left >= low_x and top >= low_y and right <= high_x and bottom <= high_y:
            moved = (left + x1, top + y1, right + x1, bottom + y1)
            kept.append(replace(each, box=moved))
    return kept


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


__getattr__ = renamed(__name__)
