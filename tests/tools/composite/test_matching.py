"""BuboGPT's matcher: what a reply means, against what the reference makes of the same replies."""

import json
from typing import Any

import pytest

from nuthatch.tools.composite.matching import Span, pairs, spans
from tests.paths import GOLDEN

GOLDEN = GOLDEN / "systems" / "bubogpt_match.json"
CASES = json.loads(GOLDEN.read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_pairs_and_coloured_spans_are_those_of_the_reference(case: dict[str, Any]) -> None:
    matched = pairs(case["reply"], case["entities"])
    assert list(matched.items()) == list(case["pairs"].items())
    colours = dict(zip(case["entities"], case["colours"], strict=True))
    assert spans(case["text"], matched, colours) == [tuple(span) for span in case["spans"]]


def test_a_line_that_is_no_pair_counts_for_nothing() -> None:
    reply = "Here they are:\ncup-cup\n - cup\nthe dog - horse\nthe cup - Cup\r\n"
    assert pairs(reply, ["cup", "dog"]) == {"": "cup", "the cup": "cup"}
    assert pairs("", ["cup"]) == {}


def test_a_phrase_is_marked_where_it_first_stands_in_whatever_case() -> None:
    text = "A CUP and a cup."
    assert spans(text, {"cup": "cup"}, {"cup": "red"}) == [Span(2, 5, "red")]


def test_of_overlapping_phrases_the_first_of_the_text_is_marked() -> None:
    matched = {"cup of tea": "tea", "red cup": "cup"}
    assert spans("a red cup of tea", matched, {"tea": "x", "cup": "y"}) == [Span(2, 9, "y")]


def test_letters_that_change_their_length_in_lower_case_move_nothing() -> None:
    assert spans("İİ cup", {"cup": "cup"}, {"cup": "red"}) == [Span(3, 6, "red")]


def test_an_empty_phrase_is_marked_nowhere() -> None:
    assert spans("a cup", {"": "cup"}, {"cup": "red"}) == []
