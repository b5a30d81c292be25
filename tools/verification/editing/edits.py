"""Typed edits of an answer: each rests on a refuted claim and names its evidence.

A refuted claim is replaced on the words that say it, in the grammar of its sentence; what is only
probably false is hedged; everything else stays to the byte, because a revised text is nothing but
the draft with its edits replayed. Edits that would overlap are left out, the smaller one first.
"""

from bisect import bisect, bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Protocol

from nuthatch.tools.verification.editing import inflection as grammar
from nuthatch.tools.verification.editing.existence_edits import rewrite_existence
from nuthatch.tools.verification.editing.inflection import Change, agreement, replace, undeny
from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.anchors import Anchor
from nuthatch.tools.verification.extraction.claims import Reading
from nuthatch.tools.verification.extraction.places import CENTRE
from nuthatch.tools.verification.extraction.text import QUOTES, Sentence, Text
from nuthatch.tools.verification.rules import Policy
from nuthatch.tools.verification.types import Claim, Edit, Span, Verdict
from nuthatch.tools.vocabulary import SOUNDS, TINTS

UNVERIFIED, REFUTED, UNREAD = "[unverified]", "[refuted]", "[not checked]"


def make_edits(reading: Reading, verdicts: Sequence[Verdict], policy: Policy) -> list[Edit]:
    """Edits for the refuted claims of an answer, in the order of the text, none overlapping.

    Hedged and undecided claims are left as they are.
    """
    changes: list[tuple[Verdict, Change]] = []
    wrong = [v for v in verdicts if v.verdict == "refuted" and not v.claim.hedged]
    sure = [v for v in wrong if 1 - v.probability >= policy.replace]
    changes += rewrite_existence(reading, verdicts, sure)
    for verdict in sure:
        changes += [(verdict, change) for change in _corrected(reading, verdict)]
    for verdict in wrong:
        if policy.hedge <= 1 - verdict.probability < policy.replace:
            changes.append((verdict, _hedged(reading, verdict.claim)))
    return _settle(reading.text.source, changes)


def replay(draft: str, edits: Iterable[Edit]) -> str:
    """The draft with its edits made.

    Raises:
        ValueError: an edit does not fit the draft, or two overlap.
    """
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda each: each.span):
        start, end = edit.span
        if start < at or draft[start:end] != edit.old_text:
            raise ValueError(
                f"edit of {edit.old_text!r} at {edit.span} does not fit the draft, which has "
                f"{draft[start:end]!r} there after position {at}"
            )
        parts += [draft[at:start], edit.new_text]
        at = end
    return "".join(parts) + draft[at:]


# -- the refuted claim of each kind ---------------------------------------------------------------


def _corrected(reading: Reading, verdict: Verdict) -> list[Change]:
    """Changes that put a refuted claim right; none where nobody knows how."""
    claim, anchor = verdict.claim, reading.anchors[verdict.claim.id]
    text, opener = reading.text, anchor.opener
    if claim.text != claim.value and _only_answers(text, anchor):  # the sign says "No"
        return [_flip(text, claim.span, anchor.words[0])]
    changes: list[Change] = []
    if claim.kind in _MAKERS and verdict.rule != "parent.refuted":
        changes += _MAKERS[claim.kind](reading, verdict, anchor)
    if opener is not None and (changes or claim.kind == "existence"):
        changes.append(_flip(text, text.span(opener, opener + 1), opener))
    return changes


def _only_answers(text: Text, anchor: Anchor) -> bool:
    """Whether the claim stands in `yes`, `No, there isn't` alone; `no ticking` is no answer."""
    first, *rest = (text.lower(i) for i in range(*anchor.words))
    return anchor.mention is None and first in w.YES | w.NO and w.ECHO.issuperset(rest)


def _flip(text: Text, span: Span, opener: int) -> Change:
    new = "no" if text.lower(opener) in w.YES else "yes"
    return Change("flip_answer", span, grammar.like(text.tokens[opener].text, new))


def _count(reading: Reading, verdict: Verdict, anchor: Anchor) -> list[Change]:
    text, claim = reading.text, verdict.claim
    if not (verdict.correction or "").isdigit() or not claim.polarity:
        return []
    number = int(verdict.correction or 0)
    mention = anchor.mention
    if number == 0 and mention is not None:
        return []  # that nothing is there is for the claim of existence to say
    old = text.slice(*anchor.words)
    changes = [replace(text, *anchor.words, grammar.number_like(old, number))]
    if mention is None:
        return changes
    noun = text.slice(*mention.noun)
    if mention.plural != (number != 1):
        changes.append(replace(text, *mention.noun, grammar.noun_for(number, noun)))
    # "there is one cup" / "one cup is": the verb goes with the number; but "a dog and one cup are"
    joined = text.lower(mention.first - 1) in ("and", "or", ",")
    for at in (mention.first - 1, mention.last)[: 1 if joined else 2]:
        if at == mention.last or text.lower(at - 1) == "there":
            changes += agreement(text, at, number != 1)
    return changes


