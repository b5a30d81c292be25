"""What the segmenter is worth: IoU by prompt, size and appearance on held-out scenes."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from nuthatch.tools.segmentation.segmenters import Box4, Segmenter
from nuthatch.training.world.atlas import AtlasMissing
from nuthatch.training.world.layout import Appearance
from nuthatch.training.world.scenes import Scene, make_scene

SMALLEST_MASK = 12
"""Pixels; less of an object than this is hidden behind others and is never asked for."""
Figures = dict[str, dict[str, float]]
Ious = list[list[float]]
"""One value an object, the objects of a scene together."""


def visible_objects(scene: Scene) -> list[int]:
    """Indices of the objects of which enough can be seen."""
    sizes = np.bincount(scene.instances.ravel(), minlength=len(scene.objects) + 1)[1:]
    return [i for i, size in enumerate(sizes) if size >= SMALLEST_MASK]


def box_of(scene: Scene, index: int) -> Box4:
    """The object's box, right and bottom exclusive."""
    return scene.objects[index].box


def jitter_box(box: Box4, amount: float, rng: np.random.Generator, size: int = 128) -> Box4:
    """Move each side by up to `amount` of the box's width or height, inside the image."""
    x1, y1, x2, y2 = box
    moves = rng.uniform(-amount, amount, 4) * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
    a, b, c, d = np.clip(np.asarray(box) + moves, 0, size).tolist()
    return a, b, max(c, a + 1), max(d, b + 1)


def box_ious(segmenter: Segmenter, scenes: Sequence[Scene], *, jitter: float) -> Ious:
    """IoU of each visible object's mask, prompted with its (jittered) box."""
    rng = np.random.default_rng(0)
    chosen = [visible_objects(scene) for scene in scenes]
    boxes = [
        [jitter_box(scene.objects[i].box, jitter, rng) for i in indices]
        for scene, indices in zip(scenes, chosen, strict=True)
    ]
    found = segmenter.segment_many([scene.image for scene in scenes], boxes)
    return [
        [mask_iou(mask, scene.mask(i)) for mask, i in zip(masks.masks, indices, strict=True)]
        for scene, indices, masks in zip(scenes, chosen, found, strict=True)
    ]


def _middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    ys, xs = np.nonzero(mask)
    nearest = ((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2).argmin()
    return float(xs[nearest]), float(ys[nearest])


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one shape."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def mean(ious: Ious) -> float:
    """Mean over all objects."""
    return float(np.mean([value for group in ious for value in group]))


def interval(groups: Ious) -> dict[str, float]:
    """Mean with its 95 % interval; values of one scene count as one group (a cluster)."""
    values = [value for group in groups for value in group]
    mean = float(np.mean(values))
    excess = [sum(group) - mean * len(group) for group in groups]
    half = 1.96 * math.sqrt(sum(e * e for e in excess)) / len(values)
    return {"value": mean, "low": mean - half, "high": mean + half, "n": len(values)}


def measure(segmenter: Segmenter, pictures: int) -> tuple[Figures, list[str]]:
    """Figures on the split "test", and the categories with the lowest IoU, worst first.

    `pictures` of the trained appearance, and half as many of each held-out one whose sprites are
    here.
    """
    figures: Figures = {}
    by_category: dict[str, list[float]] = {}
    appearances: tuple[Appearance, ...] = ("seen", "variant", "openmoji")
    for appearance in appearances:
        count = pictures if appearance == "seen" else pictures // 2
        try:
            scenes = [make_scene(seed, "test", appearance=appearance) for seed in range(count)]
        except AtlasMissing:
            continue
        found: dict[str, Ious] = {}
        rng = np.random.default_rng(0)
        for scene in tqdm(scenes, desc=f"test {appearance}"):
            for name, values in _judge(segmenter, scene, rng).items():
                found.setdefault(name, []).append(values)
        for scene, values in zip(scenes, found["box"], strict=True):
            for index, value in zip(visible_objects(scene), values, strict=True):
                shown = scene.objects[index]
                if appearance == "seen":
                    by_category.setdefault(shown.category, []).append(value)
                found.setdefault(f"box_{shown.size_bin}", []).append([value])
        figures |= {f"{appearance}_{name}": interval(ious) for name, ious in found.items()}
    ranked = sorted((float(np.mean(v)), name, len(v)) for name, v in by_category.items())
    return figures, [f"{name} ({value:.2f}, n {n})" for value, name, n in ranked]


def _judge(segmenter: Segmenter, scene: Scene, rng: np.random.Generator) -> dict[str, list[float]]:
    """IoU of each visible object, by kind of prompt; the picture is embedded once."""
    chosen = visible_objects(scene)
    truths = [scene.mask(i) for i in chosen]
    boxes = [scene.objects[i].box for i in chosen]
    masks: dict[str, Sequence[NDArray[np.bool_]]] = {
        "box": list(segmenter.segment(scene.image, boxes=boxes).masks),
        "point": list(segmenter.segment(scene.image, points=[_middle(t) for t in truths]).masks),
        "filled_box": [_filled(box, scene.size) for box in boxes],
    }
    for percent in (6, 12):
        moved = [jitter_box(box, percent / 100, rng) for box in boxes]
        masks[f"box_jitter_{percent}"] = list(segmenter.segment(scene.image, boxes=moved).masks)
    return {
        name: [mask_iou(mask, truth) for mask, truth in zip(found, truths, strict=True)]
        for name, found in masks.items()
    }


def _filled(box: Box4, size: int) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), bool)
    x1, y1, x2, y2 = (round(side) for side in box)
    mask[y1:y2, x1:x2] = True
    return mask


