"""A text as words, sentences and what marks its lines; every part keeps its place.

A list item, a heading, a row of a table and every other line is a sentence of its own, without the
signs that mark it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nuthatch.tools.verification.extraction import words as w

LONGEST_SENTENCE = 400
"""Tokens; what never ends is cut here, so that reading stays linear in the text."""
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:['’-][^\W\d_]+)*|[^\w\s]|_+")
QUOTES = {'"': '"', "“": "”", "«": "»"}
MARKUP = frozenset({"*", "`", "_", "__"})
"""Signs that say how words look and nothing else."""
_BULLETS = frozenset("-*•+–>")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a sign; `lower` is its form in the word lists."""

    text: str
    lower: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A noun phrase. All positions are token numbers, ends exclusive."""

    first: int
    last: int
    noun: tuple[int, int]
    name: str
    """Category, or the unknown noun in the singular."""
    known: bool
    plural: bool
    determiner: str
    number: tuple[int, int] | None = None
    value: str | None = None
    """`3`, `2-3`, `>=3`, `<=3`"""
    approximate: bool = False
    partitive: bool = False
    """`two of the cups`: the number is of a part."""
    colours: tuple[int, ...] = ()
    part: str = ""
    """Words that pick out some of several: `left` cup, `most` cups."""
    adjectives: tuple[int, ...] = ()
    """Other words before the noun, which nobody reads."""

    @property
    def definite(self) -> bool:
        return self.determiner in w.DEFINITE

    @property
    def denied(self) -> bool:
        """`no cup`, `nobody`"""
        return self.determiner in ("no", "nobody")


@dataclass(frozen=True, slots=True)
class Clause:
    """Tokens `first` to `last` (exclusive) that state something in a form that is understood."""

    first: int
    last: int
    denied: bool = False
    """What it lists is said not to be there, by words before the list."""
    holes: tuple[tuple[int, int], ...] = ()
    """Tokens in it from which nothing is claimed: `with a handle`, `instead of a spoon`."""
    bare: bool = True
    """Nothing in it picks out some of the things that it names, as in `no dog with a collar`."""

    def holds(self, first: int, last: int) -> bool:
        """Whether tokens stand in it, and in no hole."""
        inside = self.first <= first and last <= self.last
        return inside and not any(start < last and first < end for start, end in self.holes)


@dataclass(frozen=True, slots=True)
class Label:
    """A line of a form: `Cups: 3`."""

    mention: Mention
    words: tuple[int, int]
    """Tokens of the value."""
    present: bool
    count: str | None


@dataclass(slots=True)
class Sentence:
    """Tokens `first` to `last` (exclusive, the final sign included) and the phrases among them."""

    first: int
    last: int
    is_question: bool
    mentions: list[Mention] = field(default_factory=list)
    """Phrases that may be claimed."""
    phrases: list[Mention] = field(default_factory=list)
    """All of them."""
    quotes: list[tuple[int, int]] = field(default_factory=list)
    """Token ranges between quotation marks: what they say is quoted, not asserted."""
    written: list[tuple[int, int]] = field(default_factory=list)
    """Those that are said to stand in the picture; quotation marks may be missing."""
    clauses: list[Clause] = field(default_factory=list)
    label: Label | None = None
    is_item: bool = False
    """Of a list."""
    is_heading: bool = False
    is_code: bool = False

    def understood(self, first: int, last: int) -> bool:
        """Whether these tokens stand in one clause that is understood."""
        return any(each.holds(first, last) for each in self.clauses)


@dataclass(frozen=True, slots=True)
class Text:
    """A text, read."""

    source: str
    tokens: tuple[Token, ...]
    sentences: tuple[Sentence, ...]

    def lower(self, index: int) -> str:
        """The word at a place in lower case; empty outside the text."""
        return self.tokens[index].lower if 0 <= index < len(self.tokens) else ""

    def span(self, first: int, last: int) -> Span:
        """Characters of tokens `first` to `last` (exclusive)."""
        return self.tokens[first].start, self.tokens[last - 1].end

    def slice(self, first: int, last: int) -> str:
        start, end = self.span(first, last)
        return self.source[start:end]


def split(source: str) -> Text:
    """Words and sentences of a text."""
    tokens = tuple(_tokens(source))
    return Text(source, tokens, tuple(_sentences(source, tokens)))


def _tokens(source: str) -> Iterator[Token]:
    for match in _WORD.finditer(source):
        text, start = match.group(), match.start()
        lower = text.lower().replace("’", "'")
        stem, mark, ending = lower.rpartition("'")
        if mark and ending in ("s", "re", "ve", "ll", "m", "d"):
            cut = start + len(stem)
            yield Token(source[start:cut], stem, start, cut)
            yield Token(source[cut : match.end()], "'" + ending, cut, match.end())
        else:
            yield Token(text, lower, start, match.end())


def _sentences(source: str, tokens: Sequence[Token]) -> Iterator[Sentence]:
    first, closing, opened, code = 0, "", 0, False
    begins = True  # at the start of a line
    quotes: list[tuple[int, int]] = []
    start, item, heading = _unmarked(source, tokens, 0)
    for index, token in enumerate(tokens):
        if closing and token.text == closing:
            quotes.append((opened, index))
            closing = ""
        elif not closing and token.text in QUOTES:
            ending = QUOTES[token.text]
            if ending in source[token.end : token.end + 200]:
                closing, opened = ending, index + 1
        gap = source[token.end : tokens[index + 1].start] if index + 1 < len(tokens) else "\n"
        ends = token.text in (".", "!", "?") and not closing and index >= start
        if ends or "\n" in gap or token.text == ";" or index + 1 - first >= LONGEST_SENTENCE:
            fence = begins and source.startswith("```", tokens[first].start)
            if index >= start:
                asks = token.text == "?" and not _is_tag(tokens[start : index + 1])
                yield Sentence(
                    start,
                    index + 1,
                    asks,
                    quotes=quotes,
                    is_item=item,
                    is_heading=heading,
                    is_code=code or fence,
                )
            code ^= fence
            first, closing, quotes, begins = index + 1, "", [], "\n" in gap
            start, item, heading = first, False, False
            if begins:
                start, item, heading = _unmarked(source, tokens, first)


def _unmarked(source: str, tokens: Sequence[Token], first: int) -> tuple[int, bool, bool]:
    """Where the words of a line begin; whether it is an item of a list, or a heading."""
    at = first
    while at < len(tokens) and tokens[at].text == "#":
        at += 1
    if at > first:
        return at, False, True
    while at + 1 < len(tokens) and _is_marker(source, tokens, at):
        at += 1 if tokens[at].text in _BULLETS else 2
    return at, at > first, False


def _is_marker(source: str, tokens: Sequence[Token], at: int) -> bool:
    """`- `, `* `, `1. `, `2) ` with words behind it in the same line."""
    number = tokens[at].text.isdigit() and tokens[at + 1].text in (".", ")")
    last = at + 1 if number else at
    if (not number and tokens[at].text not in _BULLETS) or last + 1 >= len(tokens):
        return False
    gap = source[tokens[last].end : tokens[last + 1].start]
    return bool(gap) and "\n" not in gap


def _is_tag(tokens: Sequence[Token]) -> bool:
    """Whether a question only asks for assent to what it says: `..., isn't it?`"""
    comma, verb, who = (["", "", ""] + [token.lower for token in tokens[:-1]])[-3:]
    return comma == "," and verb in w.BE | w.DO | w.NOT_DO and who in w.PRONOUNS
