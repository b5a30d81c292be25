"""Stage `join`: eye, ear, bridge and language model become one, and speak of what is there.

Each part comes from its own stage, and the layer between bridge and language model is composed of
what both have learned about phrase vectors and boxes (`bridge.joining_linear`), so that the core
answers before this stage begins. Then everything but the eye is trained on, with the losses of the
language model and half of the bridge's. Pictures without a scene stay simulated; tools, text and
drills stay in every batch, so that nothing is forgotten. What it exports: a whole core, ready to
serve.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.vocabulary import TINTS
from nuthatch.training.collate import IGNORED
from nuthatch.training.config import ConfigError
from nuthatch.training.data.sample import Picture, Sound
from nuthatch.training.recipes.core import JoinRecipe
from nuthatch.training.stages.bridge import (
    BRIDGE_FILE,
    BRIDGE_PARTS,
    HEADS,
    HEADS_FILE,
    TIED,
    core_config,
    heard,
    joining_linear,
    load_parts,
    shown,
)
from nuthatch.training.stages.core_card import write_card
from nuthatch.training.stages.joiner import Joiner
from nuthatch.training.stages.lessons import Lessons, scene_of
from nuthatch.training.stages.listen import AUDIO_FILE
from nuthatch.training.stages.phrase_vectors import PhraseVectors, shared_vectors, sound_vectors
from nuthatch.training.stages.read_and_call import JOINING_FILE, LANGUAGE_FILE
from nuthatch.training.stages.reading_quality import Quiz, called_figures
from nuthatch.training.stages.see import (
    CATEGORIES_FILE,
    VISION_FILE,
    appearances,
    framing_of,
)
from nuthatch.training.stages.simulated import QuerySimulator
from nuthatch.training.stages.trainer import Batch, run
from nuthatch.training.world.scenes import Scene
from nuthatch.training.world.sounds import Clip, make_sound
from nuthatch.training.world.splits import Split

STAGES = ("see", "listen", "read_and_call", "bridge")
"""Those before this one."""
SEED, FIRST_SCENE, FIRST_CLIP = 6, 20_000_000, 3_000_000_000
"""Scenes and clips of this stage come after those of the stages before."""
CLIPS = 64
"""Seeds of clips that a batch may take."""
SCENES_OF_DIALOGUES = 0.25
SHARD = "15MB"
"""Of the exported weights, at most."""
SILENCE = 48_000
"""Samples of a recording in which nothing is recorded."""


def train(config: JoinRecipe) -> None:
    """Compose the core, train or resume, export it whole, and measure what it says."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(0)
    core = core_config(config.core)
    categories, sounds = shared_vectors(config.see / CATEGORIES_FILE)
    if config.start is None:
        learner = composed(config, core, categories, sounds)
    else:
        learner = gone_on_with(config, core, categories, sounds)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(
        config.start or config.read_and_call, local_files_only=True
    )
    media = MediaMaker(
        CoreProcessor(core, tokenizer),
        QuerySimulator(categories, sounds, core.num_query_tokens),
        vary=config.vary,
    )
    lessons = Lessons(
        tokenizer,
        core.num_query_tokens,
        tokens=config.tokens,
        scenes=1.0,
        scenes_of_dialogues=SCENES_OF_DIALOGUES,
        first_scene=FIRST_SCENE,
        colours=True,
        shares=config.shares,
    )
    unseen = replace(lessons, split="calibrate", first_scene=0)
    maker = replace(media, split="calibrate", vary=0.0)

    def embed(given: Sequence[Picture | Sound], generator: torch.Generator) -> Tensor:
        made = maker(given, FIRST_CLIP, generator)
        tensors = {name: each.to(learner.device) for name, each in made.items()}
        return learner.embed_media(**Joiner.media_of(tensors))

    def measure(number: int) -> dict[str, float]:
        quiz = Quiz(unseen, embed, number)
        return quiz.figures(learner.core) | quiz.shuffled(learner.core)

    run(
        learner,
        partial(batch, lessons, media),  # a worker that is not forked must be able to pickle it
        config.schedule,
        config.out,
        config=config,
        evaluate=lambda: measure(config.watch),
        evaluate_every=config.evaluate_every,
        rates=config.rates,
        muon=config.muon,
        worker=config.worker,
    )
    with torch.inference_mode():
        figures = {"of_each": float(config.measure)} | measure(config.measure)
        figures |= called_figures(learner.core, unseen, embed, config.measure)
    export(learner, media.processor, config.export)
    heads = {
        name: value.cpu().contiguous()
        for name, value in learner.state_dict().items()
        if not name.startswith("core.")
    }
    save_file(heads, config.out / HEADS_FILE)
    text = json.dumps(figures, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    before = {name: getattr(config, name).parent for name in STAGES}
    write_card(config.export, learner.core, {**before, "join": config.out})


def composed(
    config: JoinRecipe, core: CoreConfig, categories: PhraseVectors, sounds: PhraseVectors
) -> Joiner:
    """The core out of what the stages before have exported.

    Raises:
        FileNotFoundError: a stage has not exported what it should.
        ConfigError: weights are missing, left over, or of another size.
    """
    learner = Joiner(core, categories, sounds)
    load_parts(learner.core, config.see / VISION_FILE, ("vision_tower.",))
    load_parts(learner.core, config.listen / AUDIO_FILE, ("audio_tower.",))
    load_parts(learner.core.bridge, config.bridge / BRIDGE_FILE, BRIDGE_PARTS)
    load_parts(learner.core, config.read_and_call / LANGUAGE_FILE, ("language_model.",))
    learner.core.tie_weights()
    load_parts(learner, config.bridge / HEADS_FILE, HEADS)
    load_joining(learner, categories, config.read_and_call / JOINING_FILE)
    heads = load_file(config.bridge / HEADS_FILE)
    weight, bias = joining_linear(heads, learner.from_vector, learner.from_box)
    with torch.no_grad():
        learner.core.bridge.llm_projection.weight.copy_(weight)
        learner.core.bridge.llm_projection.bias.copy_(bias)
    return learner


def gone_on_with(
    config: JoinRecipe, core: CoreConfig, categories: PhraseVectors, sounds: PhraseVectors
) -> Joiner:
    """What an earlier run of this stage has learned.

    Raises:
        FileNotFoundError: it has not exported what it should.
        ConfigError: `start` without `start_heads`; weights are missing, left over, or of another
            size.
    """
    if config.start is None or config.start_heads is None:
        raise ConfigError("start and start_heads belong together: give both, or neither")
    learner = Joiner(core, categories, sounds)
    learner.core.load_state_dict(Core.from_pretrained(config.start).state_dict())
    load_parts(learner, config.start_heads, (*HEADS, "from_vector.", "from_box.", "name.", "tint."))
    return learner


def load_joining(learner: Joiner, categories: PhraseVectors, path: Path) -> None:
    """Load the layers from phrase vectors and boxes into the language model.

    It may have learned other vectors than the bridge, from another run of stage `see`. Both are
    sets of unit vectors with the same angles between them, so a rotation makes one of the other.

    Raises:
        FileNotFoundError: there is no such file; its stage has not been run.
        ConfigError: no rotation makes one set of the other.
        ConfigError: weights are missing, left over, or of another size.
    """
    load_parts(learner, path, ("from_vector.", "from_box.", "name."), beside=("vectors",))
    learned = PhraseVectors(categories.names, load_file(path)["vectors"])
    of_bridge, of_language = (
        torch.cat([each.vectors, sound_vectors(each).vectors]).T for each in (categories, learned)
    )
    rotation = of_language @ torch.linalg.pinv(of_bridge, rtol=1e-3)
    if not torch.allclose(rotation @ of_bridge, of_language, atol=0.02):
        raise ConfigError(
            f"{path}: the language model learned phrase vectors that are not at the same angles "
            "as the bridge's; run the stage read_and_call again"
        )
    with torch.no_grad():
        learner.from_vector.weight.copy_(learner.from_vector.weight @ rotation)
        learner.name.weight.copy_(rotation.T @ learner.name.weight)
        learner.name.bias.copy_(rotation.T @ learner.name.bias)


@dataclass(frozen=True)
class MediaMaker:
    """Makes what a batch's media are for `Joiner`: pixels, filter banks, simulated queries."""

    processor: CoreProcessor
    simulate: QuerySimulator
    split: Split = "train"
    vary: float = 0.3

    def __call__(
        self, media: Sequence[Picture | Sound], first: int, generator: torch.Generator
    ) -> Batch:
        """Tensors for `Joiner.losses`; clips take their seeds from `first` on."""
        core = self.processor.config
        scenes: list[Scene] = []
        clips: list[Clip] = []
        imagined: list[Picture | Sound] = []
        kinds = []
        for number, each in enumerate(media):
            if isinstance(each, Sound):
                kinds.append("audio")
                clips.append(self.clip(each, first + number))
            elif each.seed is None:
                kinds.append("simulated")
                imagined.append(each)
            else:
                kinds.append("image")
                scenes.append(scene_of(each.seed, self.split, core.vision_config.image_size))
        made: dict[str, Tensor] = {
            "kinds": torch.tensor([Joiner.KINDS.index(kind) for kind in kinds], dtype=torch.long),
            "queries": self.simulate(imagined, generator),
        }
        if scenes:
            seed = int(torch.randint(2**31, (), generator=generator))
            images = appearances(scenes, self.vary, seed)
            natural = appearances(scenes, 0.0, seed)
            made["pixels"] = framing_of(core).normalise(images)
            made |= {f"image_{name}": value for name, value in shown(scenes).items()}
            tints = tints_of(scenes, made["image_names"].shape[1])
            tints[(images != natural).flatten(1).any(1)] = IGNORED
            made["image_tints"] = tints
        if clips:
            made["filter_banks"] = self.processor.filter_banks([each.samples for each in clips])
            made |= {f"audio_{name}": value for name, value in heard(clips, core).items()}
        return made

    def clip(self, sound: Sound, seed: int) -> Clip:
        """A recording of these events; where nothing was recorded, zeros."""
        if sound.silent:
            none: Any = np.zeros((0, SILENCE // 160), np.float32)
            return Clip(np.zeros(SILENCE, np.float32), (), (), none, seed, self.split)
        return make_sound(seed, self.split, events=sound.events or 0)


def tints_of(scenes: Sequence[Scene], most: int) -> Tensor:
    """(scenes, most): of each object 0 for natural colours, else 1 + the index in `TINTS`."""
    known = [None, *TINTS]
    tints = torch.zeros(len(scenes), most, dtype=torch.long)
    for row, scene in enumerate(scenes):
        for place, each in enumerate(scene.objects):
            tints[row, place] = known.index(each.tint)
    return tints


def batch(lessons: Lessons, media: MediaMaker, step: int) -> Batch:
    """The batch of this step, see `Joiner.losses`."""
    packed, names = lessons.batch(SEED, step)
    tensors = {name: value for name, value in vars(packed).items() if name != "media"}
    generator = torch.Generator().manual_seed(step)
    made = media(packed.media, FIRST_CLIP + step * CLIPS, generator)
    return tensors | {"names": names} | made


def export(learner: Joiner, processor: CoreProcessor, folder: Path) -> None:
    """Write the core in bfloat16, with tokenizer and chat template; it stays float32 in memory."""
    core = learner.core
    halved = {
        name: value.to("cpu", torch.bfloat16) if value.is_floating_point() else value.cpu()
        for name, value in core.state_dict().items()
        if name != TIED
    }
    core.config.dtype = torch.bfloat16
    core.save_pretrained(folder, state_dict=halved, max_shard_size=SHARD)
    processor.save_pretrained(folder)
