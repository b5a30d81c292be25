"""What the evaluation of marks counts, and what it takes as reliable."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nuthatch.tools.verification.evidence.single_source import COUNTS
from nuthatch.tools.verification.types import Claim
from nuthatch.tools.verifier import Verifier
from nuthatch.training.evaluate import marks
from nuthatch.training.evaluate.writer import Truth
from nuthatch.training.world.scenes import make_scene

TRUTH = Truth(
    counts={"cup": 2, "dog": 1, "cat": 1},
    tints={"cup": frozenset({"red"}), "dog": frozenset({None}), "cat": frozenset({None})},
    relations=frozenset({("dog", "left of", "cat")}),
    events=("bell",),
)


def answer(text: str, *, printed: str | None = None, finished: bool = True) -> Any:
    class Answer(SimpleNamespace):
        def __str__(self) -> str:
            return self.printed

    return Answer(
        text=text,
        draft=text,
        finished=finished,
        withheld=False,
        printed=text if printed is None else printed,
        verdicts=[],
        calls=[],
    )


def recorded(text: str, kind: str, truth: object, **more: Any) -> dict[str, Any]:
    scene = SimpleNamespace(
        counts=lambda: dict(TRUTH.counts),
        objects=[
            SimpleNamespace(category=name, tint=None) for name in ("cup", "cup", "dog", "cat")
        ],
        relations=lambda: [(2, "left of", 3)],
    )
    clip = SimpleNamespace(events=("bell",))
    return marks.record(answer(text, **more), kind, truth, scene, clip)  # type: ignore[arg-type]


# -- one answer -----------------------------------------------------------------------------------


def test_an_answer_is_right_if_it_answers_and_states_nothing_false() -> None:
    assert recorded("There are two cups.", "count", 2)["right"]
    assert not recorded("There are three cups.", "count", 2)["right"]
    assert not recorded("There are two cups. There is one horse.", "count", 2)["right"]
    assert not recorded("There is a dog.", "count", 2)["right"]


def test_a_wrong_yes_is_an_error_though_the_rest_is_true() -> None:
    told = recorded("No, the dog is left of the cat.", "relation", True)
    assert told["states"] == "wrong"


def test_both_parts_of_a_question_must_be_answered() -> None:
    whole = "There are two cups. I hear a bell ringing. There are no bells."
    assert recorded(whole, marks.BOTH, [2, []])["right"]
    assert not recorded("There are two cups.", marks.BOTH, [2, ["bell"]])["right"]


def test_an_answer_is_marked_where_it_is_printed_otherwise_or_stops() -> None:
    assert not recorded("There are two cups.", "count", 2)["marked"]
    assert recorded("There are two cups.", "count", 2, printed="There are two [unverified] cups.")[
        "marked"
    ]
    assert recorded("", "count", 2, finished=False)["marked"]


def test_an_answer_that_is_withheld_is_no_answer_without_a_mark() -> None:
    given = answer("I cannot tell.")
    given.withheld = True
    scene = make_scene(0, "test")
    clip = SimpleNamespace(events=("bell",))
    assert marks.record(given, "count", 2, scene, clip)["marked"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "subject", "predicate", "value", "polarity", "true"),
    [
        ("existence", "cup", "exists", None, True, True),
        ("existence", "cup", "exists", None, False, False),
        ("count", "cup", "count", ">=2", True, True),
        ("count", "horse", "count", "0", True, True),
        ("attribute", "cup", "tint", "red", True, True),
        ("attribute", "cup", "all tint", "red", True, None),
        ("relation", "dog", "left of", "cat", True, True),
        ("relation", "cup", "left of", "cat", True, None),
        ("sound", "bell", "sounds", "bell", False, False),
        ("other", "dog", "sleeps", None, True, None),
    ],
)
def test_claims_are_held_against_the_truth(kind, subject, predicate, value, polarity, true) -> None:
    claim = Claim(
        id="c1",
        text="x",
        span=(0, 1),
        kind=kind,
        subject=subject,
        predicate=predicate,
        value=value,
        polarity=polarity,
    )
    assert marks.is_true(claim, TRUTH) is true


# -- what is reliable -----------------------------------------------------------------------------


def quotes(*groups: tuple[float, int, int]) -> list[dict[str, Any]]:
    """(sureness, right, wrong) of each group."""
    return [
        {"sure": sure, "right": right, "holds": True}
        for sure, good, bad in groups
        for right in [True] * good + [False] * bad
    ]


def test_the_threshold_is_the_lowest_from_which_quotations_are_right() -> None:
    rate = marks.reliability(quotes((0.99, 80, 0), (0.95, 40, 1), (0.85, 10, 30)))
    assert rate is not None
    assert (rate.threshold, rate.n) == (0.95, 121)
    assert rate.precision == pytest.approx(120.5 / 122, abs=1e-4)


def test_unreliable_ones_do_not_hide_behind_many_reliable_ones() -> None:
    rate = marks.reliability(quotes((0.99, 1000, 0), (0.9, 10, 10)))
    assert rate is not None
    assert rate.threshold == 0.99


def test_few_wrong_or_unsure_quotations_set_no_threshold() -> None:
    assert marks.reliability(quotes((0.99, marks.FEWEST - 1, 0))) is None
    assert marks.reliability(quotes((0.99, 30, 10))) is None
    assert marks.reliability(quotes((0.7, 100, 0))) is None
    assert marks.reliability([]) is None


def test_numbers_are_what_the_judges_see_of_all_that_a_scene_shows() -> None:
    scene = make_scene(9_000_000, "calibrate")
    quotes = list(marks.numbers(scene, Verifier()))
    assert {quote["text"].partition(" ")[2] for quote in quotes} <= set(scene.counts())
    for quote in quotes:
        number, _, name = quote["text"].partition(" ")
        assert quote["right"] == (scene.counts()[name] == int(number))
        assert quote["kind"] in COUNTS
    assert quotes


def test_numbers_are_measured_on_scenes_of_their_own() -> None:
    def said(right: bool) -> list[dict[str, Any]]:
        quote = {"judges": ["detector"], "kind": "count", "holds": True, "right": right}
        return [{**quote, "sure": 0.9 + i / 1000} for i in range(40)]

    asked, counted = {"asked": [{"quotes": said(right=False)}]}, {"quotes": said(right=True)}
    rate = marks.calibrate([asked], [counted], 1, 0)["detector"].kinds["count"]
    assert (rate.n, rate.threshold) == (40, 0.9)


# -- the whole ------------------------------------------------------------------------------------


def test_the_shares_are_of_right_and_of_unmarked_answers() -> None:
    def each(marked: bool, states: str) -> dict[str, Any]:
        return {"marked": marked, "states": states, "right": states == "right"}

    rows = [
        {"asked": [each(False, "right"), each(True, "right")]},
        {"asked": [each(False, "wrong"), each(True, "wrong"), each(False, "right")]},
    ]
    figures = marks.marks(rows, "rules")
    assert figures["right_unmarked_rules"][0::3] == (pytest.approx(2 / 3), 3)
    assert figures["unmarked_wrong_rules"][0::3] == (pytest.approx(1 / 3), 3)
    assert figures["answers_right_rules"][0::3] == (pytest.approx(3 / 5), 5)


def test_every_kind_of_question_is_asked_and_both_parts_together() -> None:
    scene = make_scene(0, "test")
    clip = SimpleNamespace(events=("bell",), samples=None)
    kinds = [kind for kind, _, _ in marks._questions(scene, clip)]  # type: ignore[arg-type]
    assert {"count", "existence", "sound", "source", marks.BOTH} <= set(kinds)
    asked = {kind: text for kind, text, _ in marks._questions(scene, clip)}  # type: ignore[arg-type]
    assert asked[marks.BOTH].endswith(", and which object makes this sound?")


def test_a_small_run_reports_both_planners_and_goes_on(tmp_path: Path, capsys) -> None:
    figures = marks.evaluate(n=1, out=tmp_path)
    assert {"right_unmarked_rules", "unmarked_wrong_core"} <= set(figures)
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["figures"] == json.loads(json.dumps(figures))
    assert saved["settings"]["split"] == "test"
    assert "right_unmarked_rules" in capsys.readouterr().out
    assert not list(tmp_path.glob("*/single_source.json"))


@pytest.mark.parametrize("given", [{"n": 0}, {"seed": -1}])
def test_senseless_numbers_are_refused(given, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected n of at least 1"):
        marks.evaluate(**given, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_number_that_was_met_often_enough_has_its_own_share() -> None:
    def met(number: str, right: bool) -> dict[str, object]:
        return {"kind": "count", "number": number, "holds": True, "sure": 1.0, "right": right}

    threes = [met("3", n > 3) for n in range(40)]
    rate = marks.reliability([met("2", True)] * 400 + threes + [met("1", True)] * 3)
    assert rate is not None
    assert {number: share.n for number, share in rate.numbers.items()} == {2: 400, 3: 40}
    assert rate.numbers[3].precision < 0.92 < rate.precision
