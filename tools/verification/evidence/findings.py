"""Looking and listening for all claims of an answer at once.

One detector pass and one tagger pass for the union of all names in the answer; a close look at the
boxes of those that are counted, coloured or placed; one hearing for all sounds, one reading for all
that is said to be written. What was seen (`Findings`) does not depend on the claims' values, so a
revised answer is judged from the same findings, without looking again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import exp, log
from typing import Any, NamedTuple

from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.media.views import too_small, views
from nuthatch.tools.verification.evidence import colours
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.perception import (
    REGIONS_AT_ONCE,
    Picture,
    Region,
    Seen,
    Senses,
    Sighting,
    Sound,
    T,
    Written,
)
from nuthatch.tools.verification.extraction.claims import split_name
from nuthatch.tools.verification.extraction.places import CENTRE
from nuthatch.tools.verification.extraction.words import OPPOSITE
from nuthatch.tools.verification.types import WRITTEN, Claim, Evidence
from nuthatch.tools.vocabulary import CATEGORIES

NOISE = 0.02
"""Boxes below this probability are no candidates, but for the best one of a name."""
INSIDE, WEAKER = 0.85, 0.5
"""A box that lies in another of its name by this share of itself, with less than this share of its
score, is a part of it and no second object."""
LOOKED_AT = frozenset({"existence", "count", "attribute", "relation"})


@dataclass(frozen=True, slots=True)
class Case:
    """An answer's claims, and what to check them against."""

    claims: Sequence[Claim]
    picture: Picture | None = None
    sound: Sound | None = None


@dataclass(frozen=True)
class Instance:
    """A candidate object of one name, and what each judge makes of it."""

    sighting: Sighting
    by_detector: float
    pixels: Pixels = field(repr=False, compare=False)
    """Of the whole picture."""
    by_tagger: float | None = None
    region: Seen[Region] | None = None
    tagged_tints: Mapping[str, float] = field(default_factory=dict)
    """Tint -> probability by the tagger; empty: it says nothing about tints"""

    @cached_property
    def pixel_tints(self) -> dict[str, float]:
        """Tint -> share of pixels; looked at when a claim first needs it."""
        return colours.tint_shares(self.pixels, self.box)

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
        opinions = [colours.opinion(tint, self.pixel_tints.get(tint, 0.0))]
        if self.tagged_tints:
            opinions.append(self.tagged_tints.get(tint, 0.0))
        return self.probability * fuse(opinions)


class Pair(NamedTuple):
    """Two candidates of a relation, or one and the middle of the picture (None)."""

    first: Instance
    second: Instance | None
    chance: float
    """That both are what they are called."""
    dx: float
    dy: float
    """From the second's centre to the first's, in shares of the picture's sides."""


@dataclass(slots=True)
class Findings:
    """All that was seen and heard for one answer."""

    calibration: Calibration
    width: int = 0
    height: int = 0
    ordinary: bool = True
    """Whether the picture has the shape of those on which the judges were measured, see `views`."""
    too_small: bool = False
    """Whether objects may be too small in it to be seen."""
    sighted: dict[str, tuple[Instance, ...]] | None = None
    """Name -> candidates, best first; None: no detector or no picture."""
    detect_call: str = ""
    tagged: Seen[dict[str, float]] | None = None
    heard: Seen[dict[str, float]] | None = None
    unknown_to: frozenset[str] = frozenset()
    """Models that do not know the picture and did not look."""
    sound_unknown: bool = False
    """Whether the sound tagger does not know the sound and did not listen."""
    read: Seen[list[Written]] | None = None
    measured: dict[tuple[str, ...], str] = field(default_factory=dict)
    """(what was measured) -> call id"""
    testified: dict[tuple[str, ...], tuple[Evidence, ...]] = field(default_factory=dict)
    """(what was claimed) -> what the judges said"""

    def abstained(self, claim: Claim) -> bool:
        """Whether a judge of such claims did not look, for it does not know the picture, or did
        not listen, for it does not know the sound."""
        if claim.kind == "sound":
            return self.sound_unknown
        return bool(self.unknown_to) and claim.kind != "text"

    def candidates(self, name: str) -> tuple[Instance, ...] | None:
        """What the detector took for one, best first; None: nobody looked."""
        return None if self.sighted is None else self.sighted.get(name)

    def pairs(self, subject: str, other: str) -> list[Pair]:
        tint, name = split_name(subject)
        firsts = [(each, each.of_tint(tint)) for each in self.candidates(name) or ()]
        seconds: list[tuple[Instance | None, float]] = [(None, 1.0)]
        if other != CENTRE:
            tint, name = split_name(other)
            seconds = [(each, each.of_tint(tint)) for each in self.candidates(name) or ()]
        pairs = []
        for (first, p), (second, q) in product(firsts, seconds):
            if first is second:
                continue
            x, y = first.box.centre
            there = second.box.centre if second else (self.width / 2, self.height / 2)
            offset = ((x - there[0]) / self.width, (y - there[1]) / self.height)
            pairs.append(Pair(first, second, p * q, *offset))
        return pairs


