"""What becomes of a denial when the thing is there: "there is no dog" -> "there is a dog"."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nuthatch.tools.verification import grammar
from nuthatch.tools.verification.claims import Reading
from nuthatch.tools.verification.reading import Mention, Sentence, Text
from nuthatch.tools.verification.types import Span, Verdict
from nuthatch.tools.vocabulary import singular


class Change(NamedTuple):
    """A span of the draft and what takes its place."""

    op: Literal["replace", "delete", "hedge", "flip_answer"]
    span: Span
    text: str


Attributed = tuple[Verdict, Change]
"""A change and the refuted claim that it rests on."""


def affirm(
    reading: Reading, sentence: Sentence, verdicts: Sequence[Verdict], sure: Collection[str]
) -> list[Attributed]:
    """Changes for the things of a sentence that are surely there although denied.

    `verdicts` are those of the sentence, `sure` the claims that are surely false.
    """
    return _Denials(reading, verdicts, sentence).changes(sure)


def undeny(reading: Reading, at: int) -> Change | None:
    """The change that takes a negation away: `isn't` -> `is`, `do not see` -> `see`."""
    text = reading.text
    word, span = text.lower(at), text.span(at, at + 1)
    if word in ("isn't", "aren't", "wasn't", "weren't"):
        return Change("replace", span, grammar.like(text.tokens[at].text, word[:-3]))
    if word in ("can't", "cannot"):
        return Change("replace", span, grammar.like(text.tokens[at].text, "can"))
    if word in ("don't", "doesn't", "didn't") and at + 1 < len(text.tokens):
        return Change("delete", (span[0], text.tokens[at + 1].start), "")
    if word == "not" and at > 0:
        first = at - 1 if text.lower(at - 1) in ("do", "does", "did") and at > 1 else at
        return Change("delete", (text.tokens[first - 1].end, span[1]), "")
    return None


@dataclass(slots=True)
class _Denials:
    """One sentence, and what is known of the things in it."""

    reading: Reading
    verdicts: Sequence[Verdict]
    sentence: Sentence

    @property
    def text(self) -> Text:
        return self.reading.text

    def changes(self, sure: Collection[str]) -> list[Attributed]:
        wrong = [
            v
            for v in self.verdicts
            if v.claim.id in sure and v.claim.kind == "existence" and not v.claim.polarity
        ]
        changes: list[Attributed] = []
        for verdict in wrong:
            mention = self.reading.anchors[verdict.claim.id].mention
            if mention is None:
                continue
            chain = self._chain(mention)
            if len(chain) > 1:
                changes.append((verdict, self._rechained(chain, wrong)))
            elif mention.denied:
                changes += [(verdict, change) for change in self._affirmed(mention, verdict)]
            else:
                changes += [(verdict, change) for change in self._undenied(mention)]
        return changes

    def _chain(self, mention: Mention) -> list[Mention]:
        """`no cups, plates or knives`: all that one denial covers."""
        denied = [
            self.reading.anchors[v.claim.id].mention
            for v in self.verdicts
            if v.claim.kind == "existence" and not v.claim.polarity
        ]
        chain: list[Mention] = []
        for each in self.sentence.mentions:
            if each not in denied:
                if mention in chain:
                    break
                chain = []
            elif each.denied:
                if mention in chain:
                    break
                chain = [each]
            elif chain:
                chain.append(each)
        return chain if mention in chain else [mention]

    def _rechained(self, chain: list[Mention], wrong: Sequence[Verdict]) -> Change:
        there = {v.claim.subject for v in wrong}
        text = self.text
        yes = [grammar.indefinite(text.slice(*m.noun), m.plural) for m in chain if m.name in there]
        no = [text.slice(*m.noun) for m in chain if m.name not in there]
        said = grammar.listed(yes) + (f" but no {grammar.listed(no, 'or')}" if no else "")
        old = text.tokens[chain[0].first].text
        span = text.span(chain[0].first, chain[-1].last)
        return Change("replace", span, grammar.like(old, said))

    def _affirmed(self, mention: Mention, verdict: Verdict) -> list[Change]:
        """`no giraffe` -> `a giraffe`, `there are no giraffes` -> `there are three giraffes`"""
        text = self.text
        noun = text.slice(*mention.noun)
        many = mention.plural and verdict.correction != "1"
        if noun.lower() in ("nobody", "no one"):
            noun = "person"
        words = grammar.indefinite(noun if many == mention.plural else singular(noun), many)
        old = text.tokens[mention.first].text
        span = text.span(mention.first, mention.last)
        changes = [Change("replace", span, grammar.like(old, words))]
        at = mention.first - 1
        if text.lower(at) in ("is", "are") and text.lower(at) != grammar.be_for(many):
            changes.append(Change("replace", text.span(at, at + 1), grammar.be_for(many)))
        return changes

    def _undenied(self, mention: Mention) -> list[Change]:
        """`I do not see a giraffe` -> `I see a giraffe`, where that denies nothing else."""
        others = [
            v
            for v in self.verdicts
            if v.claim.kind == "existence"
            and not v.claim.polarity
            and self.reading.anchors[v.claim.id].mention is not mention
        ]
        if others:
            return []
        places = [*range(mention.first - 1, self.sentence.first - 1, -1)]
        places += range(mention.last, min(mention.last + 4, self.sentence.last))
        for at in places:
            change = undeny(self.reading, at)
            if change:
                changes = [change]
                if mention.determiner == "any":
                    new = (
                        "some"
                        if mention.plural
                        else grammar.article_for(self.text.lower(mention.first + 1))
                    )
                    span = self.text.span(mention.first, mention.first + 1)
                    changes.append(Change("replace", span, new))
                return changes
        return []
