"""What each judge says about a claim, from what was seen and heard.

Evidence leaves the claim's polarity aside: for "no cup" it speaks of a cup. Every item names the
judge, the call it looked by, its score, and what that score is worth.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod

import numpy as np

from nuthatch.tools.media.geometry import Box
from nuthatch.tools.verification.evidence import colours
from nuthatch.tools.verification.evidence.audioset_events import HEARD, UNHEARD, meaning
from nuthatch.tools.verification.evidence.calibration import ALONE, kept_inside
from nuthatch.tools.verification.evidence.findings import Findings, Instance
from nuthatch.tools.verification.evidence.ocr_match import compare
from nuthatch.tools.verification.evidence.perception import Seen
from nuthatch.tools.verification.extraction.claims import split_name
from nuthatch.tools.verification.extraction.words import OPPOSITE
from nuthatch.tools.verification.types import WRITTEN, Claim, Evidence, Stance
from nuthatch.tools.vocabulary import SOUNDS, TINTS

LIKELY, UNLIKELY = 0.9, 0.1
"""Outside this band a candidate counts as an object, or as none; inside it, as either."""
FOR, AGAINST = 0.7, 0.3
"""Probabilities from which evidence supports a claim, or refutes it."""
MARGIN = 0.05
"""Share of the picture's side by which centres must differ before a relation is clear."""
OVERLOOKED = (0.03, 0.03, 0.03, 0.08, 0.25)
"""How often one more is there than all judges together see, where they see 0, 1, 2, 3, 4 or more:
of 1,200 clear counts on the split "calibrate"."""
SURE_AT_MOST = 0.998
"""That a clear candidate is one, at most."""


def testify(claim: Claim, findings: Findings) -> tuple[Evidence, ...]:
    """All that the judges say about a claim; empty where nobody can judge it.

    Claims that say the same rest on the same items.
    """
    if claim.kind not in _WITNESSES:
        return ()
    said = (claim.kind, claim.subject, claim.predicate, claim.value or "")
    if said not in findings.testified:
        number = sum(map(len, findings.testified.values()))
        findings.testified[said] = tuple(
            item.model_copy(update={"id": f"e{number + count}"})
            for count, item in enumerate(_WITNESSES[claim.kind](claim, findings), start=1)
        )
    return findings.testified[said]


