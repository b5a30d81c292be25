"""From evidence to a verdict. Everything a verdict rests on is in the evidence it carries.

| rule | verdict | when |
|---|---|---|
| `existence.agree` | supported | detector and tagger both speak for it |
| `existence.alone` | supported | one is right in 95 of 100 measured cases, the other is silent |
| `existence.absent` | refuted | neither sees it, at the lowest score that is looked at |
| `existence.absent_alone` | refuted | as `existence.alone`, against it |
| `count.agree` | supported | every candidate is clear, and their number is the one claimed |
| `count.differs` | refuted | every candidate is clear, and their number is another |
| `tint.agree` | supported | tagger and pixels see the tint |
| `tint.differs` | refuted | tagger and pixels see it nowhere |
| `relation.holds` | supported | the boxes lie so, by 5 % of the picture at least |
| `relation.contradicts` | refuted | the boxes lie the other way, by 5 % at least |
| `sound.heard` | supported | heard with a score that is right in 95 of 100 measured cases |
| `sound.unheard` | refuted | as before, against it |
| `text.read` | supported | the words claimed were read in the picture |
| `text.differs` | refuted | one line was read there, surely, and it is quite another |
| `*.single_source` | either | quoted from a tool that the planner called, right often enough |
| `parent.refuted` | refuted | what it is said of is not there |
| `judges.differ` | not enough | one judge speaks for it, another against |
| `judges.unsure` | not enough | too few speak clearly |
| `judges.author` | not enough | without those who wrote the claim nobody is sure enough |
| `judges.too_small` | not enough | not seen, in a picture where it may be too small to be seen |
| `judges.source` | not enough | quoted from a tool that is not known to be right often enough |
| `judges.none` | not enough | nobody can judge this: no picture, no sound, unknown words |
| `domain.outside` | not enough | no judge knows pictures, or sounds, of this kind |

A denied claim ("no cup") is judged as the claim that it denies, and the verdict is turned round.
Independent judges' odds multiply. The author of a draft is never its judge: the evidence of those
named among the authors is reported, and weighs nothing; what is left must do by itself. A source is
a judge whose findings the draft quotes: others decide if they can; else the claim is as sure as
such claims were found to be (`single_source`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nuthatch.tools.domain.check import OUTSIDE
from nuthatch.tools.verification.evidence.calibration import ALONE
from nuthatch.tools.verification.evidence.findings import Findings, fuse
from nuthatch.tools.verification.evidence.judges import allows, testify
from nuthatch.tools.verification.evidence.single_source import NO_SOURCES, Sources, sureness
from nuthatch.tools.verification.extraction.claims import split_name
from nuthatch.tools.verification.types import Claim, Evidence, Measured, Verdict, VerdictName
from nuthatch.tools.vocabulary import TINTS

PolicyName = Literal["conservative", "balanced", "strict"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How sure the verifier must be. All numbers are probabilities."""

    name: PolicyName = "conservative"
    support: float = 0.9
    """That a claim is true, from which it counts as supported."""
    hedge: float = 0.8
    """That it is false, from which it counts as refuted and is at least hedged."""
    replace: float = 0.9
    """That it is false, from which it is replaced."""

    word: float = 0.9
    """What a number in the draft weighs against another one that was counted: numbers are wrong by
    little, and judges overlook things."""

    @property
    def refute(self) -> float:
        """A claim that is true with this probability at most is refuted."""
        return 1 - self.hedge


POLICIES: dict[str, Policy] = {
    "conservative": Policy(),
    "balanced": Policy("balanced", support=0.85, hedge=0.75, replace=0.85, word=0.8),
    "strict": Policy("strict", support=0.95, hedge=0.7, replace=0.8, word=0.5),
}


UNSEEN = frozenset({"existence.absent", "existence.absent_alone", "count.differs"})
"""Rules by which a claim is decided because something was not seen."""
_TOO_SMALL = {"verdict": "not_enough_evidence", "rule": "judges.too_small", "correction": None}


class _Ruling(NamedTuple):
    verdict: VerdictName
    probability: float
    rule: str
    correction: str | None = None
    measured: Measured | None = None


