"""Sentences by hand about the two example pictures: what they assert, and what may become of them.

`text` is a sentence about `picture`, `about` the things it names. `asserts`: it states something
of the picture (questions, mentions, reports, comparisons, hypotheticals and commands do not).
`true`: it is true of the picture, or, where it asserts nothing, the thing is there. `decide`: a
verdict must be reached. `finals` are texts that it may be rewritten to; it may always be left as it
is. `never` are subjects, or tints with subjects, that nobody may read in it.
"""

import json
from functools import cache
from typing import NamedTuple

from nuthatch.tools.media.ingest import read_image
from nuthatch.tools.verification.correction import Item, correct_items
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.perception import ModelSenses
from nuthatch.tools.verification.types import Correction
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector, FakeTagger
from tests.paths import ROOT
from tests.tools.verification.worlds import detector_calibration, tagger_calibration

PICTURES = ("kitchen", "street")


class Sentence(NamedTuple):
    category: str
    picture: str
    question: str | None
    text: str
    about: list[str]
    asserts: bool
    true: bool
    decide: bool
    finals: list[str]
    never: list[str]


def _sentences() -> list[Sentence]:
    lines = (ROOT / "tests" / "data" / "assertions.jsonl").read_text("utf-8").splitlines()
    return [Sentence(**json.loads(line)) for line in lines]


SENTENCES = _sentences()


def judges(picture: str) -> Weights:
    """Judges that see what the picture's own record says, and nothing else."""
    record = json.loads((ROOT / "examples" / f"{picture}.json").read_text("utf-8"))
    truth = [(each["category"], each["tint"], tuple(each["box"])) for each in record["objects"]]
    weights = Weights()
    found = [(name, box) for name, _, box in truth]
    weights.put("detect", FakeDetector(found, calibration=detector_calibration()))
    weights.put("tag", FakeTagger(truth, calibration=tagger_calibration()))
    return weights


@cache
def corrections(*, shipped: bool = False) -> list[Correction]:
    """What becomes of each sentence, with perfect judges or with the shipped ones."""
    done: dict[int, Correction] = {}
    for picture in PICTURES:
        weights = Weights() if shipped else judges(picture)
        pixels = read_image(ROOT / "examples" / f"{picture}.png")[0]
        numbers = [i for i, each in enumerate(SENTENCES) if each.picture == picture]
        items = [Item(SENTENCES[i].text, SENTENCES[i].question, pixels) for i in numbers]
        made = correct_items(items, ModelSenses(weights), Calibration(weights))
        done |= dict(zip(numbers, made, strict=True))
    return [done[i] for i in range(len(SENTENCES))]


def refuted(done: Correction) -> list[str]:
    """What is plainly refuted; what is hedged promises nothing."""
    verdicts = [v for v in done.verdicts if v.verdict == "refuted" and not v.claim.hedged]
    return [verdict.claim.text for verdict in verdicts]


def decided(done: Correction) -> bool | None:
    """Whether the verdicts make the sentence true or false; None: neither."""
    names = {verdict.verdict for verdict in done.verdicts}
    if "refuted" in names:
        return False
    return True if names == {"supported"} else None


def read_of(done: Correction) -> set[str]:
    """Subjects of the claims, and tints with their subjects."""
    claims = [verdict.claim for verdict in done.verdicts]
    tinted = {f"{each.value} {each.subject}" for each in claims if each.kind == "attribute"}
    return {claim.subject for claim in claims} | tinted
