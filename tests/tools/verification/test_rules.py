"""Which verdict follows from which evidence."""

import pytest

from nuthatch.tools.verification.evidence.findings import fuse
from nuthatch.tools.verification.rules import POLICIES, decide
from nuthatch.tools.verification.types import Claim, Evidence
from tests.tools.verification.worlds import TRUTH, verdicts, weights

CUP, DOG = TRUTH[0], TRUTH[3]
NO_DOG = [(name, box) for name, _, box in TRUTH if name != "dog"]


def outcome(answer: str, text: str, question: str | None = None, **given) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    verdict = verdicts(answer, question, **given)[text]
    return verdict.verdict, verdict.rule


# -- two judges, one judge -------------------------------------------------------------------------


def test_two_judges_that_agree_decide() -> None:
    assert outcome("There is a dog.", "a dog") == ("supported", "existence.agree")
    assert outcome("There is a giraffe.", "a giraffe") == ("refuted", "existence.absent")


def test_judges_that_contradict_each_other_decide_nothing() -> None:
    blind = weights(tagged=[each for each in TRUTH if each[0] != "dog"])
    assert outcome("There is a dog.", "a dog", judges=blind) == (
        "not_enough_evidence",
        "judges.differ",
    )


def test_one_judge_decides_by_its_measured_precision_where_the_other_is_silent() -> None:
    silent_tagger = weights(tagged=[], tags={"dog": 0.3}, detected=[("dog", DOG[2])])
    assert outcome("There is a dog.", "a dog", judges=silent_tagger)[0] == "supported"
    silent_detector = weights(detected=[("dog", DOG[2], 0.45)])
    assert outcome("There is a dog.", "a dog", judges=silent_detector)[0] == "supported"


def test_a_single_judge_that_nobody_measured_never_decides() -> None:
    for unsure in (0.45, 0.6):
        alone = weights(measured=False, tagged=[], tags={"dog": unsure, "giraffe": unsure})
        assert outcome("There is a dog.", "a dog", judges=alone)[0] == "not_enough_evidence"
        giraffe = outcome("There is a giraffe.", "a giraffe", judges=alone)
        assert giraffe[0] == "not_enough_evidence"


def test_two_judges_that_nobody_measured_may_agree() -> None:
    unmeasured = weights(measured=False)
    assert outcome("There is a dog.", "a dog", judges=unmeasured)[0] == "supported"


def test_a_sound_has_one_judge_so_only_its_measure_decides() -> None:
    heard, unheard = "You can hear a bell ringing.", "You can hear a cow mooing."
    assert outcome(heard, "a bell ringing") == ("supported", "sound.heard")
    assert outcome(unheard, "a cow mooing") == ("refuted", "sound.unheard")
    unmeasured = weights(measured=False)
    for answer, text in ((heard, "a bell ringing"), (unheard, "a cow mooing")):
        assert outcome(answer, text, judges=unmeasured)[0] == "not_enough_evidence"
    unsure = weights(events={"bell": 0.5})
    assert outcome(heard, "a bell ringing", judges=unsure)[0] == "not_enough_evidence"


def test_a_low_score_alone_does_not_say_that_a_sound_is_not_there() -> None:
    low = weights(events={"cow": 0.02})
    told = outcome("You can hear a cow mooing.", "a cow mooing", judges=low)
    assert told == ("not_enough_evidence", "judges.unsure")


def test_a_sound_is_put_in_once_and_never_beside_itself() -> None:
    told = verdicts("You can hear a bell ringing and a cow mooing.")
    assert told["a cow mooing"].correction is None
    twice = verdicts("You can hear rain falling and a cow mooing.")
    corrections = [twice[text].correction for text in ("rain falling", "a cow mooing")]
    assert corrections == ["bell", None]


# -- the author is never the judge -----------------------------------------------------------------


def test_the_author_of_a_claim_does_not_decide_alone() -> None:
    answer, text = "You can hear a bell ringing.", "a bell ringing"
    assert outcome(answer, text)[0] == "supported"
    assert outcome(answer, text, authors=["sound_tagger"]) == (
        "not_enough_evidence",
        "judges.author",
    )


