"""Assertion or not: sentences by hand, most of which deny, ask, mention, report or imagine."""

from collections import Counter

import pytest

from nuthatch.tools.verification.extraction.claims import extract_claims
from tests.tools.verification.assertions import (
    SENTENCES,
    corrections,
    decided,
    read_of,
    refuted,
)

NUMBERS = range(len(SENTENCES))
IDS = [each.text[:60] for each in SENTENCES]
PARTS = "verbs that look like nouns", "tints that belong", "compounds"


def test_the_sentences_are_many_of_every_kind_and_half_of_them_true() -> None:
    kinds = Counter(each.category for each in SENTENCES)
    assert len(SENTENCES) >= 264
    assert min(kinds.values()) >= 12
    for kind, count in kinds.items():
        true = sum(each.true for each in SENTENCES if each.category == kind)
        if not kind.startswith(PARTS):
            assert 0.2 <= true / count <= 0.7, kind
    assert len({(each.text, each.picture) for each in SENTENCES}) == len(SENTENCES)


@pytest.mark.parametrize("shipped", [False, True], ids=["perfect judges", "shipped judges"])
def test_none_is_rewritten_into_falsehood_and_none_wrongly_refuted(shipped: bool) -> None:
    pairs = list(zip(SENTENCES, corrections(shipped=shipped), strict=True))
    rewritten = [
        (each.text, done.final)
        for each, done in pairs
        if done.final != each.text and done.final not in each.finals
    ]
    harmed = [
        (each.text, refuted(done))
        for each, done in pairs
        if (each.true or not each.asserts) and refuted(done)
    ]
    assert (rewritten, harmed) == ([], [])


@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_what_a_sentence_does_not_claim_is_not_read(number: int) -> None:
    each, done = SENTENCES[number], corrections()[number]
    assert not read_of(done) & set(each.never)
    if not each.asserts and not each.true:  # what it names is not there, and it never said so
        assert not [v for v in done.verdicts if v.verdict == "supported" and v.claim.polarity
                    and v.claim.subject in each.about]  # fmt: skip


def test_a_false_sentence_is_never_passed_as_checked() -> None:
    for each, done in zip(SENTENCES, corrections(), strict=True):
        if each.asserts and not each.true and done.final == each.text:
            assert decided(done) is not True or done.unread, each.text


@pytest.mark.parametrize("shipped", [False, True], ids=["perfect judges", "shipped judges"])
def test_what_is_plainly_said_or_denied_is_decided(shipped: bool) -> None:
    plain = [
        (each.true, decided(done))
        for each, done in zip(SENTENCES, corrections(shipped=shipped), strict=True)
        if each.decide
    ]
    reached = [(true, verdict) for true, verdict in plain if verdict is not None]
    assert len(reached) >= 0.9 * len(plain)
    assert [pair for pair in reached if pair[0] is not pair[1]] == []


def test_what_is_decided_is_not_left_to_the_plainest_forms() -> None:
    """Of each kind of denial some sentences are decided."""
    kinds = Counter[str]()
    for each, done in zip(SENTENCES, corrections(), strict=True):
        denials = [v for v in done.verdicts if not v.claim.polarity and v.rule != "judges.none"]
        kinds[each.category] += bool(each.decide and denials)
    for kind in ("no sign of", "free of", "none of", "neither nor", "without", "denials",
                 "fails to, lacks, absent, missing", "label: value"):  # fmt: skip
        assert kinds[kind] >= 6, kind


@pytest.mark.parametrize(
    ("sentence", "subject"),
    [
        ("A boy in a red cap kicks balls.", "red ball"),
        ("A waiter serves the guests.", "serve"),
        ("There is a dog house.", "dog"),
        ("I see a clock radio.", "clock"),
        ("A bird cage hangs there.", "bird"),
        ("There is a school bus.", "bus"),
        ("The cup with the blue handle is on the left.", "blue cup"),
        ("Two men carry tables.", "carry"),
    ],
)
def test_other_sentences_of_these_kinds(sentence: str, subject: str) -> None:
    claims = extract_claims(sentence)
    names = {claim.subject for claim in claims}
    assert subject not in names | {f"{claim.value} {claim.subject}" for claim in claims}
