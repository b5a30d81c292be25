"""Stage `listen`: the core's ear, a small BEATs that goes on where the sound tagger's stopped.

The tagger's own losses, on more and harder clips: mostly mixtures of two events. What it exports:
the encoder's weights under the core's names. The vectors of the sounds come from stage `see`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nuthatch.mllm.config import CoreConfig
from nuthatch.tools.audio.sound_tagger import SoundTagger, SoundTaggerConfig
from nuthatch.training.config import ConfigError
from nuthatch.training.fit import Losses
from nuthatch.training.perceive.tag_sound import activity, entropy
from nuthatch.training.perceive.tag_sound_quality import (
    NAMES,
    pairs_right,
    truth,
)
from nuthatch.training.recipes.core import ListenRecipe
from nuthatch.training.stages.hearing import filter_banks
from nuthatch.training.stages.trainer import Batch, Figures, run
from nuthatch.training.world.sounds import Clip, make_sound

AUDIO_FILE = "audio_tower.safetensors"
FIRST_SEED = 1_000_000_000
"""Clips of this stage come after all that the tagger heard."""
AT_ONCE = 16
"""Clips that are measured side by side."""


class Listener(nn.Module):
    """A sound tagger as it is trained here."""

    def __init__(self, shape: SoundTaggerConfig) -> None:
        super().__init__()
        self.tagger = SoundTagger(shape)

    def losses(self, fbank: Tensor, present: Tensor, active: Tensor) -> Losses:
        """Binary cross-entropies.

        Args:
            fbank: (B, frames, bins), from `beats_filter_bank`.
            present: (B, events), which events each clip holds.
            active: (B, moments, events), which are heard in each moment of 160 ms.
        """
        moments = self.tagger(fbank)
        return {
            "window": entropy(self.tagger.of_window(moments), present),
            "moments": entropy(moments, active),
        }


def train(config: ListenRecipe) -> None:
    """Train or resume, export the encoder, and measure how often both events are named."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    core = core_config(config.audio)
    shape = SoundTaggerConfig(NAMES, core.audio_config, core.num_mel_bins, core.segment_frames)
    learner = Listener(shape)
    if config.start is not None:
        start_from(learner, config.start)

    def measure(clips: int) -> Figures:
        made = [make_sound(seed, "calibrate", events=2) for seed in range(clips)]
        return {"pair": pairs_named(learner.tagger, made, core)}

    run(
        learner,
        lambda step: batch(config, core, step),
        config.schedule,
        config.out,
        config=config,
        evaluate=lambda: measure(config.watch_clips),
        evaluate_every=config.evaluate_every,
    )
    config.export.mkdir(parents=True, exist_ok=True)
    tower = {
        f"audio_tower.{k}": v.cpu().contiguous()
        for k, v in learner.tagger.beats.state_dict().items()
    }
    save_file(tower, config.export / AUDIO_FILE)
    text = json.dumps(measure(config.measure_clips), indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")


def core_config(audio: dict[str, int]) -> CoreConfig:
    """The embedded core, its ear with these sizes instead of its own."""
    core = CoreConfig.embedded()
    return CoreConfig.embedded(audio_config={**core.to_dict()["audio_config"], **audio})


def start_from(learner: Listener, folder: Path) -> None:
    """Take over the weights of a trained tagger.

    Raises:
        ConfigError: there is none, or one of other sizes.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ConfigError(f"start: no sound tagger at {folder}; give its folder, or null")
    weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    try:
        learner.tagger.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"start: the tagger at {folder} has other sizes: {error}") from error


@torch.inference_mode()
def pairs_named(tagger: SoundTagger, clips: Sequence[Clip], core: CoreConfig) -> float:
    """Of clips with two events each, the share whose two likeliest events are those."""
    likely = [
        tagger.of_window(tagger(filter_banks(clips[start : start + AT_ONCE], core)))
        for start in range(0, len(clips), AT_ONCE)
    ]
    return float(pairs_right(torch.cat(likely).numpy(), truth(clips)).mean())


def batch(config: ListenRecipe, core: CoreConfig, step: int) -> Batch:
    """The batch of this step, see `Listener.losses`; no clip comes twice."""
    first = FIRST_SEED + step * config.clips
    clips = [
        training_clip(seed, pairs=config.pairs, background=config.background)
        for seed in range(first, first + config.clips)
    ]
    moments = core.segment_frames // core.audio_config.input_patch_size
    return {
        "fbank": filter_banks(clips, core),
        "present": torch.from_numpy(truth(clips)),
        "active": torch.from_numpy(activity(clips, moments)),
    }


def training_clip(seed: int, *, pairs: float, background: float) -> Clip:
    """A clip of two events, of none or of one, in these shares; the last takes the rest."""
    kind = np.random.default_rng([seed]).random()
    events = 2 if kind < pairs else 0 if kind > 1 - background else 1
    return make_sound(seed, "train", events=events)
