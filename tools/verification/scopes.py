"""What a negation denies and what a hedge weakens, within one sentence."""

from nuthatch.tools.verification import words as w
from nuthatch.tools.verification.reading import Sentence, Text

_FRESH = frozenset({"there", "i", "you", "it", "only", "just"})
"""After "and" or a comma these begin a statement of its own."""
_SHOWN = frozenset({"visible", "present", "there", "shown", "seen"}) | w.PICTURE


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
        denied = hedged = False
        for at in range(sentence.first, sentence.last):
            word, after = text.lower(at), text.lower(at + 1)
            if word in w.BOUNDARIES or (word in ("and", ",") and after in _FRESH):
                denied = hedged = False
            self._denied.append(denied)
            self._hedged.append(hedged)
            if (is_negation(word) or word == "without") and after != "only":
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
        end = min(mention.last + 6, sentence.last)
        after = [text.lower(i) for i in range(mention.last, end)]
        if after and after[0] in w.BE | {"can", "cannot", "can't"}:
            absent = any(is_negation(word) for word in after)
            if absent and not _SHOWN.isdisjoint(after):
                return True
        return index > 0 and self.absent[index - 1] and self._chained(index)

    def _chained(self, index: int) -> bool:
        """`no cups, plates or knives`: what follows without a determiner of its own."""
        before, mention = self._sentence.mentions[index - 1 : index + 1]
        joint = {self._text.lower(i) for i in range(before.last, mention.first)}
        if not joint or not joint <= {"or", "nor", ","}:
            return False
        return joint != {","} or not (mention.determiner or mention.number)


def is_negation(word: str) -> bool:
    """`not`, `never`, `isn't`"""
    return word in w.NOT or word.endswith("n't")
