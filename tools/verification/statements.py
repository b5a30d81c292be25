"""Statements: what whole sentences claim, sentence after sentence.

What was said before gives `it` its meaning and makes the first mention of a thing its claim of
existence.
"""

from dataclasses import dataclass, field

from nuthatch.tools.verification import words as w
from nuthatch.tools.verification.places import Place, described, places, tint_of
from nuthatch.tools.verification.reading import Mention, Sentence, Text
from nuthatch.tools.verification.scopes import Scopes
from nuthatch.tools.verification.sounds import soundings
from nuthatch.tools.verification.types import Claim, ClaimKind
from nuthatch.tools.vocabulary import CATEGORIES


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a claim stands in the text. All positions are token numbers, ends exclusive."""

    sentence: int
    words: tuple[int, int]
    """The words that say it: yes/no, number, colour, preposition, noun phrase, what sounds."""
    mention: Mention | None = None
    opener: int | None = None
    """The "yes" or "no" that says the same."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a short answer would mean. `claims` are what "yes" would say, the main one last."""

    kind: str  # count, colour, where, sound, which, yes/no, other
    subject: str = ""
    predicate: str = ""
    claims: tuple[Claim, ...] = ()


def split_name(subject: str) -> tuple[str | None, str]:
    """`red cup` -> (`red`, `cup`); `cup` -> (None, `cup`); `orange` -> (None, `orange`)."""
    first, space, rest = subject.partition(" ")
    return (
        (first, rest)
        if space and first in w.COLOURS and subject not in CATEGORIES
        else (None, subject)
    )


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
        self.places = list(places(self.text, each))
        for start, end in each.quotes:
            if end > start:
                quoted = self.text.slice(start, end)
                self._claim("text", (start, end), "text", "says", value=quoted)
        heard = self._sounds(each)
        self._relations(each, self._things(each, heard), heard)
        self._colours(each)

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

    def _things(self, each: Sentence, heard: set[int]) -> dict[int, str]:
        """Existence, counts and tints of noun phrases; first token -> existence claim."""
        exists: dict[int, str] = {}
        placed = {place.first for place in self.places}
        for index, mention in enumerate(each.mentions):
            if mention.first in heard:
                continue
            denied = self.scopes.absent[index]
            tint = tint_of(self.text, mention)
            # "no red cup", "not three cups", "no cup on the left" do not deny all cups.
            special = tint or mention.value or mention.last in placed
            if not (denied and special) and mention.value != "0":
                exists[mention.first] = self._exists(mention, not denied)
            parents = (exists[mention.first],) if mention.first in exists else ()
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
            if mention.value and mention.number and not mention.partitive:
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
        return exists

    def _relations(self, each: Sentence, exists: dict[int, str], heard: set[int]) -> None:
        subjects: list[Mention | str] = []
        for place in self.places:
            if place.object and place.object.first in heard:
                continue
            subjects = self._subjects(each, place, subjects)
            for subject in subjects:
                parents = []
                if isinstance(subject, Mention):
                    name = described(self.text, subject)
                    self._restrict(subject)
                    parents += [exists[subject.first]] if subject.first in exists else []
                else:
                    name = subject
                if place.object and place.object.first in exists:
                    parents.append(exists[place.object.first])
                value = place.value
                if value == "it":
                    value = described(self.text, self.topic) if self.topic else "it"
                self._claim(
                    "relation",
                    (place.first, place.last),
                    name,
                    place.predicate,
                    value=value,
                    polarity=not (
                        self.scopes.denied(place.first)
                        or (isinstance(subject, Mention) and subject.denied)
                    ),
                    depends_on=tuple(dict.fromkeys(parents)),
                    mention=subject if isinstance(subject, Mention) else None,
                    anchor=(place.first, place.preposition),
                )

    def _subjects(
        self, each: Sentence, place: Place, last: list[Mention | str]
    ) -> list[Mention | str]:
        """What stands there: the phrase before, or all of a list before a verb, or `it`."""
        before = [m for m in each.mentions if m.last <= place.first]
        lead = place.first - 1
        while self.text.lower(lead) in w.ADVERBS | {"is", "are"} and lead > each.first:
            lead -= 1
        if last and self.text.lower(lead) in ("and", ","):
            return last
        if before:
            nearest = before[-1]
            group: list[Mention | str] = [nearest]
            if any(
                self.text.lower(i) in w.BE | w.POSTURES for i in range(nearest.last, place.first)
            ):
                for mention in reversed(before[:-1]):
                    joint = {
                        self.text.lower(i)
                        for i in range(mention.last, group[-1].first)  # type: ignore[union-attr]
                    }
                    if not joint or not joint <= {"and", ","}:
                        break
                    group.append(mention)
            return group
        if any(self.text.lower(i) in ("it", "they") for i in range(each.first, place.first)):
            return [described(self.text, self.topic)] if self.topic else []
        after = [m for m in each.mentions if m.first >= place.last]
        if after:
            return [after[0]]
        if self.question and self.question.kind == "where":
            return [self.question.subject]
        return []

    def _restrict(self, mention: Mention) -> None:
        """A relation picks out some: their number is a lower bound of all."""
        for index, claim in enumerate(self.claims[self.before :], start=self.before):
            if claim.kind == "count" and self.anchors[claim.id].mention is mention:
                self.claims[index] = claim.model_copy(update={"value": at_least(claim)})

    def _sounds(self, each: Sentence) -> set[int]:
        """Claims of what is heard; gives the first tokens of the phrases that are only heard."""
        asked = self.question is not None and self.question.kind == "sound"
        only_heard: set[int] = set()
        for sounding in soundings(self.text, each, self.scopes, asked):
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
            if text.lower(at) not in w.COLOURS or at in taken:
                at += 1
                continue
            end = at + 1
            while text.lower(end) == "and" and text.lower(end + 1) in w.COLOURS:
                end += 2
            lead = at - 1
            while text.lower(lead) in w.ADVERBS | w.NOT | w.HEDGES | {
                "to",
                "be",
                "in",
                "light",
                "dark",
                "bright",
            }:
                lead -= 1
            before = [m for m in each.mentions if m.last <= at]
            linked = text.lower(lead) in w.BE | w.LOOK_LIKE
            if (
                self.asking
                and text.lower(each.first) in w.BE
                and before
                and before[-1].last == lead + 1
            ):
                linked = True
            alone = end - each.first <= 3 and not each.mentions
            subject: Mention | str | None = None
            if linked and before:
                subject = before[-1]
            elif linked or alone:
                if self.question and self.question.kind == "colour":
                    subject = self.question.subject
                elif self.topic and linked:
                    subject = self.topic
            if subject is not None:
                self._coloured(subject, at, end)
            at = end

    def _coloured(self, subject: Mention | str, at: int, end: int) -> None:
        name = subject if isinstance(subject, str) else subject.name
        value = " and ".join(w.COLOURS[self.text.lower(i)] for i in range(at, end, 2))
        parent = self.known.get((name, True))
        self._claim(
            "attribute",
            (at, end),
            name,
            "tint",
            value=value,
            polarity=not self.scopes.denied(at),
            depends_on=(parent,) if parent else (),
        )


def at_least(claim: Claim) -> str | None:
    """The value of a count that may be of a part only."""
    exact = claim.kind == "count" and claim.value is not None and claim.value.isdigit()
    return f">={claim.value}" if exact else claim.value