def test_an_author_that_alone_sees_a_thing_cannot_vouch_for_it() -> None:
    judges = weights(tagged=[], tags={"dog": 0.3}, detected=[("dog", DOG[2])])
    assert outcome("There is a dog.", "a dog", judges=judges)[0] == "supported"
    written = outcome("There is a dog.", "a dog", judges=judges, authors=["detector"])
    assert written == ("not_enough_evidence", "judges.author")


def test_another_judge_confirms_or_refutes_what_an_author_wrote() -> None:
    assert outcome("There is a dog.", "a dog", authors=["detector"])[0] == "supported"
    absent = outcome("There is a giraffe.", "a giraffe", authors=["detector"])
    assert absent[0] == "refuted"


# -- counts, tints, places -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text", "verdict", "correction"),
    [
        ("There are three cups.", "three", "supported", None),
        ("There are two cups.", "two", "refuted", "3"),
        ("There are at least 2 cups.", "at least 2", "supported", None),
        ("There are 4-5 cups.", "4-5", "not_enough_evidence", None),
        ("There are 5-6 cups.", "5-6", "refuted", "3"),
        ("There are two red cups.", "two", "supported", None),
        ("There are two blue cups.", "two", "not_enough_evidence", None),
        ("There are not two cups.", "two", "supported", None),
    ],
)
def test_clear_objects_are_counted(
    answer: str, text: str, verdict: str, correction: str | None
) -> None:
    found = verdicts(answer)[text]
    assert (found.verdict, found.correction) == (verdict, correction)


def test_a_doubtful_box_leaves_the_count_open() -> None:
    boxes = [(name, box) for name, _, box in TRUTH]
    doubtful = weights(detected=[*boxes[1:], ("cup", boxes[0][1], 0.12)], tags={"cup": 0.97})
    found = verdicts("There are two cups.", judges=doubtful)["two"]
    # Box 1 is weak for the detector and clear for the tagger: together they are not sure enough.
    assert found.verdict in ("not_enough_evidence", "refuted")
    unseconded = weights(detected=[*boxes, ("cup", (40, 40, 60, 58), 0.4)])
    open_count = verdicts("There are three cups.", judges=unseconded)["three"]
    assert open_count.verdict != "refuted"


def test_a_weak_box_inside_another_of_its_name_shows_a_part_of_it() -> None:
    boxes = [(name, box) for name, _, box in TRUTH]
    doubled = weights(detected=[*boxes, ("cup", (7, 7, 22, 22), 0.4)])
    assert verdicts("There are three cups.", judges=doubled)["three"].verdict == "supported"
    # A small one that stands in front of a large one is as clear as that.
    stacked = weights(detected=[*boxes, ("cup", (7, 7, 26, 26), 0.8)])
    assert verdicts("There are three cups.", judges=stacked)["three"].verdict == "refuted"


def test_none_is_a_claim_about_existence() -> None:
    question = "How many giraffes are there?"
    assert outcome("None.", "None", question) == ("supported", "existence.absent")
    found = verdicts("None.", "How many cups are there?")["None"]
    assert (found.verdict, found.correction) == ("refuted", "3")


def test_a_tint_needs_the_tagger_and_the_pixels() -> None:
    assert outcome("The tree is green.", "green") == ("supported", "tint.agree")
    wrong = verdicts("The tree is red.")["red"]
    assert (wrong.verdict, wrong.rule, wrong.correction) == ("refuted", "tint.differs", "green")
    mistaken = weights(tagged=[(n, "red" if n == "tree" else t, b) for n, t, b in TRUTH])
    assert outcome("The tree is red.", "red", judges=mistaken)[0] == "not_enough_evidence"


def test_a_colour_that_no_judge_knows_is_not_decided() -> None:
    assert outcome("The tree is white.", "white") == ("not_enough_evidence", "judges.none")


def test_places_are_measured_with_a_margin() -> None:
    text = "left of the tree"
    assert outcome(f"The dog is {text}.", text) == ("supported", "relation.holds")
    text = "right of the tree"
    assert outcome(f"The dog is {text}.", text) == ("refuted", "relation.contradicts")
    # Their centres differ by 4 % of the height.
    assert outcome("The dog is above the tree.", "above the tree")[0] == "not_enough_evidence"
    assert outcome("The dog is behind the tree.", "behind the tree")[1] == "judges.none"


