"""Noun phrases, found from their left edge: determiner, quantity, adjectives, noun.

The last noun is what is meant. It is a name of the vocabulary, or, after a determiner, any other
word: what is asserted must not be lost because nobody can judge it. A compound that the vocabulary
does not hold (`cow bell`, `sea horse`, `dog walker`) is an unknown noun, whatever its parts are.

Where a word may be noun or verb, number decides: `a raincoat` is singular, so that in `a yellow
raincoat feeds pigeons` the third word is a verb.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nuthatch.tools.verification.extraction import lexicon
from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.quantities import quantity_before_noun
from nuthatch.tools.verification.extraction.text import MARKUP, Mention, Sentence, Text
from nuthatch.tools.vocabulary import singular

LONGEST = 8
"""Words between determiner and end of a noun phrase, at most."""
_SINGULAR = w.ARTICLES | w.words_of("another each every this that either")
_NAMELESS = w.words_of("someone somebody anyone anybody nobody everyone everybody")
_BASES = w.words_of("stand rest float hang sit lie seat park")
"""Verbs that are nouns behind a singular: `a hot dog stand`."""


def noun_phrases(text: Text, sentence: Sentence) -> Iterator[Mention]:
    """All phrases of a sentence outside its quotations, in order."""
    index = sentence.first
    while index < sentence.last:
        if any(start <= index < end for start, end in sentence.quotes):
            index += 1
            continue
        quoted = (start for start, _ in sentence.quotes if start > index)
        found = phrase_at(text, index, min(quoted, default=sentence.last))
        if found is None:
            index += 1
        else:
            yield found
            index = found.last


def can_be_claimed(text: Text, mention: Mention) -> bool:
    """Whether a phrase names a thing that may be said to be there: a name of the vocabulary, or an
    unknown noun that is introduced (`a wizard`, `behind the wizard`) and no unit of measure."""
    if mention.known:
        return True
    word = text.lower(mention.last - 1)
    if singular(word) in lexicon.ABSTRACT:
        return False
    if len(word) < 3 or word in w.UNITS | lexicon.SIGNS | lexicon.SCENES | w.SOUND_NOUNS.keys():
        return False
    if mention.denied and mention.name in lexicon.CLASSES:
        return False
    if mention.determiner in w.DEFINITE:
        before = text.lower(mention.first - 1)
        return before in w.SHOWS | w.PREPOSITIONS | w.BE
    return True


def name_at(text: Text, index: int, end: int) -> tuple[int, w.Name] | None:
    """The longest name of the vocabulary that starts here, and where it ends."""
    for length in range(min(w.LONGEST_NAME.get(text.lower(index), 0), end - index), 0, -1):
        words = tuple(text.lower(index + offset) for offset in range(length))
        if words in w.NAMES:
            return index + length, w.NAMES[words]
    return None


def phrase_at(text: Text, first: int, end: int) -> Mention | None:
    """The noun phrase whose first token is `first`, if one starts there."""
    return _sign_of(text, first, end) or _phrase(text, first, end)


def _sign_of(text: Text, first: int, end: int) -> Mention | None:
    """`no sign of a dog` is `no dog`, `any trace of a dog` is `any dog`."""
    if text.lower(first) not in w.DETERMINERS:
        return None
    at = first + 1
    heads = lexicon.SIGNS | lexicon.ABSENCES
    while at < min(end, first + 4) and text.lower(at) not in heads | w.FUNCTION:
        at += 1
    if text.lower(at) not in heads or text.lower(at + 1) != "of" or at >= end:
        return None
    inner = _phrase(text, at + 2, end)
    if inner is None or inner.definite or inner.determiner in w.EVERY | w.NONE | {"no"}:
        return None
    denies = text.lower(first) == "no"
    if text.lower(at) in lexicon.ABSENCES:
        denies = not denies
    determiner = "no" if denies else SIGN
    return replace(inner, first=first, determiner=determiner)


SIGN = "sign of"
"""Determiner of `a sign of a dog`: says nothing of a dog unless it is denied."""


def _phrase(text: Text, first: int, end: int) -> Mention | None:
    at, word = first, text.lower(first)
    if word == "no" and text.lower(at + 1) == "one" and not name_at(text, at + 2, end):
        return Mention(first, at + 2, (at, at + 2), "person", True, False, "no")
    determiner = ""
    bound = tuple(text.lower(i) for i in range(at, at + 3)) in w.BOUNDS
    then = text.lower(at + 1), text.lower(at + 2)
    if word == "not" and then == ("a", "single"):
        determiner, at = "no", at + 3
    elif word == "not" and then[0] == "one" and text.lower(first - 1) not in w.BE:
        determiner, at = ("none", at + 4) if then[1] == "of" else ("no", at + 2)
    elif word in w.DETERMINERS and not bound and not _stands_alone(text, at):
        determiner, at = word, at + 1
        if text.lower(at) == "of" and text.lower(at + 1) in w.DEFINITE:  # all of the cups
            at += 2
        elif word in w.EVERY | w.MOST and text.lower(at) in w.DEFINITE:
            at += 1
    # `a pair of scissors` is one name, not two of something
    quantity = None if name_at(text, at, end) else quantity_before_noun(text, at, end, determiner)
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
        elif determiner == "no":  # no single dog
            number = value = None
    led = bool(determiner or quantity) or _expected(text, at, end)
    alone = determiner in _SINGULAR and not number
    noun = _noun(text, at, end, led, alone or (value == "1" and not partitive))
    if noun is None:
        return None
    if text.lower(noun.first) == "orange" and (
        not led or (noun.first == first + 1 and word in w.ADVERBS)
    ):
        return None  # "orange", "both orange": the colour
    many = noun.plural if noun.plural is not None else (value or "1") != "1"
    if determiner == "both" and noun.plural is False:  # both the cup and the bell
        determiner, number, value = "the", None, None
    picked = [determiner] if determiner in w.MOST else []
    picked += [text.lower(i) for i in noun.adjectives if text.lower(i) in w.PICKING]
    if text.lower(noun.first) == "nobody":
        determiner = "nobody"
    colours = tuple(i for i in noun.adjectives if text.lower(i) in w.COLOURS)
    known_words = w.PICKING | w.COLOURS.keys() | MARKUP | {"and", ","}
    return Mention(
        first,
        noun.last,
        (noun.first, noun.last),
        noun.name,
        noun.known,
        many,
        determiner,
        number,
        value,
        approximate,
        partitive,
        colours,
        " ".join(picked),
        tuple(i for i in noun.adjectives if text.lower(i) not in known_words),
    )


def _expected(text: Text, at: int, end: int) -> bool:
    """Whether a plural that nobody knows is a noun for sure: `with wooden cabinets`."""
    before = text.lower(at - 1)
    if before not in w.SHOWS | w.PREPOSITIONS | lexicon.PARTICIPLES | {"and", "or", ","}:
        return False
    start = at
    while at < end and lexicon.is_plain_adjective(text.lower(at)):
        at += 1
    word, named = text.lower(at), name_at(text, at, end)
    if named:
        return at > start and named[1].plural is True
    return _is_plural(word) and word not in w.KNOWN | lexicon.DOING


def _stands_alone(text: Text, at: int) -> bool:
    """Whether a determiner has no noun: `that is`, `neither dogs nor cats`."""
    word, after = text.lower(at), text.lower(at + 1)
    return (word == "that" and after in w.BE) or (word in w.NONE and after != "of")


@dataclass(frozen=True, slots=True)
class _Noun:
    """A noun with the tokens before it; `plural` None: it looks the same in both numbers."""

    adjectives: tuple[int, ...]
    first: int
    last: int
    name: str
    known: bool
    plural: bool | None


def _noun(text: Text, at: int, end: int, led: bool, alone: bool) -> _Noun | None:
    """Adjectives and noun. `led`: there is a determiner or a number, without which only colours
    and names of the vocabulary are taken. `alone`: it must be a singular."""
    adjectives, at = _adjectives(text, at, end, led)
    parts: list[tuple[int, int, w.Name | None]] = []
    start = at
    while at < min(end, start + LONGEST):
        named = name_at(text, at, end)
        if named and not (alone and named[1].plural is True):
            parts.append((at, named[0], named[1]))
            at = named[0]
            if named[1].plural is True or text.lower(at - 1) in _NAMELESS:
                break
            continue
        if not _is_noun(text, at, led, parts, alone):
            break
        parts.append((at, at + 1, None))
        at += 1
        if _is_plural(text.lower(at - 1)):
            break
        if at < end and text.source[text.tokens[at - 1].end : text.tokens[at].start] != " ":
            break
    if not parts and led and adjectives and lexicon.is_participle(text.lower(adjectives[-1])):
        parts.append((adjectives.pop(), at, None))  # a building
    if not parts:
        return None
    first, last, name = parts[-1]
    if name is not None and len(parts) == 1:
        return _Noun(tuple(adjectives), first, last, name.category, True, name.plural)
    plural = name.plural if name else _is_plural(text.lower(last - 1))
    words = [text.lower(i) for i in range(parts[0][0], last)]
    whole = singular(" ".join(words)) if plural else " ".join(words)
    return _Noun(tuple(adjectives), parts[0][0], last, whole, False, plural)


def _adjectives(text: Text, at: int, end: int, led: bool) -> tuple[list[int], int]:
    """Tokens between quantity and noun. Without a determiner only colours are taken for such."""
    found: list[int] = []
    while at < end and len(found) < LONGEST:
        word = text.lower(at)
        if word in MARKUP:
            pass
        elif word in w.COLOURS:
            name = name_at(text, at, end)
            if name and not _goes_on(text, name[0], end):  # an orange, not an orange cup
                break
        elif word in ("and", ",") and found:
            joins = text.lower(at - 1) in w.COLOURS and text.lower(at + 1) in w.COLOURS
            if word != "and" or not joins or not name_at(text, at + 2, end):
                break
        elif (
            not led
            or name_at(text, at, end)
            or (word not in w.PICKING and (word in w.FUNCTION or not lexicon.is_adjective(word)))
        ):
            break
        found.append(at)
        at += 1
    while found and text.lower(found[-1]) in MARKUP and not _goes_on(text, at, end):
        at = found.pop()
    return found, at


def _goes_on(text: Text, at: int, end: int) -> bool:
    """Whether a noun or an adjective can stand here."""
    word = text.lower(at)
    return at < end and (
        name_at(text, at, end) is not None or (word.isalpha() and word not in w.KNOWN)
    )


def _is_noun(
    text: Text, at: int, led: bool, parts: list[tuple[int, int, w.Name | None]], alone: bool
) -> bool:
    """Whether a word outside the vocabulary is a part of the noun."""
    word = text.lower(at)
    if not word[:1].isalpha() or not (led or parts):
        return False
    if parts and alone and word in _BASES | lexicon.BASES:  # a hot dog stand, a horse fly
        return True
    if parts and word in lexicon.ADJECTIVES:
        return False
    if word in w.KNOWN or (parts and (word in lexicon.DOING | w.SAYS or word.endswith("ly"))):
        return False
    if parts and word.endswith(("ing", "ed")):
        return False
    if _is_plural(word):
        if alone or (parts and not led):
            return False
        after = text.lower(at + 1)  # the waiter | carries | a tray
        return not (parts and (after in w.DETERMINERS or after in w.NUMBERS))
    return True


def _is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is", "'s")) and len(word) > 3