def _tint(reading: Reading, verdict: Verdict, anchor: Anchor) -> list[Change]:
    text, claim, mention = reading.text, verdict.claim, anchor.mention
    first, last = anchor.words
    if not claim.polarity:
        return _undenied(reading, anchor, first)
    new = verdict.correction or ""
    if new in TINTS:
        changes = [replace(text, first, last, new)]
    elif claim.predicate == "all tint":
        return [_not_all(text, text.sentences[anchor.sentence], first)]
    elif mention is None or last >= len(text.tokens):
        return [replace(text, first, last, f"not {text.slice(first, last).lower()}")]
    else:  # "a blue cup" -> "a cup"
        new = text.lower(last)
        changes = [Change("delete", (text.tokens[first].start, text.tokens[last].start), "")]
    before, article = text.lower(first - 1), grammar.article_for(new)
    if mention is not None and before in w.ARTICLES and before != article:
        changes.append(replace(text, first - 1, first, article))
    return changes


def _not_all(text: Text, sentence: Sentence, first: int) -> Change:
    """`all cups are red` -> `not all cups are red`, `the cups are red` -> `... are not all red`"""
    for at in range(first - 1, sentence.first - 1, -1):
        if text.lower(at) in w.EVERY:
            return replace(text, at, at + 1, f"not {text.lower(at)}")
    return replace(text, first, first + 1, f"not all {text.lower(first)}")


def _relation(reading: Reading, verdict: Verdict, anchor: Anchor) -> list[Change]:
    text, claim = reading.text, verdict.claim
    first, last = anchor.words
    if anchor.mention is not None and first == anchor.mention.first:
        return []  # the answer to "what is left of the tree?": nothing says what is
    if not claim.polarity:
        return _undenied(reading, anchor, first)
    new = verdict.correction
    if new not in w.OPPOSITE or new == claim.predicate:
        return []
    if new == w.OPPOSITE[claim.predicate]:
        for at in range(first, last):
            swapped = _SWAPPED.get(text.lower(at))
            if swapped:
                return [replace(text, at, at + 1, swapped)]
    return [replace(text, first, last, _FROM_CENTRE[new] if claim.value == CENTRE else new)]


_SWAPPED = {
    "left": "right",
    "right": "left",
    "top": "bottom",
    "bottom": "top",
    "upper": "lower",
    "lower": "upper",
    "above": "below",
    "below": "above",
    "over": "under",
    "under": "over",
    "beneath": "above",
    "underneath": "above",
}
_FROM_CENTRE = {
    "left of": "on the left",
    "right of": "on the right",
    "above": "at the top",
    "below": "at the bottom",
}


def _undenied(reading: Reading, anchor: Anchor, before: int) -> list[Change]:
    """Take away the nearest negation before a place in the sentence."""
    text, sentence = reading.text, reading.text.sentences[anchor.sentence]
    no = {m.first: m for m in sentence.mentions if m.determiner == "no"}
    for at in range(before - 1, sentence.first - 1, -1):
        if at in no:  # no red cup
            article = "some" if no[at].plural else grammar.article_for(text.lower(at + 1))
            return [replace(text, at, at + 1, article)]
        change = undeny(text, at)
        if change:
            return [change]
    return []


def _sound(reading: Reading, verdict: Verdict, anchor: Anchor) -> list[Change]:
    text, claim, mention = reading.text, verdict.claim, anchor.mention
    if not claim.polarity:
        return []
    first, last = anchor.words
    if verdict.correction not in SOUNDS:
        if text.lower(first) in w.ARTICLES:
            return [replace(text, first, first + 1, "no")]
        if text.lower(first) in w.DEFINITE | w.EVERY | {"some"}:
            return []
        return [replace(text, first, first + 1, f"no {text.lower(first)}")]  # "rain falling"
    event = SOUNDS[verdict.correction]
    if mention is not None and text.lower(last) in w.MAKE:
        return [replace(text, *mention.noun, event.object)]
    new = event.description
    said = {text.lower(at) for at in range(first, last)}
    if "heard" in said:
        new = f"{new} can be heard"
    elif said & {"is", "are"}:  # a dog is barking
        thing, _, doing = new.rpartition(" ")
        new = f"{thing} is {doing}" if doing.endswith("ing") else f"{new} can be heard"
    return [replace(text, first, last, new)]


