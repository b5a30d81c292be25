"""From an answer to its claims, by rules over a closed vocabulary.

Read are: existence ("there is a cup"), count ("three cups"), tint ("a blue cup"), relation ("left
of the tree"), sound ("a dog is barking"), and quoted text; where there is a reader, also what is
said to be written (`writing`). A bare "yes", "three", "blue" or "left of the tree" takes its
meaning from the question. Nouns outside the vocabulary are claims too: they will find no judge, and
so is what a sentence says of a known thing at its head in other words ("the dog sleeps"). Only
clauses of a known form are read (`clauses`); all the rest is told by `Reading.unread`.

A subject may carry its tint: `red cup` counts or places red cups only (`split_name`). Relations
and tints say that *some* such object is so; what is said of all ("all cups are red", "the cups are
red") has a predicate of its own, `all tint`. What is said of one of several ("the left cup is red")
has a subject that no judge knows, `left cup`, and so stays undecided. A count of things that are
picked out ("two cups left of the plate") is read as "at least": there may be others elsewhere.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.anchors import Anchor, Question
from nuthatch.tools.verification.extraction.lexicon import SCENES
from nuthatch.tools.verification.extraction.noun_phrases import name_at
from nuthatch.tools.verification.extraction.parsing import read
from nuthatch.tools.verification.extraction.places import described
from nuthatch.tools.verification.extraction.quantities import quantity_at
from nuthatch.tools.verification.extraction.scopes import SHOWN
from nuthatch.tools.verification.extraction.statements import Statements, at_least
from nuthatch.tools.verification.extraction.text import Sentence, Span, Text
from nuthatch.tools.verification.extraction.text_claims import asks_what_is_written, written
from nuthatch.tools.verification.extraction.unread import unread
from nuthatch.tools.verification.types import WRITTEN, Claim
from nuthatch.tools.vocabulary import CATEGORIES


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer and what it claims, in the order of the text."""

    text: Text
    claims: tuple[Claim, ...]
    anchors: dict[str, Anchor]
    writing: bool = False
    """Whether there is a reader for what is said to be written."""

    @property
    def unread(self) -> list[Span]:
        """Character ranges of the answer from which no claim was read."""
        return unread(self.text, self.claims)


def extract_claims(
    answer: str, question: str | None = None, *, writing: bool = False
) -> list[Claim]:
    """The claims of an answer, in the order of their spans."""
    return list(read_claims(answer, question, writing=writing).claims)


def read_claims(answer: str, question: str | None = None, *, writing: bool = False) -> Reading:
    """The claims of an answer and where they stand in it.

    `writing`: there is a reader, so that what is said to be written in the picture is told from
    other quoted words. Without one those are all alike.
    """
    if not writing:
        return _Answer(
            read(answer), _asked(read(question, asking=True)) if question else None
        ).run()
    asking = read(question or "", partial(written, asked=False), asking=True)
    asked = _asked(asking)
    heard = asked is not None and asked.kind == "sound"
    finder = None if heard else partial(written, asked=asks_what_is_written(asking))
    return replace(_Answer(read(answer, finder), asked).run(), writing=True)


def split_name(subject: str) -> tuple[str | None, str]:
    """`red cup` -> (`red`, `cup`); `cup` -> (None, `cup`); `orange` -> (None, `orange`)."""
    first, space, rest = subject.partition(" ")
    return (
        (first, rest)
        if space and first in w.COLOURS and subject not in CATEGORIES
        else (None, subject)
    )


# -- questions ------------------------------------------------------------------------------------


def _asked(text: Text) -> Question | None:
    """What the last question of a text asks for."""
    if not text.sentences:
        return None
    numbers = range(len(text.sentences))
    asking = [number for number in numbers if text.sentences[number].is_question]
    return _interpret(text, (asking or numbers)[-1])


