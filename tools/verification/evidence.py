"""What the judges see, gathered for all claims of an answer at once, and what it says of each.

One detector pass and one tagger pass for the union of all names in the answer; a close look at the
boxes of those that are counted, coloured or placed; one hearing for all sounds. What was seen
(`Findings`) does not depend on the claims' values, so a revised answer is judged from the same
findings, without looking again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import exp, log, prod

import numpy as np

from nuthatch.tools.geometry import Box
from nuthatch.tools.verification import colours
from nuthatch.tools.verification.calibration import Calibration
from nuthatch.tools.verification.claims import CENTRE, split_name
from nuthatch.tools.verification.senses import (
    REGIONS_AT_ONCE,
    Picture,
    Region,
    Seen,
    Senses,
    Sighting,
    Sound,
)
from nuthatch.tools.verification.types import Claim, Evidence, Stance
from nuthatch.tools.verification.words import OPPOSITE
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, TINTS

LIKELY, UNLIKELY = 0.9, 0.1
"""Outside this band a candidate counts as an object, or as none; inside it, as either."""
FOR, AGAINST = 0.7, 0.3
"""Probabilities from which evidence supports a claim, or refutes it."""
NOISE = 0.02
"""Boxes below this probability are no candidates, but for the best one of a name."""
MARGIN = 0.05
"""Share of the picture's side by which centres must differ before a relation is clear."""
INSIDE = 0.85
"""A box that lies in a better one of its name by this share of itself is a part of it."""
OVERLOOKED = 0.02
"""How often one more object is there than all judges together see (split "calibrate")."""
LOOKED_AT = frozenset({"existence", "count", "attribute", "relation"})


