"""Numbers and other quantities before a noun."""

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.text import Text

Quantity = tuple[tuple[int, int], str | None, bool, int]
"""Tokens of the number, value, whether it is approximate, where it ends."""


def number_at(text: Text, at: int) -> int | None:
    """A count from 0 on written as word or digits."""
    word = text.lower(at)
    if word in w.NUMBERS:
        return w.NUMBERS[word]
    return int(word) if word.isascii() and word.isdigit() and len(word) < 6 else None


def quantity_at(text: Text, at: int, end: int) -> Quantity | None:
    """`three`, `at least 2`, `no more than two`, `2-3`"""
    first, approximate = at, text.lower(at) in w.APPROXIMATE
    if approximate or text.lower(at) in w.EXACT:
        at += 1
    for length in (3, 2):
        words = tuple(text.lower(i) for i in range(at, at + length))
        if words in w.BOUNDS:
            sign, more = w.BOUNDS[words]
            number, last = number_at(text, at + length), at + length + 1
            return None if number is None else (
                (first, last), f"{sign}{max(0, number + more)}", False, last,
            )  # fmt: skip
    number, third = number_at(text, at), number_at(text, at + 2)
    if text.lower(at) == "between":
        low, high = number_at(text, at + 1), number_at(text, at + 3)
        if low is None or high is None or text.lower(at + 2) != "and":
            return None
        return (first, at + 4), f"{low}-{high}", False, at + 4
    if number is None or at >= end:
        return None
    if text.lower(at + 1) in ("or", "to", "-", "–") and third is not None and third > number:
        return (first, at + 3), f"{number}-{third}", False, at + 3
    return (at, at + 1), str(number), approximate, at + 1


def quantity_before_noun(text: Text, at: int, end: int, determiner: str) -> Quantity | None:
    """Like `quantity_at`, and `a pair of`, `several`, which make sense before a noun only."""
    word, article = text.lower(at), determiner in w.ARTICLES
    first = at - 1 if article and word in w.WITH_ARTICLE else at
    if text.lower(at + 1) == "of" and word in w.GROUPS:
        return (first, at + 2), w.GROUPS[word], False, at + 1
    if word in w.QUANTITIES:
        return (first, at + 1), w.QUANTITIES[word], False, at + 1
    found = None if article else quantity_at(text, at, end)
    return found and (*found[:2], found[2] or determiner == "some", found[3])
