import json
from pathlib import Path

import numpy as np
import pytest

from nuthatch.tools.audio.load_sound_tagger import load
from nuthatch.tools.audio.sound_tagger import EventCalibration, Judgement, SoundTagger
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.config import load_config
from nuthatch.training.perceive.tag_sound import activity, train
from nuthatch.training.perceive.tag_sound_quality import NAMES, calibrate, pairs_right
from nuthatch.training.recipes.perception import TagSoundRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.world.sounds import make_sound
from tests.paths import ROOT

RECIPE = ROOT / "training/recipes/embedded/1_perceive_tag_sound.yaml"
EVENTS = len(SOUNDS)


def test_the_recipe_is_what_the_config_expects() -> None:
    assert load_config(TagSoundRecipe, RECIPE, ["clips=3"]).clips == 3


def test_a_pair_is_right_when_its_two_events_are_the_two_likeliest() -> None:
    scores = np.zeros((2, EVENTS), np.float32)
    scores[:, 3], scores[:, 5], scores[1, 7] = 0.9, 0.4, 0.5
    present = np.zeros((2, EVENTS), bool)
    present[:, [3, 5]] = True
    assert pairs_right(scores, present).tolist() == [True, False]


def test_a_tagger_that_is_always_right_may_decide_alone() -> None:
    present = np.random.default_rng(0).random((600, EVENTS)) < 0.4
    for judged in calibrate(np.where(present, 0.9, 0.1).astype(np.float32), present).values():
        assert judged.present.threshold == pytest.approx(0.9)
        assert judged.absent.threshold == pytest.approx(0.1)
        assert min(judged.present.precision, judged.absent.precision) >= 0.95


def test_a_tagger_that_guesses_may_never_decide_alone() -> None:
    rng = np.random.default_rng(0)
    present = rng.random((1000, EVENTS)) < 0.4
    guesses = rng.random((1000, EVENTS), dtype=np.float32)
    nobody = EventCalibration(Judgement(None, 0.0, 0), Judgement(None, 0.0, 0))
    assert set(calibrate(guesses, present).values()) == {nobody}


def test_a_tagger_that_is_right_only_when_sure_decides_only_then() -> None:
    rng = np.random.default_rng(0)
    present = rng.random((4000, EVENTS)) < 0.5
    sure = rng.random((4000, EVENTS)) < 0.5
    guess = 0.3 + 0.4 * rng.random((4000, EVENTS))
    scores = np.where(sure, np.where(present, 0.95, 0.05), guess).astype(np.float32)
    for judged in calibrate(scores, present).values():
        assert judged.present.threshold is not None
        assert judged.absent.threshold is not None
        assert 0.6 < judged.present.threshold <= 0.95
        assert 0.05 <= judged.absent.threshold < 0.4


def test_a_rare_event_is_judged_at_even_odds() -> None:
    """1 % false alarms are harmless at even odds, although they outnumber a rare event's hits."""
    rng = np.random.default_rng(0)
    present = rng.random((20_000, EVENTS)) < 0.02
    alarmed = present | (rng.random(present.shape) < 0.01)
    table = calibrate(np.where(alarmed, 0.9, 0.1).astype(np.float32), present)
    assert all(judged.present.threshold is not None for judged in table.values())


def test_an_event_is_active_in_the_moments_in_which_it_is_heard() -> None:
    clip = make_sound(3, "train", events=("cow",))
    active = activity([clip], 25)[0]
    assert not np.delete(active, NAMES.index("cow"), axis=1).any()
    mooing = active[:, NAMES.index("cow")]
    loud = clip.activity[0, : 16 * 12].reshape(12, 16).max(axis=1) > 1.0
    assert loud.any()
    assert mooing[:12][loud].all()
    assert not mooing[len(clip.samples) // 2560 + 1 :].any(), "nothing is heard after the end"


def test_training_exports_what_it_measured_and_is_not_repeated(tmp_path: Path) -> None:
    def config(steps: int) -> TagSoundRecipe:
        return TagSoundRecipe(
            clips=2,
            width=32,
            layers=1,
            schedule=Schedule(steps=steps, lr=1e-3, save_every=1),
            evaluate_every=0,
            calibration_clips=8,
            test_clips=4,
            out=str(tmp_path / "run"),
            export=str(tmp_path / "export"),
        )

    train(config(2))
    train(config(2))
    steps = [json.loads(line)["step"] for line in (tmp_path / "run/metrics.jsonl").open()]
    assert steps == [0, 1], "a finished run is not trained again"
    tagger = load(tmp_path / "export")
    assert isinstance(tagger, SoundTagger)
    assert set(tagger.calibration) == set(SOUNDS)
    figures = json.loads((tmp_path / "run/figures.json").read_text())
    assert figures["pair"]["n"] == figures["held_out_pair"]["n"] == 4
