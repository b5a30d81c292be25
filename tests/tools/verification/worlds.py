"""A small picture that the tests of the verifier look at, with judges of any quality."""

from collections.abc import Iterable, Mapping

import numpy as np

from nuthatch.tools.audio.sound_tagger import EventCalibration, Judgement
from nuthatch.tools.detection.detectors import Calibration as DetectorCalibration
from nuthatch.tools.detection.detectors import Trust
from nuthatch.tools.tagging.taggers import Calibration as TaggerCalibration
from nuthatch.tools.tagging.taggers import Presence, Rate, Reliability
from nuthatch.tools.verification.correction import Item, correct_items, verify_items
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.perception import ModelSenses
from nuthatch.tools.verification.rules import POLICIES
from nuthatch.tools.verification.types import Correction, Verdict
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, TINTS
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector, FakeSoundTagger, FakeTagger, paint

Box4 = tuple[float, float, float, float]
TRUTH: list[tuple[str, str | None, Box4]] = [
    ("cup", "red", (5, 5, 30, 30)),
    ("cup", "red", (40, 5, 65, 30)),
    ("cup", "blue", (80, 5, 110, 30)),
    ("dog", None, (5, 60, 40, 100)),
    ("tree", "green", (70, 60, 120, 110)),
]
"""Three cups in a row above a dog, and a tree at the dog's right."""
PICTURE = paint(TRUTH)
SOUND = np.full(16_000, 0.1, np.float32)


def detector_calibration() -> DetectorCalibration:
    """A detector that is right from 0.9 on, and right about absence below 0.1."""
    trust = Trust(
        offset=0.0,
        present=100,
        absent=100,
        present_from=0.9,
        absent_below=0.1,
        hits=95,
        false_alarms=0,
        misses=0,
        correct_rejections=95,
    )
    return DetectorCalibration(
        weights="",
        scenes=200,
        floor=0.02,
        threshold=0.3,
        slope=2.0,
        categories=dict.fromkeys(CATEGORIES, trust),
        pooled=trust,
    )


def tagger_calibration() -> TaggerCalibration:
    """A tagger that is right from 0.9 on, and right about absence below 0.1."""
    rate = Rate(threshold=0.9, precision=0.98, n=200)
    reliability = Reliability(
        scores=(0.0, 0.1, 0.5, 0.9), probabilities=(0.02, 0.4, 0.8, 0.98), n=(99, 99, 99, 99)
    )
    presence = Presence(
        present=rate,
        absent=Rate(threshold=0.1, precision=0.98, n=200),
        pictures_with=100,
        pictures_without=100,
    )
    return TaggerCalibration(
        weights="",
        split="calibrate",
        pictures=200,
        precision=0.95,
        crops=dict.fromkeys((*CATEGORIES, "nothing"), rate),
        crops_reliability=reliability,
        tints=dict.fromkeys((*TINTS, "plain"), rate),
        tints_reliability=reliability,
        presence=dict.fromkeys(CATEGORIES, presence),
        presence_reliability=reliability,
    )


def sound_calibration() -> dict[str, EventCalibration]:
    """A sound tagger that is right from 0.9 on and below 0.1."""
    judged = EventCalibration(Judgement(0.9, 0.97, 200), Judgement(0.1, 0.97, 200))
    return dict.fromkeys(SOUNDS, judged)


def weights(
    *,
    measured: bool = True,
    detected: Iterable[tuple[str, Box4] | tuple[str, Box4, float]] | None = None,
    tagged: Iterable[tuple[str, str | None, Box4]] | None = None,
    tags: Mapping[str, float] | None = None,
    events: Mapping[str, float] | None = None,
) -> Weights:
    """Judges that see the truth, except for what is given; `measured`: with a calibration."""
    found = [(name, box) for name, _, box in TRUTH] if detected is None else list(detected)
    given = Weights()
    given.put(
        "detect",
        FakeDetector(found, calibration=detector_calibration() if measured else None),
    )
    given.put(
        "tag",
        FakeTagger(
            list(TRUTH if tagged is None else tagged),
            scores=tags,
            calibration=tagger_calibration() if measured else None,
        ),
    )
    given.put(
        "tag_sound",
        FakeSoundTagger(
            ["bell"], scores=events, calibration=sound_calibration() if measured else None
        ),
    )
    return given


def verdicts(
    answer: str,
    question: str | None = None,
    *,
    judges: Weights | None = None,
    authors: Iterable[str] = (),
) -> dict[str, Verdict]:
    """Words of each claim -> its verdict."""
    judges = judges or weights()
    item = Item(answer, question, PICTURE, SOUND, frozenset(authors))
    (report,) = verify_items([item], ModelSenses(judges), Calibration(judges))
    return {verdict.claim.text: verdict for verdict in report.verdicts}


def correction(
    answer: str,
    question: str | None = None,
    *,
    judges: Weights | None = None,
    policy: str = "conservative",
    authors: Iterable[str] = (),
) -> Correction:
    judges = judges or weights()
    item = Item(answer, question, PICTURE, SOUND, frozenset(authors))
    (done,) = correct_items([item], ModelSenses(judges), Calibration(judges), POLICIES[policy])
    return done
