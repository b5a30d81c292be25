"""Models that know the truth because they were told: for tests of whatever uses the tools.

Put them in place of the real ones, and nothing has to be loaded:

    weights = Weights()
    weights.put("detect", FakeDetector([("cup", (10, 10, 40, 50)), ("bell", (60, 60, 90, 90))]))
    weights.put("tag", FakeTagger([("cup", "red", (10, 10, 40, 50))]))
    weights.put("tag_sound", FakeSoundTagger(["bell"]))

Each answers every picture, or every sound, in the same way. Scores can be set, so that weak and
mistaken judges can be played as well. Without `calibration` a fake is a judge that nobody has
measured: it never decides alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nuthatch.tools.detection.detectors import Found
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import Pixels, Samples
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, TINTS

Box4 = tuple[float, float, float, float]


class FakeDetector:
    """Finds the objects it was told of, where they were said to be.

    Args:
        truth: (label, box) or (label, box, score) of each object; boxes x1 y1 x2 y2 in pixels.
        calibration: what its scores are worth (`detectors.Calibration`).
    """

    model_id = "fake-detector"
    threshold = 0.3

    def __init__(
        self,
        truth: Sequence[tuple[str, Box4] | tuple[str, Box4, float]],
        *,
        calibration: Any = None,
    ) -> None:
        self.truth = [Found(each[0], each[2] if len(each) > 2 else 0.9, each[1]) for each in truth]
        self.calibration = calibration
        self.passes = 0
        """How often `find` was called."""

    def find(
        self, images: Sequence[Pixels], labels: Sequence[Sequence[str]], *, threshold: float
    ) -> list[list[Found]]:
        self.passes += 1
        return [
            sorted(
                (each for each in self.truth if each.label in names and each.score >= threshold),
                key=lambda each: -each.score,
            )
            for names in labels
        ]


class FakeTagger:
    """Sees the objects it was told of, in their tints.

    Args:
        truth: (category, tint or None, box) of each object; a crop shows the object whose box it
            overlaps most.
        scores: category -> its score over the whole picture, in place of `sure` and `unsure`.
        sure: score of what is there.
        unsure: score of what is not.
        calibration: what its scores are worth (`taggers.Calibration`).
    """

    def __init__(
        self,
        truth: Sequence[tuple[str, str | None, Box4]],
        *,
        scores: Mapping[str, float] | None = None,
        sure: float = 0.97,
        unsure: float = 0.01,
        calibration: Any = None,
    ) -> None:
        self.truth = [(category, tint, Box.of(box)) for category, tint, box in truth]
        self.scores = dict(scores or {})
        self.sure, self.unsure = sure, unsure
        self.calibration = calibration

    def tag_image(self, image: Pixels) -> dict[str, float]:
        there = {category for category, _, _ in self.truth}
        return {
            name: self.scores.get(name, self.sure if name in there else self.unsure)
            for name in CATEGORIES
        }

    def tag_boxes(self, image: Pixels, boxes: Sequence[Box4]) -> Any:
        from nuthatch.tools.tagging.taggers import LABELS, NOTHING, PLAIN, TINT_LABELS, CropTags

        objects = np.full((len(boxes), len(LABELS)), 1e-3, np.float32)
        tints = np.full((len(boxes), len(TINT_LABELS)), 1e-3, np.float32)
        for row, box in enumerate(boxes):
            category, tint = self._shown(Box.of(box)) or (NOTHING, None)
            objects[row, LABELS.index(category)] = self.sure
            tints[row, TINT_LABELS.index(tint or PLAIN)] = self.sure
        return CropTags(objects, tints)

    def _shown(self, box: Box) -> tuple[str, str | None] | None:
        from nuthatch.tools.media.geometry import iou

        best = max(self.truth, key=lambda each: iou(each[2], box), default=None)
        return (best[0], best[1]) if best and iou(best[2], box) > 0.3 else None


class FakeSoundTagger:
    """Hears the events it was told of, the first one loudest.

    Args:
        events: names in `vocabulary.SOUNDS`.
        scores: event -> score, in place of 0.97 for what sounds and 0.01 for what does not.
        calibration: event -> what its scores are worth (`sound_tagger.EventCalibration`).
    """

    def __init__(
        self,
        events: Sequence[str],
        *,
        scores: Mapping[str, float] | None = None,
        calibration: Mapping[str, Any] | None = None,
    ) -> None:
        heard = {event: 0.97 if event in events else 0.002 for event in SOUNDS}
        self.scores = {**heard, **(scores or {})}
        self.calibration = dict(calibration or {})

    def listen(self, samples: Samples) -> list[Any]:
        from nuthatch.tools.audio.sound_tagger import HeardEvent

        seconds = len(samples) / 16_000
        return [HeardEvent(event, score, 0.0, seconds) for event, score in self.tag(samples)]

    def tag(self, samples: Samples) -> list[tuple[str, float]]:
        return sorted(self.scores.items(), key=lambda each: -each[1])


def paint(
    truth: Sequence[tuple[str, str | None, Box4]], width: int = 128, height: int = 128
) -> Pixels:
    """A picture with a plain rectangle for each object, in its tint (black without one)."""
    picture = np.full((height, width, 3), 236, np.uint8)
    for _, tint, (x1, y1, x2, y2) in truth:
        picture[int(y1) : int(y2), int(x1) : int(x2)] = TINTS[tint] if tint else (20, 20, 20)
    return picture
