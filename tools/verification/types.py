"""Claims, evidence, verdicts, edits: every correction can be recomputed from these alone.

After FEVER's three-way verdicts (arXiv:1803.05355) and Woodpecker's stages (arXiv:2310.16045).
Spans are half-open character ranges of the draft. Boxes are pixels of the upright original image.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from nuthatch.tools.base.notices import Notice
from nuthatch.tools.media.geometry import Box

ClaimKind = Literal[
    "existence", "count", "attribute", "relation", "sound", "text", "action", "other"
]
Stance = Literal["supports", "refutes", "neutral"]
VerdictName = Literal["supported", "refuted", "not_enough_evidence"]
Span = tuple[int, int]
WRITTEN = "written"
"""Predicate of words that are said to stand in the picture."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Claim(_Record):
    """One checkable statement of an answer, on the smallest span that an edit would replace.

    `subject` is the category in the vocabulary's words, singular, with its tint where that counts
    (`red cup`), or with words that pick some out (`left cup`), which nobody can judge. `predicate`
    is what is said of some such object: `exists`, `count`, `tint`, `left of` / `right of` /
    `above` / `below`, `sounds`; of all of them: `all tint`, `all left of`; of words (`text`):
    `says`, or `written`. `value` is the number, the tint, the other object, the sound event, or the
    words. `polarity` is False when it is denied.
    """

    id: str
    text: str
    span: Span
    kind: ClaimKind
    subject: str
    predicate: str
    value: str | None = None
    polarity: bool = True
    hedged: bool = False
    depends_on: tuple[str, ...] = ()


class Evidence(_Record):
    """What one judge says about one claim."""

    id: str
    tool: str
    call_id: str
    judge: str  # whose eyes: detector, tagger, sound_tagger, geometry, pixels, reader
    stance: Stance
    score: float
    score_kind: str  # what the number is, e.g. "detector score", "share of pixels"
    probability: float | None = None  # calibrated: how often a judge with this score is right
    value: str | None = None  # what was observed, e.g. "3" or "blue"
    boxes: tuple[Box, ...] = ()


class Measured(_Record):
    """How often claims that quote one tool's findings were right where no other judge could tell.

    `judge` is the quoted tool's, `kind` that of the claims (`absence`: that something is not
    there; `count 3`: of that number). Of `n` such claims that were as likely as `threshold` at
    least, by all evidence, the share `precision` was right. `on` says what it was measured on.
    """

    judge: str
    kind: str
    threshold: float
    precision: float
    n: int
    on: str


class Verdict(_Record):
    """What follows for a claim from its evidence, and by which rule."""

    claim: Claim
    verdict: VerdictName
    probability: float = Field(ge=0, le=1)  # that the claim is true
    rule: str
    evidence: tuple[Evidence, ...] = ()
    correction: str | None = None  # the value the evidence shows instead, e.g. "3"
    measured: Measured | None = None  # the reliability that a rule `*.single_source` rests on


class Edit(_Record):
    """A typed change of one span of the draft; everything outside the spans stays as it is."""

    op: Literal["replace", "delete", "hedge", "flip_answer", "abstain"]
    span: Span
    old_text: str
    new_text: str
    claim_id: str  # empty where a whole draft is withheld ("abstain")
    evidence_ids: tuple[str, ...]


class Report(BaseModel):
    """Result of `verify_answer`: each claim of the answer with its verdict.

    `unread` are the ranges of `answer` from which no claim was read: nobody has checked them.
    """

    answer: str
    verdicts: list[Verdict]
    unread: list[Span] = []
    notices: list[Notice] = []

    @property
    def undecided(self) -> list[Verdict]:
        return [v for v in self.verdicts if v.verdict == "not_enough_evidence"]

    def in_short(self) -> str:
        return tally(self.verdicts)


def tally(verdicts: list[Verdict]) -> str:
    """For people: `3 claims: 1 supported, 1 refuted, 1 undecided`."""
    names = [verdict.verdict for verdict in verdicts]
    counts = [
        f"{names.count(name)} {word}"
        for name, word in (
            ("supported", "supported"),
            ("refuted", "refuted"),
            ("not_enough_evidence", "undecided"),
        )
        if name in names
    ]
    claims = "1 claim" if len(names) == 1 else f"{len(names)} claims"
    return f"{claims}: {', '.join(counts)}" if names else "no claim to check"


class Correction(BaseModel):
    """Result of `correct_answer`: replaying `edits` over `draft` gives `revised` to the byte.

    `unread` are the ranges of `final` from which no claim was read: nobody has checked them.
    """

    draft: str
    revised: str
    final: str  # the draft or the revision, whichever is better supported
    choice: Literal["draft", "revised"]
    choice_reason: str
    edits: list[Edit]  # those that `final` really took; empty if the draft was kept
    verdicts: list[Verdict]
    unread: list[Span] = []
    notices: list[Notice] = []

    def in_short(self) -> str:
        """Without the texts: a draft is not for showing."""
        edits = f"{len(self.edits)} edit{'' if len(self.edits) == 1 else 's'}"
        return f"{tally(self.verdicts)}; {edits}"