def judge(
    claims: Sequence[Claim],
    findings: Findings,
    policy: Policy,
    authors: frozenset[str] = frozenset(),
    sources: Sources = NO_SOURCES,
) -> list[Verdict]:
    """A verdict for each claim, parents before the claims that depend on them."""
    verdicts: dict[str, Verdict] = {}
    meant: dict[str, str] = {}
    told = {claim.value for claim in claims if claim.kind == "sound" and claim.polarity}
    order = list(_RULES)
    for claim in sorted(
        claims, key=lambda each: order.index(each.kind) if each.kind in order else 9
    ):
        # What was called by a wrong tint is counted and placed under its own.
        judged = claim
        if claim.kind in ("count", "relation"):
            value = meant.get(claim.value or "", claim.value)
            subject = meant.get(claim.subject, claim.subject)
            judged = claim.model_copy(update={"subject": subject, "value": value})
        verdict = decide(judged, testify(judged, findings), policy, authors, verdicts, sources)
        if findings.too_small and _rests_on_absence(verdict):
            verdict = verdict.model_copy(update=_TOO_SMALL)
        if verdict.rule == "judges.none" and findings.abstained(judged):
            verdict = verdict.model_copy(update={"rule": OUTSIDE})
        if claim.kind == "sound" and verdict.correction:
            # The loudest event that the answer does not tell already, each put in once.
            untold = [event for event in verdict.correction.split(", ") if event not in told]
            told.update(untold[:1])
            verdict = verdict.model_copy(update={"correction": untold[0] if untold else None})
        verdicts[claim.id] = verdict.model_copy(update={"claim": claim})
        if claim.predicate == "tint" and verdict.verdict == "refuted" and claim.polarity:
            tint = f"{verdict.correction} " if verdict.correction in TINTS else ""
            meant[f"{claim.value} {claim.subject}"] = tint + claim.subject
    return [verdicts[claim.id] for claim in claims]


def decide(
    claim: Claim,
    evidence: tuple[Evidence, ...],
    policy: Policy,
    authors: frozenset[str] = frozenset(),
    verdicts: Mapping[str, Verdict] = {},
    sources: Sources = NO_SOURCES,
) -> Verdict:
    """The verdict that follows from the evidence and from the verdicts of the claim's parents."""
    gone = [v for v in (verdicts.get(p) for p in claim.depends_on) if v and v.verdict == "refuted"]
    if gone and claim.polarity:
        ruling = _Ruling("refuted", min(v.probability for v in gone), "parent.refuted")
        evidence = evidence or tuple(item for v in gone for item in v.evidence)
    elif not evidence:
        ruling = _Ruling("not_enough_evidence", 0.5, "judges.none")
    else:
        ruling = _RULES[claim.kind](claim, evidence, policy, authors | sources.names)
        if quoted := sources.of(evidence) - authors:
            ruling = _quoted(
                claim, evidence, policy, authors, sources.measured(quoted, claim), ruling
            )
        if not claim.polarity:
            ruling = _turned(ruling)
    return Verdict(
        claim=claim,
        verdict=ruling.verdict,
        probability=round(min(1.0, max(0.0, ruling.probability)), 4),
        rule=ruling.rule,
        evidence=evidence,
        correction=ruling.correction if ruling.verdict == "refuted" else None,
        measured=ruling.measured,
    )


def _rests_on_absence(verdict: Verdict) -> bool:
    """Whether a claim is decided because something was not seen."""
    said_there = (verdict.verdict == "refuted") == verdict.claim.polarity
    quoted = verdict.rule in ("existence.single_source", "count.single_source")
    return verdict.rule in UNSEEN or (quoted and said_there)


def _turned(ruling: _Ruling) -> _Ruling:
    opposite: dict[VerdictName, VerdictName] = {"supported": "refuted", "refuted": "supported"}
    verdict = opposite.get(ruling.verdict, ruling.verdict)
    return ruling._replace(verdict=verdict, probability=1 - ruling.probability)