def _interpret(text: Text, number: int) -> Question:
    sentence = text.sentences[number]
    tokens = [text.lower(i) for i in range(sentence.first, sentence.last)]
    said = set(tokens)
    reader = Statements(text, None, asking=True)
    reader.sentence(number)
    objects = [place.object for place in reader.places]
    asked = [reader.asked(each) for each in sentence.mentions if each not in objects]
    if asked:
        if {"how", "many"} <= said:
            return Question("count", asked[0])
        if said & w.COLOUR:
            return Question("colour", asked[-1])
        if "where" in said:
            return Question("where", asked[0])
    first = next(iter(sentence.mentions), None)
    alone = first and (first.first, first.last) == (sentence.first, sentence.last - 1)
    if tokens[0] in w.BE | w.DO or alone:  # is there a dog? a dog?
        return Question("yes/no", claims=_main(reader.claims))
    if said & w.HEAR or "listen" in said:
        return Question("sound")
    if said & {"what", "which", "who"}:
        for place in reader.places:
            if place.object is not None and place.object is sentence.mentions[-1]:
                return Question("which", reader.asked(place.object), place.predicate)
    return Question("other")


def _main(claims: list[Claim]) -> tuple[Claim, ...]:
    """What a yes asserts: the most special claim, last, after those that are new with it."""
    order = ("existence", "count", "attribute", "relation", "sound")
    ranked = [claim for kind in order for claim in claims if claim.kind == kind]
    ranked += [claim for claim in claims if claim.predicate == WRITTEN]
    if not ranked:
        return ()
    main = ranked[-1]
    asked = [c for c in ranked if c.kind == "attribute" and c.span[0] >= main.span[1]]
    if main.kind == "relation" and asked:  # is the cup on the left red
        main = asked[-1]
    parents = [c for c in ranked if main.kind == "attribute" and c.id in main.depends_on]
    known = w.DEFINITE | w.EVERY  # the cup, all cups: that there are any is not asked
    return (*(c for c in parents if c.text.lower().split()[0] not in known), main)


# -- answers --------------------------------------------------------------------------------------


_IS_SEEN = SHOWN | SCENES | w.BE | w.ADVERBS | w.POSTURES | frozenset({"in", "the", "this", "can"})
_JOINTS = w.BOUNDARIES | frozenset({"and", "or"})
"""Words behind a thing that say nothing of it but that it is there, or that go on with others."""