def observe(cases: Sequence[Case], senses: Senses, calibration: Calibration) -> list[Findings]:
    """Look and listen for many answers, stage by stage: all detections, all tags, all regions.

    Answers about one picture are looked at together.
    """
    about: dict[Any, list[int]] = {}
    for i, case in enumerate(cases):
        if case.picture is not None:
            key = case.picture if isinstance(case.picture, str) else id(case.picture)
            about.setdefault(key, []).append(i)
    findings = [Findings(calibration) for _ in cases]
    groups = list(about.values())
    claims = [[claim for i in group for claim in cases[i].claims] for group in groups]
    pictures = [cases[group[0]].picture for group in groups]
    for group, seen in zip(groups, _see(pictures, claims, senses, calibration), strict=True):
        for i in group:
            findings[i] = replace(seen, testified={})
    for i, case in enumerate(cases):
        claimed = any(claim.kind == "sound" for claim in case.claims)
        if case.sound is not None and (claimed or case.picture is None):
            findings[i].sound_unknown = not senses.knows_sound(case.sound)
            if claimed and not findings[i].sound_unknown:
                findings[i].heard = senses.listen(case.sound)
        if case.picture is not None and any(claim.predicate == WRITTEN for claim in case.claims):
            findings[i].read = senses.read(case.picture)
    return findings


def _see(
    pictures: Sequence[Picture],
    claims: Sequence[Sequence[Claim]],
    senses: Senses,
    calibration: Calibration,
) -> list[Findings]:
    labels = [_names(each) for each in claims]
    unknown = [senses.unknown_to(picture) for picture in pictures]
    found = _looked(senses.find, "detect", pictures, labels, unknown, calibration.floor)
    tagged = _looked(senses.tag, "tag", pictures, labels, unknown)
    everything = []
    for row, picture in enumerate(pictures):
        findings = Findings(calibration, tagged=tagged[row], unknown_to=unknown[row])
        sighted = found[row]
        if sighted is not None:
            pixels = senses.pixels(picture)
            looks = views(pixels)
            findings.height, findings.width = pixels.shape[:2]
            findings.ordinary, findings.too_small = len(looks) == 1, too_small(looks)
            _register(findings, Case(claims[row], picture), labels[row], sighted, senses)
        everything.append(findings)
    return everything