@dataclass(frozen=True, slots=True)
class Case:
    """An answer's claims, and what to check them against."""

    claims: Sequence[Claim]
    picture: Picture | None = None
    sound: Sound | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A candidate object of one name, and what each judge makes of it."""

    sighting: Sighting
    by_detector: float
    by_tagger: float | None = None
    region: Seen[Region] | None = None
    tagged_tints: dict[str, float] = field(default_factory=dict)
    """Tint -> probability by the tagger"""
    pixel_tints: dict[str, float] = field(default_factory=dict)
    """Tint -> share of pixels"""

    @property
    def box(self) -> Box:
        return self.sighting.box

    @property
    def probability(self) -> float:
        """That it is one, by both judges."""
        return fuse([p for p in (self.by_detector, self.by_tagger) if p is not None])

    def of_tint(self, tint: str | None) -> float:
        """That it is one and of this tint."""
        if tint is None:
            return self.probability
        by_pixels = colours.opinion(tint, self.pixel_tints.get(tint, 0.0))
        return self.probability * fuse([self.tagged_tints.get(tint, 0.0), by_pixels])


@dataclass(slots=True)
class Findings:
    """All that was seen and heard for one answer."""

    calibration: Calibration
    width: int = 0
    height: int = 0
    sighted: dict[str, tuple[Instance, ...]] | None = None
    """Name -> candidates, best first; None: no detector or no picture."""
    detect_call: str = ""
    tagged: Seen[dict[str, float]] | None = None
    heard: Seen[dict[str, float]] | None = None
    measured: dict[tuple[str, ...], str] = field(default_factory=dict)
    """(what was measured) -> call id"""

    def evidence(self, claim: Claim) -> tuple[Evidence, ...]:
        """What the judges say about a claim, its polarity left aside."""
        kinds = {
            "existence": self._existence,
            "count": self._count,
            "attribute": self._tint,
            "relation": self._relation,
            "sound": self._sound,
        }
        if claim.kind not in kinds:
            return ()
        items = [item for item in kinds[claim.kind](claim) if item]
        return tuple(
            item.model_copy(update={"id": f"{claim.id}.e{number}"})
            for number, item in enumerate(items, start=1)
        )

    # -- one kind each ----------------------------------------------------------------------------

    def _existence(self, claim: Claim) -> list[Evidence]:
        name = claim.subject
        items: list[Evidence] = []
        if self.sighted is not None and name in self.sighted:
            candidates = self.sighted[name]
            score = max((each.sighting.score for each in candidates), default=0.0)
            items.append(
                _item(
                    "detect",
                    self.detect_call,
                    "detector",
                    score,
                    "best detector score",
                    self.calibration.detected.probability(name, score),
                    value=str(sum(each.by_detector >= 0.5 for each in candidates)),
                    boxes=[each.box for each in candidates if each.probability >= 0.5],
                )
            )
            if candidates and (region := candidates[0].region):
                items.append(
                    _item(
                        "describe_attributes",
                        region.call_id,
                        "tagger",
                        region.value.objects.get(name, 0.0),
                        "probability of the best box",
                        candidates[0].by_tagger,
                        boxes=[candidates[0].box],
                    )
                )
        if self.tagged and name in self.tagged.value:
            score = self.tagged.value[name]
            items.append(
                _item(
                    "tag",
                    self.tagged.call_id,
                    "tagger",
                    score,
                    "best tile's probability",
                    self.calibration.tagged.probability(name, score),
                )
            )
        return items

    def _count(self, claim: Claim) -> list[Evidence]:
        tint, name = split_name(claim.subject)
        if claim.value == "0" and not tint:
            return self._existence(claim)  # that there is none is for the judges of existence
        candidates = self._candidates(name)
        if candidates is None or (tint and tint not in TINTS):
            return []
        allowed = claim.value or ""
        items = [
            _item(
                "detect",
                self.detect_call,
                "detector",
                min((each.by_detector for each in candidates), default=0.0),
                "weakest box's probability",
                _chance(allowed, [each.by_detector for each in candidates]),
                value=_range([each.by_detector for each in candidates]),
            )
        ]
        closely = [each for each in candidates if each.by_tagger is not None]
        if closely and all(each.by_tagger is not None for each in candidates):
            seconded = [each.by_tagger or 0.0 for each in candidates]
            items.append(
                _item(
                    "describe_attributes",
                    closely[0].region.call_id if closely[0].region else "",
                    "tagger",
                    min(seconded),
                    "weakest box's probability",
                    _chance(allowed, seconded),
                    value=_range(seconded),
                )
            )
        chances = [each.of_tint(tint) for each in candidates]
        items.append(
            _item(
                "measure",
                self.measured.get(("count", name), self.detect_call),
                "geometry",
                float(sum(chances)),
                "expected number",
                _chance(allowed, chances),
                value=_range(chances),
                boxes=[
                    e.box for e, chance in zip(candidates, chances, strict=True) if chance > 0.5
                ],
            )
        )
        return items

    def _tint(self, claim: Claim) -> list[Evidence]:
        _, name = split_name(claim.subject)
        tint = claim.value or ""
        candidates = self._candidates(name)
        if not candidates or tint not in TINTS:
            return []
        there = [each.probability for each in candidates]
        exists = 1 - prod(1 - p for p in there)
        unsure = (1 - exists) / 2
        likely = [each for each in candidates if each.probability >= 0.5]
        boxes = [each.box for each in likely]
        items: list[Evidence] = []
        tagged = [each for each in candidates if each.region]
        if tagged:
            some = 1 - prod(1 - e.probability * e.tagged_tints.get(tint, 0.0) for e in tagged)
            names = {
                max(e.tagged_tints, key=lambda t: e.tagged_tints[t]) for e in likely if e.region
            }
            items.append(
                _item(
                    "describe_attributes",
                    tagged[0].region.call_id if tagged[0].region else "",
                    "tagger",
                    max(e.region.value.tints.get(tint, 0.0) for e in tagged if e.region),
                    "probability of the tint",
                    some + unsure,
                    value=names.pop() if len(names) == 1 else None,
                    boxes=boxes,
                )
            )
        share = max((each.pixel_tints.get(tint, 0.0) for each in likely), default=0.0)
        if likely:
            names = {max(e.pixel_tints, key=lambda t: e.pixel_tints[t]) for e in likely}
            items.append(
                _item(
                    "detect",  # whose boxes they are
                    self.detect_call,
                    "pixels",
                    share,
                    "share of pixels",
                    colours.opinion(tint, share),
                    value=names.pop() if len(names) == 1 else None,
                    boxes=boxes,
                )
            )
        return items

    def _relation(self, claim: Claim) -> list[Evidence]:
        if claim.predicate not in OPPOSITE or claim.value is None:
            return []
        pairs = self._pairs(claim.subject, claim.value)
        if not pairs:
            return []
        exists = 1 - prod(1 - chance for _, _, chance, _ in pairs)
        held = [chance * _holds(claim.predicate, *offset) for _, _, chance, offset in pairs]
        true = 1 - prod(1 - each for each in held)
        first, second, _, offset = max(pairs, key=lambda pair: pair[2])
        seconded = [e for e in (first, second) if e is not None]
        items = []
        if all(each.by_tagger is not None for each in seconded):
            items.append(
                _item(
                    "describe_attributes",
                    first.region.call_id if first.region else "",
                    "tagger",
                    min(each.by_tagger or 0.0 for each in seconded),
                    "probability of the weaker box",
                    None,
                    stance="supports"
                    if min(each.by_tagger or 0.0 for each in seconded) >= FOR
                    else "neutral",
                    boxes=[each.box for each in seconded],
                )
            )
        key = ("relation", claim.subject, claim.value)
        items.append(
            _item(
                "measure",
                self.measured.get(key, self.detect_call),
                "geometry",
                round(_along(claim.predicate, *offset), 4),
                "share of the picture's side",
                true + (1 - exists) / 2,
                value=_clear_relation(claim.predicate, *offset),
                boxes=[each.box for each in seconded],
            )
        )
        return items

    def _sound(self, claim: Claim) -> list[Evidence]:
        event = claim.value or ""
        if self.heard is None or event not in SOUNDS:
            return []
        scores = self.heard.value
        scale = self.calibration.heard
        score = scores.get(event, 0.0)
        others = [e for e, s in scores.items() if e != event and scale.probability(e, s) >= FOR]
        return [
            _item(
                "tag_sound",
                self.heard.call_id,
                "sound_tagger",
                score,
                "probability" if scores else "silence",
                scale.probability(event, score) if scores else 0.01,
                value=", ".join(sorted(others, key=lambda e: -scores[e])) or None,
            )
        ]

    # -- what they need ---------------------------------------------------------------------------

    def _candidates(self, name: str) -> tuple[Instance, ...] | None:
        return None if self.sighted is None else self.sighted.get(name)

    def _pairs(
        self, subject: str, other: str
    ) -> list[tuple[Instance, Instance | None, float, tuple[float, float]]]:
        """(first, second, chance that both are what they are called, offset in shares)"""
        tint, name = split_name(subject)
        firsts = [(each, each.of_tint(tint)) for each in self._candidates(name) or ()]
        seconds: list[tuple[Instance | None, float]] = [(None, 1.0)]
        if other != CENTRE:
            tint, name = split_name(other)
            seconds = [(each, each.of_tint(tint)) for each in self._candidates(name) or ()]
        pairs = []
        for (first, p), (second, q) in product(firsts, seconds):
            if first is second:
                continue
            x, y = first.box.centre
            there = second.box.centre if second else (self.width / 2, self.height / 2)
            offset = ((x - there[0]) / self.width, (y - there[1]) / self.height)
            pairs.append((first, second, p * q, offset))
        return pairs


# -- gathering ------------------------------------------------------------------------------------


def observe(cases: Sequence[Case], senses: Senses, calibration: Calibration) -> list[Findings]:
    """Look and listen for many answers, stage by stage: all detections, all tags, all regions."""
    findings = [Findings(calibration) for _ in cases]
    wanted = [_names(case.claims) for case in cases]
    seeing = [i for i, case in enumerate(cases) if case.picture is not None and wanted[i]]
    pictures = [cases[i].picture for i in seeing]
    labels = [wanted[i] for i in seeing]
    if seeing:
        found = senses.find(pictures, labels, calibration.floor)
        tagged = senses.tag(pictures, labels)
        for row, i in enumerate(seeing):
            pixels = senses.pixels(cases[i].picture)
            findings[i].height, findings[i].width = pixels.shape[:2]
            findings[i].tagged = tagged[row] if tagged else None
            if found is not None:
                _register(findings[i], cases[i], labels[row], found[row], senses)
    for i, case in enumerate(cases):
        if case.sound is not None and any(claim.kind == "sound" for claim in case.claims):
            findings[i].heard = senses.listen(case.sound)
    return findings


def _names(claims: Iterable[Claim]) -> list[str]:
    """The categories that the claims are about."""
    names: set[str] = set()
    for claim in claims:
        if claim.kind in LOOKED_AT:
            names.add(split_name(claim.subject)[1])
        if claim.kind == "relation" and claim.value:
            names.add(split_name(claim.value)[1])
    return [name for name in CATEGORIES if name in names]


def _register(
    findings: Findings, case: Case, names: list[str], found: list[Sighting], senses: Senses
) -> None:
    """Make the registry of candidates, look closely where it is needed, put measures on record."""
    calibration = findings.calibration
    findings.detect_call = found[0].call_id if found else "detect"
    closely: set[str] = set()
    for claim in case.claims:
        if claim.kind in ("count", "attribute", "relation"):
            closely.add(split_name(claim.subject)[1])
            closely.add(split_name(claim.value or "")[1])
    registry: dict[str, list[Instance]] = {name: [] for name in names}
    for sighting in _distinct(found):
        candidates = registry[sighting.label]
        chance = calibration.boxed.probability(sighting.label, sighting.score)
        if not candidates or chance >= NOISE:
            candidates.append(Instance(sighting, chance))
    looks = [
        each.sighting
        for name, candidates in registry.items()
        for rank, each in enumerate(candidates)
        if rank == 0 or (name in closely and rank < REGIONS_AT_ONCE)
    ]
    regions = senses.describe(case.picture, looks) if looks else None
    seen = dict(zip(looks, regions, strict=True)) if regions else {}
    pixels = senses.pixels(case.picture)
    findings.sighted = {
        name: tuple(
            _described(each, seen.get(each.sighting), calibration, pixels) for each in each_of
        )
        for name, each_of in registry.items()
    }
    _measure(findings, case.claims, senses)


def _described(
    each: Instance, region: Seen[Region] | None, calibration: Calibration, pixels: np.ndarray
) -> Instance:
    if region is None:
        return each
    name = each.sighting.label
    return Instance(
        each.sighting,
        each.by_detector,
        calibration.cropped.probability(name, region.value.objects.get(name, 0.0)),
        region,
        {
            tint: calibration.tinted.probability(tint, score)
            for tint, score in region.value.tints.items()
        },
        colours.tint_shares(pixels, each.box),
    )


def _measure(findings: Findings, claims: Iterable[Claim], senses: Senses) -> None:
    for claim in claims:
        name = split_name(claim.subject)[1]
        likely = [e.sighting for e in findings._candidates(name) or () if e.probability >= 0.5]
        if claim.kind == "count" and likely and ("count", name) not in findings.measured:
            findings.measured["count", name] = senses.measure("count", likely, [])
        if claim.kind == "relation" and claim.value and claim.predicate in OPPOSITE:
            key = ("relation", claim.subject, claim.value)
            pairs = findings._pairs(claim.subject, claim.value)
            if pairs and key not in findings.measured:
                first, second, _, _ = max(pairs, key=lambda pair: pair[2])
                if second is not None:
                    findings.measured[key] = senses.measure(
                        "relation", [first.sighting], [second.sighting]
                    )


def _distinct(found: Iterable[Sighting]) -> list[Sighting]:
    """Best first; a box that lies almost wholly in a better one of its name is a part of it."""
    kept: list[Sighting] = []
    for each in sorted(found, key=lambda sighting: -sighting.score):
        if not any(
            other.label == each.label and _share_inside(each.box, other.box) >= INSIDE
            for other in kept
        ):
            kept.append(each)
    return kept


def _share_inside(box: Box, other: Box) -> float:
    width = min(box.x2, other.x2) - max(box.x1, other.x1)
    height = min(box.y2, other.y2) - max(box.y1, other.y1)
    return max(0.0, width) * max(0.0, height) / box.area


# -- numbers --------------------------------------------------------------------------------------


def fuse(probabilities: Sequence[float]) -> float:
    """One probability from independent judges, each at even odds: their odds multiply."""
    if not probabilities:
        return 0.5
    total = sum(log(p / (1 - p)) for p in (min(max(p, 1e-4), 1 - 1e-4) for p in probabilities))
    return 1 / (1 + exp(-total))


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
    numbers = np.ones(1)
    for chance in (*chances, OVERLOOKED):
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
    tool: str,
    call_id: str,
    judge: str,
    score: float,
    score_kind: str,
    probability: float | None,
    *,
    value: str | None = None,
    boxes: Sequence[Box] = (),
    stance: Stance | None = None,
) -> Evidence:
    if stance is None:
        stance = "neutral"
        if probability is not None and probability >= FOR:
            stance = "supports"
        elif probability is not None and probability <= AGAINST:
            stance = "refutes"
    return Evidence(
        id="",
        tool=tool,
        call_id=call_id,
        judge=judge,
        stance=stance,
        score=score,
        score_kind=score_kind,
        probability=probability,
        value=value,
        boxes=tuple(boxes),
    )
