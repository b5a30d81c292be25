"""What an answer says is heard: events, and the noun phrases that only name their sources."""

from collections.abc import Iterator
from dataclasses import dataclass

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.scopes import Scopes, is_negation
from nuthatch.tools.verification.extraction.text import Mention, Sentence, Text

_PLAYERS = {
    "playing": {"guitar", "drum", "violin", "trumpet"},
    "beating": {"drum"},
    "singing": {"bird", "person"},
    "sounding": {"bell", "train", "truck", "trumpet"},
}
"""Verbs that are sounds of some things only: a dog that is playing makes no music."""


@dataclass(frozen=True, slots=True)
class Sounding:
    """An event that is said to be heard; `words` are its tokens, end exclusive."""

    words: tuple[int, int]
    event: str
    polarity: bool
    mention: Mention | None
    seen: bool
    """Whether the words also say that the thing is there: "a dog is barking"."""

    @property
    def subject(self) -> str:
        """The category that makes it, or what was said."""
        makers = (name for name, made in w.EVENT_OF.items() if made == self.event)
        return next(makers, self.event)


def soundings(
    text: Text, sentence: Sentence, scopes: Scopes, asked: bool, told: frozenset[str]
) -> list[Sounding]:
    """The events of a sentence.

    `asked`: the question was about a sound. `told`: events that were said to be heard before.
    """
    tokens = [i for clause in sentence.clauses for i in range(clause.first, clause.last)]
    words = [text.lower(i) for i in tokens]
    cues = [i for i in tokens if text.lower(i) in w.HEAR]
    if (
        not (cues or asked or told)
        and w.SOUND_VERBS.isdisjoint(words)
        and not set(words) & set(w.SOUND_NOUNS)
    ):
        return []
    found = list(_of_things(text, sentence, scopes, cues, asked, told))
    used = {at for each in found for at in range(*each.words)}
    return [*found, *_by_name(text, sentence, scopes, used)]


def _of_things(
    text: Text,
    sentence: Sentence,
    scopes: Scopes,
    cues: list[int],
    asked: bool,
    told: frozenset[str],
) -> Iterator[Sounding]:
    """`a dog barking`, `a train whistle`, `the clock makes this sound`, `I hear a bell`"""
    heard = set(told)
    for index, mention in enumerate(sentence.mentions):
        event = w.EVENT_OF.get(mention.name, mention.name)
        at, after = mention.last, text.lower(mention.last)
        denied = scopes.absent[index] or scopes.unheard(mention.first)
        end = _heard(text, at, sentence.last)
        if end and mention.name in w.EVENT_OF:
            denied |= any(is_negation(text.lower(i)) for i in range(at, end))
            yield Sounding((mention.first, end), event, not denied, mention, False)
            continue
        if _makes_it(text, at, sentence.last) and (cues or asked or heard):
            # "I hear a clock ticking; the clock makes it": heard, and there to be seen
            yield Sounding((mention.first, mention.last), event, not denied, mention, True)
            continue
        while text.lower(at) in w.BE | w.RELATIVE:
            at += 1
        verb = text.lower(at) in w.SOUND_VERBS
        verb = verb and mention.name in _PLAYERS.get(text.lower(at), {mention.name})
        cued = any(cue < mention.first for cue in cues) and not asked
        if verb:
            end = at + 1
        elif after in w.SOUND_NOUNS:
            event, end = w.SOUND_NOUNS[after], mention.last + 1
        elif after in ("sound", "noise"):
            end = mention.last + 1
        elif (text.lower(at) in w.MAKE and cues) or cued or asked:
            end = mention.last
        else:
            continue
        if end == mention.last and denied and _is_sight(text, mention.first, event in heard):
            continue
        if not denied:
            heard.add(event)
        # "a dog barks" may be said of all dogs, "a dog is barking" of one that is there
        now = text.lower(at).endswith("ing")
        seen = verb and now and not cues and not asked and not mention.denied
        yield Sounding((mention.first, end), event, not denied, mention, seen)


def _makes_it(text: Text, at: int, last: int) -> bool:
    """`makes it` at the end of a clause"""
    said = text.lower(at) in w.MAKE and text.lower(at + 1) in ("it", "this", "that")
    return said and (at + 2 >= last or not text.lower(at + 2)[:1].isalnum())


def _is_sight(text: Text, first: int, heard: bool) -> bool:
    """Whether a denied thing is missed by the eyes: `I see no cat`, and, where it is heard, `there
    is no cat`."""
    before = text.lower(first - 1)
    return before in w.SHOWS or (heard and before in w.BE and text.lower(first - 2) == "there")


def _heard(text: Text, at: int, last: int) -> int | None:
    """Where `can be heard`, `is not heard barking` ends, if it begins here."""
    while text.lower(at) in w.BE | {"can", "could"} or is_negation(text.lower(at)):
        at += 1
    if at >= last or text.lower(at) not in ("heard", "audible"):
        return None
    return at + 2 if text.lower(at + 1) in w.SOUND_VERBS else at + 1


def _by_name(text: Text, sentence: Sentence, scopes: Scopes, used: set[int]) -> Iterator[Sounding]:
    """`a siren`, `an engine running`, `rain falling`"""
    for at in range(sentence.first, sentence.last):
        event = w.SOUND_NOUNS.get(text.lower(at))
        if event is None or at in used or not sentence.understood(at, at + 1):
            continue
        start = at - 1 if text.lower(at - 1) in ("a", "an", "the", "no") else at
        end = at + 2 if text.lower(at + 1).endswith("ing") else at + 1
        end = min(end, sentence.last)
        used.update(range(start, end))
        denied = text.lower(start) == "no" or scopes.unheard(start)
        yield Sounding((start, end), event, not denied, None, False)
