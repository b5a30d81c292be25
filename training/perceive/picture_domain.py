"""Fit the embedded detector's domain: which pictures are of the miniature world.

Learnt from scenes of the split "train", as they are and changed (`world.changes`), and from other
kinds of pictures (`world.outside`). The threshold keeps `kept` of the scenes of "calibrate",
changed likewise. Measured on kinds of pictures that nothing was learnt from
(`picture_domain_quality`).
"""

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from nuthatch.tools.detection.heatmap_detector import HeatmapDetector
from nuthatch.tools.domain.pictures import (
    PictureDomain,
    cells_of,
    plain_share,
    without_margins,
)
from nuthatch.tools.weights.folder import DOMAIN_FILE
from nuthatch.training.fit import Losses, fit
from nuthatch.training.perceive.appearance import vary_appearance
from nuthatch.training.perceive.picture_domain_quality import measure, write_section
from nuthatch.training.recipes.perception import PictureDomainRecipe
from nuthatch.training.world.changes import changed
from nuthatch.training.world.crowds import crowd
from nuthatch.training.world.outside import KINDS
from nuthatch.training.world.restyled import restyled
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.splits import Split

FIRST_SEED = 60_000_000
"""Keeps the scenes apart from those that the models are trained on."""
RESTYLED_SEED = 61_000_000
SIDES = (128, 128, 96, 192, 320)
"""Of the scenes, in pixels."""
INSIDE = ("scenes", "restyled", "crowds")
LIKE_PHOTOGRAPHS = ("photograph", "wallpaper", "scenery", "leaves")
LARGEST = 192
"""Pixels a side of pictures whose appearance is varied."""
COUNTS = {"photograph": 4, "wallpaper": 3, "few colours": 2}
"""How many times as many of these as of any other kind are drawn, and shown."""
SMOOTHING = 0.02
"""Of the labels (Szegedy et al. 2016): no picture is to be scored without bounds."""
Pixels = NDArray[np.uint8]


class Lessons(NamedTuple):
    """Cells (N, C, D) of pictures: those of the world, and those of each other kind."""

    inside: Tensor
    outside: list[Tensor]


def train(config: PictureDomainRecipe) -> None:
    """Learn or resume, set the threshold, write `domain.safetensors`, measure, write the card."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    detector = HeatmapDetector.load(config.detect)
    lessons = prepare(detector, config)
    domain = PictureDomain(lessons.inside.shape[2], config.hidden)
    every = torch.cat([lessons.inside, *lessons.outside]).flatten(0, 1)
    domain.mean.copy_(every.mean(0))
    domain.deviation.copy_(every.std(0) + 0.02 * every.std(0).mean())
    fit(
        domain,
        lambda step: _loss(domain, lessons, config, step),
        config.schedule,
        config.out,
        config=config,
    )
    domain.eval()
    digest = hashlib.sha256((config.detect / "model.safetensors").read_bytes()).hexdigest()
    domain.weights = digest[:12]
    config.export.mkdir(parents=True, exist_ok=True)
    path = config.export / DOMAIN_FILE
    domain.save(path)
    detector.domain = PictureDomain.load(path)  # as it is rounded
    domain.plain.fill_(weight_of_plain(detector, config))
    domain.save(path)
    detector.domain = PictureDomain.load(path)
    scores = [score(detector, picture) for picture in scenes(config, "calibrate")]
    domain.threshold = float(np.quantile(scores, config.kept))
    domain.save(path)
    detector.domain = PictureDomain.load(path)
    figures = measure(detector, config.test_pictures)
    text = json.dumps({name: each._asdict() for name, each in figures.items()}, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    write_section(config.export, figures, config.kept)


def prepare(detector: HeatmapDetector, config: PictureDomainRecipe) -> Lessons:
    """Run all pictures through the network once; what an earlier run has kept is kept."""
    kinds = {kind: cells_of_kind(kind, detector, config) for kind in (*INSIDE, *KINDS)}
    inside = torch.cat([kinds.pop(kind) for kind in INSIDE])
    return Lessons(inside, list(kinds.values()))


def cells_of_kind(kind: str, detector: HeatmapDetector, config: PictureDomainRecipe) -> Tensor:
    """Some cells (N, C, D) of each picture of a kind; kept in the run's folder."""
    path = config.out / "cells" / f"{kind}.safetensors"
    if not path.is_file():
        rng = np.random.default_rng((0xD0A1, config.seed, *kind.encode()))
        number, pictures = _pictures(kind, config, rng)
        looked = [
            _some(cells(detector, picture), config.cells, rng)
            for picture in tqdm(pictures, desc=kind, total=number)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"cells": torch.stack(looked).half()}, path)
    return load_file(path)["cells"].float()


