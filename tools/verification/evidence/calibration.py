"""What the scores of the judges are worth: from a score to the probability of being right.

Each model's engineers measure this on the split "calibrate" and lay it beside the weights
(`calibration.json`). A model that a caller put in (`Weights.put`) brings its own as an attribute
`calibration`, or has none.

Two kinds of numbers meet here. A *reliability curve*, fitted over all labels, gives a probability
for any score. A *threshold* of one label says from which score on its judge was right in at least
95 of 100 measured cases; just beyond it the judge may still be wrong every other time. A judge
decides alone where both agree: a probability leaves `UNSETTLED` to 1 - `UNSETTLED` only where the
label's own threshold is passed. A judge without calibration stays between `UNMEASURED` and
1 - `UNMEASURED`: it can agree with another one, never decide. The one exception is the sound tagger
with AudioSet's classes (`audioset_events`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.verification.evidence.audioset_events import is_audioset
from nuthatch.tools.verification.evidence.single_source import NO_SOURCES, Sources
from nuthatch.tools.weights.store import Weights

if TYPE_CHECKING:
    from nuthatch.tools.detection.detectors import Calibration as DetectorCalibration
    from nuthatch.tools.tagging.taggers import Calibration as TaggerCalibration
    from nuthatch.tools.tagging.taggers import Rate, Reliability

ALONE = 0.95
"""Measured precision from which a single judge may decide."""
UNMEASURED = 0.15
UNHEARD = 0.005
"""Score of the sound tagger up to which it alone may say that an event is not there: on the split
"calibrate" 3 of 1,519 events that sound score less (34 score 0.05 or less), and nobody else can
object."""
UNSETTLED = 0.06
"""Without a passed threshold of its own label a judge stays between this and 1 minus this."""


class Scale(Protocol):
    """One question put to one judge, e.g. "does this crop show a cup?"."""

    def probability(self, label: str, score: float) -> float:
        """That the answer is yes, at even odds, given the judge's score for the label."""
        ...


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """The scale of a judge whose scores nobody has measured."""

    middle: float = 0.3
    """Score that says neither yes nor no."""

    def probability(self, label: str, score: float) -> float:
        low = self.middle / 2
        share = min(1.0, max(0.0, (score - low) / (2 * self.middle - low)))
        return UNMEASURED + share * (1 - 2 * UNMEASURED)


class Calibration:
    """A scale for each question that the verifier asks, read when first needed."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    @cached_property
    def detected(self) -> Scale:
        """Best score of a label over a picture: is one there?"""
        table = self._table("detect")
        return _Detected(table) if table else Unmeasured()

    @cached_property
    def boxed(self) -> Scale:
        """Score of one box: is it a true one?"""
        table = self._table("detect")
        return _Boxed(table) if table else Unmeasured()

    @cached_property
    def tagged(self) -> Scale:
        """Whole picture, tagger: is one there?"""
        table = self._table("tag")
        return _Tagged(table) if table else Unmeasured(0.5)

    @cached_property
    def cropped(self) -> Scale:
        """What a box shows, tagger: is it one?"""
        table = self._table("tag")
        return _Likeliest(table.crops, table.crops_reliability) if table else Unmeasured(0.5)

    @cached_property
    def tinted(self) -> Scale:
        """Colour of what a box shows, tagger."""
        table = self._table("tag")
        return _Likeliest(table.tints, table.tints_reliability) if table else Unmeasured(0.5)

    @cached_property
    def heard(self) -> Scale:
        """Event in a recording."""
        table = self._table("tag_sound")
        return _Heard(table) if table else Unmeasured(0.5)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """AudioSet's classes that the sound tagger knows; none where it is another one."""
        try:
            events = getattr(self._weights.get("tag_sound"), "events", ())
        except ToolUnavailable:
            return ()
        return tuple(events) if is_audioset(events) else ()

    @cached_property
    def floor(self) -> float:
        """Lowest box score that is looked at."""
        table = self._table("detect")
        return float(table.floor) if table else 0.1

    def sources(self, names: Iterable[str]) -> Sources:
        """These judges as sources of an answer, with what was measured of them."""
        return Sources.load(names, self._weights) if names else NO_SOURCES

    def _table(self, name: str) -> Any:
        """The calibration of a model: its own, or the file beside its weights; None: none."""
        try:
            own = getattr(self._weights.get(name), "calibration", None)
        except ToolUnavailable:
            return None
        path = self._weights.status(name).path / "calibration.json"
        if own or self._weights.fingerprint(name) == "given" or not path.is_file():
            return own
        return _read(name, path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(name: str, path: Path, changed: int) -> Any:
    """The file beside a model's weights; read again when it has changed."""
    if name == "detect":
        from nuthatch.tools.detection.detectors import Calibration as DetectorCalibration

        return DetectorCalibration.load(path)
    from nuthatch.tools.tagging.taggers import Calibration as TaggerCalibration

    return TaggerCalibration.load(path.parent)


def kept_inside(probability: float, settled: bool) -> float:
    """The probability, kept from deciding alone where no threshold of its own label is passed."""
    return probability if settled else min(1 - UNSETTLED, max(UNSETTLED, probability))


@dataclass(frozen=True, slots=True)
class _Detected:
    """The detector on a whole picture: the best score of a label."""

    table: "DetectorCalibration"

    def probability(self, label: str, score: float) -> float:
        best = max(score, self.table.floor)
        row = self.table.categories.get(label)
        there = row and row.present_from is not None and best >= row.present_from
        gone = row and row.absent_below is not None and best < row.absent_below
        return kept_inside(self.table.probability(label, best), bool(there or gone))


@dataclass(frozen=True, slots=True)
class _Boxed:
    """The detector on one box: even odds at the score from which its counts were best."""

    table: "DetectorCalibration"

    def probability(self, label: str, score: float) -> float:
        from nuthatch.tools.detection.detectors import logit

        log_odds = self.table.slope * (logit(score) - logit(self.table.threshold))
        return 1 / (1 + exp(-log_odds))


@dataclass(frozen=True, slots=True)
class _Tagged:
    """The tagger on a whole picture."""

    table: "TaggerCalibration"

    def probability(self, label: str, score: float) -> float:
        settled = self.table.sees(label, score) is not None
        return kept_inside(self.table.presence_reliability.at(score), settled)


@dataclass(frozen=True, slots=True)
class _Likeliest:
    """The tagger on one crop, where the likeliest label was measured.

    A label that is not the likeliest can hold what the likeliest leaves over at most.
    """

    rates: "Mapping[str, Rate]"
    reliability: "Reliability"

    def probability(self, label: str, score: float) -> float:
        if score < 0.5:  # not the likeliest, or not by much
            return min(score, 1 - UNSETTLED)
        threshold = self.rates[label].threshold
        settled = threshold is not None and score >= threshold
        return kept_inside(self.reliability.at(score), settled)


@dataclass(frozen=True, slots=True)
class _Heard:
    """The sound tagger: thresholds of each event on its own probabilities."""

    table: Mapping[str, Any]

    def probability(self, label: str, score: float) -> float:
        row = self.table.get(label)
        if row is None:
            return Unmeasured(0.5).probability(label, score)
        present, absent = row.present.threshold, row.absent.threshold
        settled = present is not None and score >= present
        settled |= absent is not None and score <= min(absent, UNHEARD)
        return kept_inside(score, settled)
