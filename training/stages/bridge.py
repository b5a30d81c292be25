"""Stage `bridge`: the Q-Former learns to carry what the frozen eye and ear have to say.

Every query says, through two linear heads, which phrase vector it stands for (near zero: nothing)
and where that is. The heads are linear so that stage `join` can compose the layer to the language
model from them, see `joining_linear`. Pictures and sounds take turns, step by step.

What it exports: the Q-Former and the way to it from the ear under the core's names, and the heads.
"""

import json
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Blip2QFormerModel

from nuthatch.mllm.bridges.qformer import QFormer, Sense
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.beats import Beats
from nuthatch.mllm.encoders.eva import Eva
from nuthatch.mllm.encoders.fbank import FRAME_SHIFT
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.config import ConfigError, check_known
from nuthatch.training.fit import Losses
from nuthatch.training.perceive.detect import truth_of
from nuthatch.training.perceive.tag_sound import AUDIBLE_POWER
from nuthatch.training.recipes.core import BridgeRecipe
from nuthatch.training.stages.bridge_loss import (
    Wanted,
    bridge_losses,
    directions,
    distances_in_meaning,
    distances_in_picture,
    match,
    places,
    prediction_cost,
)
from nuthatch.training.stages.bridge_quality import hearing_figures, seeing_figures
from nuthatch.training.stages.hearing import filter_banks
from nuthatch.training.stages.listen import AUDIO_FILE, training_clip
from nuthatch.training.stages.phrase_vectors import PhraseVectors, shared_vectors
from nuthatch.training.stages.see import (
    CATEGORIES_FILE,
    VISION_FILE,
    appearances,
    framing_of,
)
from nuthatch.training.stages.trainer import Batch, Figures, run
from nuthatch.training.world.crowds import crowd
from nuthatch.training.world.scenes import Scene, make_scene
from nuthatch.training.world.sounds import ACTIVITY_SAMPLES, Clip

MOST = {"image": 12, "audio": 2}
"""Things that one picture or sound holds at most."""
NEAR = 3.0
"""Weight of the distance to the anchors, once the predictions count too."""
DEEP = {2: 0.5, 4: 0.5}
"""Layers that answer beside the last, counted from 1, with the weight of their losses."""
FIRST_SCENE, FIRST_CLIP = 10_000_000, 2_000_000_000
"""Scenes and clips of this stage come after those of the stages before."""
BRIDGE_FILE, HEADS_FILE = "bridge.safetensors", "heads.safetensors"
BRIDGE_PARTS, HEADS = ("qformer.", "audio_norm.", "audio_projection."), ("itc.", "box.")
TIED = "language_model.lm_head.weight"
"""The language model's embedding once more; files hold each tensor once."""


