"""From text to sentences, noun phrases and clauses that are understood, by rules.

Nothing here knows what is true.
"""

from collections.abc import Callable, Iterable

from nuthatch.tools.verification.extraction.clauses import clauses
from nuthatch.tools.verification.extraction.labels import labels
from nuthatch.tools.verification.extraction.noun_phrases import can_be_claimed, noun_phrases
from nuthatch.tools.verification.extraction.text import Clause, Sentence, Span, Text, split


def read(
    source: str,
    writing: Callable[[Text, Sentence], Iterable[Span]] | None = None,
    *,
    asking: bool = False,
) -> Text:
    """Read a text; linear in its length.

    `writing` finds what a sentence says is written. `asking`: it is a question, of which every
    phrase counts; of an answer only those do that stand in clauses that are understood.
    """
    text = split(source)
    for sentence in text.sentences:
        if writing is not None:
            sentence.written = sorted(writing(text, sentence))
            sentence.quotes = sorted({*sentence.quotes, *sentence.written})
        sentence.phrases = list(noun_phrases(text, sentence))
        sentence.mentions = [each for each in sentence.phrases if can_be_claimed(text, each)]
    forms = labels(text)
    understood = clauses(text)
    for number, sentence in enumerate(text.sentences):
        sentence.clauses = understood[number]
        if asking or sentence.is_question:
            sentence.clauses = [Clause(sentence.first, sentence.last)]
        if number in forms and not asking:
            sentence.label = forms[number]
            sentence.mentions, sentence.clauses = [], [Clause(sentence.first, sentence.last)]
        sentence.mentions = [m for m in sentence.mentions if sentence.understood(m.first, m.last)]
    return text
