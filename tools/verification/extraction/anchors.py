"""Where a claim stands in the text, what it is said of, and what a question asks for."""

from dataclasses import dataclass, field
from typing import NamedTuple

from nuthatch.tools.verification.extraction.text import Mention
from nuthatch.tools.verification.types import Claim


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a claim stands in the text. All positions are token numbers, ends exclusive."""

    sentence: int
    words: tuple[int, int]
    """The words that say it: yes/no, number, colour, preposition, noun phrase, what sounds."""
    mention: Mention | None = None
    opener: int | None = None
    """The "yes" or "no" that says the same."""


class Subject(NamedTuple):
    """What something is said of."""

    name: str
    """`red cup`; with words that pick some out, which nobody can judge: `left cup`"""
    category: str
    """Whose claim of existence is the parent."""
    every: bool = False
    """Whether it is said of all of them."""
    mention: Mention | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a short answer would mean. `claims` are what "yes" would say, the main one last."""

    kind: str  # count, colour, where, sound, which, yes/no, other
    subject: Subject = field(default=Subject("", ""))
    predicate: str = ""
    claims: tuple[Claim, ...] = ()