def write_card(folder: Path, run: Path, figures: Figures, hardest: list[str]) -> None:
    """Write the model card from what was measured."""
    last = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    rows = {
        "box": "box",
        "box_jitter_6": "box, each side off by up to 6 %",
        "box_jitter_12": "box, each side off by up to 12 %",
        "box_small": "box, small objects",
        "box_medium": "box, medium objects",
        "box_large": "box, large objects",
        "point": "one point on the object",
        "filled_box": "for comparison: the whole box taken as the mask",
    }
    table = ["| mean IoU by prompt | " + " | ".join(_SHOWN) + " |", "|---|" + "---|" * len(_SHOWN)]
    for key, meaning in rows.items():
        cells = [_cell(figures.get(f"{appearance}_{key}")) for appearance in _SHOWN]
        table.append(f"| {meaning} | " + " | ".join(cells) + " |")
    text = _CARD.format(
        megabytes=f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f}",
        steps=settings["schedule"]["steps"],
        lr=settings["schedule"]["lr"],
        images=settings["images"],
        boxes=settings["boxes"],
        jitter=round(100 * settings["jitter"]),
        minutes=round(last["seconds"] / 60),
        table="\n".join(table),
        hard="; ".join(hardest[:8]),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


_SHOWN = ("seen", "variant", "openmoji")


def _cell(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "not measured"
    spread = f"{figure['low']:.3f}-{figure['high']:.3f}"
    return f"{figure['value']:.3f} ({spread}, n {figure['n']:,.0f})"


_CARD = """# segment: a small Segment Anything

The modules of `segment-anything` at small widths ({megabytes} MB in bfloat16), input 128 x 128,
masks at the same resolution. Two things differ from the released sizes: the image encoder has a
convolutional stem whose fine features join again after the neck, and a box is also given to the
prompt encoder's dense path, as a filled mask: from its corners alone so small a model learns slowly
where a box ends.

**Data.** Scenes of the miniature world, split "train"; box prompts jittered by {jitter} % of the
box, and single points on the object. No photograph, and no drawing of the style "openmoji", was
ever seen.

**Schedule.** {steps} steps of {images} scenes with {boxes} boxes and a point each, AdamW, cosine
from {lr}; {minutes} minutes of one shared core. Losses of the paper (focal and dice 20 : 1, squared
error of the predicted IoU), and objects and edges asked of every pixel by a head that is not
shipped. Command: first line of `training/recipes/embedded/1_perceive_segment.yaml`.

**Quality**, split "test" (layouts never trained on), mean IoU with 95 % intervals over scenes.
"variant": held-out glyphs of trained styles; "openmoji": a held-out style.

{table}

**Known failures.** Thin parts (handles, spokes, strings); objects in the colour of their
background; overlapping objects of one kind, where a mask takes in its neighbour. Mask prompts
other than the filled box were not trained. Lowest mean IoU on "test": {hard}.
"""