def _text(reading: Reading, verdict: Verdict, anchor: Anchor) -> list[Change]:
    """What was read, between the quotation marks that are there, or in new ones."""
    text, claim, read = reading.text, verdict.claim, verdict.correction
    if not claim.polarity or not read:
        return []
    quoted = text.lower(anchor.words[0] - 1) in QUOTES
    return [Change("replace", claim.span, read if quoted else f'"{read}"')]


_MAKERS: dict[str, Callable[[Reading, Verdict, Anchor], list[Change]]] = {
    "count": _count,
    "attribute": _tint,
    "relation": _relation,
    "sound": _sound,
    "text": _text,
}


def _hedged(reading: Reading, claim: Claim) -> Change:
    if claim.kind == "text":  # before the quotation mark, and not a letter is changed
        first = reading.anchors[claim.id].words[0]
        first -= reading.text.lower(first - 1) in QUOTES
        start = reading.text.tokens[first].start
        old = reading.text.source[start : claim.span[1]]
        return Change("hedge", (start, claim.span[1]), f"possibly {old}")
    new = grammar.like(claim.text, f"possibly {claim.text[:1].lower()}") + claim.text[1:]
    return Change("hedge", claim.span, new)


def _settle(source: str, changes: Sequence[tuple[Verdict, Change]]) -> list[Edit]:
    """Edits of all changes that do not overlap; the longer one stays."""
    taken: list[Span] = []  # in order
    edits: list[Edit] = []
    for verdict, change in sorted(changes, key=lambda each: each[1].span[0] - each[1].span[1]):
        start, end = change.span
        old = source[start:end]
        place = bisect(taken, (start, end))
        around = taken[max(0, place - 1) : place + 1]
        if old == change.text or any(start < b and a < end for a, b in around):
            continue
        taken.insert(place, (start, end))
        edits.append(
            Edit(
                op=change.op,
                span=change.span,
                old_text=old,
                new_text=change.text,
                claim_id=verdict.claim.id,
                evidence_ids=tuple(item.id for item in verdict.evidence),
            )
        )
    return sorted(edits, key=lambda each: each.span)


# -- marks ----------------------------------------------------------------------------------------


class Checked(Protocol):
    """What a check gives: a `Correction`, a `Report`, an `Answer` of the agent."""

    @property
    def verdicts(self) -> Sequence[Verdict]: ...
    @property
    def unread(self) -> Sequence[Span]: ...


def moved(verdicts: Iterable[Verdict], edits: Sequence[Edit]) -> list[tuple[Span, Verdict]]:
    """Where the claims of a draft stand in the text that its edits make; those that an edit rests
    on or covers are gone, and what was refuted and touched by one is mended."""
    edits = sorted(edits, key=lambda edit: edit.span)
    starts, ends = [edit.span[0] for edit in edits], [edit.span[1] for edit in edits]
    shifts = [0, *accumulate(len(edit.new_text) - len(edit.old_text) for edit in edits)]
    mended = {edit.claim_id for edit in edits}
    placed: list[tuple[Span, Verdict]] = []
    for verdict in verdicts:
        start, end = verdict.claim.span
        before, inside = bisect(ends, start), bisect_left(starts, end)
        if before < inside:  # edits within the claim, or over its edges
            start = min(start, starts[before])
            end = max(end, ends[inside - 1])
            if verdict.verdict == "refuted" or (start, end) == edits[before].span:
                continue
        if verdict.claim.id not in mended:
            placed.append(((start + shifts[before], end + shifts[inside]), verdict))
    return placed


def mark(text: str, checked: Checked) -> str:
    """The text for display, with a mark behind each claim that nobody could decide, or that is
    refuted and still stands, and behind each part from which no claim was read.

    `checked` holds the verdicts on a draft and, if it was corrected, the edits that made `text`;
    its `unread` are ranges of `text`.
    """
    placed = moved(checked.verdicts, getattr(checked, "edits", []))
    marks = {end: UNREAD for _, end in checked.unread}
    for name, sign in (("not_enough_evidence", UNVERIFIED), ("refuted", REFUTED)):
        spans = [span for span, verdict in placed if verdict.verdict == name]
        marks.update(dict.fromkeys(_outer_ends(spans), sign))
    for end in sorted(marks, reverse=True):
        text = f"{text[:end]} {marks[end]}{text[end:]}"
    return text


def is_marked(text: str, checked: Checked) -> bool:
    """Whether any part of the text is unread, undecided, or refuted and still stands."""
    return mark(text, checked) != text


def _outer_ends(spans: Iterable[Span]) -> list[int]:
    """Where spans end; one inside another, or on its edge, ends with it."""
    ends: list[int] = []
    last = (-1, -1)
    for span in sorted(spans, key=lambda each: (each[0], -each[1])):
        if span[1] > last[1]:
            if span[0] < last[1]:
                ends.pop()
            ends.append(span[1])
            last = span
    return ends