def test_one_of_several_is_enough_for_a_place() -> None:
    assert outcome("A cup is left of the tree.", "left of the tree")[0] == "supported"
    assert outcome("A cup is below the tree.", "below the tree")[0] == "refuted"


# -- claims that hang together ---------------------------------------------------------------------


def test_what_is_said_of_a_thing_that_is_not_there_falls_with_it() -> None:
    found = verdicts("Two red giraffes are left of the tree.")
    for text in ("Two", "red", "left of the tree"):
        assert (found[text].verdict, found[text].rule) == ("refuted", "parent.refuted")
    assert found["the tree"].verdict == "supported"


def test_a_denial_is_judged_by_what_it_denies() -> None:
    assert outcome("There is no giraffe.", "no giraffe")[0] == "supported"
    assert outcome("There is no dog.", "no dog")[0] == "refuted"
    assert outcome("The tree is not red.", "red")[0] == "supported"
    assert outcome("The dog is not left of the tree.", "left of the tree")[0] == "refuted"


@pytest.mark.parametrize(
    ("answer", "words", "verdict"),
    [
        ("All the trees are green.", "green", "supported"),
        ("All the cups are red.", "red", "refuted"),  # one is blue
        ("The cups are blue.", "blue", "refuted"),
        ("Not all the cups are red.", "red", "supported"),
        ("One of the cups is red.", "red", "supported"),
    ],
)
def test_all_must_have_the_tint_that_all_are_said_to_have(
    answer: str, words: str, verdict: str
) -> None:
    assert verdicts(answer)[words].verdict == verdict


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("The left cup is green.", "green"),
        ("The cup on the left is green.", "green"),
        ("All cups are left of the tree.", "left of the tree"),
        ("Two cups are green.", "green"),
    ],
)
def test_what_no_judge_can_tell_exactly_is_left_undecided(answer: str, words: str) -> None:
    assert verdicts(answer)[words].rule == "judges.none"


def test_things_of_a_wrong_tint_are_counted_under_their_own() -> None:
    found = verdicts("There are two pink cups and one green tree.")
    assert found["pink"].verdict == "refuted"
    assert found["one"].verdict == "supported"


def test_what_nobody_can_judge_is_said_so() -> None:
    assert outcome("There is a wizard.", "a wizard") == ("not_enough_evidence", "judges.none")


def test_a_verdict_can_be_recomputed_from_its_evidence_alone() -> None:
    for verdict in verdicts("There are two cups, a dog and a green tree.").values():
        again = decide(verdict.claim, verdict.evidence, POLICIES["conservative"])
        assert again.model_dump(exclude={"claim"}) == verdict.model_dump(exclude={"claim"})


def test_every_verdict_names_its_rule_and_evidence_names_judge_and_call() -> None:
    for verdict in verdicts("There are two cups. You can hear a bell ringing.").values():
        assert verdict.rule
        assert verdict.evidence
        for item in verdict.evidence:
            assert item.id
            assert item.judge in {"detector", "tagger", "pixels", "geometry", "sound_tagger"}
            assert item.call_id


def test_odds_of_independent_judges_multiply() -> None:
    assert fuse([0.8, 0.8]) == pytest.approx(16 / 17)
    assert fuse([0.9, 0.1]) == pytest.approx(0.5)
    assert fuse([]) == 0.5


def test_a_claim_without_evidence_is_undecided() -> None:
    claim = Claim(
        id="c1", text="x", span=(0, 1), kind="existence", subject="cup", predicate="exists"
    )
    evidence: tuple[Evidence, ...] = ()
    assert decide(claim, evidence, POLICIES["strict"]).verdict == "not_enough_evidence"


def test_an_author_of_a_count_leaves_it_to_the_other_judge() -> None:
    alone = outcome("There are three cups.", "three", authors=["detector", "tagger"])
    assert alone == ("not_enough_evidence", "judges.author")


def test_what_a_refuted_parent_drags_along_rests_on_the_evidence_against_the_parent() -> None:
    found = verdicts("There is a giraffe. It is red.")
    assert found["red"].rule == "parent.refuted"
    assert found["red"].evidence
