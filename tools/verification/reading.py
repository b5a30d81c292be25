"""From text to words, sentences and noun phrases, by rules; every part keeps its place.

Nothing here knows what is true. A noun phrase is found from its left edge: determiner, quantity,
adjectives, noun. Its noun is a name of the vocabulary, or, after a determiner, any other word: what
is asserted must not be lost because nobody can judge it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nuthatch.tools.verification import words as w
from nuthatch.tools.vocabulary import singular

LONGEST_SENTENCE = 400
"""Tokens; what never ends is cut here, so that reading stays linear in the text."""
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:['’-][^\W\d_]+)*|[^\w\s]|_+")
QUOTES = {'"': '"', "“": "”", "«": "»"}
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

    @property
    def definite(self) -> bool:
        return self.determiner in w.DEFINITE

    @property
    def denied(self) -> bool:
        """`no cup`, `nobody`"""
        return self.determiner in ("no", "nobody")


@dataclass(slots=True)
class Sentence:
    """Tokens `first` to `last` (exclusive, the final sign included) and the phrases among them."""

    first: int
    last: int
    is_question: bool
    mentions: list[Mention] = field(default_factory=list)
    quotes: list[tuple[int, int]] = field(default_factory=list)
    """Token ranges between quotation marks: what they say is quoted, not asserted."""
    written: list[tuple[int, int]] = field(default_factory=list)
    """Those that are said to stand in the picture; quotation marks may be missing."""


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


def read(source: str, writing: Callable[["Text", Sentence], Iterable[Span]] | None = None) -> Text:
    """Read a text; linear in its length. `writing` finds what a sentence says is written."""
    tokens = tuple(_tokens(source))
    text = Text(source, tokens, tuple(_sentences(source, tokens)))
    for sentence in text.sentences:
        if writing is not None:
            sentence.written = sorted(writing(text, sentence))
            sentence.quotes = sorted({*sentence.quotes, *sentence.written})
        sentence.mentions = list(_mentions(text, sentence))
    return text


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
    first = 0
    closing = ""
    opened = 0
    quotes: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if closing and token.text == closing:
            quotes.append((opened, index))
            closing = ""
        elif not closing and token.text in QUOTES:
            ending = QUOTES[token.text]
            if ending in source[token.end : token.end + 200]:
                closing, opened = ending, index + 1
        gap = source[token.end : tokens[index + 1].start] if index + 1 < len(tokens) else "\n"
        ends = token.text in (".", "!", "?") and not closing
        if ends or "\n" in gap or token.text == ";" or index + 1 - first >= LONGEST_SENTENCE:
            asks = token.text == "?" and not _is_tag(tokens[first : index + 1])
            yield Sentence(first, index + 1, asks, quotes=quotes)
            first, closing, quotes = index + 1, "", []


def _is_tag(tokens: Sequence[Token]) -> bool:
    """Whether a question only asks for assent to what it says: `..., isn't it?`"""
    comma, verb, who = (["", "", ""] + [token.lower for token in tokens[:-1]])[-3:]
    return comma == "," and verb in w.BE | w.DO | w.NOT_DO and who in w.PRONOUNS


# -- noun phrases ---------------------------------------------------------------------------------


def _mentions(text: Text, sentence: Sentence) -> Iterator[Mention]:
    index = sentence.first
    while index < sentence.last:
        if any(start <= index < end for start, end in sentence.quotes):
            index += 1
            continue
        quoted = (start for start, _ in sentence.quotes if start > index)
        found = _phrase(text, index, min(quoted, default=sentence.last))
        if found is None:
            index += 1
        else:
            yield found
            index = found.last


def name_at(text: Text, index: int, end: int) -> tuple[int, w.Name] | None:
    """The longest name of the vocabulary that starts here, and where it ends."""
    for length in range(min(w.LONGEST_NAME.get(text.lower(index), 0), end - index), 0, -1):
        words = tuple(text.lower(index + offset) for offset in range(length))
        if words in w.NAMES:
            return index + length, w.NAMES[words]
    return None


def _phrase(text: Text, first: int, end: int) -> Mention | None:
    """The noun phrase whose first token is `first`, if one starts there."""
    at = first
    determiner = ""
    word = text.lower(at)
    if word == "no" and text.lower(at + 1) == "one" and not name_at(text, at + 2, end):
        return Mention(first, at + 2, (at, at + 2), "person", True, False, "no")
    if word in w.DETERMINERS and not (word == "that" and text.lower(at + 1) in w.BE):
        determiner, at = word, at + 1
        if text.lower(at) == "of" and text.lower(at + 1) in w.DEFINITE:  # all of the cups
            at += 2
        elif word in w.EVERY | w.MOST and text.lower(at) in w.DEFINITE:
            at += 1
    # `a pair of scissors` is one name, not two of something
    quantity = None if name_at(text, at, end) else _quantity(text, at, end, determiner)
    number: tuple[int, int] | None = None
    value: str | None = "2" if determiner == "both" else None
    if value:
        number = (first, first + 1)
    approximate = partitive = False
    if quantity:
        number, value, approximate, at = quantity
        if text.lower(at) == "of":
            inner = at + 1
            if text.lower(inner) in w.DEFINITE:
                at, partitive = inner + 1, True
            elif value is None or value == "2":  # a pair of cups, a number of cups
                at = inner
            else:
                return None
        if text.lower(number[0]) in w.ARTICLES:  # the number took the article: a pair of
            determiner = ""
    led = bool(determiner or quantity)
    adjectives, at = _adjectives(text, at, end, led)
    named = name_at(text, at, end)
    if named is None:
        return _unknown(text, first, adjectives, determiner, number, value) if led else None
    start = at
    at, name = named
    # In `apple tree` the last noun is what is meant.
    while name.plural is False and (following := name_at(text, at, end)):
        start, (at, name) = at, following
    if name.plural is not True and _is_compound(text, at, end):
        words = " ".join(text.lower(i) for i in range(start, at + 1))
        return Mention(first, at + 1, (start, at + 1), words, False, False, determiner)
    if text.lower(start) == "orange" and (not led or (start == first + 1 and word in w.ADVERBS)):
        return None  # "orange", "both orange": the colour
    many = name.plural if name.plural is not None else (value or "1") != "1"
    if determiner == "both" and name.plural is False:  # both the cup and the bell
        determiner, number, value = "the", None, None
    picked = [determiner] if determiner in w.MOST else []
    picked += [text.lower(i) for i in adjectives if text.lower(i) in w.PICKING]
    if text.lower(start) == "nobody":
        determiner = "nobody"
    return Mention(
        first,
        at,
        (start, at),
        name.category,
        True,
        many,
        determiner,
        number,
        value,
        approximate,
        partitive,
        tuple(i for i in adjectives if text.lower(i) in w.COLOURS),
        " ".join(picked),
    )


def _adjectives(text: Text, at: int, end: int, led: bool) -> tuple[list[int], int]:
    """Tokens between quantity and noun. Without a determiner only colours are taken for such."""
    found: list[int] = []
    while at < end and len(found) < 5:
        word = text.lower(at)
        if word in w.COLOURS:
            name = name_at(text, at, end)
            if name and not name_at(text, name[0], end):  # an orange, not an orange cup
                break
        elif word == "and" and found and text.lower(at - 1) in w.COLOURS:
            if text.lower(at + 1) not in w.COLOURS or not name_at(text, at + 2, end):
                break
        elif word in w.PICKING and led:
            pass
        elif name_at(text, at, end) or not led or not _is_word(text, at) or word in w.FUNCTION:
            break
        found.append(at)
        at += 1
    return found, at


def _unknown(
    text: Text,
    first: int,
    adjectives: list[int],
    determiner: str,
    number: tuple[int, int] | None,
    value: str | None,
) -> Mention | None:
    """A noun outside the vocabulary: the last of the words that look like adjectives."""
    if any(text.lower(i) in w.FUNCTION for i in adjectives):
        return None  # the left side
    named = list(adjectives)
    while len(named) > 1 and text.lower(named[-1]).endswith(("ing", "ed", "ly")):
        named.pop()
    if determiner in w.DEFINITE and not _introduced(text, first):
        return None
    while named and (text.lower(named[-1]) in w.COLOURS or text.lower(named[-1]) == "and"):
        named.pop()
    if not named:
        return None
    head = named[-1]
    word = text.lower(head)
    if len(word) < 3 or word in w.UNITS:
        return None  # `60 s`
    if word in w.SOUND_NOUNS:
        return None  # `an engine running` is heard; claims of sounds are read on their own
    name = singular(word)
    many = name != word if value is None else value != "1"
    colours = tuple(i for i in named[:-1] if text.lower(i) in w.COLOURS)
    return Mention(
        first, head + 1, (head, head + 1), name, False, many, determiner, number, value,
        colours=colours,
    )  # fmt: skip


def _introduced(text: Text, first: int) -> bool:
    """Whether `the wizard` stands where something is shown or something is placed."""
    before = text.lower(first - 1)
    return before in w.SHOWS or before in w.PREPOSITIONS or before in w.BE


def _is_word(text: Text, at: int) -> bool:
    return text.lower(at)[:1].isalpha()


def _is_compound(text: Text, at: int, end: int) -> bool:
    """Whether a noun goes on in a word we do not know, as in `dog house`."""
    word = text.lower(at)
    return (
        at < end
        and _is_word(text, at)
        and word not in w.KNOWN
        and not word.endswith(("ing", "ed", "ly", "s"))
        and text.source[text.tokens[at - 1].end : text.tokens[at].start] == " "
    )


# -- quantities -----------------------------------------------------------------------------------

_Quantity = tuple[tuple[int, int], str | None, bool, int]


def number_at(text: Text, at: int) -> int | None:
    """A count from 0 on written as word or digits."""
    word = text.lower(at)
    if word in w.NUMBERS:
        return w.NUMBERS[word]
    return int(word) if word.isascii() and word.isdigit() and len(word) < 6 else None


def quantity_at(text: Text, at: int, end: int) -> _Quantity | None:
    """(tokens of the number, value, approximate, where it ends): `three`, `at least 2`, `2-3`."""
    first, approximate = at, text.lower(at) in w.APPROXIMATE
    if approximate or text.lower(at) in w.EXACT:
        at += 1
    number, third = number_at(text, at), number_at(text, at + 2)
    sign, more = w.BOUNDS.get((text.lower(at), text.lower(at + 1)), ("", 0))
    if sign:
        value = "" if third is None else f"{sign}{max(0, third + more)}"
        return ((first, at + 3), value, False, at + 3) if value else None
    if text.lower(at) == "between":
        low, high = number_at(text, at + 1), number_at(text, at + 3)
        if low is None or high is None or text.lower(at + 2) != "and":
            return None
        return (first, at + 4), f"{low}-{high}", False, at + 4
    if number is None or at >= end:
        return None
    if text.lower(at + 1) in ("or", "to", "-", "–") and third is not None and third > number:
        return (first, at + 3), f"{number}-{third}", False, at + 3
    return (at, at + 1), str(number), approximate, at + 1


def _quantity(text: Text, at: int, end: int, determiner: str) -> _Quantity | None:
    """Like `quantity_at`, and `a pair of`, `several`, which make sense before a noun only."""
    word, article = text.lower(at), determiner in w.ARTICLES
    first = at - 1 if article and word in w.WITH_ARTICLE else at
    if text.lower(at + 1) == "of" and word in w.GROUPS:
        return (first, at + 2), w.GROUPS[word], False, at + 1
    if word in w.QUANTITIES:
        return (first, at + 1), w.QUANTITIES[word], False, at + 1
    found = None if article else quantity_at(text, at, end)
    return found and (*found[:2], found[2] or determiner == "some", found[3])