def _existence(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    name, calibration = claim.subject, findings.calibration
    candidates = findings.candidates(name)
    if candidates is not None:
        score = max((each.sighting.score for each in candidates), default=0.0)
        yield _item(
            ("detect", findings.detect_call, "detector"),
            (score, "best box's score"),
            kept_inside(calibration.detected.probability(name, score), findings.ordinary),
            value=str(sum(each.probability >= 0.5 for each in candidates)),
            boxes=[each.box for each in candidates if each.probability >= 0.5],
        )
        best = candidates[0] if candidates else None
        if best is not None and best.region:
            yield _item(
                ("describe_attributes", best.region.call_id, "tagger"),
                (best.region.value.objects.get(name, 0.0), "probability of the best box"),
                None if best.by_tagger is None else kept_inside(best.by_tagger, findings.ordinary),
                boxes=[best.box],
            )
    if findings.tagged and name in findings.tagged.value:
        score = findings.tagged.value[name]
        chance = kept_inside(calibration.tagged.probability(name, score), findings.ordinary)
        closely = candidates[0].by_tagger if candidates else None
        if not findings.ordinary and closely is not None and closely <= AGAINST:
            # Of many views one looks like anything: it does not second a box that does not.
            chance = min(chance, 0.5)
        yield _item(
            ("tag", findings.tagged.call_id, "tagger"),
            (score, "best tile's probability"),
            chance,
        )


def _count(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    tint, name = split_name(claim.subject)
    if claim.value == "0" and not tint:
        # That there is none is for the judges of existence to say.
        yield from _existence(claim, findings)
        return
    candidates = findings.candidates(name)
    if candidates is None or (tint and tint not in TINTS):
        return
    said = claim.value or ""
    boxed = [each.by_detector for each in candidates]
    yield _item(
        ("detect", findings.detect_call, "detector"),
        (min(boxed, default=0.0), "weakest box's probability"),
        _chance(said, boxed),
        value=_range(boxed),
    )
    seconded = [each.by_tagger for each in candidates if each.by_tagger is not None]
    if candidates and candidates[0].region and len(seconded) == len(candidates):
        yield _item(
            ("describe_attributes", candidates[0].region.call_id, "tagger"),
            (min(seconded), "weakest box's probability"),
            _chance(said, seconded),
            value=_range(seconded),
        )
    chances = [each.of_tint(tint) for each in candidates]
    yield _item(
        ("measure", findings.measured.get(("count", name), findings.detect_call), "geometry"),
        (float(sum(chances)), "expected number"),
        _chance(said, chances),
        value=_range(chances),
        boxes=[each.box for each, p in zip(candidates, chances, strict=True) if p >= 0.5],
    )


def _tint(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    if claim.predicate != "tint":
        yield from _every_tint(claim, findings)
        return
    tint = claim.value or ""
    candidates = findings.candidates(claim.subject)
    if not candidates or tint not in TINTS:
        return
    likely = [each for each in candidates if each.probability >= 0.5]
    boxes = [each.box for each in likely]
    closely = [each for each in candidates if each.region and each.tagged_tints]
    if closely and closely[0].region:
        exists = 1 - prod(1 - each.probability for each in candidates)
        some = 1 - prod(1 - e.probability * e.tagged_tints.get(tint, 0.0) for e in closely)
        yield _item(
            ("describe_attributes", closely[0].region.call_id, "tagger"),
            (
                max(e.region.value.tints.get(tint, 0.0) for e in closely if e.region),
                "probability of the tint",
            ),
            some + (1 - exists) / 2,
            value=_common(_likeliest(e.tagged_tints) for e in likely),
            boxes=boxes,
        )
    if likely:
        share = max(each.pixel_tints.get(tint, 0.0) for each in likely)
        yield _item(
            ("detect", findings.detect_call, "pixels"),  # the call that gave the boxes
            (share, "share of pixels"),
            colours.opinion(tint, share),
            value=_common(_likeliest(e.pixel_tints) for e in likely),
            boxes=boxes,
        )


def _every_tint(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    """That all there are have a tint is as likely as that the least likely one has it."""
    tint = claim.value or ""
    candidates = findings.candidates(claim.subject) or ()
    likely = [each for each in candidates if each.probability >= 0.5]
    if not likely or tint not in TINTS:
        return
    boxes = [each.box for each in likely]
    region = likely[0].region
    if region and all(each.tagged_tints for each in likely):
        tagged = [(e.probability, e.tagged_tints.get(tint, 0.0)) for e in candidates if e.region]
        yield _item(
            ("describe_attributes", region.call_id, "tagger"),
            (min(score for _, score in tagged), "least probability of the tint"),
            min(1 - there * (1 - score) for there, score in tagged),
            value=_common(_likeliest(e.tagged_tints) for e in likely),
            boxes=boxes,
        )
    painted = [(e.probability, e.pixel_tints.get(tint, 0.0)) for e in likely]
    yield _item(
        ("detect", findings.detect_call, "pixels"),
        (min(share for _, share in painted), "least share of pixels"),
        min(1 - there * (1 - colours.opinion(tint, share)) for there, share in painted),
        value=_common(_likeliest(e.pixel_tints) for e in likely),
        boxes=boxes,
    )


def _relation(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    if claim.predicate not in OPPOSITE or claim.value is None:
        return
    pairs = findings.pairs(claim.subject, claim.value)
    if not pairs:
        return
    exists = 1 - prod(1 - pair.chance for pair in pairs)
    holds = 1 - prod(1 - p.chance * _holds(claim.predicate, p.dx, p.dy) for p in pairs)
    best = max(pairs, key=lambda pair: pair.chance)
    placed: list[Instance] = [best.first, *([best.second] if best.second else [])]
    boxes = [each.box for each in placed]
    seconded = [each.by_tagger for each in placed if each.by_tagger is not None]
    if best.first.region and len(seconded) == len(placed):
        yield _item(
            ("describe_attributes", best.first.region.call_id, "tagger"),
            (min(seconded), "probability of the weaker box"),
            None,
            boxes=boxes,
            stance="supports" if min(seconded) >= FOR else "neutral",
        )
    key = ("relation", claim.subject, claim.value)
    yield _item(
        ("measure", findings.measured.get(key, findings.detect_call), "geometry"),
        (round(_along(claim.predicate, best.dx, best.dy), 4), "share of the picture's side"),
        holds + (1 - exists) / 2,
        value=_clear_relation(claim.predicate, best.dx, best.dy),
        boxes=boxes,
    )


def _sound(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    event, heard = claim.value or "", findings.heard
    if heard is None:
        return
    if findings.calibration.classes:
        yield from _class_of_sound(event, heard, findings.calibration.classes)
        return
    if event not in SOUNDS:
        return
    scale = findings.calibration.heard
    score = heard.value.get(event, 0.0)
    others = [e for e, s in heard.value.items() if e != event and scale.probability(e, s) >= FOR]
    yield _item(
        ("tag_sound", heard.call_id, "sound_tagger"),
        (score, "probability" if heard.value else "silence"),
        scale.probability(event, score) if heard.value else SILENT,
        value=", ".join(sorted(others, key=lambda other: -heard.value[other])) or None,
    )


def _class_of_sound(
    event: str, heard: Seen[dict[str, float]], classes: Sequence[str]
) -> Iterator[Evidence]:
    """By AudioSet's classes; of those that are not among the best heard only a bound is known."""
    means, may_be = meaning(event, classes)
    if not means:
        return
    scores, bound = heard.value, min(heard.value.values(), default=0.0)
    known = {name: scores[name] for name in means if name in scores}
    best = max(known, key=known.__getitem__, default=None)
    score = bound if best is None else known[best]
    most = max([score, bound, *(scores.get(name, 0.0) for name in may_be or ())])
    probability = 0.5
    if not scores:
        probability = SILENT
    elif best is not None and score >= HEARD:
        probability = ALONE
    elif may_be is not None and most <= UNHEARD:
        probability = 1 - ALONE
    others = {
        other: max(scores.get(name, 0.0) for name in names)
        for other in SOUNDS
        if other != event and (names := meaning(other, classes).means)
    }
    louder = sorted(others, key=lambda other: -others[other])
    what = (
        f"probability of {best}" if best else "no class of it scores more" if scores else "silence"
    )
    yield _item(
        ("tag_sound", heard.call_id, "sound_tagger"),
        (score, what),
        probability,
        value=", ".join(other for other in louder if others[other] >= HEARD) or None,
    )


def _text(claim: Claim, findings: Findings) -> Iterator[Evidence]:
    if claim.predicate != WRITTEN or findings.read is None:
        return
    found = compare(claim.value or "", findings.read.value)
    yield _item(
        ("read_text", findings.read.call_id, "reader"),
        (found.score, "weakest line's score" if found.lines else "nothing read"),
        found.probability,
        value=found.value,
        boxes=[line.box for line in found.lines],
    )


SILENT = 0.01
"""That an event is in a recording without any sound."""
_WITNESSES: dict[str, Callable[[Claim, Findings], Iterator[Evidence]]] = {
    "existence": _existence,
    "count": _count,
    "attribute": _tint,
    "relation": _relation,
    "sound": _sound,
    "text": _text,
}


# -- numbers --------------------------------------------------------------------------------------


def _likeliest(tints: Mapping[str, float]) -> str | None:
    """The tint with the highest number; None where a judge says nothing about tints."""
    return max(tints, key=tints.__getitem__, default=None)


def _common(values: Iterable[str | None]) -> str | None:
    """The value that all share."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def allows(value: str, number: int) -> bool:
    """Whether a count as claims write it (`3`, `2-3`, `>=3`, `<=3`) holds for a number."""
    if value.startswith(">="):
        return number >= int(value[2:])
    if value.startswith("<="):
        return number <= int(value[2:])
    low, _, high = value.partition("-")
    return int(low) <= number <= int(high or low)


def _chance(value: str, chances: Sequence[float]) -> float:
    """That the number of true candidates, each true by itself, is as claimed; one may be missed."""
    seen = sum(chance >= 0.5 for chance in chances)
    overlooked = OVERLOOKED[min(seen, len(OVERLOOKED) - 1)]
    numbers = np.ones(1)
    for chance in (*(min(each, SURE_AT_MOST) for each in chances), overlooked):
        numbers = np.convolve(numbers, [1 - chance, chance])
    return float(sum(share for number, share in enumerate(numbers) if allows(value, number)))


def _range(chances: Iterable[float]) -> str:
    """`3` where every candidate is clear, else `2-3`."""
    chances = list(chances)
    sure = sum(chance >= LIKELY for chance in chances)
    possible = sum(chance > UNLIKELY for chance in chances)
    return str(sure) if sure == possible else f"{sure}-{possible}"


def _along(predicate: str, dx: float, dy: float) -> float:
    """How far the first lies on the claimed side of the second, in shares of the picture."""
    return {"left of": -dx, "right of": dx, "above": -dy, "below": dy}[predicate]


def _holds(predicate: str, dx: float, dy: float) -> float:
    """1 where the relation is clear, 0 where it is clearly not, 1/2 between."""
    along = _along(predicate, dx, dy)
    return 1.0 if along >= MARGIN else 0.0 if along <= -MARGIN else 0.5


def _clear_relation(predicate: str, dx: float, dy: float) -> str | None:
    """What is clear instead of, or as well as, the claimed relation: on its own axis, if it can."""
    if abs(_along(predicate, dx, dy)) >= MARGIN:
        return predicate if _along(predicate, dx, dy) > 0 else OPPOSITE[predicate]
    other = ("above", "below") if predicate in ("left of", "right of") else ("left of", "right of")
    return next((name for name in other if _along(name, dx, dy) >= MARGIN), None)


def _item(
    by: tuple[str, str, str],
    score: tuple[float, str],
    probability: float | None,
    *,
    value: str | None = None,
    boxes: Sequence[Box] = (),
    stance: Stance | None = None,
) -> Evidence:
    """`by`: tool, call id, judge; `score`: the number and what it is."""
    if stance is None:
        stance = "neutral"
        if probability is not None and probability >= FOR:
            stance = "supports"
        elif probability is not None and probability <= AGAINST:
            stance = "refutes"
    return Evidence(
        id="",
        tool=by[0],
        call_id=by[1],
        judge=by[2],
        stance=stance,
        score=score[0],
        score_kind=score[1],
        probability=probability,
        value=value,
        boxes=tuple(boxes),
    )
