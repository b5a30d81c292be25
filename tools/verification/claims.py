"""From an answer to its claims, by rules over a closed vocabulary.

Read are: existence ("there is a cup"), count ("three cups"), tint ("a blue cup"), relation ("left
of the tree"), sound ("a dog is barking"), and quoted text. A bare "yes", "three", "blue" or "left
of the tree" takes its meaning from the question. Nouns outside the vocabulary are claims too: they
will find no judge. Actions, moods and opinions are not read.

A subject may carry its tint: `red cup` counts or places red cups only (`split_name`). Relations
and tints say that *some* such object is so. A count of things that a relation picks out ("two cups
left of the plate") is read as "at least", since there may be others elsewhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from nuthatch.tools.verification import words as w
from nuthatch.tools.verification.reading import (
    Mention,
    Sentence,
    Text,
    name_at,
    number_at,
    quantity_at,
    read,
)
from nuthatch.tools.verification.types import Claim, ClaimKind
from nuthatch.tools.vocabulary import CATEGORIES, TINTS

CENTRE = "centre"
"""The other side of "on the left": the middle of the picture."""


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
class Reading:
    """An answer and what it claims, in the order of the text."""

    text: Text
    claims: tuple[Claim, ...]
    anchors: dict[str, Anchor]


def split_name(subject: str) -> tuple[str | None, str]:
    """`red cup` -> (`red`, `cup`); `cup` -> (None, `cup`); `orange` -> (None, `orange`)."""
    first, space, rest = subject.partition(" ")
    return (
        (first, rest)
        if space and first in w.COLOURS and subject not in CATEGORIES
        else (None, subject)
    )


def extract_claims(answer: str, question: str | None = None) -> list[Claim]:
    """The claims of an answer, in the order of their spans."""
    return list(read_claims(answer, question).claims)


def read_claims(answer: str, question: str | None = None) -> Reading:
    """The claims of an answer and where they stand in it."""
    return _Reader(read(answer), _asked(read(question)) if question else None).run()


# -- questions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Question:
    """What a short answer would mean. `claims` are what "yes" would say, the main one last."""

    kind: str  # count, colour, where, sound, which, yes/no, other
    subject: str = ""
    predicate: str = ""
    claims: tuple[Claim, ...] = ()


def _asked(text: Text) -> _Question | None:
    """What the last question of a text asks for."""
    if not text.sentences:
        return None
    asking = [each for each in text.sentences if each.is_question]
    return _interpret(text, (asking or list(text.sentences))[-1])


def _interpret(text: Text, sentence: Sentence) -> _Question:
    tokens = [text.lower(i) for i in range(sentence.first, sentence.last)]
    said = set(tokens)
    mentions = sentence.mentions
    last = _described(text, mentions[-1]) if mentions else ""
    if {"how", "many"} <= said and mentions:
        return _Question("count", _described(text, mentions[0]))
    if said & {"colour", "color", "colored", "coloured"} and mentions:
        return _Question("colour", mentions[-1].name)
    if "where" in said and mentions:
        return _Question("where", _described(text, mentions[0]))
    if tokens[:1] and (
        tokens[0] in w.BE or tokens[0] in ("do", "does", "can", "did", "could", "has")
    ):
        reader = _Reader(text, None, asking=True)
        reader.sentence(text.sentences.index(sentence))
        return _Question("yes/no", claims=_main(reader.claims))
    if said & w.HEAR or "listen" in said:
        return _Question("sound")
    if said & {"what", "which", "who"} and mentions:
        for place in _places(text, sentence):
            if place.object is mentions[-1]:
                return _Question("which", last, place.predicate)
    return _Question("other")


def _main(claims: list[Claim]) -> tuple[Claim, ...]:
    """What a yes asserts: the most special claim, last, after those that are new with it."""
    order = ("existence", "count", "attribute", "relation", "sound")
    ranked = [claim for kind in order for claim in claims if claim.kind == kind]
    if not ranked:
        return ()
    main = ranked[-1]
    parents = [c for c in ranked if main.kind == "attribute" and c.id in main.depends_on]
    return (*(c for c in parents if not c.text.lower().startswith("the ")), main)


def _described(text: Text, mention: Mention) -> str:
    """The name with the tint that was said, if it is one single tint."""
    tint = _tint(text, mention)
    return f"{tint} {mention.name}" if tint in TINTS else mention.name


def _tint(text: Text, mention: Mention) -> str | None:
    if not mention.colours:
        return None
    return " and ".join(w.COLOURS[text.lower(i)] for i in mention.colours)


# -- places ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A preposition with its object: tokens `first` to `last` (exclusive), the object included."""

    first: int
    last: int
    preposition: int
    """Where the object begins."""
    predicate: str
    object: Mention | None
    """None: the middle of the picture, or `it`."""
    value: str


