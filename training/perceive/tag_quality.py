"""What the tagger is worth: calibration on the split "calibrate", figures on the split "test"."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nuthatch.tools.tagging.taggers import (
    LABELS,
    NOTHING,
    PLAIN,
    TINT_LABELS,
    Box4,
    Calibration,
    Presence,
    Rate,
    Reliability,
    Tagger,
    widen,
)
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.perceive.tag_crops import (
    AMBIGUOUS,
    NOTHING_SHOWN,
    label_of,
    shown_in,
    shows_only,
)
from nuthatch.training.world.atlas import AtlasMissing
from nuthatch.training.world.layout import Appearance
from nuthatch.training.world.scenes import Scene, SceneObject, make_scene
from nuthatch.training.world.splits import held_out_tint

PRECISION = 0.95
SURE_FROM = 0.5
"""No threshold for a likeliest label is set lower, however few mistakes there were."""
Figures = dict[str, dict[str, float]]


class Judged:
    """Crops with the truth, and the tags given; all arrays of n crops.

    The crops are every object's box, moved a little, and with `windows` as many boxes laid at
    random, which may show an object (not always whole) or nothing.
    """

    def __init__(self, tagger: Tagger, scenes: Sequence[Scene], *, windows: bool) -> None:
        rng = np.random.default_rng(0)
        truth: list[tuple[int, int]] = []
        is_box, alone, new_pair = [], [], []
        categories, tints = [], []
        for scene in tqdm(scenes, desc="crops", leave=False):
            boxes = [_moved(each.box, scene.size, rng) for each in scene.objects]
            shown = list(range(len(boxes)))
            alone += [shows_only(scene, square, i) for i, square in enumerate(_squares(boxes))]
            is_box += [True] * len(boxes)
            if windows:
                placed = [_random_box(scene.size, rng) for _ in boxes]
                for box, square in zip(placed, _squares(placed), strict=True):
                    index = shown_in(scene, square)
                    if index != AMBIGUOUS:
                        boxes.append(box)
                        shown.append(index)
                        is_box.append(False)
                        alone.append(False)
            tags = tagger.tag_boxes(scene.image, boxes)
            categories.append(tags.categories)
            tints.append(tags.tints)
            truth += [label_of(scene, index) for index in shown]
            new_pair += [i != NOTHING_SHOWN and _new_pair(scene.objects[i]) for i in shown]
        self.labels, self.tints = np.array(truth).T
        self.category_scores = np.concatenate(categories)
        self.tint_scores = np.concatenate(tints)
        self.is_box = np.array(is_box)
        self.alone = np.array(alone)
        self.new_pair = np.array(new_pair)
        self.nothing = self.labels == LABELS.index(NOTHING)
        self.right = self.category_scores.argmax(axis=1) == self.labels
        self.tint_right = self.tint_scores.argmax(axis=1) == self.tints


def _squares(boxes: Sequence[Box4]) -> list[Box4]:
    """What the tagger looks at for each box."""
    return [(a, b, c, d) for a, b, c, d in widen(np.array(boxes)).tolist()]


def _new_pair(shown: SceneObject) -> bool:
    """Whether training never shows this category in this tint."""
    return shown.tint == held_out_tint(shown.category)


def _moved(box: Box4, size: int, rng: np.random.Generator) -> Box4:
    """The box as a detector might give it: each side off by up to 6 %."""
    x1, y1, x2, y2 = box
    off = rng.uniform(-0.06, 0.06, 4) * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
    a, b, c, d = np.clip(np.array(box) + off, 0, size).tolist()
    return a, b, c, d


def _random_box(size: int, rng: np.random.Generator) -> Box4:
    side = size * rng.uniform(0.15, 0.4)
    x, y = rng.uniform(0, size - side, 2)
    return x, y, x + side, y + side


def accuracies(tagger: Tagger, scenes: Sequence[Scene]) -> dict[str, float]:
    """A quick look during training."""
    judged = Judged(tagger, scenes, windows=True)
    return {
        "top1": float(judged.right[judged.is_box].mean()),
        "tint": float(judged.tint_right[judged.is_box].mean()),
        "nothing": float(judged.right[judged.nothing].mean()),
    }


def picture_scores(
    tagger: Tagger, scenes: Sequence[Scene]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of `tag_image` and the truth, both (pictures, categories)."""
    scores = [
        list(tagger.tag_image(scene.image).values()) for scene in tqdm(scenes, desc="pictures")
    ]
    present = [[name in scene.counts() for name in CATEGORIES] for scene in scenes]
    return np.array(scores), np.array(present)


