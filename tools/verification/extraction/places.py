"""Who stands where: prepositions with their objects, and the middle of the picture."""

from collections.abc import Iterator
from dataclasses import dataclass

from nuthatch.tools.verification.extraction import lexicon
from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.text import Mention, Sentence, Text
from nuthatch.tools.vocabulary import TINTS

CENTRE = "centre"
"""The other side of "on the left": the middle of the picture."""


def described(text: Text, mention: Mention) -> str:
    """The name with the tint that was said, if it is one single tint: `red cup`, `left red cup`."""
    tint = tint_of(text, mention)
    name = f"{tint} {mention.name}" if tint in TINTS else mention.name
    return f"{mention.part} {name}".strip()


def tint_of(text: Text, mention: Mention) -> str | None:
    if not mention.colours:
        return None
    return " and ".join(w.COLOURS[text.lower(i)] for i in mention.colours)


@dataclass(frozen=True, slots=True)
class Place:
    """A preposition with its object: tokens `first` to `last` (exclusive), the object included."""

    first: int
    last: int
    preposition: int
    """Where the object begins."""
    predicate: str
    object: Mention | None
    """None: the middle of the picture, or `it`."""
    value: str


_SIDES = {"left": "left of", "right": "right of", "top": "above", "bottom": "below"}
_LEVELS = {"upper": "above", "lower": "below"}
"""`in the upper left corner`; alone they pick out: `the upper shelf`."""


def places(text: Text, sentence: Sentence) -> Iterator[Place]:
    starts = {mention.first: mention for mention in sentence.mentions}
    at = sentence.first
    while at < sentence.last:
        found = _side(text, at, sentence.last, starts) or _plain(text, at, starts)
        if found:
            yield found
            at = max(found.preposition, at + 1)
        else:
            at += 1


def _side(text: Text, first: int, end: int, starts: dict[int, Mention]) -> Place | None:
    """`left of X`, `to the left of X`, `on the left side of the picture`, `at the top`."""
    at = first
    led = text.lower(at) in ("to", "on", "at", "in", "near", "toward", "towards")
    before = text.lower(at - 1)
    corner = before in ("top", "bottom", *_LEVELS)  # at the top left: that is two places
    moves = text.lower(at) in ("to", "toward", "towards") and before not in w.POSTURES
    moves = moves and (before in lexicon.DOING or lexicon.is_doing(before))
    if led:
        at += 1
    if corner:
        led = True
    elif text.lower(at) == "the":
        at += 1
    elif led and text.lower(at) != "top":
        return None
    if text.lower(at) == "far":
        at += 1
    side = text.lower(at)
    predicate = _SIDES.get(side)
    if text.lower(at + 1) in ("left", "right"):
        predicate = predicate or _LEVELS.get(side)
    if predicate is None or at >= end:
        return None
    at += 1
    if text.lower(at) in ("-", "hand"):
        at += 1
    if text.lower(at) in ("side", "half", "edge", "part") or (
        corner and text.lower(at) == "corner"
    ):
        at += 1
    if text.lower(at) == "of" and side in ("left", "right"):
        target = starts.get(at + 1)
        if target:
            return Place(first, target.last, at + 1, predicate, target, described(text, target))
        if text.lower(at + 1) in ("it", "them"):
            return Place(first, at + 2, at + 1, predicate, None, "it")
    several = text.lower(at) == "and" and text.lower(at + 1) in _SIDES  # on the left and right
    if not led or moves or several or text.lower(at) in ("corner", "hand") or (
        text.lower(at) == "of" and text.lower(at + 2) not in w.PICTURE
    ):  # fmt: skip
        return None
    if text.lower(at) == "of":
        at += 3
    return Place(first, at, at, predicate, None, CENTRE)


def _plain(text: Text, first: int, starts: dict[int, Mention]) -> Place | None:
    """`above X`, `behind X`, `next to X`, `in front of X`"""
    words = (text.lower(first), text.lower(first + 1), text.lower(first + 2))
    if words == ("in", "front", "of"):
        predicate, at = "in front of", first + 3
    elif words == ("on", "top", "of"):
        predicate, at = "on", first + 3
    elif words[:2] in (("next", "to"), ("close", "to")):
        predicate, at = "next to", first + 2
    elif words[0] in w.PLAIN_PREPOSITIONS:
        predicate, at = w.PLAIN_PREPOSITIONS[words[0]], first + 1
    else:
        return None
    target = starts.get(at)
    if target:
        return Place(first, target.last, at, predicate, target, described(text, target))
    if text.lower(at) in ("it", "them"):
        return Place(first, at + 1, at, predicate, None, "it")
    return None