def _places(text: Text, sentence: Sentence) -> Iterator[_Place]:
    starts = {mention.first: mention for mention in sentence.mentions}
    at = sentence.first
    while at < sentence.last:
        found = _side(text, at, sentence.last, starts) or _plain(text, at, starts)
        if found:
            yield found
            at = max(found.preposition, at + 1)
        else:
            at += 1


def _side(text: Text, first: int, end: int, starts: dict[int, Mention]) -> _Place | None:
    """`left of X`, `to the left of X`, `on the left side of the picture`, `at the top`."""
    at = first
    led = text.lower(at) in ("to", "on", "at", "in", "toward", "towards")
    if led:
        at += 1
    if text.lower(at) == "the":
        at += 1
    elif led and text.lower(at) != "top":
        return None
    if text.lower(at) == "far":
        at += 1
    side = text.lower(at)
    predicate = {"left": "left of", "right": "right of", "top": "above", "bottom": "below"}.get(
        side
    )
    if predicate is None or at >= end:
        return None
    at += 1
    if text.lower(at) in ("-", "hand"):
        at += 1
    if text.lower(at) in ("side", "half", "edge", "part"):
        at += 1
    if text.lower(at) == "of" and side in ("left", "right"):
        target = starts.get(at + 1)
        if target:
            return _Place(first, target.last, at + 1, predicate, target, _described(text, target))
        if text.lower(at + 1) in ("it", "them"):
            return _Place(first, at + 2, at + 1, predicate, None, "it")
    if not led or text.lower(at) in ("corner", "and", "hand") or (
        text.lower(at) == "of" and text.lower(at + 2) not in w.PICTURE
    ):  # fmt: skip
        return None
    if text.lower(at) == "of":
        at += 3
    return _Place(first, at, at, predicate, None, CENTRE)


def _plain(text: Text, first: int, starts: dict[int, Mention]) -> _Place | None:
    """`above X`, `behind X`, `next to X`, `in front of X`"""
    words = (text.lower(first), text.lower(first + 1), text.lower(first + 2))
    if words == ("in", "front", "of"):
        predicate, at = "in front of", first + 3
    elif words == ("on", "top", "of"):
        predicate, at = "on", first + 3
    elif words[:2] in (("next", "to"), ("close", "to")):
        predicate, at = "next to", first + 2
    elif words[0] in w.PLAIN_PREPOSITIONS:
        predicate, at = w.PLAIN_PREPOSITIONS[words[0]], first + 1
    else:
        return None
    target = starts.get(at)
    if target:
        return _Place(first, target.last, at, predicate, target, _described(text, target))
    if text.lower(at) in ("it", "them"):
        return _Place(first, at + 1, at, predicate, None, "it")
    return None


