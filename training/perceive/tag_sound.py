"""Train the sound tagger: a small BEATs from scratch on synthesised one- and two-event clips.

Binary cross-entropy per event, every clip heard once. What is exported beside the weights is
measured on splits that training never draws from: `calibration.json` on "calibrate", `figures.json`
(in the run folder) on "test", with seen and with held-out synthesis parameters.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nuthatch.mllm.encoders.beats import BeatsConfig
from nuthatch.mllm.encoders.fbank import beats_filter_bank
from nuthatch.tools.audio.sound_tagger import SoundTagger, SoundTaggerConfig, load_saved
from nuthatch.training.fit import Losses, fit
from nuthatch.training.perceive.tag_sound_quality import (
    NAMES,
    calibrate,
    clips_of,
    hear,
    measure,
    pad_to_window,
    pairs_right,
    truth,
)
from nuthatch.training.recipes.perception import TagSoundRecipe
from nuthatch.training.world.sounds import Clip, make_sound

AUDIBLE_POWER = 0.003  # 25 dB below an event's active level
SEEDS_OF_A_RUN = 10_000_000  # another `seed` of the recipe hears other clips


def train(config: TagSoundRecipe) -> None:
    """Train or resume, calibrate, export, and measure what was exported on held-out clips."""
    torch.manual_seed(config.seed)
    tagger = SoundTagger(
        SoundTaggerConfig(
            events=NAMES,
            beats=BeatsConfig(
                embed_dim=128,
                encoder_layers=config.layers,
                encoder_embed_dim=config.width,
                encoder_ffn_embed_dim=4 * config.width,
                encoder_attention_heads=config.width // 32,
                conv_pos=32,
                num_buckets=128,
                max_distance=128,
            ),
        )
    )
    fit(
        tagger,
        lambda step: _loss(tagger, config, step),
        config.schedule,
        Path(config.out),
        config=config,
        evaluate=lambda: _glance(tagger),
        evaluate_every=config.evaluate_every,
    )
    export = Path(config.export)
    tagger.save(export)
    tagger = load_saved(export)  # what is calibrated and measured is what ships: rounded to bf16
    tagger.calibration = calibrate(
        *hear(tagger, clips_of(range(config.calibration_clips), "calibrating", "calibrate"))
    )
    tagger.save(export)
    figures = {
        name: figure._asdict() for name, figure in measure(tagger, config.test_clips).items()
    }
    (Path(config.out) / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")


def _loss(tagger: SoundTagger, config: TagSoundRecipe, step: int) -> Losses:
    clips = []
    for index in range(config.clips):
        seed = config.seed * SEEDS_OF_A_RUN + step * config.clips + index
        kind = np.random.default_rng([seed]).random()
        events = 2 if kind < config.pairs else 0 if kind > 1 - config.background else 1
        clips.append(make_sound(seed, "train", events=events))
    windows = pad_to_window(clips, tagger.config.window_samples)
    moments = tagger(beats_filter_bank(windows, tagger.config.num_mel_bins))
    active = activity(clips, moments.shape[1])
    return {
        "window": entropy(tagger.of_window(moments), torch.from_numpy(truth(clips))),
        "moments": config.moments * entropy(moments, torch.from_numpy(active)),
    }


def entropy(logits: Tensor, present: Tensor) -> Tensor:
    """Binary cross-entropy, summed over the events (the last dimension), mean over the rest."""
    each = F.binary_cross_entropy_with_logits(logits, present.to(logits.dtype), reduction="none")
    return each.sum(dim=-1).mean()


def _glance(tagger: SoundTagger) -> dict[str, float]:
    """How training fares: pairs right of 300 clips that are not trained on."""
    clips = (make_sound(seed, "calibrate", events=2) for seed in range(300))
    return {"pair": float(pairs_right(*hear(tagger, clips)).mean())}


def activity(clips: Sequence[Clip], moments: int) -> npt.NDArray[np.bool_]:
    """(len(clips), moments, events): which events are heard in each moment of 160 ms."""
    active = np.zeros((len(clips), moments, len(NAMES)), bool)
    for row, clip in zip(active, clips, strict=True):
        for name, power in zip(clip.events, clip.activity, strict=True):
            whole = np.pad(power, (0, 16 * moments - len(power)))
            row[:, NAMES.index(name)] = whole.reshape(moments, 16).max(axis=1) > AUDIBLE_POWER
    return active