def _quoted(
    claim: Claim,
    evidence: Sequence[Evidence],
    policy: Policy,
    authors: frozenset[str],
    measured: Measured | None,
    others: _Ruling,
) -> _Ruling:
    """The ruling on what is quoted from a source: that of the other judges, where they decide and
    the source does not gainsay them; else as `measured`.

    A number is always the source's: the others look at the objects that it found, and cannot tell
    how many it overlooked.
    """
    ruling: _Ruling = _RULES[claim.kind](claim, evidence, policy, authors)
    if ruling.rule in ("judges.differ", "judges.author"):
        return ruling
    if others.verdict != "not_enough_evidence" and not others.rule.startswith("count."):
        return others
    holds = ruling.probability >= 0.5
    # What a tool said may stand as surely as it was measured; to gainsay the planner's words, the
    # judges must also be sure by the usual rule.
    said = holds == claim.polarity or ruling.verdict != "not_enough_evidence"
    sure = measured and sureness(claim, evidence, ruling.probability) >= measured.threshold
    if not (said and measured and sure and measured.precision >= policy.support):
        return ruling._replace(verdict="not_enough_evidence", rule="judges.source")
    return _Ruling(
        "supported" if holds else "refuted",
        measured.precision if holds else 1 - measured.precision,
        f"{claim.kind}.single_source",
        ruling.correction,
        measured,
    )


def _existence(
    claim: Claim, evidence: Sequence[Evidence], policy: Policy, authors: frozenset[str]
) -> _Ruling:
    # A judge that looked twice counts once, by the look that saw more.
    opinions: dict[str, float] = {}
    for item in evidence:
        if item.probability is not None:
            opinions[item.judge] = max(opinions.get(item.judge, 0.0), item.probability)
    ruling = _weigh(opinions, policy, authors, "existence.agree", "existence.absent")
    number = next((item.value for item in evidence if item.judge == "detector"), None)
    return ruling._replace(correction=number if ruling.verdict == "supported" else "0")


def _weigh(
    opinions: Mapping[str, float],
    policy: Policy,
    authors: frozenset[str],
    agree: str,
    absent: str,
) -> _Ruling:
    """Two judges that agree, or one by its measured precision where the others are silent."""
    written = any(p >= 0.7 or p <= 0.3 for name, p in opinions.items() if name in authors)
    opinions = {name: p for name, p in opinions.items() if name not in authors}
    chance = fuse(list(opinions.values()))
    speak_for = [name for name, p in opinions.items() if p >= 0.7]
    against = [name for name, p in opinions.items() if p <= 0.3]
    if speak_for and against:
        return _Ruling("not_enough_evidence", chance, "judges.differ")
    if len(speak_for) > 1 and chance >= policy.support:
        return _Ruling("supported", chance, agree)
    if len(against) > 1 and chance <= policy.refute:
        return _Ruling("refuted", chance, absent)
    alone = [name for name, p in opinions.items() if p >= ALONE or p <= 1 - ALONE]
    if alone and speak_for:
        return _Ruling("supported", opinions[alone[0]], agree.replace(".agree", ".alone"))
    if alone and against:
        return _Ruling("refuted", opinions[alone[0]], f"{absent}_alone")
    rule = "judges.author" if written else "judges.unsure"
    return _Ruling("not_enough_evidence", chance, rule)


