"""Statements about a picture and a sound, right or wrong, with what a verifier finds on them."""

from dataclasses import dataclass

from nuthatch.tools.verification.extraction.words import OPPOSITE
from nuthatch.tools.verification.types import (
    Claim,
    ClaimKind,
    Correction,
    Edit,
    Evidence,
    Report,
    Verdict,
    VerdictName,
)
from nuthatch.tools.vocabulary import SOUNDS, TINTS, plural
from nuthatch.training.data.layouts import Layout
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.talk import NUMBERS
from nuthatch.training.data.words import known, noun, words

ERRORS = 0.4


@dataclass(frozen=True, slots=True)
class Statement:
    """`front` + `said` + `back` is the sentence; right with `truth` in place of `said`."""

    kind: ClaimKind
    subject: str
    predicate: str
    front: str
    said: str
    back: str
    truth: str | None
    """None: nobody can judge it; equal to `said`: right."""
    value: str | None = None
    shown: str | None = None
    """What the evidence shows, as a value."""

    @property
    def sentence(self) -> str:
        return _sentence(self.front, self.said, self.back)

    @property
    def corrected(self) -> str:
        return _sentence(self.front, self.truth or self.said, self.back)

    @property
    def verdict(self) -> VerdictName:
        if self.truth is None:
            return "not_enough_evidence"
        return "supported" if self.truth == self.said else "refuted"


def _sentence(*parts: str) -> str:
    text = "".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def statements(
    draw: Draw, layout: Layout | None, events: tuple[str, ...], held: bool
) -> list[Statement]:
    """One to three, of different subjects."""
    wanted = draw.choices((1, 2, 3), (55, 33, 12))[0]
    made: list[Statement] = []
    for _ in range(12):
        way = draw.random()
        if held or way < 0.2 or (layout is None and not events):
            one = _open(draw, held)
        elif events and (way < 0.4 or layout is None):
            one = _heard(draw, events)
        else:
            assert layout is not None
            one = draw.choice((_counted, _tinted, _related))(draw, layout) or _counted(draw, layout)
        if all(one.subject != each.subject and one.said != each.said for each in made):
            made.append(one)
        if len(made) == wanted:
            break
    return made


def _open(draw: Draw, held: bool) -> Statement:
    """Of a thing outside the world: nobody can judge it."""
    thing = noun(draw, held, longest=3)
    adjective = draw.choice([w for w in words("adjectives", held) if w not in thing.one])
    return Statement(
        "other", thing.one, "is", f"the {thing.one} {thing.be} ", adjective, "", None, adjective
    )


def _heard(draw: Draw, events: tuple[str, ...]) -> Statement:
    truth = draw.choice(events)
    silent = [event for event in SOUNDS if event not in events]
    said = draw.choice(silent) if draw.chance(ERRORS) else truth
    front = draw.choice(("you can hear ", "I hear ", "there is "))
    shown, told = SOUNDS[truth].description, SOUNDS[said].description
    return Statement("sound", said, "sounds", front, told, "", shown, said, truth)


def _counted(draw: Draw, layout: Layout) -> Statement:
    name, truth = draw.choice(list(layout.counts().items()))
    if known(name).pair:
        return _open(draw, False)
    said = truth
    if draw.chance(ERRORS):
        said = draw.choice([n for n in range(max(1, truth - 2), truth + 3) if n != truth])
    front = "there is " if said == 1 and truth == 1 else "there are "
    if said == 1 != truth or truth == 1 != said:
        front = draw.choice(("I see ", "the picture shows "))
    back = draw.choice(("", " in the picture"))

    def phrase(number: int) -> str:
        return f"{NUMBERS[number]} {name if number == 1 else plural(name)}"

    return Statement(
        "count", name, "count", front, phrase(said), back, phrase(truth), str(said), str(truth)
    )


def _tinted(draw: Draw, layout: Layout) -> Statement | None:
    tinted = [each for each in layout.singles() if each.tint]
    if not tinted:
        return None
    one = draw.choice(tinted)
    truth = one.tint or ""
    said = draw.choice([t for t in TINTS if t != truth]) if draw.chance(ERRORS) else truth
    front = f"the {one.category} {known(one.category).be} "
    return Statement("attribute", one.category, "tint", front, said, "", truth, said, truth)


def _related(draw: Draw, layout: Layout) -> Statement | None:
    clear = list(layout.relations())
    if not clear:
        return None
    first, truth, second = draw.choice(clear)
    said = OPPOSITE[truth] if draw.chance(ERRORS) else truth
    front = f"the {first.category} {known(first.category).be} "
    back = f" the {second.category}"
    return Statement(
        "relation", first.category, said, front, said, back, truth, second.category, truth
    )


_JUDGES: dict[str, tuple[str, str, str]] = {
    "count": ("detect", "detector", "detector score"),
    "attribute": ("describe_attributes", "tagger", "probability"),
    "relation": ("measure", "geometry", "share of the side"),
    "sound": ("tag_sound", "sound_tagger", "probability"),
}


def report(draw: Draw, call_id: str, answer: str, made: list[Statement]) -> Report:
    """What `verify_answer` would give for the answer that these statements make up."""
    verdicts, at = [], 0
    for number, each in enumerate(made, start=1):
        start = answer.index(each.said, at + len(each.front) - 1)
        span = (start, start + len(each.said))
        at = start + len(each.said) + len(each.back)
        claim = Claim(
            id=f"c{number}",
            text=each.said,
            span=span,
            kind=each.kind,
            subject=each.subject,
            predicate=each.predicate,
            value=each.value,
        )
        evidence: tuple[Evidence, ...] = ()
        if each.verdict != "not_enough_evidence":
            tool, judge, score_kind = _JUDGES[each.kind]
            evidence = (
                Evidence(
                    id=f"e{number}",
                    tool=tool,
                    call_id=f"{call_id}.{number}",
                    judge=judge,
                    stance="supports" if each.verdict == "supported" else "refutes",
                    score=round(draw.uniform(0.6, 0.99), 2),
                    score_kind=score_kind,
                    value=each.shown,
                ),
            )
        verdicts.append(
            Verdict(
                claim=claim,
                verdict=each.verdict,
                probability={
                    "supported": draw.uniform(0.9, 0.99),
                    "refuted": draw.uniform(0.01, 0.08),
                    "not_enough_evidence": draw.uniform(0.3, 0.7),
                }[each.verdict],
                rule="one judge" if evidence else "no judge",
                evidence=evidence,
                correction=each.shown if each.verdict == "refuted" else None,
            )
        )
    return Report(answer=answer, verdicts=verdicts)


def correction(draw: Draw, call_id: str, answer: str, made: list[Statement]) -> Correction:
    """What `correct_answer` would give."""
    judged = report(draw, call_id, answer, made)
    edits, final, moved = [], answer, 0
    for each, verdict in zip(made, judged.verdicts, strict=True):
        if verdict.verdict != "refuted":
            continue
        start, end = verdict.claim.span
        edits.append(
            Edit(
                op="replace",
                span=(start, end),
                old_text=each.said,
                new_text=each.truth or "",
                claim_id=verdict.claim.id,
                evidence_ids=tuple(e.id for e in verdict.evidence),
            )
        )
        final = f"{final[: start + moved]}{each.truth}{final[end + moved :]}"
        moved += len(each.truth or "") - len(each.said)
    return Correction(
        draft=answer,
        revised=final,
        final=final,
        choice="revised" if edits else "draft",
        choice_reason="better supported" if edits else "nothing to change",
        edits=edits,
        verdicts=judged.verdicts,
    )
