"""From answers to corrections: read, look, judge, edit, choose. The core behind tools and doors.

Many answers go through together, so that the models see batches; one answer is a batch of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nuthatch.tools.verification.calibration import Calibration
from nuthatch.tools.verification.claims import Reading, read_claims, split_name
from nuthatch.tools.verification.edits import make_edits, replay
from nuthatch.tools.verification.findings import Case, Findings, observe
from nuthatch.tools.verification.rules import POLICIES, Policy, judge
from nuthatch.tools.verification.senses import Picture, Senses, Sound
from nuthatch.tools.verification.types import Correction, Edit, Report, Verdict


@dataclass(frozen=True, slots=True)
class Item:
    """An answer to check: with its question, against a picture, a sound, or both.

    `authors` are the judges whose findings the answer was written from (`detector`, `tagger`,
    `sound_tagger`): none of them may decide about it alone.
    """

    answer: str
    question: str | None = None
    picture: Picture | None = None
    sound: Sound | None = None
    authors: frozenset[str] = frozenset()


def verify_items(
    items: Sequence[Item],
    senses: Senses,
    calibration: Calibration,
    policy: Policy = POLICIES["conservative"],
) -> list[Report]:
    """A verdict on every claim of every answer."""
    return [
        Report(answer=item.answer, verdicts=judge(reading.claims, findings, policy, item.authors))
        for item, reading, findings in _observed(items, senses, calibration)
    ]


def correct_items(
    items: Sequence[Item],
    senses: Senses,
    calibration: Calibration,
    policy: Policy = POLICIES["conservative"],
) -> list[Correction]:
    """Every answer with its refuted claims put right, where that makes it better supported."""
    return [
        _correct(item, reading, findings, policy)
        for item, reading, findings in _observed(items, senses, calibration)
    ]


def _observed(
    items: Sequence[Item], senses: Senses, calibration: Calibration
) -> list[tuple[Item, Reading, Findings]]:
    readings = [read_claims(item.answer, item.question) for item in items]
    cases = [
        Case(reading.claims, item.picture, item.sound)
        for item, reading in zip(items, readings, strict=True)
    ]
    return list(zip(items, readings, observe(cases, senses, calibration), strict=True))


def _correct(item: Item, reading: Reading, findings: Findings, policy: Policy) -> Correction:
    verdicts = judge(reading.claims, findings, policy, item.authors)
    edits = make_edits(reading, verdicts, policy)
    revised = replay(item.answer, edits)
    better, reason = _choose(item, verdicts, edits, revised, findings, policy)
    return Correction(
        draft=item.answer,
        revised=revised,
        final=revised if better else item.answer,
        choice="revised" if better else "draft",
        choice_reason=reason,
        edits=edits if better else [],
        verdicts=verdicts,
    )


def _choose(
    item: Item,
    verdicts: Sequence[Verdict],
    edits: Sequence[Edit],
    revised: str,
    findings: Findings,
    policy: Policy,
) -> tuple[bool, str]:
    """Whether the revision is better supported than the draft, by the same findings, and why.

    A revision is a new draft, read and judged like one: it must have fewer refuted claims, and no
    more than the draft that nobody can judge, and lose nothing that is supported.
    """
    if not edits:
        wrong = sum(verdict.verdict == "refuted" for verdict in verdicts)
        return False, f"{wrong} refuted, none of them edited" if wrong else "nothing was refuted"
    before = _refuted(verdicts)
    again = judge(read_claims(revised, item.question).claims, findings, policy, item.authors)
    after = _refuted(again)
    if _lost(verdicts, again):
        return False, "the revision loses a claim that is supported"
    if _unjudged(again) > _unjudged(verdicts):
        return False, "the revision claims what nobody can judge"
    if after < before:
        return True, f"refuted claims: {before} in the draft, {after} in the revision"
    return False, f"the revision is no better: {after} refuted claims, the draft has {before}"


def _refuted(verdicts: Sequence[Verdict]) -> int:
    """Refuted claims that say so plainly; what is hedged promises nothing."""
    return sum(v.verdict == "refuted" and not v.claim.hedged for v in verdicts)


def _lost(before: Sequence[Verdict], after: Sequence[Verdict]) -> bool:
    """Whether something supported before is said no more; what depends on it may go with it."""

    def said(verdicts: Sequence[Verdict]) -> set[tuple[str, ...]]:
        return {
            (
                v.claim.kind,
                split_name(v.claim.subject)[1],  # its tint may have been put right
                v.claim.predicate,
                split_name(v.claim.value or "")[1],
                str(v.claim.polarity),
            )
            for v in verdicts
            if v.verdict == "supported"
        }

    return not said(before) <= said(after)


def _unjudged(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.rule == "judges.none" for verdict in verdicts)
