from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from nuthatch.tools.detection.detectors import Found
from nuthatch.tools.verification.types import Claim, Correction, Edit, Verdict
from nuthatch.training.evaluate import checking
from nuthatch.training.evaluate.pope import SETTINGS, Blind
from nuthatch.training.evaluate.records import Row
from nuthatch.training.evaluate.writer import Fact, Phrase, Truth
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import make_scene

SCENES = [make_scene(seed, "test") for seed in range(40)]
COMPANY = Company.of(list(make_scene(seed).counts()) for seed in range(40))
NOBODY = {setting: Blind(frozenset()) for setting in SETTINGS}


class Detector:
    """Sees what is there, or nothing."""

    threshold = 0.5

    def __init__(self, *, sees: bool = True) -> None:
        self.sees = sees

    def find(self, images, labels, *, threshold):
        assert threshold == self.threshold
        known = {scene.image.tobytes(): scene for scene in SCENES}
        return [
            [Found(each.category, 0.9, each.box) for each in known[image.tobytes()].objects]
            if self.sees
            else []
            for image in images
        ]


def kept(draft: str, verdicts: Sequence[Verdict] = ()) -> Correction:
    return Correction(
        draft=draft, revised=draft, final=draft, choice="draft", choice_reason="",
        edits=[], verdicts=list(verdicts),
    )  # fmt: skip


class Verifier:
    """Keeps every answer, or says yes to every question."""

    def __init__(self, *, always_yes: bool = False) -> None:
        self.always_yes = always_yes

    def correct_many(self, items):
        return [
            kept("Yes.") if self.always_yes and item.question else kept(item.answer)
            for item in items
        ]


def rows(detector: Detector, verifier: Verifier) -> list[Row]:
    clips = [
        SimpleNamespace(events=("bell",), samples=np.zeros(16000, np.float32))
        if index % 2
        else None
        for index in range(len(SCENES))
    ]
    return checking.check(SCENES, clips, verifier, detector, COMPANY)


def test_a_verifier_that_does_nothing_leaves_the_writer_as_good_as_it_was():
    figures = checking.pope_figures(rows(Detector(), Verifier()), NOBODY)
    for setting in SETTINGS:
        assert figures[f"pope_{setting}_f1_verified"] == figures[f"pope_{setting}_f1_writer"]
        assert figures[f"pope_{setting}_accuracy_writer"].value == pytest.approx(0.8, abs=0.08)
        assert figures[f"pope_{setting}_f1_detector"].value == 1.0
        assert figures[f"pope_{setting}_f1_gain_over_detector"].high < 0


def test_a_detector_that_sees_nothing_says_no():
    figures = checking.pope_figures(rows(Detector(sees=False), Verifier()), NOBODY)
    assert figures["pope_random_yes_ratio_detector"].value == 0.0
    assert figures["pope_random_f1_detector"].value == 0.0
    assert figures["pope_random_accuracy_detector"].value == 0.5


def test_answers_are_scored_as_they_stand_after_verification():
    figures = checking.pope_figures(rows(Detector(), Verifier(always_yes=True)), NOBODY)
    assert figures["pope_popular_yes_ratio_verified"].value == 1.0
    assert figures["pope_popular_f1_verified"].value == pytest.approx(2 / 3)


def test_one_category_gets_one_answer_in_all_settings():
    for row in rows(Detector(), Verifier())[:10]:
        said: dict[str, set[bool]] = {}
        for each in row["pope"]:
            said.setdefault(each["category"], set()).add(each["writer"])
        assert all(len(answers) == 1 for answers in said.values())


def test_nothing_is_removed_or_harmed_where_nothing_is_edited():
    figures = checking.repair_figures(rows(Detector(), Verifier()))
    assert figures["errors_removed"].value == figures["harm"].value == 0.0
    assert figures["errors_removed"].n > 20
    assert figures["harm"].low == 0.0 < figures["harm"].high < 0.1


def fact(kind: str, right: bool, fate: str) -> Row:
    return {"kind": kind, "right": right, "fate": fate}


def test_shares_of_removed_and_harmed_facts_are_counted_apart():
    facts = [
        fact("count", False, "right"),
        fact("count", False, "wrong"),
        fact("tint", False, "gone"),
        fact("tint", False, "hedged"),
        fact("tint", True, "right"),
        fact("tint", True, "wrong"),
        fact("sound", True, "gone"),
        fact("sound", True, "hedged"),
    ]
    measured = [{"written": {"facts": facts, "verdicts": []}}]
    figures = checking.repair_figures(measured)
    assert figures["errors_removed"].value == 0.5
    assert figures["errors_hedged"].value == 0.25
    assert figures["harm"].value == 0.5
    assert figures["right_hedged"].value == 0.25
    kinds = checking.by_fact_kind(measured)
    assert kinds["count"]["removed"].value == 0.5
    assert kinds["count"]["harmed"].n == 0
    assert kinds["sound"]["harmed"].value == 0.5


def verdict(name: str, rule: str, span: tuple[int, int], kind: str = "existence") -> Verdict:
    claim = Claim(id="c", text="", span=span, kind=kind, subject="cup", predicate="exists")
    return Verdict(claim=claim, verdict=name, probability=0.97, rule=rule)


def test_verdicts_are_held_against_the_record_of_the_writer():
    text = Phrase(
        "There is a cup. There is a dog.",
        (
            Fact("existence", "cup", (9, 14), True),
            Fact("existence", "dog", (25, 30), False),
        ),
    )
    verdicts = [
        verdict("supported", "existence.agree", (9, 14)),
        verdict("supported", "existence.agree", (25, 30)),
        verdict("not_enough_evidence", "judges.unsure", (0, 5)),
    ]
    truth = Truth({"cup": 1})
    row = {"pope": [], "written": checking.text_row(text, kept(text.text, verdicts), truth)}
    figures = checking.repair_figures([row])
    assert figures["verdicts_right"] == (0.5, *figures["verdicts_right"][1:3], 2)
    assert figures["claims_undecided"].value == pytest.approx(1 / 3)
    assert checking.deciders([row])["existence.agree"] == {"verdicts": 2, "known": 2, "right": 1}
    assert checking.reliability([row]) == [{"probability": 0.97, "true": 0.5, "n": 2}]


def test_an_edit_that_really_stands_in_the_answer_decides_the_fate():
    text = Phrase("There is a dog.", (Fact("existence", "dog", (9, 14), False),))
    edit = Edit(
        op="replace", span=(9, 14), old_text="a dog", new_text="no dog", claim_id="c",
        evidence_ids=(),
    )  # fmt: skip
    mended = kept(text.text).model_copy(update={"edits": [edit], "final": "There is no dog."})
    row = checking.text_row(text, mended, Truth({"cup": 1}))
    assert row["facts"] == [{"kind": "existence", "right": False, "fate": "right"}]
