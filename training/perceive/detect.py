"""Train the embedded detector on scenes of the miniature world.

Every picture answers for every category at every cell, which is why a few minutes on one processor
core are enough.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from torchvision.ops import box_convert  # type: ignore[import-untyped]

from nuthatch.tools.detection.heatmap_detector import (
    STRIDE,
    HeatmapDetector,
    HeatmapNetwork,
    phrase_ids,
    save,
)
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.vocabulary import CATEGORIES, SYNONYMS, plural
from nuthatch.training.fit import Losses, fit
from nuthatch.training.perceive.appearance import vary_appearance
from nuthatch.training.perceive.detect_loss import Truth, detection_loss, targets
from nuthatch.training.perceive.detect_quality import (
    calibrate,
    look,
    measure,
    write_calibration,
    write_card,
)
from nuthatch.training.recipes.perception import DetectRecipe
from nuthatch.training.world.scenes import Scene, make_scene

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def train(config: DetectRecipe) -> None:
    """Train or resume, export the weights, calibrate their scores, and measure what they find."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    shape = replace(config.shape, words=tokenizer.get_vocab_size())
    side = shape.picture_size
    framing = Framing({"height": side, "width": side}, MEAN, STD)
    network = HeatmapNetwork(shape).to(memory_format=torch.channels_last)

    def evaluate() -> dict[str, float]:
        detector = HeatmapDetector(network, tokenizer, framing, shape, "in training")
        seen = look(detector, config.watch_scenes, "calibrate")
        return {
            "ap50": seen.average_precision(0.5, resamples=0).value,
            "ap75": seen.average_precision(0.75, resamples=0).value,
        }

    fit(
        network,
        lambda step: batch_loss(network, tokenizer, framing, config, step),
        config.schedule,
        config.out,
        config=config,
        evaluate=evaluate,
        evaluate_every=config.evaluate_every,
    )
    save(network, tokenizer, framing, shape, config.export)
    seen = look(HeatmapDetector.load(config.export), config.calibrate_scenes, "calibrate")
    calibration = calibrate(seen, config.export / "model.safetensors")
    write_calibration(calibration, config.export / "calibration.json")
    figures, hardest = measure(HeatmapDetector.load(config.export), config.test_scenes)
    text = json.dumps({name: each._asdict() for name, each in figures.items()}, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    schedule = (
        f"{config.schedule.steps} steps of {config.batch} scenes (of {config.scenes} different "
        f"ones), AdamW, learning rate {config.schedule.lr:g} with warm-up and cosine."
    )
    last = (config.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    minutes = json.loads(last)["seconds"] / 60
    write_card(config.export, figures, hardest, calibration, schedule, minutes)


def build_tokenizer() -> Tokenizer:
    """WordPiece over the words of the vocabulary; any other word falls apart into letters."""
    names = [*CATEGORIES, *map(plural, CATEGORIES), *SYNONYMS]
    words = sorted({word for name in names for word in name.replace("-", " - ").split()})
    signs = "abcdefghijklmnopqrstuvwxyz0123456789-'"
    pieces = ["[PAD]", "[UNK]", *signs, *(f"##{sign}" for sign in signs), *words]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=200)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def batch_loss(
    network: HeatmapNetwork, tokenizer: Tokenizer, framing: Framing, config: DetectRecipe, step: int
) -> Losses:
    """The losses of the batch that belongs to this step: every category asked of every scene."""
    rng = np.random.default_rng((0xDE7EC7, step))
    shape = config.shape
    drawn = range(step * config.batch, (step + 1) * config.batch)
    scenes = [training_scene(number % config.scenes, shape.picture_size) for number in drawn]
    labels = [phrase(rng, name, config.other_names) for name in CATEGORIES]
    phrases = network.phrases(phrase_ids(tokenizer, labels, shape.phrase_tokens))
    logits, boxes = network(pixels(scenes, framing, config.vary, step), phrases)
    wanted = targets(
        [truth_of(scene) for scene in scenes], shape.picture_size // STRIDE, len(CATEGORIES)
    )
    return detection_loss(logits, boxes, wanted)


@cache
def training_scene(seed: int, size: int) -> Scene:
    """Kept: drawing a scene takes a good part of the time of learning from it."""
    return replace(make_scene(seed, "train", size=size), instances=np.zeros((0, 0), np.uint8))


_OTHER_NAMES = {
    name: [plural(name), *(other for other, known in SYNONYMS.items() if known == name)]
    for name in CATEGORIES
}


def phrase(rng: np.random.Generator, category: str, share: float) -> str:
    """The category's own name or, for this share, its plural or a synonym."""
    if rng.random() < share:
        others = _OTHER_NAMES[category]
        return others[rng.integers(len(others))]
    return category


def truth_of(scene: Scene) -> Truth:
    """The objects of a scene; labels as indices into the categories."""
    corners = torch.tensor([each.box for each in scene.objects]).reshape(-1, 4) / scene.size
    labels = [CATEGORIES.index(each.category) for each in scene.objects]
    return Truth(box_convert(corners, "xyxy", "cxcywh"), torch.tensor(labels, dtype=torch.long))


def pixels(scenes: Sequence[Scene], framing: Framing, vary: float, step: int) -> Tensor:
    """Network input (B, 3, H, W); a share of the pictures with another appearance."""
    generator = torch.Generator().manual_seed(step)
    images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
    images = images.permute(0, 3, 1, 2).float() / 255
    chosen = torch.rand(len(scenes), generator=generator) < vary
    if chosen.any():
        images[chosen] = vary_appearance(images[chosen], generator)
    return framing.normalise(images).contiguous(memory_format=torch.channels_last)
