"""Stage `see`: the eye of the core, trained as a dense detector on scenes of the miniature world.

What it exports: the encoder's weights under the core's names, and the phrase vectors of the
categories and of the sounds, which are fixed on the way so that the language model's stage can run
beside the rest of this one. The whole learner is exported too: a further run can start from it.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from nuthatch.mllm.config import CoreConfig
from nuthatch.tools.detection.heatmap_detector import HeatmapDetector, phrase_ids
from nuthatch.tools.detection.heatmap_shape import Shape
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.config import check_known
from nuthatch.training.perceive.appearance import vary_appearance
from nuthatch.training.perceive.detect import build_tokenizer, phrase, truth_of
from nuthatch.training.perceive.detect_loss import targets
from nuthatch.training.perceive.detect_quality import look
from nuthatch.training.recipes.core import SeeRecipe
from nuthatch.training.stages.dense_detector import DenseDetector
from nuthatch.training.stages.phrase_vectors import PhraseVectors, centred, sound_vectors
from nuthatch.training.stages.trainer import Batch, Figures, run
from nuthatch.training.world.crowds import crowd
from nuthatch.training.world.scenes import Scene, make_scene

PHRASE_TOKENS = 24
VISION_FILE = "vision_tower.safetensors"
CATEGORIES_FILE = "categories.safetensors"
SOUNDS_FILE = "sounds.safetensors"
LEARNER_FILE = "learner.safetensors"


def train(config: SeeRecipe) -> None:
    """Train or resume, export encoder and phrase vectors, and measure what is found."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    core = core_config(config.vision)
    tokenizer = build_tokenizer()
    learner = DenseDetector(core.vision_config, tokenizer.get_vocab_size())
    if config.start is not None:
        learner.load_state_dict(weights_of(config.start))
    elif config.names is not None:
        learner.phrases.load_state_dict(weights_of(config.names, "phrases."))
    learned_here = config.start is None and config.names is None
    rest_from = config.names_fixed_at if learned_here else 0
    framing = framing_of(core)

    def measure(scenes: int) -> Figures:
        shape = Shape(phrase_tokens=PHRASE_TOKENS)
        detector = HeatmapDetector(learner, tokenizer, framing, shape, "in training")  # type: ignore[arg-type]
        seen = look(detector, scenes, "calibrate")
        return {
            "ap50": seen.average_precision(0.5, resamples=0).value,
            "ap75": seen.average_precision(0.75, resamples=0).value,
        }

    def fix_names(step: int) -> None:
        if step >= rest_from and any(p.requires_grad for p in learner.phrases.parameters()):
            learner.phrases.requires_grad_(False)
            export_names(learner, tokenizer, config.export)

    run(
        learner,
        lambda step: batch(config, core, tokenizer, step),
        config.schedule,
        config.out,
        config=config,
        evaluate=lambda: measure(config.watch_scenes),
        evaluate_every=config.evaluate_every,
        at_step=fix_names,
    )
    export_names(learner, tokenizer, config.export)
    tower = {
        f"vision_tower.{k}": v.cpu().contiguous() for k, v in learner.tower.state_dict().items()
    }
    save_file(tower, config.export / VISION_FILE)
    # Names stay to the bit what later stages were trained with; the rest is rounded.
    whole = {
        name: (tensor if name.startswith("phrases.") else tensor.bfloat16()).cpu().contiguous()
        for name, tensor in learner.state_dict().items()
    }
    save_file(whole, config.export / LEARNER_FILE)
    with torch.inference_mode():
        figures = measure(config.measure_scenes)
    text = json.dumps(figures, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")


def weights_of(file: Path, prefix: str = "") -> dict[str, Tensor]:
    """Of a learner that was exported: tensors whose names begin so, under the rest of the name."""
    return {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in load_file(file).items()
        if name.startswith(prefix)
    }


def core_config(vision: dict[str, int]) -> CoreConfig:
    """The embedded core, its eye with these sizes instead of its own.

    Raises:
        ConfigError: the eye has no such size.
    """
    known = CoreConfig.embedded().vision_config.to_dict()
    check_known(vision, known, "vision.")
    return CoreConfig.embedded(vision_config=known | vision)


def framing_of(core: CoreConfig) -> Framing:
    """How the core's eye gets its pictures."""
    side = core.vision_config.image_size
    return Framing({"height": side, "width": side}, tuple(core.image_mean), tuple(core.image_std))


def batch(config: SeeRecipe, core: CoreConfig, tokenizer: Tokenizer, step: int) -> Batch:
    """The batch of this step, see `DenseDetector.losses`; no scene comes twice."""
    framing, size = framing_of(core), core.vision_config.image_size
    grid = size // core.vision_config.patch_size
    number = config.batch - config.crowds
    rng = np.random.default_rng((0x5EE, step))
    scenes = [
        make_scene(seed, "train", size=size) for seed in range(step * number, (step + 1) * number)
    ]
    scenes += [crowd(rng, rows=4, size=size) for _ in range(config.crowds)]
    wanted = targets([truth_of(scene) for scene in scenes], grid, len(CATEGORIES))
    names = [phrase(rng, name, config.other_names) for name in CATEGORIES]
    return {
        "pixels": framing.normalise(appearances(scenes, config.vary, step)),
        "phrase_ids": phrase_ids(tokenizer, names, PHRASE_TOKENS),
        "heat": wanted.heat,
        "boxes": wanted.boxes,
        "labels": wanted.labels,
        "owners": torch.stack([owners(scene, grid) for scene in scenes]),
    }


def appearances(scenes: list[Scene], vary: float, step: int) -> Tensor:
    """Pictures (B, 3, S, S) of 0 to 1, this share of them with another appearance."""
    generator = torch.Generator().manual_seed(step)
    images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
    images = images.permute(0, 3, 1, 2).float() / 255
    chosen = torch.rand(len(scenes), generator=generator) < vary
    if chosen.any():
        images[chosen] = vary_appearance(images[chosen], generator)
    return images


def owners(scene: Scene, grid: int) -> Tensor:
    """(grid * grid,): the category that most pixels of a patch show, `len(CATEGORIES)` for none."""
    categories = [CATEGORIES.index(each.category) for each in scene.objects]
    shown = np.array([len(CATEGORIES), *categories])[scene.instances]
    side = scene.size // grid
    patches = shown.reshape(grid, side, grid, side).swapaxes(1, 2).reshape(grid * grid, -1)
    counts = (patches[..., None] == np.arange(len(CATEGORIES) + 1)).sum(1)
    return torch.from_numpy(counts.argmax(-1))


def export_names(learner: DenseDetector, tokenizer: Tokenizer, export: Path) -> PhraseVectors:
    """Write the phrase vectors of the categories and of the sounds; return the categories'."""
    ids = phrase_ids(tokenizer, CATEGORIES, PHRASE_TOKENS)
    with torch.inference_mode():
        device = next(learner.parameters()).device
        categories = centred(CATEGORIES, learner.phrases(ids.to(device)))
    categories.save(export / CATEGORIES_FILE)
    sound_vectors(categories).save(export / SOUNDS_FILE)
    return categories
