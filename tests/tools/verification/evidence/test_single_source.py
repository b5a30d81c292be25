"""Claims that quote a tool: judged by how often such quotations were right, and by nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from nuthatch.tools.verification.evidence.single_source import (
    FILE,
    WEIGHTS_OF,
    Sources,
    kind_of,
    sureness,
)
from nuthatch.tools.verification.extraction.claims import extract_claims
from nuthatch.tools.verification.rules import POLICIES, decide
from nuthatch.tools.verification.types import Claim, Measured, Verdict
from nuthatch.tools.weights.store import EMBEDDED, Weights
from tests.tools.verification.worlds import verdicts, weights

SOUND = "You can hear a bell ringing."


def measured(judge: str, kind: str, threshold: float = 0.9, precision: float = 0.96) -> Measured:
    return Measured(
        judge=judge, kind=kind, threshold=threshold, precision=precision, n=100, on="tests"
    )


def sources(*known: Measured, names: tuple[str, ...] = ()) -> Sources:
    of = {each.judge for each in known} | set(names)
    return Sources(frozenset(of), {(each.judge, each.kind): each for each in known})


def judged(answer: str, text: str, by: Sources, policy: str = "conservative", **world) -> Verdict:
    seen = verdicts(answer, **world)[text]
    return decide(seen.claim, seen.evidence, POLICIES[policy], sources=by)


# -- what is decided ------------------------------------------------------------------------------


def test_a_quoted_tool_decides_as_surely_as_it_was_measured_and_says_so() -> None:
    known = measured("sound_tagger", "sound")
    verdict = judged(SOUND, "a bell ringing", sources(known))
    assert (verdict.verdict, verdict.rule) == ("supported", "sound.single_source")
    assert verdict.probability == known.precision
    assert verdict.measured == known


def test_a_quoted_tool_that_nobody_measured_decides_nothing() -> None:
    verdict = judged(SOUND, "a bell ringing", sources(names=("sound_tagger",)))
    assert (verdict.verdict, verdict.rule) == ("not_enough_evidence", "judges.source")
    assert verdict.measured is None


def test_a_number_is_as_sure_as_that_number_was_measured_to_be() -> None:
    counts = measured("detector", "count", precision=0.975)
    threes = measured("detector", "count 3", precision=0.91)
    by = sources(counts, threes)
    for said, known in (("two", counts), ("three", threes)):
        claim = next(c for c in extract_claims(f"There are {said} cups.") if c.kind == "count")
        assert by.measured({"detector"}, claim) == known


def test_another_kind_was_not_measured() -> None:
    other = sources(measured("sound_tagger", "existence"))
    assert judged(SOUND, "a bell ringing", other).rule == "judges.source"


@pytest.mark.parametrize(
    ("threshold", "precision", "policy"),
    [(0.999, 0.96, "conservative"), (0.9, 0.85, "conservative"), (0.9, 0.93, "strict")],
)
def test_below_the_threshold_or_the_policy_it_stays_open(threshold, precision, policy) -> None:
    by = sources(measured("sound_tagger", "sound", threshold, precision))
    assert judged(SOUND, "a bell ringing", by, policy).rule == "judges.source"


def test_other_judges_decide_first() -> None:
    by = sources(measured("detector", "existence"))
    verdict = judged("There is a dog.", "a dog", by)
    assert verdict.verdict == "supported"
    assert not verdict.rule.endswith("single_source")


def test_what_the_judges_differ_about_is_not_settled_by_the_source() -> None:
    judges = weights(tagged=[], tags={"dog": 0.05})
    by = sources(measured("detector", "existence"))
    verdict = judged("There is a dog.", "a dog", by, judges=judges)
    assert (verdict.verdict, verdict.rule) == ("not_enough_evidence", "judges.differ")


def test_a_tool_that_is_misquoted_refutes() -> None:
    by = sources(measured("sound_tagger", "sound"))
    verdict = judged("You can hear a cow mooing.", "a cow mooing", by)
    assert (verdict.verdict, verdict.rule) == ("refuted", "sound.single_source")
    assert verdict.probability == pytest.approx(1 - 0.96)
    assert verdict.correction == "bell"


def test_a_denial_is_judged_by_how_often_denials_are_right() -> None:
    known = measured("sound_tagger", "sound")
    verdict = judged("No bell can be heard.", "No bell can be heard", sources(known))
    assert verdict.verdict == "refuted"


def test_the_writer_of_the_words_is_no_judge_though_it_was_measured() -> None:
    seen = verdicts(SOUND)["a bell ringing"]
    by = sources(measured("sound_tagger", "sound"))
    author = frozenset({"sound_tagger"})
    verdict = decide(seen.claim, seen.evidence, POLICIES["conservative"], author, sources=by)
    assert (verdict.verdict, verdict.rule) == ("not_enough_evidence", "judges.author")


def test_a_verdict_by_a_source_can_be_recomputed_from_what_it_carries() -> None:
    first = judged(SOUND, "a bell ringing", sources(measured("sound_tagger", "sound")))
    assert first.measured is not None
    again = decide(
        first.claim, first.evidence, POLICIES["conservative"], sources=sources(first.measured)
    )
    assert again == first


def test_of_several_sources_the_least_reliable_counts() -> None:
    weak = measured("detector", "attribute", precision=0.91)
    by = sources(weak, measured("tagger", "attribute", precision=0.99))
    verdict = judged("The tree is green.", "green", by)
    assert verdict.measured == weak


# -- counts ---------------------------------------------------------------------------------------


def test_a_number_is_as_sure_as_the_objects_are_clear() -> None:
    seen = verdicts("There are three cups.")["three"]
    assert sureness(seen.claim, seen.evidence, seen.probability) > 0.9
    by = sources(measured("detector", "count"), measured("tagger", "count"))
    verdict = decide(seen.claim, seen.evidence, POLICIES["conservative"], sources=by)
    assert (verdict.verdict, verdict.rule) == ("supported", "count.single_source")


@pytest.mark.parametrize("known", [True, False])
def test_who_looks_at_the_objects_that_the_source_found_is_no_other_judge_of_their_number(
    known: bool,
) -> None:
    seen = verdicts("There are three cups.")["three"]
    two = seen.claim.model_copy(update={"value": "2"})
    world = [item for item in seen.evidence if item.judge != "geometry"]
    (geometry,) = (item for item in seen.evidence if item.judge == "geometry")
    sure = {"probability": 0.97, "value": "2", "score": 2.0}
    evidence = (
        *(item.model_copy(update=sure) for item in world),
        geometry.model_copy(update=sure),
    )
    by = sources(measured("detector", "count")) if known else sources(names=("detector",))
    verdict = decide(two, evidence, POLICIES["conservative"], sources=by)
    assert verdict.rule == ("count.single_source" if known else "judges.source")


@pytest.mark.parametrize(
    ("kind", "value", "polarity", "measured_as"),
    [
        ("count", "3", True, "count"),
        ("count", "4", True, "many"),
        ("count", ">=5", True, "many"),
        ("count", "0", True, "absence"),
        ("existence", None, True, "existence"),
        ("existence", None, False, "absence"),
        ("sound", "bell", False, "sound"),
    ],
)
def test_the_kind_under_which_a_claim_was_measured(kind, value, polarity, measured_as) -> None:
    claim = Claim(
        id="c1",
        text="x",
        span=(0, 1),
        kind=kind,
        subject="cup",
        predicate="exists",
        value=value,
        polarity=polarity,
    )
    assert kind_of(claim) == measured_as


# -- the files beside the weights -----------------------------------------------------------------


def test_what_ships_was_measured_with_the_weights_that_ship() -> None:
    known = Sources.load(WEIGHTS_OF, Weights()).known
    assert {judge for judge, _ in known} == set(WEIGHTS_OF)
    assert {"existence", "count", "attribute", "relation"} <= {
        kind for judge, kind in known if judge == "detector"
    }
    for each in known.values():
        assert each.n >= 20
        assert 0.5 <= each.threshold <= 1
        assert 0.9 <= each.precision < 1
        assert "calibrate" in each.on


def test_with_other_weights_nothing_is_known(tmp_path: Path) -> None:
    folder = tmp_path / "tag_sound"
    shutil.copytree(EMBEDDED / "tag_sound", folder)
    with_ours = Weights(folders={"tag_sound": folder})
    assert Sources.load(["sound_tagger"], with_ours).known
    path = folder / FILE
    table = json.loads(path.read_text())
    table["weights"]["tag_sound"] = "0" * 12
    path.write_text(json.dumps(table))
    assert not Sources.load(["sound_tagger"], Weights(folders={"tag_sound": folder})).known
    path.unlink()
    assert not Sources.load(["sound_tagger"], Weights(folders={"tag_sound": folder})).known


def test_judges_that_a_caller_put_in_are_not_known() -> None:
    assert not Sources.load(WEIGHTS_OF, weights()).known


def test_shipped_numbers_say_that_they_were_measured_on_scenes_of_their_own() -> None:
    known = Sources.load({"detector"}, Weights(EMBEDDED)).known
    table = json.loads((EMBEDDED / "detect" / FILE).read_text(encoding="utf-8"))
    assert known["detector", "count 3"].on.startswith(f"{table['counted']} scenes")
    assert known["detector", "relation"].on.startswith(f"{table['scenes']} scenes")
    assert table["counted"] != table["scenes"]
