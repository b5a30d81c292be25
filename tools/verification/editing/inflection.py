"""Small English for edits: numbers, articles, plurals, capitals, lists, verbs, negations."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from nuthatch.tools.verification.extraction.text import Text
from nuthatch.tools.verification.extraction.words import NUMBER_WORDS
from nuthatch.tools.verification.types import Span
from nuthatch.tools.vocabulary import plural, singular, with_article


class Change(NamedTuple):
    """A span of the draft and what takes its place."""

    op: Literal["replace", "delete", "hedge", "flip_answer"]
    span: Span
    text: str


def like(pattern: str, text: str) -> str:
    """`text` with a capital where `pattern` has one; all in capitals where that is."""
    if pattern.isupper() and sum(letter.isalpha() for letter in pattern) > 1:
        return text.upper()
    return text[:1].upper() + text[1:] if pattern[:1].isupper() else text


def number_like(pattern: str, number: int) -> str:
    """A number in the style of the one it replaces: digits or a word."""
    if any(letter.isdigit() for letter in pattern) or number >= len(NUMBER_WORDS):
        return str(number)
    return like(pattern, NUMBER_WORDS[number])


def noun_for(number: int, noun: str) -> str:
    """The noun in the form that goes with a number; the given one if it is right already."""
    one = singular(noun)
    return one if number == 1 else plural(one)


def article_for(word: str) -> str:
    """`a` or `an`."""
    return "an" if word[:1].lower() in tuple("aeiou") else "a"


def indefinite(noun: str, many: bool) -> str:
    """`a cup`, `some cups`, `a pair of scissors`"""
    return f"some {noun}" if many else with_article(noun)


def listed(parts: Sequence[str], conjunction: str = "and") -> str:
    """`a, b and c`"""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {conjunction} {parts[-1]}"


def third_person(verb: str) -> str:
    """`show` -> `shows`"""
    return "has" if verb == "have" else f"{verb}s"


def be_for(first_is_many: bool) -> str:
    """The verb of "there is" before its first thing."""
    return "are" if first_is_many else "is"


def replace(text: Text, first: int, last: int, new: str) -> Change:
    """Other words for tokens `first` to `last` (exclusive), with a capital where they had one."""
    return Change("replace", text.span(first, last), like(text.slice(first, last), new))


def agreement(text: Text, at: int, many: bool) -> list[Change]:
    """`is` or `are` at a place of the text, if it should be the other one."""
    wrong = text.lower(at) in ("is", "are") and text.lower(at) != be_for(many)
    return [replace(text, at, at + 1, be_for(many))] if wrong else []


def undeny(text: Text, at: int) -> Change | None:
    """The change that takes a negation away: `isn't` -> `is`, `do not see` -> `see`."""
    word, (start, end) = text.lower(at), text.span(at, at + 1)
    if word in ("lacks", "lack"):
        return replace(text, at, at + 1, "has" if word == "lacks" else "have")
    if word in ("isn't", "aren't", "wasn't", "weren't"):
        return replace(text, at, at + 1, word[:-3])
    if word in ("can't", "cannot"):
        return replace(text, at, at + 1, "can")
    if word in ("don't", "doesn't", "didn't") and at + 1 < len(text.tokens):
        if word == "doesn't":
            return replace(text, at, at + 2, third_person(text.slice(at + 1, at + 2)))
        return Change("delete", (start, text.tokens[at + 1].start), "")
    if word == "not" and text.lower(at - 1) == "does" and at + 1 < len(text.tokens):
        return replace(text, at - 1, at + 2, third_person(text.slice(at + 1, at + 2)))
    if word == "not" and at > 0:
        first = at - 1 if text.lower(at - 1) in ("do", "did") and at > 1 else at
        return Change("delete", (text.tokens[first - 1].end, end), "")
    return None
