"""Train the embedded tagger, the second judge, on crops of the miniature world.

Nothing is shared with the detector: another network, other scenes, and never more than a crop in
view.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from nuthatch.tools.tagging.taggers import CropNet, Tagger, load
from nuthatch.tools.vocabulary import CATEGORIES, TINTS
from nuthatch.training.fit import Losses, fit
from nuthatch.training.perceive.tag_card import write_card
from nuthatch.training.perceive.tag_crops import IGNORED, alter, batch
from nuthatch.training.perceive.tag_quality import (
    accuracies,
    calibrate,
    hardest,
    measure,
)
from nuthatch.training.recipes.perception import TagRecipe
from nuthatch.training.world.scenes import make_scene

FIRST_SEED = 50_000_000
"""Keeps the scenes apart from those that the other models are trained on."""


def train(config: TagRecipe) -> None:
    """Train or resume, export, then calibrate and measure what was exported."""
    torch.manual_seed(config.seed)
    net = CropNet(config.widths).to(memory_format=torch.channels_last)
    watched = [make_scene(1_000_000 + i, "calibrate") for i in range(60)]
    fit(
        net,
        lambda step: _loss(net, config, step),
        config.schedule,
        Path(config.out),
        config=config,
        evaluate=lambda: accuracies(Tagger(net), watched),
        evaluate_every=config.evaluate_every,
    )
    folder = Path(config.export)
    export(net, config, folder)
    tagger = load(folder)
    calibration = calibrate(tagger, folder / "model.safetensors", config.calibrate_scenes)
    (folder / "calibration.json").write_text(calibration.model_dump_json(indent=1) + "\n")
    figures = measure(tagger, calibration, config.test_scenes)
    (Path(config.out) / "figures.json").write_text(json.dumps(figures, indent=1))
    write_card(folder, Path(config.out), figures, hardest(tagger, config.test_scenes))


def export(net: CropNet, config: TagRecipe, folder: Path) -> None:
    """Write `config.json` and the weights in bfloat16; running statistics stay exact."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in net.named_parameters()}
    weights |= dict(net.named_buffers())
    save_file(weights, folder / "model.safetensors")
    settings = {
        "widths": config.widths,
        "categories": CATEGORIES,
        "tints": list(TINTS),
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")


def _loss(net: CropNet, config: TagRecipe, step: int) -> Losses:
    rng = np.random.default_rng([config.seed, step])
    first = FIRST_SEED + step * config.scenes
    seeds = range(first, first + config.scenes)
    crops, labels, tints = batch(seeds, config.crowds, config.tiles, rng)
    altered, recoloured = alter(
        torch.from_numpy(crops).permute(0, 3, 1, 2).float(), config.recoloured
    )
    category, tint = net(altered)
    asked = torch.where(recoloured, IGNORED, torch.from_numpy(tints))
    return {
        "category": functional.cross_entropy(category, torch.from_numpy(labels)),
        "tint": 0.5 * functional.cross_entropy(tint, asked, ignore_index=IGNORED),
    }
