"""What a planner quotes of one tool, and how often that is right.

The finding of a tool that the planner called cannot confirm the answer that quotes it: it would be
counted twice. Other judges decide where they can. For the claims that are left, engineers measure
on the split "calibrate" how often such quotations are right, by kind of claim, and lay it beside
the weights (`single_source.json`), with the hashes of all weights that had a part in it: with
others nothing is known, and the claim stays undecided.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.verification.types import Claim, Evidence, Measured
from nuthatch.tools.weights.store import Weights

FILE = "single_source.json"
WEIGHTS_OF = {"detector": "detect", "tagger": "tag", "sound_tagger": "tag_sound"}
"""Judge -> the weights whose eyes or ears it is."""
READER = Measured(
    judge="reader",
    kind="text",
    threshold=0.95,
    precision=0.9958,
    n=118,
    on="lines that RapidOCR read in 60 drawn pictures with one to three signs",
)
"""The reader has no weights of ours, so that no file lies beside them; see `bench_read_text`."""
FEW = 3
"""Objects of a name up to which a number is told at a glance, and seldom wrong."""
COUNTS = ("count", "many")
"""Kinds of numbers: up to `FEW`, and more."""
_FROM_BOXES = frozenset({"geometry", "pixels"})
"""Judges that look where the detector's boxes are."""


class Share(BaseModel):
    """Of `n` quotations the share `precision` was right, (right + 1/2) / (n + 1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: float
    n: int


class Rate(Share):
    """The same of those that were as likely as `threshold` at least; of counts also for each number
    by itself, where enough were met."""

    threshold: float
    numbers: dict[int, Share] = {}


class Table(BaseModel):
    """The file beside the weights of one judge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: dict[str, str]
    """Name -> first twelve digits of the SHA-256 of all weights that it was measured with."""
    split: str
    scenes: int
    counted: int = 0
    """Scenes of their own on which the kinds of `COUNTS` were measured."""
    seed: int
    kinds: dict[str, Rate]


@dataclass(frozen=True)
class Sources:
    """The judges whose findings an answer quotes, and what is known of each."""

    names: frozenset[str] = frozenset()
    known: Mapping[tuple[str, str], Measured] = field(default_factory=dict)
    """(judge, kind) -> how often such a quotation is right"""

    @classmethod
    def load(cls, names: Iterable[str], weights: Weights) -> Self:
        """With the files beside these weights.

        Raises:
            ValueError: a file is damaged.
        """
        names = frozenset(names)
        known = {
            (judge, kind): measured
            for judge in sorted(names)
            for kind, measured in _beside(judge, weights).items()
        }
        if "reader" in names:
            known["reader", READER.kind] = READER
        return cls(names, known)

    def of(self, evidence: Iterable[Evidence]) -> frozenset[str]:
        """Those that had a part in a claim's evidence."""
        judges = {item.judge for item in evidence}
        if judges & _FROM_BOXES:
            judges.add("detector")
        return self.names & judges

    def measured(self, quoted: Iterable[str], claim: Claim) -> Measured | None:
        """What is known of quotations such as this claim, of a number where it is known for that
        number; the least reliable source counts."""
        kind = kind_of(claim)
        found = [
            self.known.get((name, f"{kind} {number_of(claim)}")) or self.known.get((name, kind))
            for name in quoted
        ]
        known = [each for each in found if each is not None]
        return min(known, key=lambda each: each.precision, default=None)


NO_SOURCES = Sources()


def kind_of(claim: Claim) -> str:
    """The kind under which quotations are measured: that of the claim; `absence` where something
    is said not to be there, `many` where more than `FEW` are counted."""
    number = number_of(claim)
    if claim.kind == "count" and number.isdigit() and int(number) > FEW:
        return "many"
    denied = claim.kind == "existence" and not claim.polarity
    none = claim.kind == "count" and claim.value == "0" and claim.polarity
    return "absence" if denied or none else claim.kind


def number_of(claim: Claim) -> str:
    """The number that a count says, the first of a range; empty: none."""
    return (claim.value or "").lstrip("<>=").partition("-")[0] if claim.kind == "count" else ""


def sureness(claim: Claim, evidence: Iterable[Evidence], probability: float) -> float:
    """How sure a quotation is, on the scale of the thresholds: its probability, or that it is
    false; of a number how near the expected number of objects is to a whole one, 1 at most.

    (The probability of a number is mostly that something was overlooked, which is the same for all
    equal numbers; what tells one from the other are objects that may be or not.)
    """
    if claim.kind == "count":
        expected = next((item.score for item in evidence if item.judge == "geometry"), None)
        if expected is not None:
            return 1 - abs(expected - round(expected))
    return max(probability, 1 - probability)


def _beside(judge: str, weights: Weights) -> dict[str, Measured]:
    """What the file beside a judge's weights says, if it was measured with the weights in use."""
    if judge not in WEIGHTS_OF:
        return {}
    path = weights.status(WEIGHTS_OF[judge]).path / FILE
    if not path.is_file():
        return {}
    table = _read(path, path.stat().st_mtime_ns)
    if any(not _is(weights, name, digits) for name, digits in table.weights.items()):
        return {}
    found = {}
    for kind, rate in table.kinds.items():
        scenes = table.counted if kind in COUNTS else table.scenes
        on = f"{scenes:,} scenes of the split {table.split}"
        shares: dict[str, Share] = {kind: rate}
        shares |= {f"{kind} {number}": share for number, share in rate.numbers.items()}
        for name, share in shares.items():
            found[name] = Measured(
                judge=judge,
                kind=name,
                threshold=rate.threshold,
                precision=share.precision,
                n=share.n,
                on=on,
            )
    return found


def _is(weights: Weights, name: str, digits: str) -> bool:
    try:
        return bool(digits) and weights.fingerprint(name).startswith(digits)
    except ToolUnavailable:
        return False


@lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> Table:
    """The file; read again when it has changed."""
    return Table.model_validate(json.loads(path.read_text(encoding="utf-8")))
