"""What an answer says is heard: events, and the noun phrases that only name their sources."""

from collections.abc import Iterator
from dataclasses import dataclass

from nuthatch.tools.verification import words as w
from nuthatch.tools.verification.reading import Mention, Sentence, Text
from nuthatch.tools.verification.scopes import Scopes

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


def soundings(text: Text, sentence: Sentence, scopes: Scopes, asked: bool) -> list[Sounding]:
    """The events of a sentence. `asked`: the question was about a sound."""
    words = [text.lower(i) for i in range(sentence.first, sentence.last)]
    cues = [sentence.first + i for i, word in enumerate(words) if word in w.HEAR]
    if (
        not (cues or asked)
        and w.SOUND_VERBS.isdisjoint(words)
        and not set(words) & set(w.SOUND_NOUNS)
    ):
        return []
    found = list(_of_things(text, sentence, scopes, cues, asked))
    used = {at for each in found for at in range(*each.words)}
    return [*found, *_by_name(text, sentence, scopes, used)]


def _of_things(
    text: Text, sentence: Sentence, scopes: Scopes, cues: list[int], asked: bool
) -> Iterator[Sounding]:
    """`a dog barking`, `a train whistle`, `the clock makes this sound`, `I hear a bell`"""
    for index, mention in enumerate(sentence.mentions):
        event = w.EVENT_OF.get(mention.name, mention.name)
        at, after = mention.last, text.lower(mention.last)
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
        seen = verb and not cues and not asked and not mention.denied
        yield Sounding((mention.first, end), event, not scopes.absent[index], mention, seen)


def _by_name(text: Text, sentence: Sentence, scopes: Scopes, used: set[int]) -> Iterator[Sounding]:
    """`a siren`, `an engine running`, `rain falling`"""
    for at in range(sentence.first, sentence.last):
        event = w.SOUND_NOUNS.get(text.lower(at))
        if event is None or at in used:
            continue
        start = at - 1 if text.lower(at - 1) in ("a", "an", "the", "no") else at
        end = at + 2 if text.lower(at + 1).endswith("ing") else at + 1
        end = min(end, sentence.last)
        used.update(range(start, end))
        denied = text.lower(start) == "no" or scopes.denied(start)
        yield Sounding((start, end), event, not denied, None, False)
