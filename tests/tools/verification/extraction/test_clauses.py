"""Which clauses are understood, and what may depend on one that is not."""

import pytest

from nuthatch.tools.verification.extraction import clauses
from nuthatch.tools.verification.extraction.parsing import read
from nuthatch.tools.workers import run_in_process


def understood(source: str) -> list[str]:
    text = read(source)
    return [text.slice(c.first, c.last) for each in text.sentences for c in each.clauses]


@pytest.mark.parametrize(
    "sentence",
    [
        "There is a dog and two cups on the table",
        "I can see no sign of a dog",
        "The picture shows a street without cars",
        "A dog, a cat and a bird",
        "None of the objects is a dog",
        "A man in a black suit is holding a phone",
        "It is red",
    ],
)
def test_a_clause_of_a_known_form_is_understood_as_a_whole(sentence: str) -> None:
    assert understood(f"{sentence}.") == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "The user asks whether there is a dog.",
        "Imagine a dog.",
        "If there is a dog, there is a cat.",
        "She said that there is a dog and there is a cat.",
        "There is nothing but a dog.",
        "The scene is not without a dog.",
        "Dogs are mammals.",
        "I have a dog at home.",
        "It is not a dog.",
        "The question is a dog.",
        "A spoon would be useful.",
    ],
)
def test_any_other_is_not_and_neither_is_what_is_joined_to_it(sentence: str) -> None:
    assert understood(sentence) == []


def test_clauses_are_split_where_a_subject_with_its_verb_follows() -> None:
    assert understood("There is a cup and the dog is red, but there is no cat.") == [
        "There is a cup", "the dog is red", "there is no cat",
    ]  # fmt: skip


def test_what_stands_before_a_colon_says_how_a_list_is_meant() -> None:
    for opening, denied in (("I see", False), ("Not in the picture", True)):
        (clause,) = read(f"{opening}:\n- a dog").sentences[1].clauses
        assert clause.denied is denied
    assert read("Things to buy:\n- a dog").sentences[1].clauses == []


def test_what_stands_beside_a_list_without_a_verb_may_say_how_it_is_meant() -> None:
    assert understood("A dog, a cat.") == ["A dog, a cat"]
    assert understood("A dog - no way.") == []


def test_what_takes_nothing_back_is_a_hole() -> None:
    (sentence,) = read("A man with a hat is left of the bus.").sentences
    (clause,) = sentence.clauses
    assert clause.holes
    assert [mention.name for mention in sentence.mentions] == ["person", "bus"]


@pytest.mark.parametrize(
    "unit",
    ["A", "h", "Ag", "&C", "C&", ",g", "gD,", "bAC,", "gAR", "pgAp", "goN&"],
)
def test_long_rows_of_parts_are_matched_without_trying_every_way(unit: str) -> None:
    rows = [f"{start}{unit * 80}\\" for start in ("N", "D", "TBN", "NBC", "JB", "IS")]
    assert len(run_in_process(matched, rows, timeout=20)) == len(rows)


def matched(rows: list[str]) -> list[bool]:
    patterns = (clauses._UNDERSTOOD, clauses._FRAGMENT)
    return [any(pattern.fullmatch(row) for pattern in patterns) for row in rows]
