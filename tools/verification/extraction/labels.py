"""Lines of a form instead of sentences: `dog: no`, `Cups: 3`, and rows of tables of two columns.

A table is read where its heading says that the second column holds numbers or presence, or where it
has no heading.
"""

from collections.abc import Iterator, Sequence

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.noun_phrases import phrase_at
from nuthatch.tools.verification.extraction.quantities import number_at
from nuthatch.tools.verification.extraction.text import MARKUP, Label, Sentence, Text

_SEPARATORS = frozenset({":", "=", "-", "–", "—", "|", "→"})
_YES = w.words_of("yes present visible found there detected seen shown true ✓ ✔ ✅")
_NO = w.words_of("no none absent missing nowhere false ✗ ✘ ❌")
_THINGS = w.words_of("object objects thing things item items name category class label animal noun")
_VALUES = w.words_of(
    "count counts number numbers quantity amount total n present there visible found seen detected "
    "how many in the picture image of"
)


def labels(text: Text) -> dict[int, Label]:
    """Number of a sentence -> what it says as a form; table headings are marked as headings."""
    found: dict[int, Label] = {}
    for number, sentence in enumerate(text.sentences):
        if text.lower(sentence.first) != "|" and not (sentence.is_question or sentence.is_code):
            label = _label(text, _words(text, sentence.first, sentence.last))
            if label:
                found[number] = label
    for table in _tables(text):
        rows = {number: list(_cells(text, text.sentences[number])) for number in table}
        ruled = [number for number in table if not any(any(row) for row in rows[number])]
        if ruled and ruled[:1] == table[1:2]:
            text.sentences[table[0]].is_heading = True
        for number in ruled:
            text.sentences[number].is_heading = True
        if text.sentences[table[0]].is_heading and not _is_understood(text, rows[table[0]]):
            continue
        for number in table:
            cells = rows[number]
            if text.sentences[number].is_heading or len(cells) != 2 or not all(cells):
                continue
            label = _pair(text, *cells)
            if label:
                found[number] = label
    return found


def _label(text: Text, tokens: Sequence[int]) -> Label | None:
    for place, at in enumerate(tokens):
        if text.lower(at) in _SEPARATORS and 0 < place < len(tokens) - 1:
            return _pair(text, tokens[:place], tokens[place + 1 :])
    return None


def _pair(text: Text, name: Sequence[int], value: Sequence[int]) -> Label | None:
    """What `cups` and `3` say together; None for what is no known thing, or no plain value."""
    if [text.lower(i) for i in name[:2]] in (["number", "of"], ["count", "of"]):
        name = name[2:]
    while name and text.lower(name[-1]) in _VALUES | {"(", ")"}:
        name = name[:-1]
    if not name or len(value) > 2:
        return None
    mention = phrase_at(text, name[0], name[-1] + 1)
    if mention is None or not mention.known or mention.last <= name[-1]:
        return None
    if mention.determiner or mention.number or mention.adjectives:
        return None
    said = [text.lower(i) for i in value]
    words = value[0], value[-1] + 1
    number = number_at(text, value[0]) if len(value) == 1 else None
    if number:
        return Label(mention, words, True, str(number))
    denied = number == 0 or (said[0] == "not" and said[1:] and said[1] in _YES)
    if denied or (len(said) == 1 and said[0] in _NO):
        return Label(mention, words, False, None)
    return Label(mention, words, True, None) if len(said) == 1 and said[0] in _YES else None


def _words(text: Text, first: int, last: int) -> list[int]:
    tokens = [i for i in range(first, last) if text.lower(i) not in MARKUP]
    while tokens and text.lower(tokens[-1]) in (".", "!", ","):
        tokens.pop()
    return tokens


def _tables(text: Text) -> Iterator[list[int]]:
    """Numbers of sentences that follow each other as rows of a table."""
    table: list[int] = []
    for number, sentence in enumerate(text.sentences):
        if text.lower(sentence.first) == "|":
            table.append(number)
        elif table:
            yield table
            table = []
    if table:
        yield table


def _cells(text: Text, sentence: Sentence) -> Iterator[list[int]]:
    """Tokens of each cell; none of those that only rule lines."""
    cell: list[int] = []
    for at in range(sentence.first + 1, sentence.last):
        if text.lower(at) == "|":
            yield cell
            cell = []
        elif text.lower(at) not in MARKUP | {"-", ":"}:
            cell.append(at)
    if cell:
        yield cell


def _is_understood(text: Text, heading: Sequence[Sequence[int]]) -> bool:
    if len(heading) != 2:
        return False
    names, values = ({text.lower(i) for i in cell} for cell in heading)
    return names <= _THINGS and values <= _VALUES