def _pictures(
    kind: str, config: PictureDomainRecipe, rng: np.random.Generator
) -> tuple[int, Iterator[Pixels]]:
    """How many pictures of a kind, and these."""
    if kind == "scenes":
        return config.scenes, scenes(config, "train")
    if kind == "restyled":
        return config.restyled, restyled_scenes(config)
    if kind == "crowds":
        return config.crowds, (changed(crowd(rng).image, rng) for _ in range(config.crowds))
    number = config.others * COUNTS.get(kind, 1)
    return number, (_other(kind, KINDS[kind](rng), config, rng) for _ in range(number))


def scenes(config: PictureDomainRecipe, split: Split) -> Iterator[Pixels]:
    """Scenes at several sizes, changed; for learning some with another appearance."""
    learning = split == "train"
    for index in range(config.scenes if learning else config.calibrate_scenes):
        rng = np.random.default_rng((0xD0A2, config.seed, index))
        size = SIDES[int(rng.integers(len(SIDES)))]
        picture = make_scene(FIRST_SEED + index, split, size=size).image
        if learning and rng.random() < config.vary:
            picture = varied(picture, rng)
        yield changed(picture, rng)


def restyled_scenes(config: PictureDomainRecipe) -> Iterator[Pixels]:
    """Scenes of the split "train" in a style of their own, changed."""
    for index in range(config.restyled):
        rng = np.random.default_rng((0xD0A5, config.seed, index))
        size = SIDES[int(rng.integers(len(SIDES)))]
        scene = make_scene(RESTYLED_SEED + index, "train", size=2 * size)
        yield changed(restyled(scene, rng), rng)


def varied(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Another appearance of a picture, which is made no larger than `LARGEST` for it."""
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST, LARGEST))
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    other = vary_appearance(values, generator)[0].permute(1, 2, 0).numpy()
    return (255 * other).astype(np.uint8)


def _other(
    kind: str, picture: Pixels, config: PictureDomainRecipe, rng: np.random.Generator
) -> Pixels:
    """A picture of another kind, with another appearance or changed, or as it is."""
    if kind in LIKE_PHOTOGRAPHS and rng.random() < config.vary:
        picture = varied(picture, rng)
    return changed(picture, rng) if rng.random() < config.change else picture


def cells(detector: HeatmapDetector, picture: Pixels) -> Tensor:
    """Cells (C, D) of a picture."""
    return cells_of(detector.backbone, detector.framing, without_margins(picture))


def score(detector: HeatmapDetector, picture: Pixels) -> float:
    """What the detector's domain makes of a picture."""
    assert detector.domain is not None
    return detector.domain.score(detector.backbone, detector.framing, picture)


def weight_of_plain(detector: HeatmapDetector, config: PictureDomainRecipe) -> float:
    """What the share of a picture that is plain counts beside its cells: by Fisher's linear
    discriminant of scenes from photographs and what resembles them."""
    rng = np.random.default_rng((0xD0A4, config.seed))
    inside = [*islice(scenes(config, "train"), config.weighed)]
    outside = [
        _other(kind, KINDS[kind](rng), config, rng)
        for kind in KINDS
        if kind in LIKE_PHOTOGRAPHS
        for _ in range(config.weighed // len(LIKE_PHOTOGRAPHS))
    ]
    apart = np.zeros(2)
    spread = np.zeros((2, 2))
    for pictures, sign in ((inside, -1), (outside, 1)):
        known = np.array(
            [
                (score(detector, each), -plain_share(without_margins(each)))
                for each in tqdm(pictures, desc="plain")
            ]
        )
        apart += sign * known.mean(axis=0)
        spread += np.cov(known.T)
    by_cells, plain = np.linalg.solve(spread, apart)
    return max(0.0, float(plain / by_cells))


def _some(every: Tensor, number: int, rng: np.random.Generator) -> Tensor:
    """`number` of the cells (C, D); with repetition where there are fewer."""
    drawn = rng.choice(len(every), number, replace=len(every) < number)
    return every[torch.from_numpy(drawn)]


def _loss(
    domain: PictureDomain, lessons: Lessons, config: PictureDomainRecipe, step: int
) -> Losses:
    """Half of a batch from inside; half from outside, some kinds more often (`COUNTS`)."""
    rng = np.random.default_rng((0xD0A3, config.seed, step))
    half = config.batch // 2
    inside = lessons.inside[torch.from_numpy(rng.integers(len(lessons.inside), size=half))]
    often = np.array([COUNTS.get(kind, 1) for kind in KINDS])
    kinds = rng.choice(len(often), half, p=often / often.sum())
    outside = [lessons.outside[kind][rng.integers(len(lessons.outside[kind]))] for kind in kinds]
    batch = torch.cat([inside, torch.stack(outside)])
    # Half of the cells, and these not quite as they are: what is learnt by heart is of no use.
    shown = torch.from_numpy(rng.permutation(config.cells)[: config.cells // 2])
    noise = config.noise * domain.deviation * torch.randn(len(batch), len(shown), batch.shape[2])
    wanted = torch.where(torch.arange(len(batch)) >= half, 1 - SMOOTHING, SMOOTHING)
    scores = domain(batch[:, shown] + noise)
    return {"kind": functional.binary_cross_entropy_with_logits(scores, wanted)}