class Bridge(nn.Module):
    """The core up to the language model, and the heads that tell what the queries stand for."""

    image_vectors: Tensor
    audio_vectors: Tensor

    def __init__(self, core: CoreConfig, categories: PhraseVectors, sounds: PhraseVectors) -> None:
        super().__init__()
        eye, ear = core.vision_config.hidden_size, core.audio_config.encoder_embed_dim
        width, named = core.bridge_config.hidden_size, categories.vectors.shape[1]
        self.vision_tower = Eva(core.vision_config).requires_grad_(False)
        self.audio_tower = Beats(core.audio_config).requires_grad_(False)
        self.audio_norm = nn.LayerNorm(ear)
        self.audio_projection = nn.Linear(ear, eye)
        self.qformer = QFormer(core.bridge_config, core.num_query_tokens)
        queries = self.qformer.query_tokens
        nn.init.normal_(queries["image"], std=0.5)
        with torch.no_grad():
            queries["audio"].copy_(queries["image"])
        self.itc = nn.Linear(width, named)
        self.box = nn.Linear(width, 4)
        nn.init.constant_(self.box.bias, 0.4)
        count = core.num_query_tokens
        self.register_buffer("image_vectors", categories.vectors, persistent=False)
        self.register_buffer("audio_vectors", sounds.vectors, persistent=False)
        self.register_buffer("image_anchors", places(count), persistent=False)
        self.register_buffer("audio_anchors", directions(count, named), persistent=False)

    def features(self, media: Tensor, sense: Sense) -> Tensor:
        """(B, S, width of the eye) of pictures (B, 3, S, S) or filter banks (B, frames, bins)."""
        with torch.no_grad():
            if sense == "image":
                seen: Tensor = self.vision_tower(media).last_hidden_state
                return seen
            heard = self.audio_tower(media)
        projected: Tensor = self.audio_projection(self.audio_norm(heard))
        return projected

    def answers(self, media: Tensor, sense: Sense) -> list[tuple[Tensor, Tensor]]:
        """What every query says after each layer: (B, Q, D) phrase vectors, (B, Q, 4) boxes."""
        features = self.features(media, sense)
        queries = self.qformer.query_tokens[sense].expand(len(features), -1, -1)
        layers = Blip2QFormerModel.forward(
            self.qformer,
            query_embeds=queries,
            encoder_hidden_states=features,
            output_hidden_states=True,
        ).hidden_states
        return [(self.itc(layer), self.box(layer)) for layer in layers[1:]]

    def forward(self, media: Tensor, sense: Sense) -> tuple[Tensor, Tensor]:
        """What every query says in the end."""
        return self.answers(media, sense)[-1]

    def losses(self, names: Tensor, boxes: Tensor, by_anchors: Tensor, **media: Tensor) -> Losses:
        """What a batch of one sense teaches.

        Args:
            names: (B, N), `Wanted.names`.
            boxes: (B, N, 4), `Wanted.boxes`.
            by_anchors: (), whether matching looks at the anchors alone.
            media: either `image`, (B, 3, S, S), or `audio`, (B, frames, bins).
        """
        ((sense, given),) = media.items()
        wanted = Wanted(names, boxes)
        vectors = self.get_buffer(f"{sense}_vectors")
        anchors = self.get_buffer(f"{sense}_anchors")
        answers = self.answers(given, "image" if sense == "image" else "audio")
        if sense == "image":
            cost = distances_in_picture(wanted, anchors)
        else:
            cost = distances_in_meaning(wanted, anchors, vectors)
        if not by_anchors:
            cost = NEAR * cost + prediction_cost(*answers[-1], wanted, vectors)
        owner = match(cost, wanted)
        last = len(answers)
        weights = {layer: weight for layer, weight in DEEP.items() if layer < last} | {last: 1.0}
        total: dict[str, Tensor] = {}
        for layer, weight in weights.items():
            for name, loss in bridge_losses(*answers[layer - 1], owner, wanted, vectors).items():
                key = f"{sense}_{name}"
                total[key] = total.get(key, 0.0) + weight * loss
        return total


def train(config: BridgeRecipe) -> None:
    """Train or resume, export the bridge and its heads, and measure what the queries say."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    core = core_config(config.core)
    learner = Bridge(core, *shared_vectors(config.see / CATEGORIES_FILE))
    load_parts(learner, config.see / VISION_FILE, ("vision_tower.",))
    load_parts(learner, config.listen / AUDIO_FILE, ("audio_tower.",))
    if config.start is not None:
        load_parts(learner, config.start / BRIDGE_FILE, BRIDGE_PARTS)
        load_parts(learner, config.start / HEADS_FILE, HEADS)

    def measure(scenes: int, clips: int) -> Figures:
        seen = seeing_figures(learner, framing_of(core), learner.image_vectors, scenes)
        read = partial(filter_banks, core=core)
        return seen | hearing_figures(learner, read, learner.audio_vectors, clips)

    run(
        learner,
        lambda step: batch(config, core, step),
        config.schedule,
        config.out,
        config=config,
        evaluate=lambda: measure(config.watch_scenes, config.watch_clips),
        evaluate_every=config.evaluate_every,
    )
    export(learner, config.export)
    with torch.inference_mode():
        figures = measure(config.measure_scenes, config.measure_clips)
    text = json.dumps(figures, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")


def core_config(changes: dict[str, dict[str, int]]) -> CoreConfig:
    """The embedded core with some sizes changed, by part.

    Raises:
        ConfigError: there is no such part, or it has no such size.
    """
    parts: dict[str, Any] = CoreConfig.embedded().to_dict()
    check_known(changes, [name for name in parts if name.endswith("_config")], "core.")
    for name, sizes in changes.items():
        check_known(sizes, parts[name], f"core.{name}.")
    return CoreConfig.embedded(**{name: parts[name] | sizes for name, sizes in changes.items()})


def load_parts(
    module: torch.nn.Module, path: Path, prefixes: tuple[str, ...], beside: Collection[str] = ()
) -> None:
    """Load all weights under these prefixes from a file that holds them and `beside`, no others.

    Raises:
        FileNotFoundError: there is no such file; its stage has not been run.
        ConfigError: weights are missing, left over, or of another size.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; run the stage that exports it, or name its folder")
    weights = {name: value for name, value in load_file(path).items() if name not in beside}
    state = module.state_dict()
    expected = {name for name in state if name.startswith(prefixes)} - {TIED}
    if wrong := expected ^ weights.keys():
        raise ConfigError(f"{path}: missing or left over are {', '.join(sorted(wrong))}")
    for name, value in weights.items():
        if state[name].shape != value.shape:
            raise ConfigError(
                f"{path}: {name} is {tuple(value.shape)}, expected {tuple(state[name].shape)}"
            )
        state[name].copy_(value)


