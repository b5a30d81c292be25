"""Lines of text as readers find them in pictures."""

from collections.abc import Sequence
from typing import NamedTuple

from nuthatch.tools.media.geometry import Box, intersection

LINE, SHORT_LINE = 0.7, 0.9
"""Least scores: what is below them is more often a pattern than text. Of noise much looks like one
or two letters, so a line of less than four must be surer."""


class TextLine(NamedTuple):
    """A line of text, how sure the reader is of it (0 to 1), and where it stands in the picture."""

    text: str
    score: float
    box: Box


def is_text(text: str, score: float) -> bool:
    """Whether a line of this score is more likely text than a pattern."""
    letters = sum(letter.isalnum() for letter in text)
    return letters > 0 and score >= (LINE if letters > 3 else SHORT_LINE)


def distinct(lines: Sequence[TextLine]) -> list[TextLine]:
    """Without those that lie on a better one: one with more letters read surely."""
    kept: list[TextLine] = []
    for line in sorted(lines, key=lambda each: each.score * len(each.text), reverse=True):
        both = ((other, intersection(line.box, other.box)) for other in kept)
        if not any(common > min(line.box.area, other.box.area) / 2 for other, common in both):
            kept.append(line)
    return [line for line in lines if any(line is each for each in kept)]


def box_within(sides: tuple[float, float, float, float], *, width: int, height: int) -> Box:
    """A box of at least one pixel inside a picture."""
    x1, y1 = min(max(sides[0], 0.0), width - 1.0), min(max(sides[1], 0.0), height - 1.0)
    return Box.of((x1, y1, max(min(sides[2], width), x1 + 1), max(min(sides[3], height), y1 + 1)))
