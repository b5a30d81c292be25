"""What the trained detector is worth: calibration of its scores, held-out quality, model card."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nuthatch.tools.detection.detectors import Calibration, Detector, Found, Trust, logit
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.evaluate.detection import (
    Real,
    average_precision,
    average_precision_by_label,
)
from nuthatch.training.evaluate.statistics import Interval, proportion
from nuthatch.training.world.atlas import AtlasMissing
from nuthatch.training.world.layout import Appearance
from nuthatch.training.world.scenes import Scene, make_scene
from nuthatch.training.world.splits import Split

FLOOR = 0.02
"""Lowest score that is looked at."""
SURE = 0.95
THRESHOLDS = np.round(np.arange(0.1, 0.8, 0.02), 2)
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """Scenes, and all that the detector found in them when asked for every category."""

    scenes: list[Scene]
    found: list[list[Found]]

    def average_precision(self, overlap: float, resamples: int = 200) -> Interval:
        """AP at one IoU threshold."""
        return average_precision(self.found, self._real(), overlap, resamples=resamples)

    def by_category(self, overlap: float) -> dict[str, float]:
        """AP of every category that occurs."""
        return average_precision_by_label(self.found, self._real(), overlap)

    def _real(self) -> list[list[Real]]:
        return [[Real(each.category, each.box) for each in scene.objects] for scene in self.scenes]

    def best_scores(self) -> Numbers:
        """(scenes, categories): the highest score of each category, `FLOOR` without a box."""
        best = np.full((len(self.scenes), len(CATEGORIES)), FLOOR)
        for row, found in enumerate(self.found):
            for each in found:
                column = CATEGORIES.index(each.label)
                best[row, column] = max(best[row, column], each.score)
        return best

    def presence(self) -> NDArray[np.bool_]:
        """(scenes, categories): what is really there."""
        shown = [scene.counts() for scene in self.scenes]
        return np.array([[name in counts for name in CATEGORIES] for counts in shown])

    def count_accuracy(self, threshold: float) -> Interval:
        """Share of scenes in which the number of the focus category (0 to 6) is right."""
        right = sum(
            scene.counts().get(scene.focus, 0)
            == sum(each.label == scene.focus and each.score >= threshold for each in found)
            for scene, found in zip(self.scenes, self.found, strict=True)
        )
        return proportion(right, len(self.scenes))


def look(detector: Detector, scenes: int, split: Split, appearance: Appearance = "seen") -> Seen:
    """Ask for every category in the first scenes of a split."""
    made = [make_scene(seed, split, appearance=appearance) for seed in range(scenes)]
    found: list[list[Found]] = []
    for start in tqdm(range(0, scenes, 32), desc=f"{split} {appearance}"):
        images = [scene.image for scene in made[start : start + 32]]
        found += detector.find(images, [CATEGORIES] * len(images), threshold=FLOOR)
    return Seen(made, found)


def calibrate(seen: Seen, weights: Path) -> Calibration:
    """Measure what scores mean; see `Calibration`."""
    best, there = seen.best_scores(), seen.presence()
    slope, offsets, offset = fit_curves(best, there)
    counts = [seen.count_accuracy(threshold).value for threshold in THRESHOLDS]
    return Calibration(
        weights=hashlib.sha256(weights.read_bytes()).hexdigest()[:12],
        scenes=len(seen.scenes),
        floor=FLOOR,
        threshold=float(THRESHOLDS[int(np.argmax(counts))]),
        slope=slope,
        categories={
            name: trust(best[:, column], there[:, column], float(offsets[column]), slope)
            for column, name in enumerate(CATEGORIES)
        },
        pooled=trust(best.ravel(), there.ravel(), offset, slope),
    )


def fit_curves(best: Numbers, there: NDArray[np.bool_]) -> tuple[float, Numbers, float]:
    """Slope, an offset per category, and the offset common to all, at even odds.

    Logistic regression by Newton's method. Offsets are drawn towards the common one as by ten
    scenes' worth of evidence, so that a rare category is not taken at the word of two scenes.
    """
    x = np.vectorize(logit)(best)
    share = there.mean(0).clip(1e-3, 1 - 1e-3)
    weight = np.where(there, 0.5 / share, 0.5 / (1 - share))
    columns = best.shape[1]
    # Parameters: slope, common offset, a deviation per category.
    theta = np.concatenate([[1.0, 0.0], np.zeros(columns)])
    ridge = np.concatenate([[1e-3, 1e-3], np.full(columns, 2.0)])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(theta[0] * x + theta[1] + theta[2:])))
        residual, bend = weight * (p - there), weight * p * (1 - p)
        by_column, bends, cross = residual.sum(0), bend.sum(0), (bend * x).sum(0)
        gradient = np.concatenate([[(residual * x).sum(), residual.sum()], by_column])
        hessian = np.diag(np.concatenate([[(bend * x * x).sum(), bend.sum()], bends]))
        hessian[0, 1] = hessian[1, 0] = cross.sum()
        hessian[0, 2:] = hessian[2:, 0] = cross
        hessian[1, 2:] = hessian[2:, 1] = bends
        step = np.linalg.solve(hessian + np.diag(ridge), gradient + ridge * theta)
        theta = theta - step
        if np.abs(step).max() < 1e-8:
            break
    return float(theta[0]), theta[1] + theta[2:], float(theta[1])


def trust(best: Numbers, there: NDArray[np.bool_], offset: float, slope: float) -> Trust:
    """Where even-odds precision of "there" and of "absent" reach `SURE` on these scenes.

    Rates are counted with half a case added on either side: no mistake in ten is not yet sure. The
    many clear scores may carry unclear ones, so neither threshold crosses the score of even odds.
    """
    with_it, without = np.sort(best[there]), np.sort(best[~there])
    present, absent = len(with_it), len(without)

    def from_here(levels: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        hits = present - np.searchsorted(with_it, levels)
        return hits, absent - np.searchsorted(without, levels)

    levels = np.unique(best)
    hits, alarms = from_here(levels)
    found, alarmed = (hits + 0.5) / (present + 1), (alarms + 0.5) / (absent + 1)
    missed = (present - hits + 0.5) / (present + 1)
    rejected = (absent - alarms + 0.5) / (absent + 1)
    # The lowest level from which every higher one is sure, too; the highest with all lower ones.
    sure, gone = found / (found + alarmed) >= SURE, rejected / (rejected + missed) >= SURE
    low = len(levels) - int(np.cumprod(sure[::-1]).sum())
    high = int(np.cumprod(gone[1:]).sum())
    even = 1 / (1 + float(np.exp(offset / slope)))
    present_from = max(float(levels[low]), even) if low < len(levels) else None
    absent_below = min(float(levels[high]), even) if high > 0 else None
    at = np.array([present_from or np.inf, absent_below or -np.inf])
    (kept, lost), (false, free) = (each.tolist() for each in from_here(at))
    return Trust(
        offset=offset,
        present=present,
        absent=absent,
        present_from=present_from,
        absent_below=absent_below,
        hits=kept,
        false_alarms=false,
        misses=present - lost,
        correct_rejections=absent - free,
    )


def write_calibration(calibration: Calibration, path: Path) -> None:
    """As `Calibration.load` reads it."""
    path.write_text(json.dumps(asdict(calibration), indent=1) + "\n", encoding="utf-8")


def measure(detector: Detector, scenes: int) -> tuple[dict[str, Interval], list[str]]:
    """AP50, AP75 and count accuracy on held-out layouts: trained styles, other glyphs, OpenMoji.

    The last is left out where its atlas was not built. Also gives the hardest categories of the
    trained styles, worst first.
    """
    figures: dict[str, Interval] = {}
    hardest: list[str] = []
    appearances: tuple[Appearance, ...] = ("seen", "variant", "openmoji")
    for appearance in appearances:
        try:
            seen = look(detector, scenes, "test", appearance)
        except AtlasMissing as error:
            tqdm.write(f"not measured: {error}")
            continue
        figures[f"{appearance}_ap50"] = seen.average_precision(0.5)
        figures[f"{appearance}_ap75"] = seen.average_precision(0.75)
        figures[f"{appearance}_count"] = seen.count_accuracy(detector.threshold)
        if appearance == "seen":
            by_category = seen.by_category(0.5)
            worst = sorted(by_category, key=by_category.__getitem__)[:6]
            hardest = [f"{name} {by_category[name]:.2f}" for name in worst]
    return figures, hardest


ROWS = {
    "seen": "held-out layouts, trained styles",
    "variant": "held-out glyphs of the trained styles",
    "openmoji": "held-out style (OpenMoji)",
}


def write_card(
    folder: Path,
    figures: dict[str, Interval],
    hardest: list[str],
    calibration: Calibration,
    schedule: str,
    minutes: float,
) -> None:
    """The model card, from what was measured."""
    lines = []
    for name, title in ROWS.items():
        if f"{name}_ap50" in figures:
            cells = [
                f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
                for each in (figures[f"{name}_{kind}"] for kind in ("ap50", "ap75", "count"))
            ]
            lines.append(f"| {title} | {' | '.join(cells)} | {figures[f'{name}_ap50'].n} |")
    never = [name for name, each in calibration.categories.items() if each.present_from is None]
    size = (folder / "model.safetensors").stat().st_size / 1e6
    text = CARD.format(
        size=size,
        schedule=schedule,
        minutes=minutes,
        hardest=", ".join(hardest),
        rows="\n".join(lines),
        threshold=calibration.threshold,
        scenes=calibration.scenes,
        never=", ".join(never) or "none",
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


CARD = """# Embedded detector