@dataclass(slots=True)
class _Answer(Statements):
    """Statements, and short answers, which mean what the question makes of them."""

    opener: tuple[int, bool, tuple[Claim, ...]] | None = field(default=None, init=False)
    """The "yes" or "no" of the sentence: its token, whether it is a yes, what it affirms."""

    def run(self) -> Reading:
        for number, each in enumerate(self.text.sentences):
            if each.is_question:
                self.question = _interpret(self.text, number)
            else:
                self.sentence(number)
        order = sorted(self.claims, key=lambda claim: (claim.span[0], -claim.span[1]))
        names = {claim.id: f"c{number}" for number, claim in enumerate(order, start=1)}
        counts: dict[str, set[str | None]] = defaultdict(set)
        for claim in order:
            if claim.kind == "count" and claim.polarity:
                counts[claim.subject].add(claim.value)
        claims = []
        for claim in order:
            parts = len(counts[claim.subject]) > 1  # different numbers must be of parts of it
            update = {
                "id": names[claim.id],
                "depends_on": tuple(names[parent] for parent in claim.depends_on),
                "value": at_least(claim) if parts else claim.value,
            }
            claims.append(claim.model_copy(update=update))
        anchors = {names[old]: anchor for old, anchor in self.anchors.items()}
        return Reading(self.text, tuple(claims), anchors)

    def sentence(self, number: int) -> None:
        each = self.text.sentences[number]
        self._yes_or_no(each)
        Statements.sentence(self, number)
        if each.label:
            return
        self._unread(each)
        self._short_answer(each, self.before)
        self._settle_opener(each, self.before)
        if each.mentions:
            self.topic = next((m for m in each.mentions if not m.definite), each.mentions[0])

    def _unread(self, each: Sentence) -> None:
        """What is said of a known thing at the head of a sentence, and nobody reads: `The cup is
        bigger than the dog.` One claim, which no judge will decide."""
        text, first, last = self.text, each.first, each.last
        while first < last and not text.lower(first)[:1].isalnum():
            first += 1
        while last > first and not text.lower(last - 1)[:1].isalnum():
            last -= 1
        subject = next((m for m in each.mentions if m.first == first and m.known), None)
        if subject is None or self.scopes.absent[each.mentions.index(subject)]:
            return
        said = [text.lower(i) for i in range(subject.last, last)]
        read = any(
            claim.kind in ("relation", "sound", "text")
            or (claim.kind == "attribute" and self.anchors[claim.id].mention is None)
            for claim in self.claims[self.before :]
        )
        joined = not said or not said[0].isalpha() or said[0] in w.PREPOSITIONS | _JOINTS
        if not (read or joined or _IS_SEEN.issuperset(said)):
            words = subject.last, last
            self._claim(
                "other",
                words,
                subject.name,
                " ".join(said),
                depends_on=self._parents(self._named(subject)),
                mention=subject,
            )

    # -- short answers ----------------------------------------------------------------------------

    def _yes_or_no(self, each: Sentence) -> None:
        self.opener = None
        word = self.text.lower(each.first)
        after = self.text.lower(each.first + 1)
        ends = each.first + 1 >= each.last or not after[:1].isalnum() or after == "there"
        if ends and (
            word in w.YES or (word in w.NO and not name_at(self.text, each.first + 1, each.last))
        ):
            claims = self.question.claims if self.question else ()
            self.opener = (each.first, word in w.YES, claims)

    def _settle_opener(self, each: Sentence, before: int) -> None:
        """What "yes" says, unless the rest of the sentence says it in full."""
        if self.opener is None:
            return
        at, yes, asked = self.opener
        said = self.claims[before:]
        echo = self._echo(each, at + 1)
        for claim in asked if yes else asked[-1:]:
            polarity = claim.polarity is yes
            twin = next(
                (
                    each
                    for each in said
                    if (each.kind, each.subject, each.predicate, each.polarity)
                    == (claim.kind, claim.subject, claim.predicate, polarity)
                    and (each.value or "").removeprefix(">=")
                    == (claim.value or "").removeprefix(">=")
                ),
                None,
            )
            if twin:
                self.anchors[twin.id] = replace(self.anchors[twin.id], opener=at)
                continue
            parent = self.known.get((claim.subject, True))
            name = self._claim(
                claim.kind,
                (at, echo),
                claim.subject,
                claim.predicate,
                value=claim.value,
                polarity=polarity,
                hedged=self.scopes.hedged(at),
                depends_on=(parent,) if parent and claim.kind == "attribute" else (),
            )
            if claim.kind == "existence":
                self.known.setdefault((claim.subject, polarity), name)

    def _echo(self, each: Sentence, first: int) -> int:
        """Where `Yes, there is` ends, if nothing else is said; else the end of `Yes`."""
        at = first
        while at < each.last and self.text.lower(at) in w.ECHO:
            at += 1
        ends = at >= each.last or self.text.lower(at) in (".", "!", ";")
        return at if ends else first

    def _short_answer(self, each: Sentence, before: int) -> None:
        """A bare number or noun phrase, with the meaning that the question gives it."""
        asked, text = self.question, self.text
        if asked is None or (len(self.claims) > before and asked.kind == "count"):
            return
        if asked.kind == "count":
            self._bare_number(each, asked.subject.name)
        if asked.kind == "which" and each.mentions and len(self.claims) > before:
            mention = each.mentions[0]
            if mention.known and not mention.denied:
                parent = self.known.get((mention.name, True))
                self._claim(
                    "relation",
                    (mention.first, mention.last),
                    described(text, mention),
                    asked.predicate,
                    value=asked.subject.name,
                    depends_on=(parent,) if parent else (),
                    mention=mention,
                )
                self.question = None

    def _bare_number(self, each: Sentence, subject: str) -> None:
        for at in range(each.first, each.last):
            word = self.text.lower(at)
            if not each.understood(at, at + 1):
                continue
            if word == "none" or (word == "no" and at == each.first):
                found, value, rough = (at, at + 1), "0", False
            elif (quantity := quantity_at(self.text, at, each.last)) is not None:
                found, value, rough = quantity[0], quantity[1] or "", quantity[2]
            else:
                continue
            self._claim(
                "count",
                found,
                subject,
                "count",
                value=value,
                polarity=not self.scopes.denied(at),
                hedged=rough or self.scopes.hedged(at),
            )
            self.question = None
            return
