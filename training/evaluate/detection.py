"""Average precision of a detector, as COCO defines it, with a bootstrap interval over pictures.

Boxes are x1 y1 x2 y2 in pixels of the picture, right and bottom exclusive.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuthatch.tools.detection.detectors import Box4, Found, iou
from nuthatch.training.evaluate.statistics import Interval

RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Real:
    """An object that is really there."""

    label: str
    box: Box4


@dataclass(frozen=True)
class _Category:
    """All boxes found of one category over all pictures, best first, and what was to be found."""

    label: str
    hit: NDArray[np.bool_]
    picture: NDArray[np.int64]
    real: NDArray[np.int64]
    """Real objects by picture."""

    def average_precision(self, times: NDArray[np.int64]) -> float:
        """101-point AP when picture i counts `times[i]` times; NaN without real objects."""
        total = int((self.real * times).sum())
        if not total:
            return float("nan")
        weight = times[self.picture]
        hits = np.cumsum(self.hit * weight)
        seen = np.cumsum(weight)
        precision = hits / np.maximum(seen, 1)
        # The best precision at this recall or a higher one.
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(hits / total, RECALLS - 1e-9, side="left")
        reached = at < len(envelope)
        return float(np.append(envelope, 0.0)[np.where(reached, at, -1)].mean())


def average_precision(
    found: Sequence[Sequence[Found]],
    real: Sequence[Sequence[Real]],
    overlap: float,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Interval:
    """Mean AP over the categories that occur, at one IoU threshold.

    As in COCO, a found box takes the best free real box of its category with at least this
    overlap; the rest are false. (Lin et al. 2014, Microsoft COCO; the 101-point rule of its tools.)

    Args:
        found: for every picture what the detector gave, at a threshold near 0.
        real: for every picture what is there.
        overlap: IoU a hit needs, 0.5 for AP50.
        resamples: bootstrap draws of pictures for the interval.
        seed: of these draws.

    Returns:
        The interval's n counts pictures.
    """
    if len(found) != len(real):
        raise ValueError(f"{len(found)} results for {len(real)} pictures")
    categories = _by_category(found, real, overlap)
    count = len(real)

    def mean(times: NDArray[np.int64]) -> float:
        values = [each.average_precision(times) for each in categories]
        values = [value for value in values if not np.isnan(value)]
        return float(np.mean(values)) if values else 0.0

    rng = np.random.default_rng(seed)
    draws = [
        mean(np.bincount(rng.integers(0, count, count), minlength=count)) for _ in range(resamples)
    ]
    low, high = np.percentile(draws, [2.5, 97.5]) if draws else (0.0, 1.0)
    return Interval(mean(np.ones(count, np.int64)), float(low), float(high), count)


def average_precision_by_label(
    found: Sequence[Sequence[Found]], real: Sequence[Sequence[Real]], overlap: float
) -> dict[str, float]:
    """AP of each category that occurs; see `average_precision`."""
    once = np.ones(len(real), np.int64)
    categories = _by_category(found, real, overlap)
    return {each.label: each.average_precision(once) for each in categories}


def _by_category(
    found: Sequence[Sequence[Found]], real: Sequence[Sequence[Real]], overlap: float
) -> list[_Category]:
    rows: dict[str, list[tuple[float, bool, int]]] = defaultdict(list)
    there: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(len(real), np.int64))
    for picture, (guesses, objects) in enumerate(zip(found, real, strict=True)):
        for each in objects:
            there[each.label][picture] += 1
        free = list(objects)
        for guess in sorted(guesses, key=lambda each: -each.score):
            hit = _best(guess, free, overlap)
            if hit is not None:
                free.remove(hit)
            rows[guess.label].append((guess.score, hit is not None, picture))
    categories = []
    for label, counts in there.items():
        ordered = sorted(rows[label], key=lambda row: -row[0])
        hits = np.array([row[1] for row in ordered], bool)
        pictures = np.array([row[2] for row in ordered], np.int64)
        categories.append(_Category(label, hits, pictures, counts))
    return categories


def _best(guess: Found, free: Sequence[Real], overlap: float) -> Real | None:
    same = [each for each in free if each.label == guess.label]
    best = max(same, key=lambda each: iou(guess.box, each.box), default=None)
    return best if best is not None and iou(guess.box, best.box) >= overlap else None