# -- the reader -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """Reads sentence after sentence; what was said before gives `it` and first mentions."""

    text: Text
    question: _Question | None
    asking: bool = False
    claims: list[Claim] = field(default_factory=list)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    known: dict[tuple[str, bool], str] = field(default_factory=dict)
    """(name, polarity) -> its existence claim"""
    topic: Mention | None = None
    """What `it` means."""
    at: int = 0
    opener: tuple[int, bool, tuple[Claim, ...]] | None = None
    denied: list[bool] = field(default_factory=list)
    hedged: list[bool] = field(default_factory=list)
    places: list[_Place] = field(default_factory=list)
    first: int = 0
    before: int = 0
    """Claims that earlier sentences made."""

    def run(self) -> Reading:
        for number, each in enumerate(self.text.sentences):
            if each.is_question:
                self.question = _interpret(self.text, each)
            else:
                self.sentence(number)
        order = sorted(self.claims, key=lambda claim: (claim.span[0], -claim.span[1]))
        names = {claim.id: f"c{number}" for number, claim in enumerate(order, start=1)}
        counts = _counts_by_name(order)
        claims = tuple(
            claim.model_copy(
                update={
                    "id": names[claim.id],
                    "depends_on": tuple(names[parent] for parent in claim.depends_on),
                    "value": _at_least(claim)
                    if len(counts.get(claim.subject, ())) > 1
                    else claim.value,
                }
            )
            for claim in order
        )
        return Reading(
            self.text, claims, {names[old]: anchor for old, anchor in self.anchors.items()}
        )

    def sentence(self, number: int) -> None:
        """Read one sentence as a statement."""
        self.at, self.opener = number, None
        each = self.text.sentences[number]
        self.first = each.first
        if not self.asking:
            self._yes_or_no(each)
        self._scopes(each)
        self.places = list(_places(self.text, each))
        before = self.before = len(self.claims)
        for start, end in each.quotes:
            if end > start:
                self._claim("text", (start, end), "text", "says", value=self.text.slice(start, end))
        heard = self._sounds(each)
        placed = self._things(each, heard)
        self._relations(each, placed, heard)
        self._colours(each)
        self._short_answer(each, before)
        self._settle_opener(each, before)
        if each.mentions:
            self.topic = next((m for m in each.mentions if not m.definite), each.mentions[0])

    # -- scopes -----------------------------------------------------------------------------------

    def _scopes(self, each: Sentence) -> None:
        """Which tokens stand under a negation, which under a hedge."""
        self.denied, self.hedged = [], []
        denied = hedged = False
        text = self.text
        for at in range(each.first, each.last):
            word = text.lower(at)
            after = text.lower(at + 1)
            fresh = word in ("and", ",") and after in ("there", "i", "you", "it", "only", "just")
            if word in w.BOUNDARIES or fresh:
                denied = hedged = False
            self.denied.append(denied)
            self.hedged.append(hedged)
            if (word in w.NOT or word.endswith("n't") or word == "without") and after != "only":
                if after in ("sure", "certain", "clear"):
                    hedged = True
                else:
                    denied = True
            elif word in w.HEDGES or (word == "could" and after == "be"):
                hedged = True
        trailing = [i for i, flag in enumerate(self.hedged) if flag]
        if trailing or hedged:
            start = each.first + (trailing[0] if trailing else each.last - each.first)
            if not any(m.first >= start for m in each.mentions) and not any(
                text.lower(i) in w.COLOURS for i in range(start, each.last)
            ):
                self.hedged = [True] * len(self.hedged)

    def _is_denied(self, at: int) -> bool:
        return self.denied[at - self.first]

    def _is_hedged(self, at: int) -> bool:
        return self.hedged[at - self.first]

    def _denies(self, each: Sentence, index: int) -> bool:
        """Whether the sentence says that this mention is not there."""
        mention = each.mentions[index]
        if mention.denied or (self._is_denied(mention.first) and not mention.definite):
            return True
        after = [self.text.lower(i) for i in range(mention.last, min(mention.last + 6, each.last))]
        if after and after[0] in w.BE | {"can", "cannot", "can't"}:
            absent = any(word in w.NOT or word.endswith("n't") for word in after)
            shown = {"visible", "present", "there", "shown", "seen", *w.PICTURE}
            if absent and not shown.isdisjoint(after):
                return True
        if index == 0:
            return False
        # `no cups or plates`: what follows a denied noun without a determiner of its own
        before = each.mentions[index - 1]
        joint = {self.text.lower(i) for i in range(before.last, mention.first)}
        bare = not mention.determiner and not mention.number
        chained = joint <= {"or", "nor", ","} if joint & {"or", "nor"} else bare and joint == {","}
        return bool(joint) and chained and before.denied

    # -- claims -----------------------------------------------------------------------------------

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
                hedged=self._is_hedged(words[0]) if hedged is None else hedged,
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
            denied = self._denies(each, index)
            tint = _tint(self.text, mention)
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
                    _described(self.text, mention),
                    "count",
                    value=mention.value,
                    polarity=not denied,
                    hedged=mention.approximate or self._is_hedged(mention.first),
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
                    name = _described(self.text, subject)
                    self._restrict(subject)
                    parents += [exists[subject.first]] if subject.first in exists else []
                else:
                    name = subject
                if place.object and place.object.first in exists:
                    parents.append(exists[place.object.first])
                value = place.value
                if value == "it":
                    value = _described(self.text, self.topic) if self.topic else "it"
                self._claim(
                    "relation",
                    (place.first, place.last),
                    name,
                    place.predicate,
                    value=value,
                    polarity=not (
                        self._is_denied(place.first)
                        or (isinstance(subject, Mention) and subject.denied)
                    ),
                    depends_on=tuple(dict.fromkeys(parents)),
                    mention=subject if isinstance(subject, Mention) else None,
                    anchor=(place.first, place.preposition),
                )

    def _subjects(
        self, each: Sentence, place: _Place, last: list[Mention | str]
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
            return [_described(self.text, self.topic)] if self.topic else []
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
                self.claims[index] = claim.model_copy(update={"value": _at_least(claim)})

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
            polarity=not self._is_denied(at),
            depends_on=(parent,) if parent else (),
        )

    # -- sounds -----------------------------------------------------------------------------------

    def _sounds(self, each: Sentence) -> set[int]:
        """Claims of what is heard; gives the first tokens of the phrases that are only heard."""
        text, heard = self.text, set()
        words = [text.lower(i) for i in range(each.first, each.last)]
        cues = [each.first + i for i, word in enumerate(words) if word in w.HEAR]
        asked = self.question is not None and self.question.kind == "sound"
        if not cues and not asked and not (set(words) & (w.SOUND_VERBS | set(w.SOUND_NOUNS))):
            return heard
        used: set[int] = set()
        for index, mention in enumerate(each.mentions):
            event = w.EVENT_OF.get(mention.name, mention.name)
            at = mention.last
            while text.lower(at) in w.BE | {"that", "which"}:
                at += 1
            verb = text.lower(at) in w.SOUND_VERBS and _fits(text.lower(at), mention.name)
            whistle = text.lower(mention.last) in w.SOUND_NOUNS and not verb
            makes = text.lower(at) in ("make", "makes", "made", "making", "produces", "produce")
            named = text.lower(mention.last) in ("sound", "noise")
            if whistle:
                event, at = w.SOUND_NOUNS[text.lower(mention.last)], mention.last
            cued = any(cue < mention.first for cue in cues) and not asked
            if not (verb or whistle or (makes and cues) or named or cued or asked):
                continue
            end = at + 1 if verb or whistle or named else mention.last
            used.update(range(mention.first, end))
            if verb and not cues and not asked and not mention.denied:
                pass  # "a dog is barking" also says that there is a dog
            else:
                heard.add(mention.first)
            self._sound((mention.first, end), event, not self._denies(each, index), mention)
        for offset, word in enumerate(words):
            at = each.first + offset
            if word in w.SOUND_NOUNS and at not in used:
                start = at - 1 if text.lower(at - 1) in ("a", "an", "the", "no") else at
                end = at + 2 if text.lower(at + 1).endswith("ing") else at + 1
                end = min(end, each.last)
                used.update(range(start, end))
                denied = text.lower(start) == "no" or self._is_denied(start)
                self._sound((start, end), w.SOUND_NOUNS[word], not denied, None)
        return heard

    def _sound(
        self, words: tuple[int, int], event: str, polarity: bool, mention: Mention | None
    ) -> None:
        subject = next((name for name, made in w.EVENT_OF.items() if made == event), event)
        self._claim(
            "sound", words, subject, "sounds", value=event, polarity=polarity, mention=mention
        )

    # -- short answers ----------------------------------------------------------------------------

    def _yes_or_no(self, each: Sentence) -> None:
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
                hedged=self._is_hedged(at),
                depends_on=(parent,) if parent and claim.kind == "attribute" else (),
            )
            if claim.kind == "existence":
                self.known.setdefault((claim.subject, polarity), name)

    def _echo(self, each: Sentence, first: int) -> int:
        """Where `Yes, there is` ends, if nothing else is said; else the end of `Yes`."""
        fillers = {
            ",",
            "there",
            "it",
            "they",
            "i",
            "you",
            "do",
            "does",
            "can",
            "see",
            "one",
            "that",
        }
        fillers |= w.BE | w.NOT | {"don't", "doesn't", "can't", "any", "some", "correct", "right"}
        at = first
        while at < each.last and self.text.lower(at) in fillers:
            at += 1
        ends = at >= each.last or self.text.lower(at) in (".", "!", ";")
        return at if ends else first

    def _short_answer(self, each: Sentence, before: int) -> None:
        """A bare number or noun phrase, with the meaning that the question gives it."""
        asked, text = self.question, self.text
        if asked is None or len(self.claims) > before and asked.kind == "count":
            return
        if asked.kind == "count":
            self._bare_number(each, asked.subject)
        if asked.kind == "which" and each.mentions and len(self.claims) > before:
            mention = each.mentions[0]
            if mention.known and not mention.denied:
                parent = self.known.get((mention.name, True))
                self._claim(
                    "relation",
                    (mention.first, mention.last),
                    _described(text, mention),
                    asked.predicate,
                    value=asked.subject,
                    depends_on=(parent,) if parent else (),
                    mention=mention,
                )
                self.question = None

    def _bare_number(self, each: Sentence, subject: str) -> None:
        for at in range(each.first, each.last):
            if self.text.lower(at) in ("none", "no") and at == each.first or (
                self.text.lower(at) == "none"
            ):  # fmt: skip
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
                polarity=not self._is_denied(at),
                hedged=rough or self._is_hedged(at),
            )
            self.question = None
            return


def _at_least(claim: Claim) -> str | None:
    exact = claim.kind == "count" and claim.value is not None and claim.value.isdigit()
    return f">={claim.value}" if exact else claim.value


def _counts_by_name(claims: list[Claim]) -> dict[str, set[str | None]]:
    """Different numbers said of one name: they must be of parts of it."""
    counts: dict[str, set[str | None]] = {}
    for claim in claims:
        if claim.kind == "count" and claim.polarity:
            counts.setdefault(claim.subject, set()).add(claim.value)
    return counts


def _fits(verb: str, category: str) -> bool:
    """`playing` is a sound of a guitar, not of a dog."""
    players: dict[str, Callable[[str], bool]] = {
        "playing": lambda name: name in ("guitar", "drum", "violin", "trumpet"),
        "beating": lambda name: name == "drum",
        "singing": lambda name: name in ("bird", "person"),
        "sounding": lambda name: name in ("bell", "train", "truck", "trumpet"),
    }
    return players.get(verb, lambda name: True)(category)


__all__ = [
    "CENTRE",
    "Anchor",
    "Reading",
    "extract_claims",
    "number_at",
    "read_claims",
    "split_name",
]
