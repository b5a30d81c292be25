"""Answers held against the truth by patterns of their own."""

import pytest

from nuthatch.training.evaluate.stated import outcome, statements
from nuthatch.training.evaluate.writer import Truth

TRUTH = Truth(
    counts={"cup": 3, "dog": 1, "clock": 1, "scissors": 2},
    tints={
        "cup": frozenset({"red", "blue"}),
        "dog": frozenset({"gray"}),
        "clock": frozenset({None}),
        "scissors": frozenset({None}),
    },
    relations=frozenset({("dog", "left of", "clock"), ("clock", "right of", "dog")}),
    events=("clock", "bell"),
)


@pytest.mark.parametrize(
    "answer",
    [
        "There are three cups.",
        "There is one dog. There are no horses.",
        "Yes, there is a gray dog in the picture.",
        "There are three cups, two pairs of scissors and a dog.".replace("two pairs of", "two"),
        "The dog is gray.",
        "The cup is red.",
        "Yes, the dog is left of the clock.",
        "No, the clock is to the right of the dog.",
        "I hear a clock ticking and a bell ringing.",
        "The sound is a clock ticking; the clock makes it.",
        "I hear a bell ringing, but I see no bell.",
        "There are three cups. I hear a clock ticking; the clock makes it.",
    ],
)
def test_right_answers(answer: str) -> None:
    assert outcome(answer, TRUTH) == "right"


@pytest.mark.parametrize(
    "answer",
    [
        "There are two cups.",
        "There are three cups and a horse.",
        "There is one red dog.",
        "There are no dogs.",
        "The dog is red.",
        "The dog is right of the clock.",
        "The horse is left of the clock.",
        "I hear a clock ticking and a dog barking.",
        "I hear a bell ringing; the bell makes it.",
        "I hear a clock ticking, but I see no clock.",
        "I see nothing that I know. There are two cups.",
    ],
)
def test_wrong_answers(answer: str) -> None:
    assert outcome(answer, TRUTH) == "wrong"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Yes.",
        "I did not understand the question.",
        "The dog sleeps.",
        "The cup is left of the dog.",  # there are three
        "There are two red cups.",  # how many of them are red is not in the truth
    ],
)
def test_what_no_pattern_settles_is_neither(answer: str) -> None:
    assert outcome(answer, TRUTH) == "unread"


def test_each_clause_is_told() -> None:
    told = statements("Yes, there is a dog; the clock makes it, but I see no cup.", TRUTH)
    assert told == {"there is a dog": True, "the clock makes it": True, "i see no cup": False}
