"""Find objects by their names: `detect`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from nuthatch.messages import shown
from nuthatch.tools.base.regions import Sides, cut, part_of
from nuthatch.tools.base.tool import Arguments, Context, DetectionSet, ImageRef, Label, Tool
from nuthatch.tools.faults import RetryCall, ToolFault
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.media.store import Detection
from nuthatch.tools.vocabulary import canonical

if TYPE_CHECKING:
    from nuthatch.tools.detection import detectors

MAX_TILES = 8
LONGEST_LABEL = 200  # characters


class DetectArgs(Arguments):
    """`region` and `tiles` are for programs: planners, which learnt to call without them, are not
    shown them."""

    image: ImageRef
    labels: list[Label] = Field(
        min_length=1, max_length=64, description="short noun phrases to look for, e.g. 'wine glass'"
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="lowest score kept; default: the detector's own"
    )
    region: SkipJsonSchema[Sides | None] = None  # look only there
    tiles: SkipJsonSchema[int | None] = Field(None, ge=1, le=MAX_TILES)  # a side

    @field_validator("labels")
    @classmethod
    def _are_short_phrases(cls, labels: list[str]) -> list[str]:
        cleaned = [" ".join(label.lower().split()) for label in labels]
        for label in cleaned:
            if not label or "." in label or len(label) > LONGEST_LABEL or len(label.split()) > 8:
                raise ValueError(
                    f"label '{shown(label)}': write 1 to 8 words without a full stop, at most "
                    f"{LONGEST_LABEL} characters"
                )
        return list(dict.fromkeys(cleaned))


class Found(DetectionSet):
    """Detections over all labels, best first; an empty list means that nothing was found."""

    labels_searched: list[str]
    labels_not_found: list[str]
    threshold: float
    left_out: int | None = None  # weaker detections beyond the most that are given


class Detect(Tool[DetectArgs, Found]):
    """Locate every object in a picture that one of the given names fits.

    Open-vocabulary detection after Grounding DINO (arXiv:2303.05499). Plurals and synonyms of
    known words are looked up under their category's name, and reported under the first word given.
    Boxes: pixels of the upright original image, x1 y1 x2 y2, right and bottom exclusive. Nothing is
    found in a region that is empty, inverted or outside the picture.

    Calls of one turn are looked at together: a picture is seen once for all labels that are asked
    for in it. (A detector whose labels share a prompt may score a label a little differently then.)

    Args:
        tiles: also look at n x n overlapping tiles of every picture, for small objects.
        duplicate_iou: two boxes of one label that overlap more are one object; default: the
            detector's own, which it never exceeds.
        most: detections given at most, the best.
        calibrated: where the detector's scores were measured (`calibration.json` beside its
            weights), give probabilities in their place: each label by its own curve, so that one
            threshold means the same for all. They are those of a label being there at all.

    Raises:
        RetryCall: a label the detector cannot read; a region that is too small.
        ToolUnavailable: weights or packages are missing.
    """

    name = "detect"
    timeout = 120.0
    caches = True
    merges = True
    weights = ("detect",)
    Args = DetectArgs
    Result = Found

    def __init__(
        self,
        *,
        tiles: int = 1,
        duplicate_iou: float | None = None,
        most: int = 100,
        calibrated: bool = False,
    ) -> None:
        if not 1 <= tiles <= MAX_TILES:
            raise ValueError(f"tiles is {tiles}; expected 1 to {MAX_TILES}")
        if duplicate_iou is not None and not 0 <= duplicate_iou <= 1:
            raise ValueError(f"duplicate_iou is {duplicate_iou}; expected 0 to 1")
        if most < 1:
            raise ValueError(f"most is {most}; expected 1 or more")
        self.tiles = tiles
        self.duplicate_iou = duplicate_iou
        self.most = most
        self.calibrated = calibrated
        # Results depend on these: what was found otherwise is another version's.
        options = (tiles, duplicate_iou, most, calibrated)
        if options != (1, None, 100, False):
            self.version = f"{type(self).version} {options}"  # type: ignore[misc]

    def run(self, args: DetectArgs, context: Context) -> Found:
        (found,) = self._look([(args, context)])
        return found

    def run_many(self, calls: Sequence[tuple[DetectArgs, Context]]) -> list[Found | ToolFault]:
        try:
            return list(self._look(calls))
        except RetryCall:  # of one of them: the others are not to suffer
            return super().run_many(calls)

    # -- inside ---------------------------------------------------------------------------------

    def _look(self, calls: Sequence[tuple[DetectArgs, Context]]) -> list[Found]:
        from nuthatch.tools.detection.detectors import find_in_tiles

        weights = calls[0][1].weights
        detector: detectors.Detector = weights.get("detect")
        scale = self._scale(detector, calls[0][1])
        wishes = [self._wish(args, context, scale) for args, context in calls]
        views: dict[tuple[Any, ...], _Wish] = {
            wish.view: wish for wish in wishes if wish.pixels.size
        }
        labels = {
            view: list(dict.fromkeys(x for wish in wishes if wish.view == view for x in wish.asked))
            for view in views
        }
        try:
            found = find_in_tiles(
                detector,
                [wish.pixels for wish in views.values()],
                list(labels.values()),
                [wish.tiles for wish in views.values()],
                threshold=min(scale.lowest(wish.threshold) for wish in wishes),
            )
        except ValueError as error:  # a label the detector cannot read
            raise RetryCall(str(error)) from error
        hits = dict(zip(views, found, strict=True))
        return [self._told(wish, hits.get(wish.view, []), scale) for wish in wishes]

    def _scale(self, detector: "detectors.Detector", context: Context) -> "_Scale":
        from nuthatch.tools.detection.detectors import Calibration

        if not self.calibrated:
            return _Scale(detector.threshold)
        measured = getattr(detector, "calibration", None)
        if measured is None and context.weights.fingerprint("detect") != "given":
            measured = Calibration.beside(context.weights.status("detect").path)
        return _Scale(detector.threshold, measured)

    def _wish(self, args: DetectArgs, context: Context, scale: "_Scale") -> "_Wish":
        pixels = context.media.image(args.image)
        box = None
        if args.region is not None:
            box = part_of(args.region, args.image, context)
            pixels, box = (pixels[:0], None) if box is None else cut(pixels, box)
        asked: dict[str, str] = {}
        for label in args.labels:
            asked.setdefault(canonical(label) or label, label)
        tiles = args.tiles or self.tiles
        view = (context.media[args.image].sha256, box, pixels.shape, tiles)
        threshold = scale.default if args.threshold is None else args.threshold
        return _Wish(args, view, pixels, box, tiles, asked, threshold)

    def _told(self, wish: "_Wish", hits: Sequence["detectors.Found"], scale: "_Scale") -> Found:
        from nuthatch.tools.detection.detectors import keep_distinct

        x, y = (wish.box.x1, wish.box.y1) if wish.box else (0.0, 0.0)
        kept = [hit for hit in hits if hit.label in wish.asked]
        if self.duplicate_iou is not None:
            kept = keep_distinct(kept, self.duplicate_iou)
        scored = [(scale.score(hit.label, hit.score), hit) for hit in kept]
        scored = [each for each in scored if each[0] >= wish.threshold]
        scored.sort(key=lambda each: -each[0])
        detections = [
            Detection(
                image=wish.args.image,
                label=wish.asked[hit.label],
                score=score,
                score_kind=scale.kind,
                box=Box.of((hit.box[0] + x, hit.box[1] + y, hit.box[2] + x, hit.box[3] + y)),
            )
            for score, hit in scored
        ]
        seen = {hit.label for _, hit in scored}
        return Found(
            detections=detections[: self.most],
            labels_searched=wish.args.labels,
            labels_not_found=[
                label for label in wish.args.labels if (canonical(label) or label) not in seen
            ],
            threshold=wish.threshold,
            left_out=max(0, len(detections) - self.most) or None,
        )


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one call wants to know."""

    args: DetectArgs
    view: tuple[Any, ...]
    """Names what is looked at: the picture's content, the part of it, how closely."""
    pixels: Pixels
    """Without rows where there is nothing to look at."""
    box: Box | None
    tiles: int
    asked: dict[str, str]
    """What is looked for -> the word it was asked under."""
    threshold: float
    """Of the scores as they are given."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the detector's scores to those that are given."""

    own: float
    """The detector's own threshold."""
    measured: "detectors.Calibration | None" = None

    @property
    def kind(self) -> str:
        return "probability" if self.measured else "detector score"

    @property
    def default(self) -> float:
        """The threshold where none is asked for: what the detector's own is worth for any label."""
        if self.measured is None:
            return self.own
        return self.measured.probability("", self.own)

    def lowest(self, threshold: float) -> float:
        """The detector's score that can reach a threshold."""
        return self.measured.floor if self.measured else threshold

    def score(self, label: str, score: float) -> float:
        return self.measured.probability(label, score) if self.measured else score
