from dataclasses import dataclass

import pytest

from nuthatch.training.evaluate.repairs import fates, holds, now_at
from nuthatch.training.evaluate.writer import Fact, Phrase, Span, Truth

TRUTH = Truth(
    counts={"cup": 2, "cake": 1, "bus": 1},
    tints={"cup": frozenset({"red"}), "cake": frozenset({None}), "bus": frozenset({"blue"})},
    relations={("cake", "left of", "bus"), ("cake", "above", "bus")},
    events=("bell",),
)


@dataclass(frozen=True)
class Edit:
    span: Span
    new_text: str
    op: str = "replace"


def edit(text: str, old: str, new: str, op: str = "replace") -> Edit:
    start = text.index(old)
    return Edit((start, start + len(old)), new, op)


def fate_of(kind, text, words, change=None, *, subject="cup", other=None, right=False) -> str:
    start = text.index(words)
    fact = Fact(kind, subject, (start, start + len(words)), right, other=other)
    return fates(Phrase(text, (fact,)), [change] if change else [], TRUTH)[0]


@pytest.mark.parametrize(
    ("kind", "subject", "words", "expected"),
    [
        ("existence", "dog", "a dog", False),
        ("existence", "dog", "no dog", True),
        ("existence", "cup", "some red cups", True),
        ("existence", "cup", "", None),
        ("existence", "cup", "There are two cups but no dog", True),
        ("existence", "dog", "There are two cups but no dog", True),
        ("existence", "dog", "there is no dog or cat", True),
        ("existence", "cup", "two cups, a dog", True),
        ("absence", "cup", "no cup", False),
        ("absence", "cup", "a cup", True),
        ("count", "cup", "two", True),
        ("count", "cup", "at least 3", False),
        ("count", "dog", "no", True),
        ("count", "cup", "some", None),
        ("count", "cup", "There are two cups but no dog", True),
        ("tint", "cup", "red", True),
        ("tint", "cup", "green", False),
        ("tint", "cup", "not green", True),
        ("tint", "cup", "not red", False),
        ("tint", "cake", "blue", False),  # it has its own colours
        ("tint", "cup", "", None),
        ("relation", "cake", "to the left of", True),
        ("relation", "cake", "below", False),
        ("relation", "cake", "near", None),
        ("sound", "bell", "a bell ringing", True),
        ("sound", "dog", "a dog barking", False),
        ("sound", "dog", "a sound", None),
        ("sound", "dog", "no dog barking", True),
    ],
)
def test_words_are_held_against_the_scene(kind, subject, words, expected):
    fact = Fact(kind, subject, (0, 1), True, other="bus" if kind == "relation" else None)
    assert holds(fact, words, TRUTH) is expected


def test_what_no_edit_touches_stays_as_it_was():
    text = "There are three cups. The bus is blue."
    change = edit(text, "blue", "red")
    assert fate_of("count", text, "three", change) == "wrong"
    assert fate_of("count", text, "three", change, right=True) == "right"


def test_a_wrong_number_is_mended_or_removed():
    text = "There are three cups."
    assert fate_of("count", text, "three", edit(text, "three", "two")) == "right"
    assert fate_of("count", text, "three", edit(text, "three", "four")) == "wrong"
    assert fate_of("count", text, "three", edit(text, "three", "some")) == "gone"
    assert fate_of("count", text, "three", edit(text, text, "", "delete")) == "gone"


def test_a_right_fact_can_be_harmed():
    text = "There are two cups."
    assert fate_of("count", text, "two", edit(text, "two", "three"), right=True) == "wrong"
    assert fate_of("existence", text, "two cups", edit(text, text, ""), right=True) == "gone"


def test_a_right_fact_that_makes_way_for_another_true_one_is_lost():
    text = "You can hear a dog barking."
    truth = Truth({}, events=("dog", "bell"))
    change = edit(text, "a dog barking", "a bell ringing")
    for right, fate in ((True, "gone"), (False, "right")):
        fact = Fact("sound", "dog", (13, 26), right)
        assert fates(Phrase(text, (fact,)), [change], truth) == [fate]


def test_a_denial_turns_an_absent_object_right_and_a_present_one_wrong():
    text = "I see a dog and a cake."
    assert fate_of("existence", text, "a dog", edit(text, "a dog", "no dog")) == "right"
    assert fate_of("existence", text, "a cake", edit(text, "a cake", "no cake")) == "wrong"


def test_an_edit_inside_a_wider_phrase_is_read_with_the_whole_phrase():
    text = "There are two dogs."
    assert fate_of("existence", text, "two dogs", edit(text, "two", "no")) == "right"


def test_a_thing_taken_from_a_list_is_gone_and_the_others_stay():
    text = "I see a cake, a dog and two cups."
    change = edit(text, ", a dog and ", " and ")
    assert fate_of("existence", text, "a cake", change, right=True) == "right"
    assert fate_of("existence", text, "a dog", change) == "gone"
    assert fate_of("existence", text, "two cups", change, right=True) == "right"


def test_an_edit_that_reaches_into_a_phrase_leaves_its_meaning():
    text = "A dog and two cups."
    change = edit(text, "A dog and t", "T")
    assert fate_of("existence", text, "A dog", change) == "gone"
    assert fate_of("existence", text, "two cups", change, right=True) == "right"


def test_a_sentence_told_anew_is_read_for_each_fact():
    text = "The dog is left of the cake."
    change = edit(text, text[:-1], "There is a cake but no dog")
    assert fate_of("relation", text, "left of", change, subject="dog", other="cake") == "gone"
    assert fate_of("existence", text, "the cake", change, subject="cake", right=True) == "right"


def test_a_hedge_is_neither_mended_nor_removed():
    text = "There is a dog."
    assert fate_of("existence", text, "a dog", edit(text, "a dog", "maybe a dog", "hedge")) == (
        "hedged"
    )


def test_words_are_read_where_several_edits_meet():
    text = "The cake is left of the bus."
    edits = [edit(text, "left of", "above"), edit(text, "the bus", "the cup")]
    start = text.index("left of")
    assert now_at(text, (start, start + 11), edits) == "above the cup"
