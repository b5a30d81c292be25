"""Train the embedded Segment Anything on scenes of the miniature world.

Losses of the paper (Kirillov et al. 2023, section 3 and appendix A): focal and dice at 20 : 1, and
the squared error of the predicted IoU. Boxes are jittered; a point's loss is that of the best of
its three masks. Images are decoded one by one, as in `Sam.forward`, so prompts may be ragged.

A few prompts teach the image encoder slowly, so a head that is not shipped asks every pixel of its
embedding too: is an object here, and does one end here?
"""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.tools.segmentation.segmenters import Segmenter, build_sam, decode, load
from nuthatch.training.fit import Losses, fit
from nuthatch.training.perceive.segment_quality import (
    box_ious,
    jitter_box,
    mean,
    measure,
    visible_objects,
    write_card,
)
from nuthatch.training.recipes.perception import SegmentRecipe
from nuthatch.training.world.scenes import Scene, make_scene


class DenselyAsked(nn.Module):
    """SAM, and the head that asks all pixels at once; only `sam` is shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.sam = build_sam("embedded")
        width, upscale = self.sam.prompt_encoder.embed_dim, 4
        self.dense = nn.Sequential(
            nn.Conv2d(width, 2 * upscale * upscale, 1), nn.PixelShuffle(upscale)
        )

    def dense_loss(self, features: Tensor, instances: Tensor) -> Tensor:
        """Of embeddings (B, D, h, w) and object numbers (B, 4h, 4w)."""
        objects, edges = self.dense(features).unbind(dim=1)
        padded = functional.pad(instances[:, None].float(), (1, 1, 1, 1), mode="replicate")
        highest = functional.max_pool2d(padded, 3, stride=1)[:, 0]
        lowest = -functional.max_pool2d(-padded, 3, stride=1)[:, 0]
        loss = functional.binary_cross_entropy_with_logits
        on_object = loss(objects, (instances > 0).float())
        return on_object + loss(edges, (highest > lowest).float())


def train(config: SegmentRecipe) -> None:
    """Train or resume, export the weights, and measure what was exported on held-out scenes."""
    torch.manual_seed(config.seed)
    model = DenselyAsked()
    held_out = [make_scene(seed, "calibrate") for seed in range(48)]
    fit(
        model,
        lambda step: _loss(model, config, step),
        config.schedule,
        Path(config.out),
        config=config,
        evaluate=lambda: {"box_iou": mean(box_ious(Segmenter(model.sam), held_out, jitter=0.0))},
        evaluate_every=config.evaluate_every,
    )
    export(model.sam, Path(config.export))
    segmenter = load(Path(config.export))
    figures, hardest = measure(segmenter, config.test_scenes)
    (Path(config.out) / "figures.json").write_text(json.dumps(figures, indent=1))
    write_card(Path(config.export), Path(config.out), figures, hardest)


def export(sam: Sam, folder: Path) -> None:
    """Write `config.json` and the weights in bfloat16; buffers (random frequencies) stay exact."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in sam.named_parameters()}
    weights |= dict(sam.prompt_encoder.named_buffers(prefix="prompt_encoder"))
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"size": "embedded"}) + "\n")


def _loss(model: DenselyAsked, config: SegmentRecipe, step: int) -> Losses:
    sam = model.sam
    rng = np.random.default_rng([config.seed, step])
    first = step * config.images
    scenes = [make_scene(first + i, "train") for i in range(config.images)]
    images = torch.stack([sam.preprocess(pixels(scene.image)) for scene in scenes])
    features = sam.image_encoder(images)
    instances = torch.from_numpy(np.stack([scene.instances for scene in scenes])).long()
    totals: dict[str, list[Tensor]] = {"focal": [], "dice": [], "quality": []}
    for row, scene in enumerate(scenes):
        visible = visible_objects(scene)
        of_image = features[row : row + 1]
        chosen = rng.choice(visible, config.boxes)
        jittered = [jitter_box(scene.objects[i].box, config.jitter, rng) for i in chosen]
        corners = torch.tensor(jittered, dtype=torch.float32)
        corners[:, 2:] -= 1  # SAM names the last pixel inside
        _add_losses(totals, *decode(sam, of_image, boxes=corners), mask_targets(scene, chosen))
        chosen = rng.choice(visible, max(1, config.boxes // 2))
        points = _random_points(scene, chosen, rng)
        _add_losses(totals, *decode(sam, of_image, points=points), mask_targets(scene, chosen))
    scale = {"focal": 20.0, "dice": 1.0, "quality": 1.0}
    prompted = {name: scale[name] * torch.cat(parts).mean() for name, parts in totals.items()}
    return prompted | {"dense": model.dense_loss(features, instances)}


def _add_losses(
    totals: dict[str, list[Tensor]], logits: Tensor, quality: Tensor, target: Tensor
) -> None:
    """Append (n,) losses for logits (n, m, h, w), quality (n, m) and targets (n, h, w)."""
    wanted = target[:, None].expand_as(logits)
    probability = logits.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = torch.where(wanted > 0.5, probability, 1 - probability)
    balance = torch.where(wanted > 0.5, 0.25, 0.75)
    focal = (balance * (1 - right) ** 2 * entropy).mean(dim=(2, 3))
    overlap = (probability * wanted).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3)) + 1)
    best = (20 * focal + dice).argmin(dim=1, keepdim=True)
    with torch.no_grad():
        mask = logits > 0
        both = (mask & (wanted > 0.5)).sum(dim=(2, 3))
        iou = both / (mask | (wanted > 0.5)).sum(dim=(2, 3)).clamp(min=1)
    totals["focal"].append(focal.gather(1, best)[:, 0])
    totals["dice"].append(dice.gather(1, best)[:, 0])
    totals["quality"].append(((quality - iou) ** 2).mean(dim=1))


def pixels(image: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float, 0 to 255."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float()


def mask_targets(scene: Scene, chosen: NDArray[np.int64] | list[int]) -> Tensor:
    """(n, H, W) float masks, 0 or 1."""
    return torch.from_numpy(np.stack([scene.mask(i) for i in chosen])).float()


def _random_points(scene: Scene, chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """(n, 2) one visible pixel of each object, x y."""
    places = []
    for index in chosen:
        ys, xs = np.nonzero(scene.mask(index))
        pick = rng.integers(len(ys))
        places.append((float(xs[pick]), float(ys[pick])))
    return torch.tensor(places)
