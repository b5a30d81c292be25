"""What scores are worth: who may decide alone, and who may not."""

import os
from itertools import pairwise

import pytest

from nuthatch.tools.verification.evidence.calibration import ALONE, Calibration, Scale, kept_inside
from nuthatch.tools.weights.store import Weights
from tests.tools.verification.worlds import (
    detector_calibration,
    sound_calibration,
    tagger_calibration,
    weights,
)

SCORES = [step / 100 for step in range(101)]
QUESTIONS = ["detected", "boxed", "tagged", "cropped", "tinted", "heard"]
LABELS = {"tinted": "red", "heard": "bell"}


def scale(question: str, judges: Weights) -> tuple[Scale, str]:
    return getattr(Calibration(judges), question), LABELS.get(question, "cup")


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("measured", [True, False])
def test_a_higher_score_is_never_worth_less(question: str, measured: bool) -> None:
    asked, label = scale(question, weights(measured=measured))
    values = [asked.probability(label, score) for score in SCORES]
    assert all(0 <= value <= 1 for value in values)
    assert all(low <= high + 1e-9 for low, high in pairwise(values))
    assert values[0] < 0.5 < values[-1]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_judge_that_nobody_measured_stays_below_what_decides(question: str) -> None:
    asked, label = scale(question, weights(measured=False))
    for score in SCORES:
        assert 1 - ALONE < asked.probability(label, score) < ALONE


@pytest.mark.parametrize(
    ("question", "present_from", "absent_below"),
    [("detected", 0.9, 0.1), ("tagged", 0.9, 0.1), ("heard", 0.95, 0.05), ("cropped", 0.9, 0.05)],
)
def test_a_judge_decides_alone_beyond_its_thresholds_only(
    question: str, present_from: float, absent_below: float
) -> None:
    asked, label = scale(question, weights())
    decided = {s for s in SCORES if not 1 - ALONE < asked.probability(label, s) < ALONE}
    assert {score for score in SCORES if score > present_from} <= decided
    assert all(score >= present_from or score <= absent_below for score in decided)


def test_a_label_without_a_threshold_of_its_own_never_decides_alone() -> None:
    judges = weights()
    events = sound_calibration()
    del events["bell"]
    judges.get("tag_sound").calibration = events
    bell = Calibration(judges).heard.probability("bell", 0.999)
    assert bell < ALONE
    assert Calibration(judges).heard.probability("dog", 0.999) >= ALONE


def test_a_model_put_in_by_its_user_does_not_get_the_calibration_of_the_shipped_one() -> None:
    judges = weights(measured=False)
    assert judges.fingerprint("tag") == "given"
    assert Calibration(judges).tagged.probability("cup", 0.999) < ALONE


def test_the_file_beside_the_weights_is_read(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    judges = Weights(tmp_path)
    (tmp_path / "tag").mkdir()
    table = tagger_calibration().model_dump_json()
    (tmp_path / "tag" / "calibration.json").write_text(table)
    monkeypatch.setattr(judges, "get", lambda name: object())
    assert Calibration(judges).tagged.probability("cup", 0.95) >= ALONE


def test_a_file_that_has_changed_is_read_again(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    judges = Weights(tmp_path)
    path = tmp_path / "tag" / "calibration.json"
    path.parent.mkdir()
    path.write_text(tagger_calibration().model_dump_json())
    monkeypatch.setattr(judges, "get", lambda name: object())
    before = Calibration(judges).tagged.probability("cup", 0.95)
    changed = tagger_calibration().model_dump_json().replace('"threshold":0.9', '"threshold":0.99')
    path.write_text(changed)
    os.utime(path, ns=(1, 1))
    assert Calibration(judges).tagged.probability("cup", 0.95) < before


def test_the_lowest_box_score_looked_at_is_the_one_that_was_calibrated() -> None:
    assert Calibration(weights()).floor == detector_calibration().floor


def test_without_a_threshold_passed_a_probability_is_kept_from_deciding() -> None:
    assert kept_inside(0.999, True) == 0.999
    assert 1 - ALONE < kept_inside(0.999, False) < ALONE
    assert 1 - ALONE < kept_inside(0.001, False) < ALONE
    assert kept_inside(0.5, False) == 0.5
