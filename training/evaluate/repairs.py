"""What became of each fact when a text was corrected: kept right, mended, harmed, removed.

Read from the edits and the truth of the scene alone, never with the reader or the verdicts of the
verifier that made the edits.
"""

import re
from collections.abc import Sequence
from typing import Literal, Protocol

from nuthatch.tools.vocabulary import SOUNDS, TINTS, canonical
from nuthatch.training.evaluate.writer import NUMBER_WORDS, Fact, Phrase, Span, Truth

Fate = Literal["right", "wrong", "gone", "hedged"]
"""Gone: no longer stated. Hedged: still stated, but marked as uncertain."""

_SIDES = {"left": "left of", "right": "right of", "above": "above", "below": "below"}
_DENIALS = {"no", "not", "isn't", "aren't", "without"}


class Change(Protocol):
    """An edit of a span of the draft."""

    @property
    def op(self) -> str: ...
    @property
    def span(self) -> Span: ...
    @property
    def new_text(self) -> str: ...


def fates(written: Phrase, edits: Sequence[Change], truth: Truth) -> list[Fate]:
    """The fate of each fact, in the order of `written.facts`."""
    return [_fate(written.text, fact, edits, truth) for fact in written.facts]


def _fate(text: str, fact: Fact, edits: Sequence[Change], truth: Truth) -> Fate:
    touching = [edit for edit in edits if _overlap(edit.span, fact.span)]
    if any(edit.op == "hedge" for edit in touching):
        return "hedged"
    if not touching:
        return "right" if fact.right else "wrong"
    meant, means = (
        _meaning(fact, words)
        for words in (text[slice(*fact.span)], now_at(text, fact.span, touching))
    )
    if means is None:
        return "gone"
    if not _is_so(fact, means, truth):
        return "wrong"
    # A right fact that made way for another one is lost, be the other as true as it may.
    return "gone" if fact.right and means != meant else "right"


def now_at(text: str, span: Span, edits: Sequence[Change]) -> str:
    """What stands after the edits where `span` stood, edges widened to whole edits."""
    start = min([span[0], *(edit.span[0] for edit in edits)])
    end = max([span[1], *(edit.span[1] for edit in edits)])
    parts, at = [], start
    for edit in sorted(edits, key=lambda each: each.span):
        parts += [text[at : edit.span[0]], edit.new_text]
        at = edit.span[1]
    return "".join([*parts, text[at:end]]).strip()


def holds(fact: Fact, words: str, truth: Truth) -> bool | None:
    """Whether these words, in the place of the fact's own, are true; None if they state nothing."""
    means = _meaning(fact, words)
    return None if means is None else _is_so(fact, means, truth)


def _meaning(fact: Fact, words: str) -> tuple[str, bool] | None:
    """What the words say (object, number, tint, relation or event), and whether they deny it."""
    said = _clause(words, fact.subject)
    match fact.kind:
        case "existence" | "absence":
            value = _object(said)
        case "count":
            value = next((str(n) for word in said if (n := _number(word)) is not None), None)
            return None if value is None else (value, False)  # "no" is a number here
        case "tint":
            value = next((word for word in said if word in TINTS), None)
        case "relation":
            value = next((_SIDES[word] for word in said if word in _SIDES), None)
        case "sound":
            value = next((event for event in SOUNDS if event in said), None)
    return None if value is None else (value, bool(_DENIALS & set(said)))


def _is_so(fact: Fact, means: tuple[str, bool], truth: Truth) -> bool:
    value, denied = means
    match fact.kind:
        case "existence" | "absence":
            so = value in truth.counts
        case "count":
            so = value == str(truth.counts.get(fact.subject, 0))
        case "tint":
            so = truth.tints.get(fact.subject) == frozenset({value})
        case "relation":
            so = (fact.subject, value, fact.other) in truth.relations
        case "sound":
            so = value in truth.events
    return so != denied


def _clause(words: str, subject: str) -> list[str]:
    """The words of the part that names the subject, of `a cup but no giraffe`; else all words."""
    parts = [re.findall(r"[\w']+", part) for part in re.split(r",|\bbut\b", words.lower())]
    for part in parts:
        if _object(part) == subject:
            return part
    return [word for part in parts for word in part]


def _object(said: Sequence[str]) -> str | None:
    """The category that the last words name, others before them left aside."""
    for start in range(len(said)):
        if name := canonical(" ".join(said[start:])):
            return name
    return None


def _number(word: str) -> int | None:
    if word in NUMBER_WORDS:
        return NUMBER_WORDS.index(word)
    return int(word) if word.isdecimal() else None


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
