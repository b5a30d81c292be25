"""Which parts of a text nobody has read: everything that states something and became no claim.

Questions, headings, greetings and what a speaker says of himself (`I cannot tell`) state nothing
about a picture or a sound. Of clauses that are understood only words that tell more than the claims
do are left over: `a broken cup`, `smiling`, `with a handle`.
"""

from collections.abc import Iterator, Sequence

from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.lexicon import FREE
from nuthatch.tools.verification.extraction.text import Clause, Sentence, Span, Text
from nuthatch.tools.verification.types import Claim

_COURTESY = w.words_of(
    "hello hi hey welcome thanks thank you are good morning evening day bye goodbye sure of course "
    "okay ok sorry please great yes no everyone there certainly gladly with pleasure"
)
_OFFERS = (
    "please", "let me know", "i will", "i 'll", "i can only", "i can help", "i can look",
    "i can answer",
    "i need", "i have no",
    "i hear nothing that i",
    "i see nothing that i", "i do not know", "i don't know", "i did not understand",
    "i don't understand", "i could not", "i couldn't", "i cannot tell", "i can't tell",
    "i cannot say", "i can't say", "i cannot know", "i cannot determine", "i can't determine",
    "i cannot help", "i can't help", "i cannot answer", "i can't answer", "i am nuthatch",
    "i apologize", "i apologise", "i am a", "i am not able", "i am unable", "i 'm unable",
    "i 'm not able", "i am sorry", "i 'm sorry", "to point at",
)  # fmt: skip
"""How sentences begin by which a speaker offers, asks for something, or says what he cannot do."""
_JOINTS = w.words_of("but however although though while whereas")
_EMPHASIS = w.words_of(
    "exactly please 's 'm 're certainly definitely obviously indeed absolutely completely entirely "
    "however based far overall additionally furthermore moreover total instead"
)
_ENDS = _JOINTS | {"and", "or"}
_SMALL = (
    w.FUNCTION - w.words_of("full asleep alone facing using wearing left right") - w.DEPTHS
) | w.HEAR | w.COLOUR | _EMPHASIS  # fmt: skip


def unread(text: Text, claims: Sequence[Claim]) -> list[Span]:
    """Character ranges of the text from which no claim was read: in order, half-open, merged where
    nothing but signs and small words lies between them."""
    spans: list[Span] = []
    for sentence in text.sentences:
        if not states_nothing(text, sentence):
            start, end = text.span(sentence.first, sentence.last)
            here = [c for c in claims if c.span[0] < end and start < c.span[1]]
            spans += _left_over(text, sentence, here)
    return spans


def states_nothing(text: Text, sentence: Sentence) -> bool:
    """Whether a sentence can be neither true nor false of a picture or a sound."""
    if sentence.is_question or sentence.is_heading:
        return True
    said = [text.lower(i) for i in range(sentence.first, sentence.last)]
    words = [word for word in said if word[:1].isalnum() or word[:1] == "'"]
    if _COURTESY.issuperset(words) and not sentence.clauses:
        return True
    start = " ".join(words[:5])
    offers = any(f"{start} ".startswith(f"{offer} ") for offer in _OFFERS)
    return offers and _JOINTS.isdisjoint(words) and not sentence.mentions


def _left_over(text: Text, sentence: Sentence, claims: Sequence[Claim]) -> Iterator[Span]:
    taken = _claimed_tokens(text, sentence, claims)
    run: list[int] = []
    for at in range(sentence.first, sentence.last + 1):
        loose = at < sentence.last and at not in taken
        if loose and _is_word(text, at):
            run.append(at)
        elif run and not (loose and at + 1 < sentence.last):
            while run and text.lower(run[-1]) in _ENDS:
                run.pop()
            if run:
                yield text.span(run[0], run[-1] + 1)
            run = []


def _is_word(text: Text, at: int) -> bool:
    return any(letter.isalnum() for letter in text.lower(at))


def _claimed_tokens(text: Text, sentence: Sentence, claims: Sequence[Claim]) -> set[int]:
    """Tokens that are part of a claim, or that say nothing beside one."""
    tokens = range(sentence.first, sentence.last)
    taken: set[int] = set(tokens) if sentence.label else set()
    small = _SMALL | w.GONE | FREE
    for claim in claims:
        first, last = claim.span
        taken |= {i for i in tokens if first <= text.tokens[i].start and text.tokens[i].end <= last}
        if claim.kind == "text":
            small = small | w.BEARERS | w.SAYS | w.WRITTEN
    if taken and text.lower(sentence.first) in w.YES | w.NO:  # the rest says it in full
        taken.add(sentence.first)
    for clause in sentence.clauses:
        inside = range(clause.first, clause.last)
        things = {i for m in sentence.mentions for i in range(m.first, m.last)}
        said = taken.intersection(inside) or things.intersection(inside)
        if said and clause.holds(clause.first, clause.first + 1):
            taken |= _small(text, clause, small) | things.intersection(inside)
    sounds = [claim.span for claim in claims if claim.kind == "sound"]  # a plucked guitar
    for mention in sentence.mentions:
        start = text.tokens[mention.first].start
        if not any(first <= start < last for first, last in sounds):
            taken -= set(mention.adjectives)
        said_of = any(mention.name in (c.subject + (c.value or "")) for c in claims)
        if mention.denied and mention.known and not said_of:  # no dog by the bus
            taken -= set(range(mention.first, mention.last))
    return taken


def _small(text: Text, clause: Clause, small: frozenset[str]) -> set[int]:
    """Words of a clause that carry no statement of their own."""
    handles = {i for i in range(clause.first, clause.last) if text.lower(i + 1) == "_"}
    handles |= {i for at in handles for i in (at, at + 1, at + 2)}
    return handles | {
        i
        for i in range(clause.first, clause.last)
        if text.lower(i) in small and clause.holds(i, i + 1)
    }