def calibrate(tagger: Tagger, weights: Path, pictures: int) -> Calibration:
    """Thresholds and reliabilities of the tagger in the file `weights`; see `Calibration`."""
    scenes = [make_scene(seed, "calibrate") for seed in tqdm(range(pictures), desc="calibrate")]
    judged = Judged(tagger, scenes, windows=True)
    crops = _rates(LABELS, judged.category_scores, judged.labels)
    seen = judged.is_box
    tints = _rates(TINT_LABELS, judged.tint_scores[seen], judged.tints[seen])
    scores, present = picture_scores(tagger, scenes)
    # Even odds: each category's pictures with and without it weigh the same in sum.
    shares = np.where(
        present, 1 / np.maximum(present.sum(axis=0), 1), 1 / np.maximum((~present).sum(axis=0), 1)
    )
    return Calibration(
        weights=hashlib.sha256(weights.read_bytes()).hexdigest()[:12],
        split="calibrate",
        pictures=pictures,
        precision=PRECISION,
        crops=crops[0],
        crops_reliability=crops[1],
        tints=tints[0],
        tints_reliability=tints[1],
        presence={
            name: _presence(scores[:, i], present[:, i]) for i, name in enumerate(CATEGORIES)
        },
        presence_reliability=reliability(scores.ravel(), present.ravel(), shares.ravel()),
    )


def _rates(
    labels: Sequence[str], scores: NDArray[np.float32], truth: NDArray[np.int64]
) -> tuple[dict[str, Rate], Reliability]:
    given, best = scores.argmax(axis=1), scores.max(axis=1).astype(np.float64)
    right = given == truth
    rates = {name: _rate(best[given == i], right[given == i]) for i, name in enumerate(labels)}
    return rates, reliability(best, right, np.ones(len(best)))