def batch(config: BridgeRecipe, core: CoreConfig, step: int) -> Batch:
    """The batch of this step, see `Bridge.losses`: pictures, or now and then sounds."""
    by_anchors = {"by_anchors": torch.tensor(step < config.anchors_until)}
    if step % config.sound_every == config.sound_every - 1:
        first = FIRST_CLIP + step * config.clips
        clips = [
            training_clip(seed, pairs=config.pairs, background=config.background)
            for seed in range(first, first + config.clips)
        ]
        return {"audio": filter_banks(clips, core)} | by_anchors | heard(clips, core)
    size = core.vision_config.image_size
    number = config.scenes - config.crowds
    first = FIRST_SCENE + step * number
    scenes = [make_scene(seed, size=size) for seed in range(first, first + number)]
    rng = np.random.default_rng((0xB21D6E, step))
    scenes += [crowd(rng, rows=3, size=size) for _ in range(config.crowds)]
    images = framing_of(core).normalise(appearances(scenes, config.vary, step))
    return {"image": images} | by_anchors | shown(scenes)


def shown(scenes: list[Scene]) -> Batch:
    """What pictures show, as `names` and `boxes` of `Wanted`."""
    names = torch.full((len(scenes), MOST["image"]), -1)
    boxes = torch.full((len(scenes), MOST["image"], 4), 0.5)
    for row, scene in enumerate(scenes):
        truth = truth_of(scene)
        names[row, : len(truth.labels)] = truth.labels
        boxes[row, : len(truth.labels)] = truth.boxes
    return {"names": names, "boxes": boxes}


def heard(clips: list[Clip], core: CoreConfig) -> Batch:
    """What is heard, likewise; a box spans the time from the first to the last audible moment."""
    events = list(SOUNDS)
    window = core.segment_frames * FRAME_SHIFT
    names = torch.full((len(clips), MOST["audio"]), -1)
    boxes = torch.full((len(clips), MOST["audio"], 4), 0.5)
    for row, clip in enumerate(clips):
        for place, (event, power) in enumerate(zip(clip.events, clip.activity, strict=True)):
            names[row, place] = events.index(event)
            audible = np.flatnonzero(power > AUDIBLE_POWER) * ACTIVITY_SAMPLES / window
            start, end = (audible[0], audible[-1]) if len(audible) else (0.0, 1.0)
            boxes[row, place] = torch.tensor([(start + end) / 2, 0.5, end - start, 1.0])
    return {"names": names, "boxes": boxes}


def export(learner: Bridge, folder: Path) -> None:
    """Write the trained parts under the core's names, and the heads beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu().contiguous() for name, value in learner.state_dict().items()}
    save_file({k: v for k, v in state.items() if k.startswith(BRIDGE_PARTS)}, folder / BRIDGE_FILE)
    save_file({k: v for k, v in state.items() if k.startswith(HEADS)}, folder / HEADS_FILE)


def joining_linear(
    heads: dict[str, Tensor], from_vector: nn.Linear, from_box: nn.Linear
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the layer from the Q-Former's width to the language model's.

    The language model was trained on simulated queries, `from_vector(z) + from_box(box)` of a
    phrase vector z and a box; real queries give z and box through the heads, so the two linear
    steps are multiplied.

    Args:
        heads: what this stage wrote to `heads.safetensors`.
        from_vector: width of the phrase vectors to that of the language model.
        from_box: 4 to the width of the language model.
    """
    heads = {name: value.float() for name, value in heads.items()}  # they may be kept in bfloat16
    weight = from_vector.weight @ heads["itc.weight"] + from_box.weight @ heads["box.weight"]
    bias = from_vector.weight @ heads["itc.bias"] + from_box.weight @ heads["box.bias"]
    for layer in (from_vector, from_box):
        if layer.bias is not None:
            bias = bias + layer.bias
    return weight.detach(), bias.detach()