A heat-map detector of 1.3 million parameters, {size:.1f} MB in bfloat16. It finds what short noun
phrases name in pictures of the miniature world; it has never seen a photograph, and what it says
about one is worth nothing.

**Shape.** 128 x 128 pixels (other pictures are scaled to fit and padded); a residual network with a
deep 3 x 3 stem gives 16 x 16 cells, a phrase encoder of one layer gives a vector for each label; a
score is the sigmoid of their dot product, and every cell predicts one box (after Zhou et al. 2019,
Objects as Points). Overlapping boxes of one label are thinned out at IoU 0.4. A score does not
depend on the other labels asked for. Words outside the vocabulary are spelt.

**Data.** Scenes of the miniature world, split `train`: two emoji styles, one glyph a category. Part
of the pictures in a batch change in colour, contour, sharpness and grain.

**Schedule.** {schedule} {minutes:.0f} minutes on one processor core that others shared.
Command: `nuthatch train embedded --stage perceive --only detect`.

**Quality.** All 70 categories asked for in every scene; 95 % intervals, n scenes. Count: the number
(0 to 6) of one category at the default threshold {threshold:.2f}.

| | AP50 | AP75 | count | n |
|---|---|---|---|---|
{rows}

Hardest on held-out layouts (AP50): {hardest}.

**Scores** are no probabilities. `calibration.json` says what they are worth, measured on {scenes}
scenes of the split `calibrate`. Categories whose presence no score makes sure (0.95 at even odds):
{never}.

**Known failures.** Glyphs and styles it was not trained on, as the table shows; objects under 20
pixels; crowds of one kind that overlap; objects under a tenth of the picture's longer side, unless
plain margins, or the picture's being wide or tall, make them small: there it looks closer by itself
(`tools/views.py`). Names beyond the vocabulary, its plurals and its synonyms find nothing reliable.
Attributes are not read: a label `red cup` does not tell red cups from others.
"""
