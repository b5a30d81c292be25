"""Small English for edits: numbers, articles, plurals, capitals, lists."""

from collections.abc import Sequence

from nuthatch.tools.verification.words import NUMBER_WORDS
from nuthatch.tools.vocabulary import plural, singular, with_article


def like(pattern: str, text: str) -> str:
    """`text` with a capital where `pattern` has one."""
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


def be_for(first_is_many: bool) -> str:
    """The verb of "there is" before its first thing."""
    return "are" if first_is_many else "is"
