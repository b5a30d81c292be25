"""What becomes of the text: the grammar of edits, and that they replay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuthatch.tools.verification.editing.edits import mark, moved, replay
from nuthatch.tools.verification.types import Edit
from tests.tools.verification.worlds import correction, weights

GRAMMAR = [
    # lists
    ("There are three cups and a giraffe.", "There are three cups."),
    ("There is a giraffe and three cups.", "There are three cups."),
    ("I see a cat, a dog and two birds.", "I see a dog."),
    ("I see a cat, a dog, a zebra, and a tree.", "I see a dog and a tree."),
    ("I see a dog, a tree, and a zebra.", "I see a dog and a tree."),
    ("A giraffe and three cups.", "Three cups."),
    ("There are a giraffe and a dog in the picture.", "There is a dog in the picture."),
    ("There is a giraffe.", "There is no giraffe."),
    ("There are two giraffes.", "There are no giraffes."),
    ("The picture shows a giraffe or a zebra.", "The picture shows no giraffe and no zebra."),
    # sentences about a thing that is not there
    ("This is a picture of a giraffe.", "This is a picture with no giraffe."),
    ("There is a red giraffe at the bottom left.", "There is no giraffe."),
    ("There is a dog at the left and a giraffe at the right.", "There is a dog at the left."),
    ("There is a giraffe on a table and a dog.", "There is a dog."),
    ("THERE ARE TWO CUPS AND A GIRAFFE!", "THERE ARE THREE CUPS!"),
    ("- a dog\n- two cups", "- a dog\n- three cups"),
    # what cannot be cut cleanly stays
    ("There is a cup near a table near a zebra.", "There is a cup near a table near a zebra."),
    ("The giraffe is left of the tree.", "The giraffe is left of the tree."),
    ("There is a giraffe left of the tree.", "There is a giraffe left of the tree."),
    ("A giraffe and a dog walk by.", "A giraffe and a dog walk by."),
    ("I see a dog that naps, a zebra and a cup.", "I see a dog that naps, a zebra and a cup."),
    ("There is a giraffe. It is left of the tree.", "There is no giraffe. It is left of the tree."),
    ("**Two cups** and a `giraffe`.", "**Three cups** and a `giraffe`."),
    # numbers
    ("A dog and two cups are here.", "A dog and three cups are here."),
    ("A tree and two dogs, isn't it?", "A tree and two dogs, isn't it?"),
    ("There are two cups.", "There are three cups."),
    ("There is one cup.", "There are three cups."),
    ("There are 5 cups!", "There are 3 cups!"),
    # One of two may have been overlooked: a number is seldom wrong by that much.
    ("There are two dogs.", "There are two dogs."),
    ("A pair of cups.", "Three cups."),
    ("There are two blue cups.", "There are two blue cups."),
    # tints
    ("The tree is red.", "The tree is green."),
    ("There is an orange tree.", "There is a green tree."),
    ("There is a green tree.", "There is a green tree."),
    ("Red tree.", "Green tree."),
    ("All the trees are red.", "All the trees are green."),
    ("All the cups are red.", "Not all the cups are red."),
    ("Every cup is red.", "Not every cup is red."),
    ("The cups are orange.", "The cups are not all orange."),
    # nobody can say which cup is meant
    ("The left cup is green.", "The left cup is green."),
    # places
    ("The dog is to the right of the tree.", "The dog is to the left of the tree."),
    ("The dog is on the right side of the tree.", "The dog is on the left side of the tree."),
    ("A cup is below the dog.", "A cup is above the dog."),
    ("A cup is under the dog.", "A cup is over the dog."),
    ("The dog is on the right.", "The dog is on the left."),
    # sounds
    ("You can hear a cow mooing.", "You can hear a bell ringing."),
    ("The clock makes this sound.", "The bell makes this sound."),
    ("I hear a siren.", "I hear a bell ringing."),
    ("I hear a siren and a bell.", "I hear no siren and a bell."),
    ("I hear a bell and rain falling.", "I hear a bell and no rain falling."),
    ("You see a cup. A cow can be heard mooing.", "You see a cup. A bell ringing can be heard."),
    # denials
    ("The picture lacks a dog.", "The picture has a dog."),
    ("There is no dog.", "There is a dog."),
    ("There are no cups.", "There are some cups."),
    ("There are no dogs.", "There is a dog."),
    ("There is no dog or zebra.", "There is a dog but no zebra."),
    ("I don't see a dog.", "I see a dog."),
    ("I do not see any dog.", "I see a dog."),
    ("There isn't a dog here.", "There is a dog here."),
    ("The dog is not visible.", "The dog is visible."),
    ("There is no red cup.", "There is a red cup."),
    ("No cup is red.", "A cup is red."),
    ("The tree is not green.", "The tree is green."),
    ("The dog is not left of the tree.", "The dog is left of the tree."),
]  # fmt: skip
ANSWERS = [
    ("Is there a giraffe?", "Yes.", "No."),
    ("Is there a giraffe?", "yes", "no"),
    ("Is there a giraffe?", "Yes, there is a giraffe.", "No, there is no giraffe."),
    ("Is there a giraffe?", "Yes, there is.", "No."),
    ("Is there a dog?", "No, there is no dog.", "Yes, there is a dog."),
    ("Is there a dog?", "No, there isn't.", "Yes."),
    ("Is the dog left of the tree?", "No.", "Yes."),
    ("Is there a dog?", "Yes, there is a dog and a giraffe.", "Yes, there is a dog."),
    ("How many cups are there?", "Two.", "Three."),
    ("How many cups are there?", "None.", "Three."),
    ("How many cups are there?", "I count 5 of them.", "I count 3 of them."),
    ("What colour is the tree?", "Blue.", "Green."),
    ("Where is the dog?", "Right of the tree.", "Left of the tree."),
    ("What do you hear?", "A cow.", "A bell ringing."),
    ("Is there a giraffe?", "Yes, a giraffe.", "No, no giraffe."),
    ("Is there a giraffe or a dog?", "Yes, a giraffe.", "Yes, a giraffe."),
]


@pytest.mark.parametrize(("draft", "final"), GRAMMAR)
def test_a_refuted_claim_is_put_right_in_the_grammar_of_its_sentence(
    draft: str, final: str
) -> None:
    assert correction(draft).final == final


@pytest.mark.parametrize(("question", "draft", "final"), ANSWERS)
def test_short_answers_are_put_right(question: str, draft: str, final: str) -> None:
    assert correction(draft, question).final == final


@pytest.mark.parametrize(
    "answer",
    [
        "There are three cups, a dog and a green tree.",
        "There may be a giraffe.",
        "There is probably a giraffe and I think two dogs.",
        "There is a wizard.",
        "The dog is behind the tree.",
        "What a lovely picture!",
        "Nobody hears a cow mooing.",
        "No cow can be heard mooing, but a bell makes a ringing sound.",
        "The dog is asleep; no siren can be heard.",
        "A giraffe is missing from this picture.",
        "The giraffe is absent.",
        "The giraffe that eats is not in the picture.",
        "Without the giraffe, three cups are left.",
        "",
    ],
)
def test_what_is_right_hedged_or_undecided_is_left_alone(answer: str) -> None:
    done = correction(answer)
    assert (done.final, done.edits, done.choice) == (answer, [], "draft")


def test_hedged_claims_are_reported() -> None:
    (verdict,) = correction("There may be a giraffe.").verdicts
    assert verdict.claim.hedged
    assert verdict.verdict == "refuted"


def test_what_is_only_probably_false_is_hedged() -> None:
    # Two unmeasured judges that see a little of a dog: false with about 0.87.
    doubtful = weights(
        measured=False, tagged=[], tags={"dog": 0.38}, detected=[("dog", (5, 60, 40, 100), 0.22)]
    )
    done = correction("There is a dog.", judges=doubtful)
    assert [edit.op for edit in done.edits] == ["hedge"]
    assert done.final == "There is possibly a dog."
    assert correction("There is a dog.", judges=doubtful, policy="balanced").final == (
        "There is no dog."
    )


@pytest.mark.parametrize("answer", [draft for draft, _ in GRAMMAR] + [d for _, d, _ in ANSWERS])
def test_every_edit_rests_on_a_refuted_claim_and_its_evidence(answer: str) -> None:
    done = correction(answer)
    refuted = {v.claim.id: v for v in done.verdicts if v.verdict == "refuted"}
    for edit in done.edits:
        assert edit.claim_id in refuted
        assert set(edit.evidence_ids) <= {e.id for e in refuted[edit.claim_id].evidence}
        assert done.draft[slice(*edit.span)] == edit.old_text


THINGS = st.sampled_from(
    ["a cup", "three cups", "two dogs", "a giraffe", "no zebra", "a red tree", "an orange",
     "a blue cup", "a wizard", "one bell", "5 people", "a pair of skis", "the dog",
     "all the cups", "the left cup", "every giraffe", "none of the trees"]
)  # fmt: skip
SENTENCES = st.one_of(
    st.lists(THINGS, min_size=1, max_size=4).map(lambda things: f"There is {', '.join(things)}."),
    st.lists(THINGS, min_size=2, max_size=2).map(" is left of ".join),
    st.lists(THINGS, min_size=2, max_size=3).map(lambda things: f"I see {' and '.join(things)}!"),
    THINGS.map(lambda thing: f"Yes, {thing} is red."),
    THINGS.map(lambda thing: f"I hear {thing}; maybe not."),
    THINGS.map(lambda thing: f"Nobody hears {thing} barking, but {thing} makes a ticking sound."),
    THINGS.map(lambda thing: f"No dog can be heard; {thing} lacks a bell, doesn't it?"),
    THINGS.map(lambda thing: f"- {thing} at the top left, **{thing}** and A GIRAFFE"),
    st.text(max_size=20),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(SENTENCES, max_size=4).map(" ".join))
def test_edits_replay_to_the_revision_and_touch_nothing_else(draft: str) -> None:
    done = correction(draft, "Is there a giraffe?")
    if done.choice == "draft":
        assert (done.final, done.edits) == (draft, [])
        return
    assert replay(draft, done.edits) == done.revised == done.final
    # Walk over both texts: outside the edited spans they are the same characters.
    old = new = 0
    for edit in done.edits:
        kept = edit.span[0] - old
        assert kept >= 0
        assert draft[old : edit.span[0]] == done.final[new : new + kept]
        old, new = edit.span[1], new + kept + len(edit.new_text)
    assert draft[old:] == done.final[new:]


def test_an_edit_that_does_not_fit_is_refused() -> None:
    edit = Edit(
        op="replace", span=(0, 3), old_text="two", new_text="3", claim_id="c1", evidence_ids=()
    )
    assert replay("two cups", [edit]) == "3 cups"
    with pytest.raises(ValueError, match="does not fit"):
        replay("one cup", [edit])
    with pytest.raises(ValueError, match="does not fit"):
        replay("two cups", [edit, edit])


# -- what was not decided is marked ----------------------------------------------------------------


def test_undecided_claims_are_marked_for_display_only() -> None:
    done = correction("There is a wizard and a giraffe. The dog is behind the tree.")
    assert done.final == "There is a wizard. The dog is behind the tree."
    assert mark(done.final, done) == (
        "There is a wizard [unverified]. The dog is behind the tree [unverified]."
    )


def test_claims_inside_each_other_get_one_mark() -> None:
    done = correction("There are two wizards.")
    assert mark(done.final, done) == "There are two wizards [unverified]."


@pytest.mark.parametrize(
    ("draft", "shown"),
    [
        ("The giraffe is behind the tree.", "The giraffe [refuted] is behind the tree [refuted]."),
        ("Both cups are red.", "Both [refuted] cups are red [refuted]."),
        ("I see a giraffe. It is red.", "I see no giraffe. It is red [refuted]."),
        ("There are two wizards and a giraffe.", "There are two wizards [unverified]."),
        ("There are two cups. The giraffe eats.",
         "There are three cups. The giraffe [refuted] eats [refuted]."),
    ],
)  # fmt: skip
def test_what_is_refuted_and_stays_is_marked(draft: str, shown: str) -> None:
    done = correction(draft)
    assert mark(done.final, done) == shown


def test_claims_move_with_the_edits_before_them() -> None:
    done = correction("I see a giraffe and a dog. There is a wizard.")
    for (start, end), verdict in moved(done.verdicts, done.edits):
        assert done.final[start:end] == verdict.claim.text


def test_a_mark_outlives_an_edit_within_its_claim() -> None:
    done = correction("There are two cups left of the wizard.")
    edit = Edit(
        op="replace", span=(10, 13), old_text="two", new_text="three", claim_id="", evidence_ids=()
    )
    (verdict,) = [v for v in done.verdicts if v.claim.text == "left of the wizard"]
    whole = verdict.model_copy(
        update={"claim": verdict.claim.model_copy(update={"span": (10, 18)})}
    )
    assert [span for span, _ in moved([whole], [edit])] == [(10, 20)]


# -- the last choice -------------------------------------------------------------------------------


def test_the_choice_says_why() -> None:
    assert correction("There is a dog.").choice_reason == "nothing was refuted"
    done = correction("Both cups are red. There is a giraffe.")
    assert done.final == "Both cups are red. There is no giraffe."  # one sentence fails alone
    assert "1 in the draft, 0 in the revision" in correction("There are two cups.").choice_reason


def test_a_revision_that_is_no_better_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from nuthatch.tools.verification import correction as core

    def careless(reading, verdicts, policy):  # type: ignore[no-untyped-def]
        (verdict,) = [v for v in verdicts if v.verdict == "refuted"]
        return [
            Edit(
                op="replace",
                span=verdict.claim.span,
                old_text=verdict.claim.text,
                new_text="a zebra",
                claim_id=verdict.claim.id,
                evidence_ids=(),
            )
        ]

    monkeypatch.setattr(core, "make_edits", careless)
    done = correction("There is a giraffe.")
    assert done.revised == "There is a zebra."
    assert (done.final, done.choice, done.edits) == ("There is a giraffe.", "draft", [])