def _rate(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> Rate:
    """The lowest threshold from which on the precision wanted is reached."""
    order = np.argsort(-scores)
    scores, hits = scores[order], np.cumsum(right[order])
    counts = np.arange(1, len(scores) + 1)
    precision = (hits + 0.5) / (counts + 1)
    ends = np.append(scores[1:] < scores[:-1], True)  # never part equal scores
    good = np.flatnonzero((precision >= PRECISION) & (scores >= SURE_FROM) & ends)
    if not len(good):
        whole = (right.sum() + 0.5) / (len(right) + 1)
        return Rate(threshold=None, precision=round(float(whole), 4), n=len(right))
    last = good[-1]
    return Rate(
        threshold=round(float(scores[last]), 4),
        precision=round(float(precision[last]), 4),
        n=int(counts[last]),
    )


def _presence(scores: NDArray[np.float64], present: NDArray[np.bool_]) -> Presence:
    """Both thresholds of one category, at even odds."""
    with_it, without = np.sort(scores[present]), np.sort(scores[~present])
    candidates = np.unique(np.round(scores, 4))
    kept = _share_from(with_it, candidates)
    false = _share_from(without, candidates)
    precision = kept / (kept + false)
    good = np.flatnonzero((precision >= PRECISION) & (kept > 1 / (len(with_it) + 1)))
    here = int(good[0]) if len(good) else None
    missed, cleared = 1 - kept, 1 - false
    absence = cleared / (missed + cleared)
    good = np.flatnonzero((absence >= PRECISION) & (cleared > 1 / (len(without) + 1)))
    gone = int(good[-1]) if len(good) else None
    return Presence(
        present=Rate(
            threshold=None if here is None else float(candidates[here]),
            precision=round(float(precision[here or 0]), 4),
            n=int((scores >= candidates[here or 0]).sum()),
        ),
        absent=Rate(
            threshold=None if gone is None else float(candidates[gone]),
            precision=round(float(absence[gone if gone is not None else -1]), 4),
            n=int((scores < candidates[gone if gone is not None else -1]).sum()),
        ),
        pictures_with=int(present.sum()),
        pictures_without=int((~present).sum()),
    )


def _share_from(
    rising: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of scores at or above each threshold, half a case added, so never quite 0 or 1."""
    above = len(rising) - np.searchsorted(rising, thresholds, side="left")
    return (above + 0.5) / (len(rising) + 1)


def reliability(
    scores: NDArray[np.float64],
    right: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    bins: int = 40,
) -> Reliability:
    """Rising steps: bins of equal counts of right cases, then pooled until they rise."""
    cases = scores[right] if right.any() else scores
    edges = np.unique(np.quantile(cases, np.linspace(0, 1, bins + 1)[1:-1]).round(4))
    place = np.searchsorted(edges, scores, side="right")
    hit = np.bincount(place, weights * right, len(edges) + 1)
    total = np.bincount(place, weights, len(edges) + 1)
    counts = np.bincount(place, minlength=len(edges) + 1)
    blocks: list[tuple[float, float, float, int]] = []  # lower edge, right, all, cases
    for low, good, whole, n in zip([0.0, *edges], hit, total, counts, strict=True):
        block = (float(low), float(good), float(whole), int(n))
        while blocks and block[1] * blocks[-1][2] <= blocks[-1][1] * block[2]:
            low, *sums = blocks.pop()
            block = (low, block[1] + sums[0], block[2] + sums[1], block[3] + int(sums[2]))
        blocks.append(block)
    return Reliability(
        scores=tuple(block[0] for block in blocks),
        probabilities=tuple(round(good / max(whole, 1e-9), 4) for _, good, whole, _ in blocks),
        n=tuple(block[3] for block in blocks),
    )


def wilson(right: NDArray[np.bool_]) -> dict[str, float]:
    """Share of right ones with Wilson's 95 % interval; of none, nothing is known."""
    n, z = len(right), 1.96
    if not n:
        return {"value": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    share = float(right.mean())
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return {"value": share, "low": middle - half, "high": middle + half, "n": n}


def average_precision(scores: NDArray[np.float64], present: NDArray[np.bool_]) -> float:
    """Area under precision over recall of all (picture, category) pairs ranked together."""
    ranked = present.ravel()[np.argsort(-scores.ravel(), kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def presence_ap(
    scores: NDArray[np.float64], present: NDArray[np.bool_], *, rounds: int = 200
) -> dict[str, float]:
    """Average precision with its 95 % bootstrap interval over pictures."""
    rng = np.random.default_rng(0)
    pictures = len(scores)
    drawn = [
        average_precision(scores[i], present[i])
        for i in (rng.integers(pictures, size=pictures) for _ in range(rounds))
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = average_precision(scores, present)
    return {"value": value, "low": float(low), "high": float(high), "n": pictures}


def measure(tagger: Tagger, calibration: Calibration, pictures: int) -> Figures:
    """Figures on the split "test", on every appearance whose sprites are here.

    `pictures` of the trained appearance, and half as many of each that is held out.
    """
    figures: Figures = {}
    appearances: tuple[Appearance, ...] = ("seen", "variant", "openmoji")
    for appearance in appearances:
        count = pictures if appearance == "seen" else pictures // 2
        try:
            scenes = [
                make_scene(seed, "test", appearance=appearance)
                for seed in tqdm(range(count), desc=f"test {appearance}")
            ]
        except AtlasMissing:
            continue
        found = _crop_figures(Judged(tagger, scenes, windows=True))
        scores, present = picture_scores(tagger, scenes)
        found["presence_ap"] = presence_ap(scores, present)
        found |= _decided(calibration, scores, present)
        figures |= {f"{appearance}_{name}": figure for name, figure in found.items()}
    return figures


def _crop_figures(judged: Judged) -> Figures:
    box = judged.is_box
    tinted = box & (judged.tints != TINT_LABELS.index(PLAIN))
    return {
        "top1_one_object": wilson(judged.right[judged.alone]),
        "top1": wilson(judged.right[box]),
        "nothing": wilson(judged.right[judged.nothing]),
        "tint": wilson(judged.tint_right[box]),
        "tint_of_tinted": wilson(judged.tint_right[tinted]),
        "tint_of_new_pairs": wilson(judged.tint_right[box & judged.new_pair]),
    }


def _decided(
    calibration: Calibration, scores: NDArray[np.float64], present: NDArray[np.bool_]
) -> Figures:
    """How the frozen thresholds of presence do: share settled, and share right of those, each at
    even odds in expectation only (pictures with and without are listed apart)."""
    above, below = np.zeros_like(present), np.zeros_like(present)
    for i, name in enumerate(CATEGORIES):
        here = calibration.presence[name].present.threshold
        gone = calibration.presence[name].absent.threshold
        above[:, i] = here is not None and scores[:, i] >= here
        below[:, i] = gone is not None and scores[:, i] < gone
    below &= ~above
    return {
        "present_called_present": wilson(above[present]),
        "present_called_absent": wilson(below[present]),
        "absent_called_absent": wilson(below[~present]),
        "absent_called_present": wilson(above[~present]),
    }


def hardest(tagger: Tagger, pictures: int, *, count: int = 8) -> list[str]:
    """The categories most often named wrongly on "test", each with what it was taken for."""
    scenes = [make_scene(seed, "test") for seed in range(pictures)]
    judged = Judged(tagger, scenes, windows=False)
    given = judged.category_scores.argmax(axis=1)
    lines = []
    for i, name in enumerate(CATEGORIES):
        wrong = given[(judged.labels == i) & (given != i)]
        total = int((judged.labels == i).sum())
        if len(wrong):
            other = LABELS[int(np.bincount(wrong).argmax())]
            lines.append((len(wrong) / total, f"{name} ({len(wrong)} of {total}, mostly {other})"))
    return [line for _, line in sorted(lines, reverse=True)[:count]]
