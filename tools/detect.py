"""Find objects by their names: `detect`."""

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from nuthatch.tools.base import Arguments, Context, DetectionSet, ImageRef, Label, Tool
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.geometry import Box
from nuthatch.tools.media import Detection
from nuthatch.tools.vocabulary import canonical

if TYPE_CHECKING:
    from nuthatch.tools.detectors import Detector


class DetectArgs(Arguments):
    image: ImageRef
    labels: list[Label] = Field(
        min_length=1, max_length=64, description="short noun phrases to look for, e.g. 'wine glass'"
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="lowest score kept; default: the detector's own"
    )

    @field_validator("labels")
    @classmethod
    def _are_short_phrases(cls, labels: list[str]) -> list[str]:
        cleaned = [" ".join(label.lower().split()) for label in labels]
        for label in cleaned:
            if not label or "." in label or len(label.split()) > 8:
                raise ValueError(f"label {label!r}: write 1 to 8 words without a full stop")
        return list(dict.fromkeys(cleaned))


class Found(DetectionSet):
    """Detections over all labels, best first; an empty list means that nothing was found."""

    labels_searched: list[str]
    labels_not_found: list[str]
    threshold: float


class Detect(Tool[DetectArgs, Found]):
    """Locate every object in a picture that one of the given names fits.

    Open-vocabulary detection after Grounding DINO (arXiv:2303.05499). Plurals and synonyms of
    known words are looked up under their category's name, and reported under the first word given.
    Boxes: pixels of the upright original image, x1 y1 x2 y2, right and bottom exclusive.

    Raises:
        ToolUnavailable: weights or packages are missing.
    """

    name = "detect"
    weights = ("detect",)
    Args = DetectArgs
    Result = Found

    def run(self, args: DetectArgs, context: Context) -> Found:
        detector: Detector = context.weights.get("detect")
        threshold = detector.threshold if args.threshold is None else args.threshold
        asked: dict[str, str] = {}  # what is looked for -> the word it was asked under
        for label in args.labels:
            asked.setdefault(canonical(label) or label, label)
        pixels = context.media.image(args.image)
        try:
            (hits,) = detector.find([pixels], [list(asked)], threshold=threshold)
        except ValueError as error:  # a label the detector cannot read
            raise RetryCall(str(error)) from error
        detections = [
            Detection(
                image=args.image,
                label=asked[hit.label],
                score=hit.score,
                score_kind="detector score",
                box=Box.of(hit.box),
            )
            for hit in hits
        ]
        seen = {hit.label for hit in hits}
        return Found(
            detections=detections,
            labels_searched=args.labels,
            labels_not_found=[
                label for label in args.labels if (canonical(label) or label) not in seen
            ],
            threshold=threshold,
        )
