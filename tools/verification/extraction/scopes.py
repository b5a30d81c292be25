"""What a negation denies and what a hedge weakens, within one sentence."""

from collections.abc import Iterator
from itertools import pairwise

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.lexicon import FREE
from nuthatch.tools.verification.extraction.text import Clause, Mention, Sentence, Text

_FRESH = frozenset({"there", "i", "you", "it", "only", "just"})
"""After "and" or a comma these begin a statement of its own."""
SHOWN = (
    w.words_of("visible present there shown seen view sight display show found appear") | w.PICTURE
)
_CAN = w.words_of("can could cannot can't couldn't may might")


class Scopes:
    """Negations and hedges of a sentence; tokens are named by their numbers in the text."""

    def __init__(self, text: Text, sentence: Sentence) -> None:
        self._text = text
        self._sentence = sentence
        self._denied: list[bool] = []
        self._hedged: list[bool] = []
        self._scan()
        self.absent: list[bool] = []
        """For each mention of the sentence: whether it is said not to be there."""
        self._gone = set(self._said_to_be_gone())
        for index in range(len(sentence.mentions)):
            self.absent.append(self._denies(index))

    def denied(self, at: int) -> bool:
        """Whether a token stands under a negation."""
        return self._denied[at - self._sentence.first]

    def hedged(self, at: int) -> bool:
        """Whether a token stands under a hedge."""
        return self._hedged[at - self._sentence.first]

    def _scan(self) -> None:
        """Both hold from their word to the end of the clause."""
        text, sentence = self._text, self._sentence
        starts = {clause.first: clause.denied for clause in sentence.clauses}
        whole = False
        holes = [hole for clause in sentence.clauses for hole in clause.holes]
        denied = hedged = False
        for at in range(sentence.first, sentence.last):
            word, after = text.lower(at), text.lower(at + 1)
            if at in starts or word in w.BOUNDARIES or (word in ("and", ",") and after in _FRESH):
                whole = starts.get(at, whole)
                denied, hedged = whole, False
            self._denied.append(denied)
            self._hedged.append(hedged)
            if any(first <= at < last for first, last in holes):
                continue
            without = word in w.WITHOUT or (word in FREE and after in ("of", "from"))
            if (is_negation(word) or without) and after != "only":
                if after in ("sure", "certain", "clear"):
                    hedged = True
                else:
                    denied = True
            elif word in w.HEDGES or (word == "could" and after == "be"):
                hedged = True
        if True in self._hedged or hedged:
            self._hedge_what_came_before()

    def _hedge_what_came_before(self) -> None:
        """`A dog, I think`: a hedge with nothing behind it holds for the whole sentence."""
        sentence = self._sentence
        start = self._hedged.index(True) if True in self._hedged else len(self._hedged)
        start += sentence.first
        said = any(mention.first >= start for mention in sentence.mentions) or any(
            self._text.lower(i) in w.COLOURS for i in range(start, sentence.last)
        )
        if not said:
            self._hedged = [True] * len(self._hedged)

    def _denies(self, index: int) -> bool:
        text, sentence = self._text, self._sentence
        mention = sentence.mentions[index]
        whole = mention.definite or mention.determiner in w.EVERY | w.NONE
        if mention.denied or (self.denied(mention.first) and not whole):
            return True
        if text.lower(mention.first - 1) in w.WITHOUT or mention in self._gone:
            return True
        return index > 0 and self.absent[index - 1] and self._chained(index)

    def _said_to_be_gone(self) -> Iterator[Mention]:
        """Things before a verb by which they are absent: `is not visible`, `are missing`."""
        text, sentence = self._text, self._sentence
        for clause in sentence.clauses:
            verbs = (i for i in range(clause.first, clause.last) if self._denies_before(i, clause))
            verb = next(verbs, clause.first)
            for mention in sentence.mentions:
                inside = clause.first <= mention.first and mention.last <= verb
                if inside and text.lower(mention.first - 1) not in w.PREPOSITIONS:
                    yield mention

    def _denies_before(self, at: int, clause: Clause) -> bool:
        text = self._text
        after = [text.lower(i) for i in range(at, min(at + 6, clause.last))]
        if after[0] not in w.BE | w.DO | w.NOT_DO | _CAN:
            return False
        denied = any(is_negation(word) for word in after)
        for word, following in pairwise([*after, ""]):  # but not `is missing a handle`
            if word in w.GONE and following not in w.DETERMINERS:
                return not denied
        return denied and not SHOWN.isdisjoint(after)

    def unheard(self, at: int) -> bool:
        """Whether nobody hears what is named at a token: `nobody hears`, `no dog can be heard`."""
        heard = any(self.only_heard(m) and m.last <= at for m in self._clause(at))
        return heard or self.denied(at)

    def only_heard(self, mention: Mention) -> bool:
        """Whether the phrase denies that something is heard, not that it is there."""
        end = min(mention.last + 3, self._sentence.last)
        words = {self._text.lower(i) for i in range(mention.last, end)}
        return mention.denied and not words.isdisjoint(w.CAN_BE_HEARD)

    def _clause(self, at: int) -> list[Mention]:
        """The phrases before a token in its clause."""
        fresh = next((m for m in self._sentence.mentions if m.first == at), None)
        joined = self._text.lower(at - 1) in (",", "and")
        if fresh and joined and self._text.lower(fresh.last) in w.BE | w.MAKE:
            return []  # nobody hears a dog, and the clock is ticking
        start = at
        while start > self._sentence.first and self._text.lower(start - 1) not in w.BOUNDARIES:
            start -= 1
        return [m for m in self._sentence.mentions if start <= m.first < at]

    def _chained(self, index: int) -> bool:
        """`no cups, plates or knives`: what follows without a determiner of its own."""
        before, mention = self._sentence.mentions[index - 1 : index + 1]
        joint = {self._text.lower(i) for i in range(before.last, mention.first)}
        if not joint or not joint <= {"or", "nor", ","}:
            return False
        return joint != {","} or not (mention.determiner or mention.number)


def is_negation(word: str) -> bool:
    """`not`, `never`, `isn't`, `fails` (to)"""
    return word in w.NOT or word.endswith("n't") or word in ("fails", "fail", "failed", "unable")
