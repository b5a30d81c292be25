"""Stage `listen`: the core's ear goes on from the sound tagger's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.encoders.beats import Beats
from nuthatch.tools.audio.sound_tagger import SoundTaggerConfig
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.config import ConfigError
from nuthatch.training.perceive.tag_sound_quality import NAMES
from nuthatch.training.recipes.core import ListenRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.listen import (
    Listener,
    batch,
    core_config,
    start_from,
    train,
    training_clip,
)

TINY = {
    "embed_dim": 16,
    "encoder_layers": 1,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 64,
    "encoder_attention_heads": 2,
}


def shape(audio: dict[str, int]) -> SoundTaggerConfig:
    core = core_config(audio)
    return SoundTaggerConfig(NAMES, core.audio_config, core.num_mel_bins, core.segment_frames)


def tiny(out: Path, **changes: object) -> ListenRecipe:
    config = ListenRecipe(
        schedule=Schedule(steps=2, lr=1e-3, save_every=1),
        start=None,
        audio=TINY,
        clips=2,
        watch_clips=1,
        measure_clips=2,
        out=out,
        export=out / "export",
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def test_the_shipped_tagger_fits_the_ear_of_the_embedded_core():
    learner = Listener(shape({}))
    start_from(learner, EMBEDDED / "tag_sound")
    shipped = load_file(EMBEDDED / "tag_sound" / "model.safetensors")
    assert torch.equal(learner.tagger.head.weight, shipped["head.weight"].float())


def test_a_start_of_other_sizes_or_none_is_an_error_that_says_so(tmp_path):
    with pytest.raises(ConfigError, match="other sizes"):
        start_from(Listener(shape(TINY)), EMBEDDED / "tag_sound")
    with pytest.raises(ConfigError, match="no sound tagger"):
        start_from(Listener(shape(TINY)), tmp_path)


def test_the_shares_of_clips_are_those_of_the_recipe():
    clips = [training_clip(seed, pairs=0.5, background=0.25) for seed in range(60)]
    counts = [len(clip.events) for clip in clips]
    assert 20 <= counts.count(2) <= 40
    assert 6 <= counts.count(0) <= 24
    assert counts.count(1) > 5


def test_a_batch_depends_on_its_step_alone():
    once, again = (batch(tiny(Path("unused")), core_config(TINY), 3) for _ in range(2))
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(
        once["fbank"], batch(tiny(Path("unused")), core_config(TINY), 4)["fbank"]
    )


def test_a_few_steps_on_one_batch_lower_both_losses():
    torch.manual_seed(0)
    learner = Listener(shape(TINY))
    given = batch(tiny(Path("unused")), core_config(TINY), 0)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        losses.append(learner.losses(**given))
        optimizer.zero_grad()
        torch.stack(list(losses[-1].values())).sum().backward()
        optimizer.step()
    assert losses[-1]["window"] < 0.8 * losses[0]["window"]
    assert losses[-1]["moments"] < 0.8 * losses[0]["moments"]


def test_the_stage_exports_the_ear_under_the_names_of_the_core(tmp_path):
    config = tiny(tmp_path)
    train(config)
    weights = load_file(config.export / "audio_tower.safetensors")
    Beats(core_config(TINY).audio_config).load_state_dict(
        {name.removeprefix("audio_tower."): value for name, value in weights.items()}
    )
    assert "pair" in (tmp_path / "figures.json").read_text()
