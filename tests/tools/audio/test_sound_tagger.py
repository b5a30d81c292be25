import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nuthatch.mllm.encoders.beats import BeatsConfig
from nuthatch.tools.audio.load_sound_tagger import load
from nuthatch.tools.audio.sound_tagger import (
    EventCalibration,
    Judgement,
    SoundTagger,
    SoundTaggerConfig,
)
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.perceive.tag_sound_quality import hear, pairs_right
from nuthatch.training.world.sounds import make_sound
from tests.paths import EXAMPLES

TINY = BeatsConfig(
    embed_dim=8,
    encoder_layers=1,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=16,
    encoder_attention_heads=2,
    conv_pos=8,
    conv_pos_groups=2,
    num_buckets=16,
    max_distance=32,
)
CONFIG = SoundTaggerConfig(events=("bell", "dog", "rain"), beats=TINY, window_frames=96)
WINDOW = CONFIG.window_samples


def tiny(calibration: dict[str, EventCalibration] | None = None) -> SoundTagger:
    torch.manual_seed(0)
    return SoundTagger(CONFIG, calibration).eval()


class LoudnessTagger(SoundTagger):
    """Says "dog" of a window as surely as its loudest sample is large, and nothing else."""

    def probabilities(self, windows: Tensor) -> Tensor:
        loudest = windows.abs().amax(dim=1)
        return torch.stack([0 * loudest, loudest, 0 * loudest], dim=1)


@pytest.fixture(scope="module")
def shipped() -> SoundTagger:
    tagger: SoundTagger = load(EMBEDDED / "tag_sound")
    return tagger


def test_every_event_gets_a_probability_the_likeliest_first() -> None:
    tags = tiny().tag(np.random.default_rng(0).uniform(-0.1, 0.1, WINDOW))
    assert {event for event, _ in tags} == set(CONFIG.events)
    probabilities = [probability for _, probability in tags]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 < probability < 1 for probability in probabilities)


@pytest.mark.parametrize("samples", [1, 399, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 7])
def test_any_length_above_zero_is_heard_within_its_own_time(samples: int) -> None:
    for heard in tiny().listen(np.zeros(samples, np.float32)):
        assert 0 <= heard.start < heard.end <= samples / 16_000


def test_a_short_event_in_a_long_sound_is_found_at_its_time() -> None:
    sound = np.zeros(5 * WINDOW + 11, np.float32)
    sound[-5] = 0.9  # only the last window, which ends with the sound, holds it
    dog = LoudnessTagger(CONFIG).listen(sound)[0]
    assert dog.event == "dog"
    assert dog.probability == pytest.approx(0.9)
    assert dog.end == len(sound) / 16_000
    assert dog.end - dog.start == pytest.approx(WINDOW / 16_000)


def test_a_long_sound_is_as_likely_as_its_surest_window() -> None:
    rng = np.random.default_rng(1)
    quiet, loud = rng.normal(0, 1e-3, WINDOW), rng.normal(0, 0.2, WINDOW)
    tagger = tiny()
    alone = dict(tagger.tag(loud))
    both = dict(tagger.tag(np.concatenate([quiet, quiet, loud])))
    assert all(both[event] >= alone[event] - 1e-6 for event in CONFIG.events)


@pytest.mark.parametrize("shape", [(0,), (2, 400), ()])
def test_a_wrong_shape_is_an_error_that_says_what_was_expected(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected \\(n,\\) mono samples at 16 kHz"):
        tiny().tag(np.zeros(shape))


def test_samples_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        tiny().tag(np.array([0.0, np.nan]))


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    judged = EventCalibration(Judgement(0.75, 0.953, 120), Judgement(None, 0.0, 0))
    tagger = tiny({"bell": judged})
    tagger.save(tmp_path)
    copy = load(tmp_path)
    assert copy.config == tagger.config
    assert copy.calibration == {"bell": judged}
    stored = {name: tensor.bfloat16().float() for name, tensor in tagger.state_dict().items()}
    for name, tensor in copy.state_dict().items():
        assert torch.equal(tensor, stored[name]), name


def test_weights_that_do_not_fit_the_configuration_are_an_error(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"events": ["bell"]}))
    with pytest.raises(RuntimeError, match="size mismatch"):
        load(tmp_path)


def test_shipped_weights_name_the_sounds_of_the_vocabulary(shipped: SoundTagger) -> None:
    assert shipped.config.events == tuple(SOUNDS)
    assert set(shipped.calibration) == set(SOUNDS)
    assert (EMBEDDED / "tag_sound" / "model.safetensors").stat().st_size <= 4_000_000


def test_shipped_weights_hear_both_events_of_a_mixture(shipped: SoundTagger) -> None:
    clips = [make_sound(seed, "test", events=2) for seed in range(100, 160)]
    assert pairs_right(*hear(shipped, clips)).mean() >= 0.7


def test_shipped_weights_hear_the_clock_in_the_kitchen(shipped: SoundTagger) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(EXAMPLES / "kitchen.wav")
    assert rate == 16_000
    assert shipped.tag(samples)[0][0] == "clock"