def _count(
    claim: Claim, evidence: Sequence[Evidence], policy: Policy, authors: frozenset[str]
) -> _Ruling:
    if claim.value == "0" and "geometry" not in {item.judge for item in evidence}:
        return _turned(_existence(claim, evidence, policy, authors))
    by_judge = {item.judge: item for item in evidence}
    geometry = by_judge["geometry"]
    chance, seen = geometry.probability or 0.0, geometry.value or ""
    said = claim.value or ""
    if not seen.isdigit():
        return _Ruling("not_enough_evidence", chance, "judges.unsure")
    if not {"detector", "tagger"} <= by_judge.keys():
        rule = "judges.author" if authors else "judges.unsure"
        return _Ruling("not_enough_evidence", chance, rule)
    both = [by_judge["detector"], by_judge["tagger"]]
    tinted = split_name(claim.subject)[0] is not None  # the two count all, of whatever tint
    if not tinted and not all(allows(item.value or "0", int(seen)) for item in both):
        return _Ruling("not_enough_evidence", chance, "judges.differ")
    holds = allows(said, int(seen))
    others = [item.probability or 0.0 for item in both if item.judge not in authors]
    if len(others) < len(both):
        # The one who did not write the claim must be sure enough to decide alone.
        sure = any(p >= ALONE if holds else p <= 1 - ALONE for p in others)
        if tinted or not sure:
            return _Ruling("not_enough_evidence", chance, "judges.author")
    if holds and chance >= policy.support:
        return _Ruling("supported", chance, "count.agree")
    doubted = fuse([chance, policy.word])
    if not holds and doubted <= policy.refute:
        return _Ruling("refuted", doubted, "count.differs", seen)
    return _Ruling("not_enough_evidence", chance, "judges.unsure")


def _tint(
    claim: Claim, evidence: Sequence[Evidence], policy: Policy, authors: frozenset[str]
) -> _Ruling:
    by_judge = {item.judge: item for item in evidence}
    opinions = {name: item.probability or 0.0 for name, item in by_judge.items()}
    ruling = _weigh(opinions, policy, authors, "tint.agree", "tint.differs")
    if ruling.rule.endswith("alone"):  # a tint needs both
        return _Ruling("not_enough_evidence", ruling.probability, "judges.unsure")
    seen = {item.value for item in evidence}
    other = seen.pop() if len(seen) == 1 else None
    return ruling._replace(correction=None if other == claim.value else other)


def _relation(
    claim: Claim, evidence: Sequence[Evidence], policy: Policy, authors: frozenset[str]
) -> _Ruling:
    by_judge = {item.judge: item for item in evidence}
    geometry = by_judge["geometry"]
    chance = geometry.probability or 0.0
    tagger = by_judge.get("tagger")
    if tagger is None or tagger.stance != "supports":
        rule = "judges.author" if "detector" in authors else "judges.unsure"
        return _Ruling("not_enough_evidence", chance, rule)
    if {"detector", "tagger"} & authors and ("tagger" in authors or tagger.score < ALONE):
        return _Ruling("not_enough_evidence", chance, "judges.author")
    if chance >= policy.support:
        return _Ruling("supported", chance, "relation.holds")
    if chance <= policy.refute:
        return _Ruling("refuted", chance, "relation.contradicts", geometry.value)
    return _Ruling("not_enough_evidence", chance, "judges.unsure")


def _sound(
    claim: Claim, evidence: Sequence[Evidence], policy: Policy, authors: frozenset[str]
) -> _Ruling:
    (item,) = evidence
    chance = item.probability or 0.0
    if chance > 1 - ALONE and chance < ALONE:
        return _Ruling("not_enough_evidence", chance, "judges.unsure")
    if item.judge in authors:
        return _Ruling("not_enough_evidence", chance, "judges.author")
    if chance >= ALONE:
        return _Ruling("supported", chance, "sound.heard")
    return _Ruling("refuted", chance, "sound.unheard", item.value)


def _text(
    claim: Claim, evidence: Sequence[Evidence], policy: Policy, authors: frozenset[str]
) -> _Ruling:
    (item,) = evidence
    if item.probability is None:
        return _Ruling("not_enough_evidence", 0.5, "judges.unsure")
    if item.judge in authors:
        return _Ruling("not_enough_evidence", item.probability, "judges.author")
    if item.probability >= policy.support:
        return _Ruling("supported", item.probability, "text.read")
    if item.probability <= policy.refute:
        return _Ruling("refuted", item.probability, "text.differs", item.value)
    return _Ruling("not_enough_evidence", item.probability, "judges.unsure")


_RULES: dict[str, Callable[..., _Ruling]] = {
    "existence": _existence,
    "attribute": _tint,
    "count": _count,
    "relation": _relation,
    "sound": _sound,
    "text": _text,
}
"""In the order in which claims are judged."""
