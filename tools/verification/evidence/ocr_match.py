"""Whether what was read in a picture is what an answer says is written there.

Letters and figures are compared, in whole words; case, punctuation and spaces are not. What was
read comes from the picture: it is compared, and may be quoted, and is never more than that.

A reader misses much, so that what it did not read may still be there. Only where one line is all
that was read, surely, and nothing in it is like the words claimed, are these refuted. One letter
that differs is left undecided: it is as often another word as a slip of the reader.

Measured on 400 drawn pictures with one to three signs (plain or busy ground, letters 12 to 44
pixels high), with as many false claims as the 650 true ones: words that were read are there in 99
of 100 cases. Words in whose place another line was read are there in 3 of 100 where the picture has
one sign (n 65), and in 37 of 100 where it has two or three (n 128), of which some were overlooked.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from nuthatch.tools.verification.evidence.perception import Written
from nuthatch.tools.verification.extraction import words as w

FOUND = 0.97
"""That words are there that were read: what was measured, less its error."""
OTHER = 0.15
"""That they are there where something else was read: most pictures of which somebody says what "the
sign" says have one. By default this casts doubt on words and replaces none."""
SURE = 0.9
"""The reader's score for a line from which it may refute."""
ALIKE = 0.5
"""Share of common letters from which words may be one another, badly read."""
SHORT = 60
"""Letters of words and of a line up to which they are looked at for likeness; what is longer is a
paragraph, of which nobody can say at a glance that it is quite another, and is not refuted."""
QUOTED = 120
"""Characters that a correction quotes, at most."""
_MARKS = str.maketrans("", "", '"“”«»')


class Comparison(NamedTuple):
    """What follows for the words claimed: that they are written (None: nobody can tell), the
    reader's score, what it read, and in which lines."""

    probability: float | None
    score: float
    value: str | None
    lines: tuple[Written, ...]


def compare(claimed: str, lines: Sequence[Written]) -> Comparison:
    """Look for words among the lines that were read."""
    wanted = folded(claimed)
    words = [
        (folded(word), number) for number, line in enumerate(lines) for word in line.text.split()
    ]
    words = [each for each in words if each[0]]
    if not wanted or not words:
        return Comparison(None, 0.0, None, ())
    for start, end, said in _runs(words, longest=len(wanted)):
        if said == wanted and not _denied(words, start):
            found = tuple(lines[i] for i in sorted({words[i][1] for i in range(start, end)}))
            return Comparison(FOUND, min(line.score for line in found), quotable(found), found)
    least = min(line.score for line in lines)
    letters = sum(len(word) for word, _ in words)
    alone = len(lines) == 1 and least >= SURE and max(len(wanted), letters) <= SHORT
    other = alone and not any(
        SequenceMatcher(None, wanted, said, autojunk=False).ratio() >= ALIKE
        for _, _, said in _runs(words, longest=2 * len(wanted))
    )
    return Comparison(OTHER if other else None, least, quotable(lines), tuple(lines))


def folded(text: str) -> str:
    """Letters and figures alone, in lower case."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def quotable(lines: Sequence[Written]) -> str | None:
    """What was read, fit to stand between quotation marks; None where it is too long for that."""
    said = " ".join(" ".join(line.text.translate(_MARKS) for line in lines).split())
    return said if len(said) <= QUOTED else None


def _runs(words: Sequence[tuple[str, int]], longest: int) -> Iterator[tuple[int, int, str]]:
    """Words that follow each other, as one: first, last (exclusive), letters."""
    for start in range(len(words)):
        said = ""
        for end in range(start, len(words)):
            said += words[end][0]
            if len(said) > longest and end > start:
                break
            yield start, end + 1, said


def _denied(words: Sequence[tuple[str, int]], start: int) -> bool:
    """Whether a "no" stands before, in the same line: `NO ENTRY` does not say `ENTRY`."""
    before = words[start - 1] if start else ("", -1)
    return before[0] in w.NO | w.NOT | {"dont"} and before[1] == words[start][1]
