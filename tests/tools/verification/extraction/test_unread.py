"""Everything is accounted for: what no claim was read from is shown as not checked."""

import pytest

from nuthatch.tools.verification.editing.edits import is_marked, mark
from nuthatch.tools.verification.extraction.claims import read_claims
from tests.tools.verification.worlds import correction


def unread(answer: str, question: str | None = None) -> list[str]:
    return [answer[start:end] for start, end in read_claims(answer, question).unread]


@pytest.mark.parametrize(
    "answer",
    [
        "There are three cups and a dog.",
        "The dog is left of the tree.",
        "The cup is red, and it is on the left.",
        "You can hear a bell ringing.",
        "I hear a bird chirping and a plucked guitar.",
        "There is a wizard.",
        "There is no giraffe in the picture.",
        "dog: no",
        "| cup | 3 |",
        "I found one cup: detection_1.1.",
        "",
    ],
)
def test_what_became_claims_is_read(answer: str) -> None:
    assert unread(answer) == []


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("The painting was made in 1889 by Van Gogh.",
         ["The painting was made in 1889 by Van Gogh"]),
        ("There is a cup. It was bought in 1990.", ["It was bought in 1990"]),
        ("There is a broken cup.", ["broken"]),
        ("There is a man riding a horse.", ["riding"]),
        ("There are two cars in the street.", ["street"]),
        ("A man with a hat is on the left.", ["with a hat"]),
        ("There is a dog, which makes me happy.", ["which makes me happy"]),
        ("She told me that there is a dog.", ["She told me that there is a dog"]),
        ("- a dog\n- bought in 1990", ["bought in 1990"]),
    ],
)  # fmt: skip
def test_what_states_more_is_left_over(answer: str, parts: list[str]) -> None:
    assert unread(answer) == parts


@pytest.mark.parametrize(
    "answer",
    [
        "Hello! How can I help you?",
        "You are welcome.",
        "I cannot tell.",
        "I hear nothing that I know.",
        "I do not know who painted it.",
        "I have no picture to look at. Please give me one.",
        "I could not find out: detect did not end within 60 s.",
        "Is there a dog?",
        "# Animals",
    ],
)
def test_what_states_nothing_about_the_media_needs_no_check(answer: str) -> None:
    assert unread(answer) == []
    assert not is_marked(answer, correction(answer))


def test_a_short_answer_that_nobody_understands_is_unread() -> None:
    assert unread("Yes.", "Was it painted by Van Gogh?") == ["Yes"]
    assert unread("Yes.", "Is there a dog?") == []


def test_ranges_are_those_of_the_final_text() -> None:
    done = correction("There are two cups and a giraffe. It was painted in 1889.")
    assert done.final == "There are three cups. It was painted in 1889."
    assert [done.final[start:end] for start, end in done.unread] == ["It was painted in 1889"]


def test_the_unread_is_marked() -> None:
    done = correction("There are two cups. It was painted in 1889.")
    assert mark(done.final, done) == "There are three cups. It was painted in 1889 [not checked]."
    assert is_marked(done.final, done)
    done = correction("There are three cups and a dog.")
    assert not is_marked(done.final, done)


@pytest.mark.parametrize(
    "answer", ["", "?!", "猫が二匹います。", '"', "a" * 5000, "| | |", "- ", "#"]
)
def test_ranges_are_in_order_and_inside_the_text(answer: str) -> None:
    text = f"{answer} There is a cup. {answer}"
    last = 0
    for start, end in read_claims(text).unread:
        assert last <= start < end <= len(text)
        last = end
