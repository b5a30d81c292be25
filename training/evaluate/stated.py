"""Whether an answer is right in all that it states, read by patterns of plain English.

The claim reader of the product is not asked: an evaluation of its marks must not share its faults.
What no pattern fits is told, and counts neither as right nor as wrong.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from nuthatch.tools.vocabulary import SOUNDS, TINTS, canonical
from nuthatch.training.evaluate.writer import MIRRORED, NUMBER_WORDS, Truth

Outcome = Literal["right", "wrong", "unread"]
Holds = bool | None
"""Whether a statement is true; None: no pattern fits."""

_NAMES = {"over": "above", "under": "below", "beneath": "below"}
_WHERE = r"(?: (?:in|on) (?:the|this) (?:picture|image|photo|scene)| here| there)?"


def outcome(answer: str, truth: Truth) -> Outcome:
    """`wrong` if any statement is false, `right` if all are true, else `unread`."""
    held = list(statements(answer, truth).values())
    if False in held:
        return "wrong"
    return "right" if held and None not in held else "unread"


def statements(answer: str, truth: Truth) -> dict[str, Holds]:
    """Each clause of an answer, and whether it is true; a bare yes or no is left out."""
    text = " ".join(answer.lower().split())
    clauses = re.split(r"[.;!]\s*|,?\s+but\s+|,\s+and\s+(?=the\b|i\b|there\b)", text)
    cleaned = (re.sub(r"^(?:yes|no)\b,?\s*", "", each).strip(" ,") for each in clauses)
    return {clause: _holds(clause, truth) for clause in cleaned if clause}


def _holds(clause: str, truth: Truth) -> Holds:
    for pattern, rule in _RULES:
        found = re.fullmatch(pattern, clause)
        if found:
            return rule(truth, *found.groups())
    return None


def _all(parts: Iterator[Holds]) -> Holds:
    held = list(parts)
    return False if False in held else None if None in held else True


def _there(truth: Truth, things: str) -> Holds:
    parts = [part for part in re.split(r",\s*(?:and\s+)?|\s+and\s+|\s+or\s+", things) if part]
    return _all(_thing(truth, part) for part in parts)


def _thing(truth: Truth, phrase: str) -> Holds:
    """`three red cups`, `a cup`, `no cup`"""
    number, words = _number(phrase.split())
    tint = words[0] if len(words) > 1 and words[0] in TINTS else None
    name = canonical(" ".join(words[1:] if tint else words))
    if name is None:
        return None
    there, tints = truth.counts.get(name, 0), truth.tints.get(name, frozenset())
    if tint is None:
        return there > 0 if number is None else there == number
    if number == 0 or tint not in tints:
        return (tint not in tints) == (number == 0)
    if number is None or tints == {tint}:
        return number is None or there == number
    return None  # how many of several are red is not in the truth


def _number(words: list[str]) -> tuple[int | None, list[str]]:
    """The number that a phrase begins with (None: some), and the words behind it."""
    first, rest = words[0], words[1:]
    if first in ("a", "an", "some", "the"):
        return None, rest[2:] if rest[:2] == ["pair", "of"] else rest
    if first in NUMBER_WORDS:
        return NUMBER_WORDS.index(first), rest
    return (int(first), rest) if first.isdecimal() else (None, words)


def _tint(truth: Truth, phrase: str, tint: str) -> Holds:
    name = canonical(phrase)
    return None if name is None else tint in truth.tints.get(name, frozenset())


def _relation(truth: Truth, first: str, how: str, second: str) -> Holds:
    a, b, name = canonical(first), canonical(second), _NAMES.get(how, how)
    if a is None or b is None:
        return None
    if not truth.counts.get(a) or not truth.counts.get(b):
        return False
    if (a, name, b) in truth.relations:
        return True
    return False if (a, MIRRORED[name], b) in truth.relations else None


def _heard(truth: Truth, sounds: str) -> Holds:
    parts = [part for part in re.split(r",\s*(?:and\s+)?|\s+and\s+", sounds) if part]
    return _all(_sound(truth, part) for part in parts)


def _sound(truth: Truth, phrase: str) -> Holds:
    said = _EVENTS.get(phrase)
    return None if said is None else said in truth.events


def _makes(truth: Truth, phrase: str) -> Holds:
    name = canonical(phrase)
    if name is None:
        return None
    return name in {SOUNDS[event].object for event in truth.events} and name in truth.counts


_EVENTS: Mapping[str, str] = {sound.description: event for event, sound in SOUNDS.items()}
_SIDES = "|".join([*MIRRORED, *_NAMES])
_RULES: list[tuple[str, Callable[..., Holds]]] = [
    (rf"there (?:is|are) (.+?){_WHERE}", _there),
    (rf"(?:i|you|we) (?:can )?(?:see|find) (.+?){_WHERE}", _there),
    (rf"the (.+) (?:is|are) ({'|'.join(TINTS)})", _tint),
    (rf"the (.+) (?:is|are|stands|stand) (?:to the |on the )?({_SIDES}) the (.+)", _relation),
    (r"(?:i|you) (?:can )?hear (.+)", _heard),
    (r"the sound is (.+)", _heard),
    (r"the (.+) (?:makes|make) (?:it|this sound|the sound)", _makes),
]
"""Pattern of a clause -> whether what its groups caught is true."""
