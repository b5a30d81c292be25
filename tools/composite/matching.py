"""Phrases of a text and the things they mean, as BuboGPT matches them (arXiv:2307.08581).

There a language model is shown the text and the names of all things found in the picture, and
answers a pair a line: `phrase - name`. Here is what its reply means. (`ground` needs no reply: it
has the phrases, and looks for what they name.)
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SEPARATOR = " - "


class Span(NamedTuple):
    """Characters `start` to `end`, exclusive, in the colour of what they mean."""

    start: int
    end: int
    colour: str


def pairs(reply: str, names: Sequence[str]) -> dict[str, str]:
    """Phrase -> name of every line of the reply that pairs one of these names; both lower case.

    The first separator splits a line. Lines without one, and those with an unknown name, count for
    nothing; of two lines for one phrase the later counts.
    """
    known = {name.lower() for name in names}
    found: dict[str, str] = {}
    for line in reply.lower().split("\n"):
        phrase, separator, name = line.partition(SEPARATOR)
        if separator and name.strip() in known:
            found[phrase.strip()] = name.strip()
    return found


def spans(text: str, matched: Mapping[str, str], colours: Mapping[str, str]) -> list[Span]:
    """Where the phrases stand in the text, in its order.

    Of each phrase the first occurrence, in whatever case; one that overlaps an earlier one of the
    text is dropped, and so is a phrase that does not occur.

    Args:
        matched: phrase -> name, as `pairs` gives it.
        colours: name, in lower case -> colour.
    """
    places: list[Span] = []
    for phrase, name in matched.items():
        place = re.search(re.escape(phrase), text, re.IGNORECASE) if phrase else None
        if place:
            places.append(Span(place.start(), place.end(), colours[name]))
    found: list[Span] = []
    for span in sorted(places):
        if not found or span.start >= found[-1].end:
            found.append(span)
    return found
