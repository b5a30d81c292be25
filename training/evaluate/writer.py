"""The corrupted-truth writer: plain sentences about a scene, each fact wrong with probability 0.2.

It stands for any model whose answers need checking, with the advantage that every right and wrong
fact is known. Wrong facts are the plausible ones: absent objects that belong here, counts off by
one or two, another tint, the mirrored relation, another sound.

Spans are half-open character ranges, and as small as an edit of the fact would be: the noun phrase
of an existence, the number, the tint, the words of the relation, the sound.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeVar

import numpy as np

from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, TINTS, plural, with_article
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import Scene

FactKind = Literal["existence", "count", "tint", "relation", "absence", "sound"]
Span = tuple[int, int]
Option = TypeVar("Option")

ERROR_RATE = 0.2
MOST_MENTIONED = 4
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MIRRORED = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}
_SPOKEN = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above",),
    "below": ("below",),
}
_MENTIONS = (
    "There {be} {things}.",
    "There {be} {things} in the picture.",
    "I can see {things}.",
    "The picture shows {things}.",
    "This is a picture of {things}.",
)
_TINTS = ("The {thing} {be} {tint}.", "The colour of the {thing} is {tint}.")
_RELATIONS = (
    "The {first} is {relation} the {second}.",
    "The {first} stands {relation} the {second}.",
    "You can find the {first} {relation} the {second}.",
)
_ABSENCES = (
    "There is {nothing}.",
    "There is {nothing} in the picture.",
    "I can see {nothing}.",
    "It shows {nothing}.",
)
_SOUNDS = (
    "You can hear {sounds}.",
    "I hear {sounds}.",
    "In the recording there is {sounds}.",
    "The sound is {sounds}.",
)


@dataclass(frozen=True)
class Fact:
    """One stated fact. `value` is the number, the tint, or the other object with the relation."""

    kind: FactKind
    subject: str
    span: Span
    right: bool
    value: str | None = None
    other: str | None = None
    """The second object of a relation."""

    def moved(self, by: int) -> Self:
        return replace(self, span=(self.span[0] + by, self.span[1] + by))


@dataclass(frozen=True)
class Phrase:
    """Words and the facts they state; spans count from the first letter."""

    text: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Truth:
    """What is true of a scene and of the clip that goes with it."""

    counts: Mapping[str, int]
    tints: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    """Category -> the tints of its objects; None for an object in its own colours."""
    relations: Collection[tuple[str, str, str]] = frozenset()
    """(first, name, second): clear relations between objects that are single in their category."""
    events: tuple[str, ...] = ()

    @classmethod
    def of(cls, scene: Scene, events: Sequence[str] = ()) -> Self:
        """From a scene, and the events of its clip."""
        counts = scene.counts()
        objects = scene.objects
        tints = {
            name: frozenset(each.tint for each in objects if each.category == name)
            for name in counts
        }
        relations = frozenset(
            (objects[i].category, name, objects[j].category)
            for i, name, j in scene.relations()
            if counts[objects[i].category] == counts[objects[j].category] == 1
        )
        return cls(counts, tints, relations, tuple(events))


def write(
    truth: Truth, company: Company, seed: Sequence[int], *, error_rate: float = ERROR_RATE
) -> Phrase:
    """A few sentences about the scene, with their facts in the order of the text."""
    return _Writer(truth, company, np.random.default_rng(seed), error_rate).write()


class _Writer:
    def __init__(
        self, truth: Truth, company: Company, rng: np.random.Generator, error_rate: float
    ) -> None:
        self.truth = truth
        self.rng = rng
        self.error_rate = error_rate
        present = list(truth.counts)
        absent = [name for name in CATEGORIES if name not in truth.counts]
        # Absent objects, those that belong here first: what a model expects to see.
        self.expected = sorted(absent, key=lambda name: -company.expected(name, present))

    def write(self) -> Phrase:
        present = [str(name) for name in self.rng.permutation(list(self.truth.counts))]
        # What is denied is not named before, so a false denial needs a second object.
        denies, wrongly = self._chance(0.5), self._errs()
        denied = present.pop() if denies and wrongly and len(present) > 1 else None
        mentions, told = [], []
        for name in present[:MOST_MENTIONED]:
            if self._errs():
                mentions.append(self._mention(self._absent(), self.truth.counts[name], False))
            else:
                mentions.append(self._mention(name, self.truth.counts[name], True))
                told.append(name)
        sentences = self._mention_sentences(mentions)
        coloured = {fact.subject for each in mentions for fact in each.facts if fact.kind == "tint"}
        sentences += [
            self._tint(name)
            for name in told
            if name not in coloured and self._one_tint(name) and self._chance(0.8)
        ]
        sentences += self._relations(told)
        if denied or (denies and not wrongly):
            sentences.append(self._absence(denied))
        if self.truth.events:
            sentences.append(self._sound())
        return join(sentences)

    def _mention(self, name: str, count: int, there: bool) -> Phrase:
        """A noun phrase: an existence, and where there is one also its count and its tint."""
        facts: list[Fact] = []
        words: list[str] = []
        pair = with_article(name).startswith("a pair")
        if count == 1 and (pair or self._chance(0.7)):
            words.append("a pair of" if pair else "a")
        elif count > 1 and self._chance(0.15):
            words.append("some")
        else:
            wrong = there and self._errs()
            said = self._other_count(count) if wrong else count
            word = str(said) if self._chance(0.25) else NUMBER_WORDS[said]
            if there:  # of an absent object no count can be right
                facts.append(Fact("count", name, (0, len(word)), not wrong, str(said)))
            words.append(word)
            count = said
        if there and not pair and self._one_tint(name) and self._chance(0.4):
            tint = self._tint_phrase(name)
            start = len(" ".join(words)) + 1
            facts.append(tint.facts[0].moved(start))
            words.append(tint.text)
        words.append(name if count == 1 else plural(name))
        text = " ".join(words)
        if words[0] == "a" and words[1][0] in "aeiou":
            text = "an" + text[1:]
            facts = [fact.moved(1) for fact in facts]
        return Phrase(text, (Fact("existence", name, (0, len(text)), there), *facts))

    def _mention_sentences(self, mentions: list[Phrase]) -> list[Phrase]:
        """One to three mentions a sentence."""
        sentences = []
        while mentions:
            size = int(self.rng.integers(1, 4))
            part, mentions = mentions[:size], mentions[size:]
            single = re.match(r"(an?|one|1)\b", part[0].text)
            things = enumerate_phrases(part)
            be = Phrase("is" if single else "are")
            sentences.append(fill(self._pick(_MENTIONS), things=things, be=be))
        return sentences

    def _one_tint(self, name: str) -> bool:
        tints = self.truth.tints.get(name, frozenset())
        return len(tints) == 1 and None not in tints

    def _tint_phrase(self, name: str) -> Phrase:
        (tint,) = self.truth.tints[name]
        wrong = self._errs()
        if wrong:
            tint = self._pick([each for each in TINTS if each != tint])
        assert tint is not None
        return Phrase(tint, (Fact("tint", name, (0, len(tint)), not wrong, tint),))

    def _tint(self, name: str) -> Phrase:
        many = self.truth.counts[name] > 1
        return fill(
            self._pick(_TINTS),
            thing=Phrase(plural(name) if many else name),
            be=Phrase("are" if many or name == plural(name) else "is"),
            tint=self._tint_phrase(name),
        )

    def _relations(self, told: list[str]) -> list[Phrase]:
        known = sorted(
            (first, name, second)
            for first, name, second in self.truth.relations
            if first in told and second in told
        )
        sentences = []
        for _ in range(int(self.rng.integers(1, 4))):
            if not known:
                break
            first, name, second = self._pick(known)
            known = [each for each in known if {each[0], each[2]} != {first, second}]
            wrong = self._errs()
            said = MIRRORED[name] if wrong else name
            words = self._pick(_SPOKEN[said])
            fact = Fact("relation", first, (0, len(words)), not wrong, said, second)
            sentences.append(
                fill(
                    self._pick(_RELATIONS),
                    first=Phrase(first),
                    relation=Phrase(words, (fact,)),
                    second=Phrase(second),
                )
            )
        return sentences

    def _absence(self, denied: str | None) -> Phrase:
        name = denied or self._absent()
        text = f"no {name}"
        fact = Fact("absence", name, (0, len(text)), denied is None)
        return fill(self._pick(_ABSENCES), nothing=Phrase(text, (fact,)))

    def _sound(self) -> Phrase:
        phrases = []
        # What is in sight is what one expects to hear.
        silent = [event for event in SOUNDS if event not in self.truth.events]
        silent.sort(key=lambda event: SOUNDS[event].object not in self.truth.counts)
        likely = max(2, sum(SOUNDS[event].object in self.truth.counts for event in silent))
        for event in self.truth.events:
            wrong = self._errs()
            said = self._pick(silent[:likely]) if wrong else event
            if wrong:
                silent.remove(said)
            words = SOUNDS[said].description
            phrases.append(Phrase(words, (Fact("sound", said, (0, len(words)), not wrong),)))
        return fill(self._pick(_SOUNDS), sounds=enumerate_phrases(phrases))

    def _absent(self) -> str:
        """An absent object that belongs here and was not named yet."""
        name = self.expected[int(self.rng.integers(5))]
        self.expected.remove(name)
        return name

    def _other_count(self, count: int) -> int:
        near = [count + step for step in (-2, -1, 1, 2) if 1 <= count + step < len(NUMBER_WORDS)]
        return int(self.rng.choice(near))

    def _errs(self) -> bool:
        return self._chance(self.error_rate)

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _pick(self, options: Sequence[Option]) -> Option:
        return options[int(self.rng.integers(len(options)))]


def fill(template: str, **slots: Phrase) -> Phrase:
    """A template's `{slot}`s replaced by phrases, their facts moved along."""
    text, facts = "", []
    for index, part in enumerate(re.split(r"\{(\w+)\}", template)):
        if index % 2:
            facts += [fact.moved(len(text)) for fact in slots[part].facts]
            text += slots[part].text
        else:
            text += part
    return Phrase(text, tuple(facts))


def enumerate_phrases(phrases: Sequence[Phrase]) -> Phrase:
    """`a cup, two spoons and a cake`."""
    slots = {f"p{index}": phrase for index, phrase in enumerate(phrases)}
    *front, last = (f"{{{name}}}" for name in slots)
    return fill(f"{', '.join(front)} and {last}" if front else last, **slots)


def join(sentences: Sequence[Phrase]) -> Phrase:
    """One text of several sentences, each with a capital letter."""
    text, facts = "", []
    for sentence in sentences:
        text += " " if text else ""
        facts += [fact.moved(len(text)) for fact in sentence.facts]
        text += sentence.text[:1].upper() + sentence.text[1:]
    return Phrase(text, tuple(facts))
