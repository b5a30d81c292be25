"""Statements: what whole sentences claim, sentence after sentence.

What was said before gives `it` its meaning and makes the first mention of a thing its claim of
existence.
"""

from dataclasses import dataclass, field

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.anchors import Anchor, Question, Subject
from nuthatch.tools.verification.extraction.places import Place, described, places, tint_of
from nuthatch.tools.verification.extraction.scopes import Scopes
from nuthatch.tools.verification.extraction.sounds import soundings
from nuthatch.tools.verification.extraction.text import Label, Mention, Sentence, Text
from nuthatch.tools.verification.types import WRITTEN, Claim, ClaimKind


@dataclass(slots=True)
class Statements:
    """The claims of the sentences read so far, and where they stand."""

    text: Text
    question: Question | None
    asking: bool = False
    claims: list[Claim] = field(default_factory=list)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    known: dict[tuple[str, bool], str] = field(default_factory=dict)
    """(name, polarity) -> its existence claim"""
    topic: Mention | None = None
    """What `it` means."""
    at: int = 0
    """Number of the sentence."""
    scopes: Scopes = field(init=False)
    places: list[Place] = field(default_factory=list)
    before: int = 0
    """Claims that earlier sentences made."""

    def sentence(self, number: int) -> None:
        """Read one sentence as a statement."""
        each = self.text.sentences[number]
        self.at, self.before = number, len(self.claims)
        self.scopes = Scopes(self.text, each)
        found = places(self.text, each)
        self.places = [place for place in found if each.understood(place.first, place.last)]
        if each.label:
            self._form(each.label)
            return
        for start, end in each.quotes:
            if end > start:
                quoted = self.text.slice(start, end)
                there = (start, end) in each.written and each.understood(start, end)
                self._claim(
                    "text",
                    (start, end),
                    "text",
                    WRITTEN if there else "says",
                    value=quoted,
                    polarity=not (there and self.scopes.denied(start)),
                )
        heard = self._sounds(each)
        self._things(each, heard)
        self._relations(each, heard)
        self._colours(each)

    def _form(self, label: Label) -> None:
        """`dog: no`, `Cups: 3`: the value says it."""
        name = described(self.text, label.mention)
        if label.count is None:
            self._claim(
                "existence", label.words, label.mention.name, "exists", polarity=label.present
            )
            return
        there = self._exists(label.mention, True)
        self._claim("count", label.words, name, "count", value=label.count, depends_on=(there,))

    def _claim(
        self,
        kind: ClaimKind,
        words: tuple[int, int],
        subject: str,
        predicate: str,
        *,
        value: str | None = None,
        polarity: bool = True,
        hedged: bool | None = None,
        depends_on: tuple[str, ...] = (),
        mention: Mention | None = None,
        anchor: tuple[int, int] | None = None,
    ) -> str:
        span = self.text.span(*words)
        name = f"new{len(self.claims)}"
        self.claims.append(
            Claim(
                id=name,
                text=self.text.source[span[0] : span[1]],
                span=span,
                kind=kind,
                subject=subject,
                predicate=predicate,
                value=value,
                polarity=polarity,
                hedged=self.scopes.hedged(words[0]) if hedged is None else hedged,
                depends_on=depends_on,
            )
        )
        self.anchors[name] = Anchor(self.at, anchor or words, mention)
        return name

    def _exists(self, mention: Mention, polarity: bool) -> str:
        """The existence claim of a name: the first mention makes it."""
        key = (mention.name, polarity)
        if key not in self.known:
            self.known[key] = self._claim(
                "existence",
                (mention.first, mention.last),
                mention.name,
                "exists",
                polarity=polarity,
                mention=mention,
            )
        return self.known[key]

    def _things(self, each: Sentence, heard: set[int]) -> None:
        """Existence, counts and tints of noun phrases."""
        for index, mention in enumerate(each.mentions):
            if mention.first in heard:
                continue
            denied = self.scopes.absent[index]
            tint = tint_of(self.text, mention)
            # "no red cup", "not three cups", "no cup on the left", "no old cup" deny not all cups.
            single = mention.number and self.text.lower(mention.number[1] - 1) == "single"
            number = None if denied and single else mention.value  # without a single cup
            special = tint or number or mention.part or self._predicated(mention)
            special = special or self._picked_out(each, mention)
            unsaid = mention.value == "0" or mention.determiner in w.NONE
            said = not unsaid and not (denied and special)
            parents = (self._exists(mention, not denied),) if said else ()
            if mention.colours and tint:
                words = mention.colours[0], mention.colours[-1] + 1
                self._claim(
                    "attribute",
                    (mention.first, mention.last) if denied else words,
                    mention.name,
                    "tint",
                    value=tint,
                    polarity=not denied,
                    depends_on=parents,
                    mention=mention,
                    anchor=words,
                )
            if number and mention.number and not mention.partitive:
                self._claim(
                    "count",
                    mention.number,
                    described(self.text, mention),
                    "count",
                    value=mention.value,
                    polarity=not denied,
                    hedged=mention.approximate or self.scopes.hedged(mention.first),
                    depends_on=parents,
                    mention=mention,
                )

            elif (
                mention.number and self.text.lower(mention.number[0]) in w.QUANTITIES
            ):  # many cups: how many?
                self._claim("other", mention.number, mention.name, "count", depends_on=parents)

    @staticmethod
    def _picked_out(each: Sentence, mention: Mention) -> bool:
        """Whether a denial may be of some such things only: `no old cup`, `no cup with a lid`."""
        clause = next((c for c in each.clauses if c.holds(mention.first, mention.last)), None)
        return bool(mention.adjectives) or (clause is not None and not clause.bare)

    def _predicated(self, mention: Mention) -> bool:
        """Whether a place or a colour follows: `no cup on the left`, `no cup is red`."""
        at = mention.last
        while self.text.lower(at) in w.BE | w.POSTURES | w.ADVERBS:
            at += 1
        return self.text.lower(at) in w.COLOURS or any(p.first == at for p in self.places)

    def _parents(self, *subjects: Subject | None) -> tuple[str, ...]:
        """The claims that these are there at all."""
        found = [self.known.get((each.category, True)) for each in subjects if each]
        return tuple(dict.fromkeys(parent for parent in found if parent))

    def _denied(self, subject: Subject, at: int) -> bool:
        """Whether what begins at a token is denied of a subject."""
        mention = subject.mention
        no = mention is not None and (mention.denied or mention.determiner in w.NONE)
        return no or self.scopes.denied(at)

    # -- what something is said of ----------------------------------------------------------------

    def _named(self, mention: Mention, tinted: bool = True) -> Subject:
        name = described(self.text, mention) if tinted else f"{mention.part} {mention.name}".strip()
        return Subject(name, mention.name, mention=mention)

    def _some(self, mention: Mention, tinted: bool = True) -> Subject:
        """`two cups` stand there: nobody can say which."""
        subject = self._named(mention, tinted)
        whole = mention.definite or mention.determiner in w.EVERY
        if whole or mention.value in (None, "1"):
            return subject
        return subject._replace(name=f"{mention.value} {subject.name}")

    def _it(self, tinted: bool = True) -> Subject | None:
        """What `it` and `they` mean."""
        if self.topic is None:
            return None
        subject = self._named(self.topic, tinted)
        return subject._replace(every=self.topic.plural, mention=None)

    def asked(self, mention: Mention) -> Subject:
        """What a question asks about: `how many cups are on the left` -> `cup on the left`."""
        name, every = described(self.text, mention), mention.plural or mention.determiner in w.EVERY
        place = next((p for p in self.places if p.first >= mention.last), None)
        if place:
            name += f" {self.text.slice(place.first, place.last).lower()}"
        return Subject(name, mention.name, every)

    def _heads(self, each: Sentence, verb: int, at: int, tinted: bool = True) -> list[Subject]:
        """What a predicate that begins at `at`, with its verb before, is said of."""
        text = self.text
        before = [m for m in each.mentions if m.last <= verb]
        if before and text.lower(verb - 1) in w.RELATIVE:  # the cup that is red
            return [self._some(before[-1], tinted)]
        while text.lower(verb - 1) in w.ADVERBS:
            verb -= 1
        end = verb
        for place in reversed(self.places):
            if place.last == end and place.first > each.first:
                end = place.first
        before = [m for m in before if m.last <= end]
        if before and text.lower(before[-1].last) in w.RELATIVE:
            end = before[-1].last
        if not before or (end < verb and before[-1].last < end):
            return []
        group = [before.pop()]
        objects = [place.object for place in self.places]
        while before and before[-1] not in objects:
            joint = [text.lower(i) for i in range(before[-1].last, group[-1].first)]
            if not joint or not set(joint) <= {"and", ","}:
                break
            group.append(before.pop())
        lead = text.lower(group[-1].first - 1)
        if lead in w.BE | w.SHOWS:  # there is a dog and the cup is red
            group = group[:1]
        elif lead in w.PREPOSITIONS and text.lower(group[-1].first - 2) not in w.COLOUR:
            return []  # the handle of the cup
        if end < verb:
            subject = self._some(group[0], tinted)
            return [subject._replace(name=f"{subject.name} {text.slice(end, verb).lower()}")]
        return [self._some(m, tinted)._replace(every=self._every(m, at)) for m in group]

    def _every(self, mention: Mention, at: int) -> bool:
        """`all cups are`, `the cups are all`, `the cups are`; but `the cups are not`: none is"""
        if mention.determiner in w.EVERY:
            return True
        floating = any(self.text.lower(i) in w.EVERY for i in range(mention.last, at))
        return mention.plural and (floating or (mention.definite and not self.scopes.denied(at)))

    def _relations(self, each: Sentence, heard: set[int]) -> None:
        subjects: list[Subject] = []
        for place in self.places:
            if place.object and place.object.first in heard:
                continue
            subjects = self._subjects(each, place, subjects)
            other = self._named(place.object) if place.object else None
            if place.value == "it":
                other = self._it()
            for subject in subjects:
                self._restrict(subject)
                self._claim(
                    "relation",
                    (place.first, place.last),
                    subject.name,
                    f"all {place.predicate}" if subject.every else place.predicate,
                    value=other.name if other else place.value,
                    polarity=not self._denied(subject, place.first),
                    depends_on=self._parents(subject, other),
                    mention=subject.mention,
                    anchor=(place.first, place.preposition),
                )

    def _subjects(self, each: Sentence, place: Place, last: list[Subject]) -> list[Subject]:
        """What stands there: the phrase before, or all of a list before a verb, or `it`."""
        text = self.text
        lead = place.first - 1
        while text.lower(lead) in w.ADVERBS | {"is", "are"} and lead > each.first:
            lead -= 1
        if last and text.lower(lead) in ("and", ","):
            return last
        before = [m for m in each.mentions if m.last <= place.first]
        if before:
            nearest = before[-1]
            verbs = [*range(place.first - 1, nearest.last - 1, -1)]
            verb = next((i for i in verbs if text.lower(i) in w.BE | w.POSTURES), None)
            if verb is None:  # "two cups, on the left, on the right": one here, one there
                loose = text.lower(nearest.last) == ","
                return [self._named(nearest) if loose else self._some(nearest)]
            return self._heads(each, verb, place.first)
        if any(text.lower(i) in ("it", "they") for i in range(each.first, place.first)):
            it = self._it()
            return [it] if it else []
        after = [m for m in each.mentions if m.first >= place.last]
        if after:
            return [self._some(after[0])]
        if self.question and self.question.kind == "where":
            return [self.question.subject]
        return []

    def _restrict(self, subject: Subject) -> None:
        """What is said of some makes their number a lower bound of all."""
        for index, claim in enumerate(self.claims[self.before :], start=self.before):
            counted = claim.kind == "count" and self.anchors[claim.id].mention is subject.mention
            if counted and subject.mention and not subject.every:
                self.claims[index] = claim.model_copy(update={"value": at_least(claim)})

    def _sounds(self, each: Sentence) -> set[int]:
        """Claims of what is heard; gives the first tokens of the phrases that are only heard."""
        asked = self.question is not None and self.question.kind == "sound"
        only_heard = {m.first for m in each.mentions if self.scopes.only_heard(m)}
        told = frozenset(
            c.value for c in self.claims if c.kind == "sound" and c.polarity and c.value
        )
        for sounding in soundings(self.text, each, self.scopes, asked, told):
            self._claim(
                "sound",
                sounding.words,
                sounding.subject,
                "sounds",
                value=sounding.event,
                polarity=sounding.polarity,
                mention=sounding.mention,
            )
            if sounding.mention and not sounding.seen:
                only_heard.add(sounding.mention.first)
        return only_heard

    def _colours(self, each: Sentence) -> None:
        """`the cup is red`, `it is red`; in a question also `is the cup red`."""
        text = self.text
        taken = {i for mention in each.mentions for i in range(mention.first, mention.last)}
        at = each.first
        while at < each.last:
            if text.lower(at) not in w.COLOURS or at in taken or not each.understood(at, at + 1):
                at += 1
                continue
            end = at + 1
            while text.lower(end) == "and" and text.lower(end + 1) in w.COLOURS:
                end += 2
            for subject in self._coloured(each, at, end):
                self._restrict(subject)
                self._claim(
                    "attribute",
                    (at, end),
                    subject.name,
                    "all tint" if subject.every else "tint",
                    value=" and ".join(w.COLOURS[text.lower(i)] for i in range(at, end, 2)),
                    polarity=not self._denied(subject, at),
                    depends_on=self._parents(subject),
                )
            at = end

    def _coloured(self, each: Sentence, at: int, end: int) -> list[Subject]:
        """What the colour from `at` to `end` is said of; of a red cup that is blue: of the cup."""
        text, verb = self.text, at - 1
        while text.lower(verb) in w.ADVERBS | w.NOT | w.HEDGES | w.BEFORE_COLOURS:
            verb -= 1
        asked = self.question.subject if self.question and self.question.kind == "colour" else None
        before = any(mention.last <= at for mention in each.mentions)
        linked = text.lower(verb) in w.BE | w.LOOK_LIKE
        if linked and before:
            return self._heads(each, verb, at, tinted=False)
        if self.asking and text.lower(each.first) in w.BE and before:  # is the cup red
            return self._heads(each, verb + 1, at, tinted=False)
        if asked is None and linked:
            asked = self._it(tinted=False)
        alone = end - each.first <= 3 and not each.mentions
        return [asked] if asked and (linked or alone) else []


def at_least(claim: Claim) -> str | None:
    """The value of a count that may be of a part only."""
    exact = claim.kind == "count" and claim.value is not None and claim.value.isdigit()
    return f">={claim.value}" if exact else claim.value
