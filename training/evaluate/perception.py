"""How well the models see and hear: what each gives for a held-out scene or clip, and the figures.

Models get what is hardest to argue with: the detector all words of the vocabulary, the segmenter
and the tagger the true boxes, the sound tagger the clip alone.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from nuthatch.tools.audio.sound_tagger import SoundTagger
from nuthatch.tools.detection.detectors import Box4, Detector, Found
from nuthatch.tools.segmentation.segmenters import Segmenter
from nuthatch.tools.tagging.taggers import PLAIN, Tagger
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.evaluate.detection import Real, average_precision
from nuthatch.training.evaluate.statistics import (
    Interval,
    clustered_proportion,
    mean,
    proportion,
)
from nuthatch.training.world.scenes import Scene
from nuthatch.training.world.sounds import Clip

Row = dict[str, Any]
"""What was measured on one scene or clip, as JSON holds it."""
Figures = dict[str, Interval]

NEAR_ZERO = 0.02
"""Detector scores from here on enter the average precision."""
MOST_FOUND = 100
"""Boxes of a picture that enter it, the best ones, as in COCO."""
ALONE = 0.05
"""A crop shows one object if others cover no more than this share of its box."""


def look(
    scenes: Sequence[Scene], detector: Detector, segmenter: Segmenter, tagger: Tagger
) -> list[Row]:
    """One row a scene: what the detector found, and for each object its mask, tag and tint."""
    images = [scene.image for scene in scenes]
    boxes = [[each.box for each in scene.objects] for scene in scenes]
    found = detector.find(images, [CATEGORIES] * len(images), threshold=NEAR_ZERO)
    masks = segmenter.segment_many(images, boxes)
    rows: list[Row] = []
    for scene, guesses, cut, corners in zip(scenes, found, masks, boxes, strict=True):
        tags = tagger.tag_boxes(scene.image, corners)
        objects = [
            {
                "category": each.category,
                "tint": each.tint or PLAIN,
                "size": each.size_bin,
                "box": each.box,
                "alone": _covered_by_others(scene, index) <= ALONE,
                "mask_iou": _mask_iou(cut.masks[index], scene.mask(index)),
                "tagged": tags.best()[index][0],
                "tinted": tags.best_tint()[index][0],
            }
            for index, each in enumerate(scene.objects)
        ]
        kept = [
            [each.label, round(each.score, 4), [round(side, 2) for side in each.box]]
            for each in guesses[:MOST_FOUND]
        ]
        rows.append({"seed": scene.seed, "found": kept, "objects": objects})
    return rows


def listen(clips: Sequence[Clip], tagger: SoundTagger) -> list[Row]:
    """One row a clip: the events in it, and all events by how likely the tagger finds them."""
    return [
        {
            "seed": clip.seed,
            "events": list(clip.events),
            "heard": [[event, round(score, 4)] for event, score in tagger.tag(clip.samples)],
        }
        for clip in clips
    ]


def sight(rows: Sequence[Row], suffix: str = "") -> Figures:
    """Figures of the rows of `look`, their names ending in `suffix`."""
    found = [[_found(*each) for each in row["found"]] for row in rows]
    real = [[Real(each["category"], _box(each["box"])) for each in row["objects"]] for row in rows]
    figures = {
        f"detector_ap50{suffix}": Interval(*average_precision(found, real, 0.5)),
        f"detector_ap75{suffix}": Interval(*average_precision(found, real, 0.75)),
        f"segment_iou{suffix}": mean(
            [sum(each["mask_iou"] for each in row["objects"]) for row in rows],
            [len(row["objects"]) for row in rows],
        ),
    }
    for name, truth, guess in (("tag_top1", "category", "tagged"), ("tint", "tint", "tinted")):
        shown = [[each for each in row["objects"] if each["alone"]] for row in rows]
        figures[f"{name}{suffix}"] = clustered_proportion(
            [sum(each[truth] == each[guess] for each in objects) for objects in shown],
            [len(objects) for objects in shown],
        )
    return figures


def by_category(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """For each category: objects, AP50, mean mask IoU, share tagged right, and as what else."""
    found = [[_found(*each) for each in row["found"]] for row in rows]
    real = [[Real(each["category"], _box(each["box"])) for each in row["objects"]] for row in rows]
    objects = sorted(
        (each for row in rows for each in row["objects"]), key=lambda each: each["category"]
    )
    table: dict[str, dict[str, Any]] = {}
    for category, members in groupby(objects, key=lambda each: str(each["category"])):
        group = list(members)
        mistakes = [each["tagged"] for each in group if each["tagged"] != category]
        ap50 = average_precision(
            [[each for each in guesses if each.label == category] for guesses in found],
            [[each for each in there if each.label == category] for there in real],
            0.5,
            resamples=0,
        )
        table[category] = {
            "objects": len(group),
            "ap50": ap50.value,
            "mask_iou": float(np.mean([each["mask_iou"] for each in group])),
            "tagged_right": 1 - len(mistakes) / len(group),
            "taken_for": max(sorted(set(mistakes)), key=mistakes.count, default=None),
        }
    return table


def by_size(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Mask IoU and tagging for small, medium and large objects."""
    table = {}
    for size in ("small", "medium", "large"):
        groups = [[each for each in row["objects"] if each["size"] == size] for row in rows]
        counts = [len(group) for group in groups]
        table[size] = {
            "segment_iou": mean([sum(each["mask_iou"] for each in g) for g in groups], counts),
            "tag_top1": clustered_proportion(
                [sum(each["category"] == each["tagged"] for each in g) for g in groups], counts
            ),
        }
    return table


def hearing(rows: Sequence[Row], suffix: str = "") -> Figures:
    """Figures of the rows of `listen`.

    A clip is right if its events are the likeliest ones, as many as there are.
    """
    figures = {}
    for name, events in (("sound_single", 1), ("sound_pair", 2)):
        group = [row for row in rows if len(row["events"]) == events]
        right = [
            {event for event, _ in row["heard"][:events]} == set(row["events"]) for row in group
        ]
        figures[f"{name}{suffix}"] = proportion(sum(right), len(right))
    return figures


def by_event(rows: Sequence[Row]) -> dict[str, Interval]:
    """For each event, how often it was among the likeliest of the clips that hold it."""
    right: dict[str, list[bool]] = {}
    for row in rows:
        best = {event for event, _ in row["heard"][: len(row["events"])]}
        for event in row["events"]:
            right.setdefault(event, []).append(event in best)
    return {event: proportion(sum(hits), len(hits)) for event, hits in sorted(right.items())}


def _covered_by_others(scene: Scene, index: int) -> float:
    x1, y1, x2, y2 = (int(side) for side in scene.objects[index].box)
    window = scene.instances[y1:y2, x1:x2]
    return float(np.mean((window != 0) & (window != index + 1)))


def _mask_iou(guess: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    return round(float((guess & truth).sum() / (guess | truth).sum()), 4)


def _found(label: str, score: float, box: Sequence[float]) -> Found:
    return Found(label, score, _box(box))


def _box(sides: Sequence[float]) -> Box4:
    x1, y1, x2, y2 = sides
    return x1, y1, x2, y2
