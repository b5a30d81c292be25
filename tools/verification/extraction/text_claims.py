"""What an answer says is written in the picture.

Words between quotation marks, where something that bears writing says them (`the sign says "Open"`,
`labelled "Tea"`, `"Open" is written there`), or where the question asked what is written. Without
marks where they end can only be told of words in capitals and figures (`the sign says OPEN 24
HOURS`), and of names that end their clause (`it says Garden Market.`); other words are not read.
What somebody says, and what is heard, is no writing.
"""

from collections.abc import Iterator

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.text import Sentence, Span, Text

_INNER = frozenset("%&/-+#'")
"""Signs that may stand within words in capitals."""
_ENDS = frozenset({".", "!", "?", ",", ";", ":"}) | w.BOUNDARIES
_BEFORE_VERB = w.HEDGES | w.NOT | w.DO | w.NOT_DO | w.ADVERBS
_ASKING = w.SAYS | w.WRITTEN | frozenset({"text", "word", "words", "writing"})


def asks_what_is_written(text: Text) -> bool:
    """Whether the last sentence of a question does: `What does the sign say?`"""
    if not text.sentences:
        return False
    last = text.sentences[-1]
    words = {text.lower(i) for i in range(last.first, last.last)}
    return bool(words & _ASKING) and bool(words & {"what", "which"}) and not words & w.HEAR


def written(text: Text, sentence: Sentence, asked: bool) -> Iterator[Span]:
    """Token ranges of the words that a sentence says are written; ends exclusive.

    `asked`: the question was what is written.
    """
    if any(text.lower(i) in w.HEAR for i in range(sentence.first, sentence.last)):
        return
    for start, end in sentence.quotes:
        if end > start and (asked or _borne(text, sentence, start - 1, end + 1)):
            yield start, end
    quoted = {i for start, end in sentence.quotes for i in range(start - 1, end + 1)}
    starts = [i + 1 for i in range(sentence.first, sentence.last) if _says(text, sentence, i)]
    for at in starts:
        start = at + (text.lower(at) in w.HEDGES | {":"})
        end = _without_marks(text, start, sentence.last)
        if end > start and start not in quoted:
            yield start, end
    if asked and sentence.first not in quoted:
        end = _without_marks(text, sentence.first, sentence.last)
        if end > sentence.first and _ends_at(text, end, sentence.last):
            yield sentence.first, end


def _borne(text: Text, sentence: Sentence, before: int, after: int) -> bool:
    """Whether a quotation with these tokens around it is said to be written."""
    at = before - 1
    while at > sentence.first and text.lower(at) in w.HEDGES | {":", ",", "that"}:
        at -= 1
    if at >= sentence.first and text.lower(at) in w.LABELLED | w.BEARERS:
        return True
    while text.lower(after) in w.BE | w.ADVERBS:
        after += 1
    return _says(text, sentence, at) or text.lower(after) in w.WRITTEN


def _says(text: Text, sentence: Sentence, at: int) -> bool:
    """Whether the verb of something that bears writing stands here; an answer that is all in
    capitals does not tell where its own words end."""
    if text.lower(at) not in w.SAYS or at <= sentence.first or text.tokens[at].text.isupper():
        return False
    subject = {text.lower(i) for i in range(sentence.first, at)}
    while text.lower(at - 1) in _BEFORE_VERB and at > sentence.first:
        at -= 1
    return text.lower(at - 1) == "it" or not w.BEARERS.isdisjoint(subject)


def _without_marks(text: Text, first: int, last: int) -> int:
    """Where words that are written without quotation marks end; `first` if none begin here."""
    end = first
    while end < last and _stands_out(text.tokens[end].text, inside=end > first):
        end += 1
    while end > first and text.lower(end - 1) in _INNER - {"%"}:
        end -= 1
    said = text.slice(first, end) if end > first else ""
    enough = sum(letter.isalnum() for letter in said) > 1
    clear = said.isupper() or said.isdigit() or _ends_at(text, end, last)
    return end if enough and clear else first


def _stands_out(word: str, inside: bool) -> bool:
    return word[:1].isupper() or word.isdigit() or (inside and word in _INNER)


def _ends_at(text: Text, at: int, last: int) -> bool:
    return at >= last or text.lower(at) in _ENDS