def _looked(
    look: Callable[..., list[Seen[T]] | None],
    model: str,
    pictures: Sequence[Picture],
    labels: Sequence[Sequence[str]],
    unknown: Sequence[frozenset[str]],
    *settings: float,
) -> list[Seen[T] | None]:
    """What a judge sees in the pictures that something is asked of and that its model knows; None
    for the others."""
    rows = [row for row, names in enumerate(labels) if names and model not in unknown[row]]
    seen: list[Seen[T] | None] = [None] * len(pictures)
    if rows:
        found = look([pictures[row] for row in rows], [labels[row] for row in rows], *settings)
        for row, each in zip(rows, found or (), strict=found is not None):
            seen[row] = each
    return seen


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
    findings: Findings, case: Case, names: list[str], found: Seen[list[Sighting]], senses: Senses
) -> None:
    """Make the registry of candidates, look closely where it is needed, put measures on record."""
    calibration = findings.calibration
    findings.detect_call = found.call_id
    closely: set[str] = set()
    for claim in case.claims:
        if claim.kind in ("count", "attribute", "relation"):
            closely.add(split_name(claim.subject)[1])
            closely.add(split_name(claim.value or "")[1])
    pixels = senses.pixels(case.picture)
    registry: dict[str, list[Instance]] = {name: [] for name in names}
    for sighting in _distinct(found.value):
        candidates = registry[sighting.label]
        chance = calibration.boxed.probability(sighting.label, sighting.score)
        if not candidates or chance >= NOISE:
            candidates.append(Instance(sighting, chance, pixels))
    looks = [
        each.sighting
        for name, candidates in registry.items()
        for rank, each in enumerate(candidates)
        if rank == 0 or (name in closely and rank < REGIONS_AT_ONCE)
    ]
    abstains = "tag" in findings.unknown_to
    regions = senses.describe(case.picture, looks) if looks and not abstains else None
    seen = dict(zip(looks, regions, strict=True)) if regions else {}
    findings.sighted = {
        name: tuple(_described(each, seen.get(each.sighting), calibration) for each in each_of)
        for name, each_of in registry.items()
    }
    _measure(findings, case.claims, senses)


def _described(each: Instance, region: Seen[Region] | None, calibration: Calibration) -> Instance:
    if region is None:
        return each
    name = each.sighting.label
    return replace(
        each,
        by_tagger=calibration.cropped.probability(name, region.value.objects.get(name, 0.0)),
        region=region,
        tagged_tints={
            tint: calibration.tinted.probability(tint, score)
            for tint, score in region.value.tints.items()
        },
    )


def _measure(findings: Findings, claims: Iterable[Claim], senses: Senses) -> None:
    for claim in claims:
        name = split_name(claim.subject)[1]
        likely = [e.sighting for e in findings.candidates(name) or () if e.probability >= 0.5]
        if claim.kind == "count" and likely and ("count", name) not in findings.measured:
            findings.measured["count", name] = senses.measure("count", likely, [])
        if claim.kind == "relation" and claim.value and claim.predicate in OPPOSITE:
            key = ("relation", claim.subject, claim.value)
            pairs = findings.pairs(claim.subject, claim.value)
            if pairs and key not in findings.measured:
                best = max(pairs, key=lambda pair: pair.chance)
                if best.second is not None:
                    findings.measured[key] = senses.measure(
                        "relation", [best.first.sighting], [best.second.sighting]
                    )


def _distinct(found: Iterable[Sighting]) -> list[Sighting]:
    """Best first, without boxes that show a part of an object."""
    kept: list[Sighting] = []
    for each in sorted(found, key=lambda sighting: -sighting.score):
        if not any(
            other.label == each.label
            and each.score < WEAKER * other.score
            and _share_inside(each.box, other.box) >= INSIDE
            for other in kept
        ):
            kept.append(each)
    return kept


def _share_inside(box: Box, other: Box) -> float:
    width = min(box.x2, other.x2) - max(box.x1, other.x1)
    height = min(box.y2, other.y2) - max(box.y1, other.y1)
    return max(0.0, width) * max(0.0, height) / box.area


def fuse(probabilities: Sequence[float]) -> float:
    """One probability from independent judges, each at even odds: their odds multiply."""
    if not probabilities:
        return 0.5
    total = sum(log(p / (1 - p)) for p in (min(max(p, 1e-4), 1 - 1e-4) for p in probabilities))
    return 1 / (1 + exp(-total))
