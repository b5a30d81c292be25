"""What the queries of the bridge say, on scenes and clips that no training draws from."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.perceive.tag_sound_quality import pairs_right, truth
from nuthatch.training.stages.bridge_loss import logits, presence
from nuthatch.training.stages.trainer import Figures
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.sounds import Clip, make_sound

AT_ONCE = 25
COUNTED = (1, 2, 3, 4)

Answer = Callable[[Tensor, Sense], tuple[Tensor, Tensor]]
"""Pictures or filter banks to what every query says: (B, Q, D) vectors and (B, Q, 4) boxes."""


def seeing_figures(answer: Answer, framing: Framing, vectors: Tensor, scenes: int) -> Figures:
    """Of the split `calibrate`: presence, counts and places, all categories asked of every scene.

    `map` is the mean average precision of presence, `precision` and `recall` those at even odds;
    `count_n` the share of right numbers by the queries' likeliest names, where there are n of a
    category; `right_centre` the share of boxes of rightly named queries whose centre lies within
    an object of that name.
    """
    size = framing.size["height"]
    made = [make_scene(seed, "calibrate", size=size) for seed in range(scenes)]
    scores, counts, centred = [], [], []
    for start in range(0, scenes, AT_ONCE):
        part = made[start : start + AT_ONCE]
        images = torch.from_numpy(np.stack([scene.image for scene in part])).permute(0, 3, 1, 2)
        given, boxes = answer(framing.normalise(images.float() / 255).to(vectors.device), "image")
        scores.append(presence(given, vectors).cpu().numpy())
        names = logits(given, vectors).argmax(-1).cpu()
        counts.append(torch.nn.functional.one_hot(names, len(CATEGORIES) + 1).sum(1).numpy())
        for scene, named, placed in zip(part, names, (boxes[..., :2] * size).cpu(), strict=True):
            for name, (x, y) in zip(named.tolist(), placed.tolist(), strict=True):
                real = [
                    o.box for o in scene.objects if CATEGORIES[name : name + 1] == (o.category,)
                ]
                if real:
                    centred.append(any(a <= x < c and b <= y < d for a, b, c, d in real))
    shown = [scene.counts() for scene in made]
    true = np.array([[each.get(name, 0) for name in CATEGORIES] for each in shown])
    said = np.concatenate(counts)[:, :-1]
    figures = _presence_figures(np.concatenate(scores), true > 0)
    figures["right_centre"] = float(np.mean(centred)) if centred else 0.0
    for number in COUNTED:
        if (true == number).any():
            figures[f"count_{number}"] = float((said == true)[true == number].mean())
    return figures


def hearing_figures(
    answer: Answer, read: Callable[[list[Clip]], Tensor], vectors: Tensor, clips: int
) -> Figures:
    """Of the split `calibrate`, clips of two events: presence, and whether both are named.

    Args:
        read: clips to filter banks (B, frames, bins).
    """
    scores, present = [], []
    for start in range(0, clips, AT_ONCE):
        seeds = range(start, min(clips, start + AT_ONCE))
        part = [make_sound(seed, "calibrate", events=2) for seed in seeds]
        given, _ = answer(read(part).to(vectors.device), "audio")
        scores.append(presence(given, vectors).cpu().numpy())
        present.append(truth(part))
    odds, there = np.concatenate(scores), np.concatenate(present)
    figures = {f"sound_{k}": v for k, v in _presence_figures(odds, there).items()}
    return figures | {"sound_pair": float(pairs_right(odds, there).mean())}


def _presence_figures(odds: NDArray[np.float32], there: NDArray[np.bool_]) -> Figures:
    said = odds > 0
    hits = float((said & there).sum())
    columns = [_average_precision(odds[:, k], there[:, k]) for k in range(there.shape[1])]
    return {
        "map": float(np.nanmean(columns)),
        "precision": hits / max(1.0, float(said.sum())),
        "recall": hits / max(1.0, float(there.sum())),
    }


def _average_precision(odds: NDArray[np.float32], there: NDArray[np.bool_]) -> float:
    """Mean precision at each hit, best first; NaN where there is none."""
    hit = there[np.argsort(-odds, kind="stable")]
    if not hit.any():
        return float("nan")
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return float(precision[hit].mean())
