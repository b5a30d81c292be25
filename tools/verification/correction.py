"""From answers to corrections: read, look, judge, edit, choose. The core behind tools and doors.

Many answers go through together, so that the models see batches; one answer is a batch of one.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nuthatch.tools.base.notices import Notice
from nuthatch.tools.domain.check import outside
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.verification.editing.edits import make_edits, replay
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.findings import Case, Findings, observe
from nuthatch.tools.verification.evidence.perception import Picture, Senses, Sound
from nuthatch.tools.verification.evidence.single_source import Sources
from nuthatch.tools.verification.extraction.claims import Reading, read_claims, split_name
from nuthatch.tools.verification.rules import POLICIES, Policy, judge
from nuthatch.tools.verification.types import Claim, Correction, Edit, Report, Verdict

MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Item:
    """An answer to check: with its question, against a picture, a sound, or both.

    `authors` are the judges (`detector`, `tagger`, `sound_tagger`, `reader`) whose models wrote the
    words: what they see weighs nothing. `sources` are those whose findings the words quote: they
    decide as far as such quotations were measured.
    """

    answer: str
    question: str | None = None
    picture: Picture | None = None
    sound: Sound | None = None
    authors: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


def verify_items(
    items: Sequence[Item],
    senses: Senses,
    calibration: Calibration,
    policy: Policy = POLICIES["conservative"],
) -> list[Report]:
    """A verdict on every claim of every answer.

    Raises:
        RetryCall: an answer has more than 20 000 characters.
    """
    return [
        Report(
            answer=item.answer,
            verdicts=judge(
                reading.claims, findings, policy, item.authors, calibration.sources(item.sources)
            ),
            unread=reading.unread,
            notices=_notices(item, findings),
        )
        for item, reading, findings in _observed(items, senses, calibration)
    ]


def correct_items(
    items: Sequence[Item],
    senses: Senses,
    calibration: Calibration,
    policy: Policy = POLICIES["conservative"],
) -> list[Correction]:
    """Every answer with its refuted claims put right, where that makes it better supported.

    Raises:
        RetryCall: an answer has more than 20 000 characters.
    """
    return [
        _correct(item, reading, findings, policy, calibration.sources(item.sources))
        for item, reading, findings in _observed(items, senses, calibration)
    ]


def _observed(
    items: Sequence[Item], senses: Senses, calibration: Calibration
) -> list[tuple[Item, Reading, Findings]]:
    for item in items:
        if len(item.answer) > MAX_CHARACTERS:
            raise RetryCall(
                f"the answer has {len(item.answer):,} characters; at most {MAX_CHARACTERS:,} are "
                "checked at once. Check it in parts",
                "limit_exceeded",
            )
    readings = [
        read_claims(item.answer, item.question, writing=senses.reads and item.picture is not None)
        for item in items
    ]
    cases = [
        Case(reading.claims, item.picture, item.sound)
        for item, reading in zip(items, readings, strict=True)
    ]
    return list(zip(items, readings, observe(cases, senses, calibration), strict=True))


def _correct(
    item: Item, reading: Reading, findings: Findings, policy: Policy, sources: Sources
) -> Correction:
    verdicts = judge(reading.claims, findings, policy, item.authors, sources)
    edits = make_edits(reading, verdicts, policy)

    def read_again(revised: str) -> Reading:
        return read_claims(revised, item.question, writing=reading.writing)

    def judged(revised: str) -> list[Verdict]:
        claims = read_again(revised).claims
        return judge(claims, findings, policy, item.authors, sources)

    taken, reason = _choose(reading, verdicts, edits, judged)
    revised = replay(item.answer, taken or edits)
    return Correction(
        draft=item.answer,
        revised=revised,
        final=revised if taken else item.answer,
        choice="revised" if taken else "draft",
        choice_reason=reason,
        edits=taken,
        verdicts=verdicts,
        unread=read_again(revised).unread if taken else reading.unread,
        notices=_notices(item, findings),
    )


def _notices(item: Item, findings: Findings) -> list[Notice]:
    """What must be known of the media that the judges do not know."""
    picture, sound = (
        each if isinstance(each, str) else None for each in (item.picture, item.sound)
    )
    told = [outside("picture", picture)] if findings.unknown_to else []
    return told + ([outside("sound", sound)] if findings.sound_unknown else [])


def _choose(
    reading: Reading,
    verdicts: Sequence[Verdict],
    edits: Sequence[Edit],
    judged: Callable[[str], list[Verdict]],
) -> tuple[list[Edit], str]:
    """The edits that make the draft better supported by the same findings, and why these.

    A revision is a new draft, read and judged like one: it must have fewer refuted claims, lose
    nothing that is supported, and assert nothing new that is refuted or beyond all judges. Edits of
    sentences that fail in this are left out; the others may do.
    """
    wrong, taken = _refuted(verdicts), list(edits)
    reason = f"{wrong} refuted, none of them edited" if wrong else "nothing was refuted"
    starts = [reading.text.tokens[each.first].start for each in reading.text.sentences]
    while taken:
        after = judged(replay(reading.text.source, taken))
        lost, new = _lost(verdicts, after), _new(verdicts, after)
        if not lost and not new:
            left = _refuted(after)
            if left < wrong:
                return taken, f"refuted claims: {wrong} in the draft, {left} in the revision"
            return [], f"the revision is no better: {left} refuted claims, the draft has {wrong}"
        reason = f"the revision {'loses what is supported' if lost else 'claims what is not found'}"
        places = [claim.span[0] for claim in lost]
        places += [_place_in_draft(claim.span[0], taken) for claim in new]
        failing = {bisect(starts, place) for place in places}
        kept = [edit for edit in taken if bisect(starts, edit.span[0]) not in failing]
        taken = kept if len(kept) < len(taken) else []
    return [], reason


def _refuted(verdicts: Sequence[Verdict]) -> int:
    """Refuted claims that say so plainly; what is hedged promises nothing."""
    return sum(v.verdict == "refuted" and not v.claim.hedged for v in verdicts)


def _lost(before: Sequence[Verdict], after: Sequence[Verdict]) -> list[Claim]:
    """Claims of the draft that were supported and are said no more."""
    kept = {_said(v.claim) for v in after if v.verdict == "supported"}
    return [v.claim for v in before if v.verdict == "supported" and _said(v.claim) not in kept]


def _new(before: Sequence[Verdict], after: Sequence[Verdict]) -> list[Claim]:
    """What the revision asserts, and the draft did not, although it is refuted or nobody knows."""
    said = {_said(v.claim) for v in before if not v.claim.hedged}
    mended = {_about(v.claim) for v in before if v.verdict == "refuted"}
    unknown = [
        v
        for v in after
        if v.verdict == "refuted"
        or v.rule == "judges.none"
        or (v.verdict != "supported" and _about(v.claim) not in mended)
    ]
    plain = [v.claim for v in unknown if v.claim.polarity and not v.claim.hedged]
    return [claim for claim in plain if _said(claim) not in said]


def _said(claim: Claim) -> tuple[object, ...]:
    """What a claim says, whatever the tint: that may have been put right."""
    value = split_name((claim.value or "").removeprefix(">="))[1]
    return (*_about(claim), claim.predicate, value, claim.polarity)


def _about(claim: Claim) -> tuple[str, str]:
    """Kind and subject of a claim; the number of `2 cup` may have been put right, too, and a sound
    may have made way for another one."""
    if claim.kind == "sound":
        return claim.kind, ""
    number, _, name = claim.subject.partition(" ")
    return claim.kind, split_name(name if number.isdigit() else claim.subject)[1]


def _place_in_draft(at: int, edits: Sequence[Edit]) -> int:
    """Where in the draft a place of the revision was."""
    shift = 0
    for edit in sorted(edits, key=lambda each: each.span):
        start = edit.span[0] + shift
        if at < start:
            break
        if at < start + len(edit.new_text):
            return edit.span[0]
        shift += len(edit.new_text) - len(edit.old_text)
    return at - shift
