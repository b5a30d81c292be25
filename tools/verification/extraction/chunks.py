"""A sentence as a row of chunks, each with a one-letter code, for the grammar in `clauses`.

| code | chunk | code | chunk |
|---|---|---|---|
| `N` | `a dog`, `two dogs`: a thing | `D` | `the dog` |
| `L` | `dogs`, `dog` without a determiner | `Z` | `no dog`, `nobody`, `no sign of a dog` |
| `U` | `none of the things` | `X` | `the waiter`: nothing that is claimed |
| `P` | `the picture`, `a street scene` | `J` | `it`, `they`, `this` |
| `I` | `I`, `we`, `you` | `T` | `there` before a verb |
| `B` `b` | `is`; `isn't` | `M` | `may`, `could` before `be` |
| `c` `k` | `can`; `cannot` | `i` `d` | `does`; `doesn't`, `fails to` |
| `n` | `not` | `W` | `neither` |
| `S` `f` | `shows`, `see`; `has` | `H` | `hear` |
| `w` | `without`, `free of` | `O` | `none` |
| `v` | `visible`, `seen` | | |
| `p` | `left of the tree` | `q` | `in the picture`, `here` |
| `r` `o` | `with`, `at`; `of` | `C` `F` | `red`; `the colour of` |
| `G` `g` | `carries`; `carrying` | `a` | `asleep` |
| `K` | `bigger than a horse` | `s` | `barking` |
| `E` `z` | `rain falling`; `no siren` | `e` `m` | `the sound`; `makes` |
| `h` `t` `u` | `maybe`; `think`; `sure` | `l` | `seems`, `looks` |
| `A` | an adverb | `R` | `that`, `who` |
| `Y` `Q` | `says`; a quotation | `@` | `detection_1.2` |
| `y` | `yes`, `no` | `#` | a number alone |
| `$` | `shows` at the start | `V` | `nor` before a verb |
| `+` `%` | `with`; `for`, `instead of` | `x` | `missing`, `nowhere` |
| `!` | `unable to find` | `~` | words in brackets |
| `,` `&` `:` `/` `.` | signs, `and`, `but` | `?` | anything else: not understood |
"""

from collections.abc import Iterator
from typing import NamedTuple

from nuthatch.tools.verification.extraction import lexicon
from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.noun_phrases import SIGN
from nuthatch.tools.verification.extraction.places import places
from nuthatch.tools.verification.extraction.quantities import number_at
from nuthatch.tools.verification.extraction.text import MARKUP, Mention, Sentence, Text
from nuthatch.tools.vocabulary import singular


class Chunk(NamedTuple):
    """Tokens `first` to `last` (exclusive) with one role."""

    code: str
    first: int
    last: int


_OWN = w.words_of("my your our")
"""What is mine or yours need not be in the picture."""
_SEEN_OR_SAW = w.words_of("found spotted noticed counted detected identified")
"""`I found a dog`, `a dog was found`"""


_OTHER_PARTICIPLES = w.words_of("wearing using set laid made cut equipped worn torn")
_OTHER_ADVERBS = w.words_of(
    "indeed therefore thus anywhere overall altogether either whatsoever furthermore moreover "
    "overhead outdoors indoors away high low"
)


def _codes() -> dict[str, str]:
    """Word -> code; a later line takes precedence."""
    table: dict[str, str] = {}
    for code, words in (
        ("a", lexicon.ADJECTIVES | w.words_of("facing together nearby close apart available")),
        ("%", w.PREPOSITIONS | w.words_of("down up off past during among amid within as")),
        ("g", lexicon.PARTICIPLES | w.WRITTEN | w.LABELLED | _OTHER_PARTICIPLES),
        ("G", lexicon.THIRD),
        ("A", w.ADVERBS | _OTHER_ADVERBS),
        ("q", w.words_of("here nearby somewhere there")),
        ("+", w.words_of("with")),
        ("r", w.words_of("at by around along against across through onto into toward towards")),
        ("o", w.words_of("of")),
        ("C", w.COLOURS.keys()),
        ("S", w.SHOWS | w.words_of("hold")),
        ("f", w.words_of("has have holds hold")),
        ("H", w.words_of("hear hears heard audible")),
        ("Y", w.SAYS),
        ("m", w.MAKE),
        ("s", w.SOUND_VERBS),
        ("v", _SEEN_OR_SAW | w.words_of("visible present shown seen pictured depicted displayed")),
        ("x", w.GONE),
        ("h", w.words_of("maybe perhaps possibly probably likely apparently presumably seemingly")),
        ("t", w.words_of("think guess believe suspect suppose")),
        ("u", w.words_of("sure certain")),
        ("l", w.LOOK_LIKE),
        ("B", w.BE | w.words_of("be am 'm")),
        ("b", w.words_of("isn't aren't wasn't weren't ain't")),
        ("M", w.words_of("may might")),
        ("c", w.words_of("can could")),
        ("k", w.words_of("cannot can't couldn't")),
        ("i", w.words_of("do does did")),
        ("d", w.words_of("don't doesn't didn't")),
        ("n", w.words_of("not never")),
        ("W", w.words_of("neither")),
        ("w", w.WITHOUT),
        ("O", w.words_of("none nothing")),
        ("I", w.words_of("i we you")),
        ("J", w.words_of("it they this these those")),
        ("R", w.RELATIVE),
        ("&", w.words_of("and or nor & including")),
        ("j", w.words_of("he she")),
        ("/", w.words_of("but however while whereas although though — – - ;")),
        (",", frozenset({","})),
        (":", frozenset({":"})),
        (".", frozenset({".", "!", "?", "…"})),
    ):
        table.update(dict.fromkeys(words, code))
    for posture in w.POSTURES:
        table.setdefault(posture, "g" if posture.endswith(("ing", "ed")) else "G")
    return table


_CODES = _codes()
_NEGATIONS = w.NOT | w.NOT_DO | w.words_of("isn't aren't wasn't weren't can't fails fail failed")
_HANDLES = w.words_of("detection mask image audio region crop track")
_INTO = w.words_of("in of on across within from throughout")


def chunks(text: Text, sentence: Sentence) -> list[Chunk]:
    """The chunks of a sentence in order; signs that only mark words up are left out."""
    return list(_Chunker(text, sentence).run())


class _Chunker:
    def __init__(self, text: Text, sentence: Sentence) -> None:
        self.text, self.sentence = text, sentence
        self.phrases = {each.first: each for each in sentence.phrases}
        self.places = {each.first: each.last for each in places(text, sentence)}
        self.quotes = {start: end for start, end in sentence.quotes if end > start}
        self.denied = False

    def run(self) -> Iterator[Chunk]:
        at = self.sentence.first
        while at < self.sentence.last:
            word = self.text.lower(at)
            if word in MARKUP:
                at += 1
                continue
            code, last = self._at(at)
            self.denied |= word in _NEGATIONS
            yield Chunk(code, at, last)
            at = last

    def _at(self, at: int) -> tuple[str, int]:
        text, word = self.text, self.text.lower(at)
        quoted = self._quoted(at)
        if quoted:
            return "Q", quoted
        after = text.lower(at + 1)
        if at == self.sentence.first and word in w.YES | w.NO and (
            at + 1 >= self.sentence.last or not after[:1].isalnum() or after == "there"
        ):  # fmt: skip
            return "y", at + 1
        for find in (self._fixed, self._into_picture, self._sound, self._place):
            found = find(at)
            if found:
                return found
        if at in self.phrases:
            return self._thing(self.phrases[at]), self.phrases[at].last
        if self._compares(at):
            return "K", self._end(at)
        return self._word(at, word)

    def _quoted(self, at: int) -> int | None:
        if at in self.quotes:
            return self.quotes[at]
        if at + 1 in self.quotes and self.text.lower(at) in w.OPENING:
            return min(self.quotes[at + 1] + 1, self.sentence.last)
        return None

    def _fixed(self, at: int) -> tuple[str, int] | None:
        text = self.text
        for length in (6, 5, 4, 3, 2):
            code = lexicon.PHRASES.get(tuple(text.lower(i) for i in range(at, at + length)))
            if code and at + length <= self.sentence.last:
                return code, at + length
        word, after = text.lower(at), text.lower(at + 1)
        if word == "(":
            return self._aside(at)
        if word in ("a", "the", "another") and "one" in (after, text.lower(at + 2)):
            return self._other_one(at)
        if word in ("'ll", "will") and after in ("find", "see") and text.lower(at - 1) == "you":
            return "S", at + 2
        if word == "based" and after == "on":
            return self._into_picture(at + 1)
        if word in lexicon.FREE and after in ("of", "from"):
            return "w", at + 2
        if word in _HANDLES and after == "_":
            return "@", at + 3
        if word == "the" and after in w.COLOUR and text.lower(at + 2) == "of":
            return "F", at + 3
        return None

    def _other_one(self, at: int) -> tuple[str, int] | None:
        """`... and a red one on the left`: which thing it is is not read, nor what follows."""
        one = at + 1 if self.text.lower(at + 1) == "one" else at + 2
        word = self.text.lower(at + 1)
        end = self._end(at)
        said = {self.text.lower(i) for i in range(at, end)}
        told = word in w.COLOURS or word in w.PICKING or word == "other"
        if not (told or word == "one") or one >= end or not said.isdisjoint(w.TURNING):
            return None
        return ">", end

    def _aside(self, at: int) -> tuple[str, int] | None:
        """Words in brackets, unless they deny or count: `dogs (none)`."""
        last = self.sentence.last
        end = next((i for i in range(at + 1, last) if self.text.lower(i) == ")"), None)
        if end is None:
            return None
        inside = {self.text.lower(i) for i in range(at + 1, end)}
        turned = inside & w.TURNING or any(word.isdigit() for word in inside)
        return ("?" if turned else "~"), end + 1

    def _into_picture(self, at: int) -> tuple[str, int] | None:
        """`in the picture`, `on this street`; and `the picture` itself."""
        text, led = self.text, self.text.lower(at) in _INTO
        first = at + 1 if led else at
        if first in self.phrases:
            phrase = self.phrases[first]
            own = phrase.determiner in _OWN and text.lower(phrase.last - 1) not in w.PICTURE
            if _is_scene(text, phrase) and not (phrase.denied or own):
                return "q" if led else "P", phrase.last + (text.lower(phrase.last) in w.PICTURE)
        last = first + 1 if text.lower(first) in w.DETERMINERS - {"no", "another"} else first
        while text.lower(last) in lexicon.ADJECTIVES | {"whole", "entire"}:
            last += 1
        near = led or text.lower(at) in ("at", "near")
        if near and text.lower(at + 1) == "the" and text.lower(at + 2) in w.DEPTHS:
            return "q", at + 3
        scenes = w.PICTURE if text.lower(first) in _OWN else w.PICTURE | lexicon.SCENES
        named = text.lower(last) in scenes and last > first
        if named:
            return "q" if led else "P", last + 1
        heard = text.lower(last) in w.HEARD_IN and last > first
        return ("q", last + 1) if led and heard else None

    def _sound(self, at: int) -> tuple[str, int] | None:
        """`rain falling`, `no siren`; `the sound`."""
        text = self.text
        led = text.lower(at) in w.DETERMINERS
        noun = at + 1 if led else at
        if led and text.lower(noun) in w.SOUND_VERBS and text.lower(noun + 1) in w.HEARD_IN:
            noun += 1
        if text.lower(noun) in w.SOUND_NOUNS and (led or text.lower(noun) not in w.SOUND_VERBS):
            last = noun + 2 if text.lower(noun + 1).endswith("ing") else noun + 1
            return "z" if text.lower(at) == "no" else "E", min(last, self.sentence.last)
        if text.lower(noun) in w.HEARD_IN and led:
            return "e", noun + 1
        return None

    def _place(self, at: int) -> tuple[str, int] | None:
        last = self.places.get(at)
        if last is None or any(at < i < last and self.phrases[i].denied for i in self.phrases):
            return None
        return "p", last

    def _thing(self, phrase: Mention) -> str:
        if phrase.determiner in _OWN or singular(phrase.name) in lexicon.ABSTRACT:
            return "?"
        if phrase.determiner in w.MOST and self.text.lower(phrase.first + 1) != "of":
            return "?"  # most dogs are brown
        if phrase.denied:
            return "U" if phrase.name in lexicon.CLASSES else "Z"
        if phrase.determiner == SIGN:
            return "N" if self.denied else "?"
        if phrase.determiner in w.NONE:
            return "U"
        if phrase not in self.sentence.mentions:
            return "X"
        if phrase.determiner or phrase.number:
            return "D" if phrase.definite else "N"
        return "L"

    def _compares(self, at: int) -> bool:
        words = [self.text.lower(i) for i in range(at, at + 4)]
        if words[0] == "like" and any(
            each.last == at and each.plural for each in self.sentence.phrases
        ):
            return False  # cats like milk
        return words[0] in ("as", "like", "unlike") or words[1] == "than" or (
            words[0] in ("more", "less", "much", "no", "far") and "than" in words
        )  # fmt: skip

    def _end(self, at: int) -> int:
        """Where the clause ends, for what swallows the rest of it; behind the token in any case."""
        last = self.sentence.last
        return next((i for i in range(at + 1, last) if self.text.lower(i) in w.ENDS), last)

    def _verb(self, at: int, word: str, after: str) -> str:
        """Verbs that mean something else before an object, or with it."""
        if word in w.SAYS and word.startswith("read") and not self._quoted(at + 1) and after != ":":
            return "g" if word == "reading" else "G"
        if word in ("looks", "look", "looking") and after in ("at", "out", "over", "up", "down"):
            return "g" if word == "looking" else "G"
        if word in ("playing", "singing", "beating") and (
            after == "with" or at + 1 in self.phrases
        ):
            return "g"
        if word in ("showing", "having") and self.text.lower(at - 1) not in w.BE:
            return "g"
        return ""

    def _is_tight(self, at: int) -> bool:
        """Whether no space stands behind a comma: values of a file, and no sentence."""
        tokens = self.text.tokens
        return at + 1 < len(tokens) and tokens[at].end == tokens[at + 1].start

    def _is_counted(self, at: int) -> bool:
        """`I count three dogs`, but not `I count dogs`."""
        while self.text.lower(at) in w.ADVERBS:
            at += 1
        phrase = self.phrases.get(at)
        return number_at(self.text, at) is not None or bool(
            phrase and (phrase.number or phrase.denied)
        )

    def _word(self, at: int, word: str) -> tuple[str, int]:
        after = self.text.lower(at + 1)
        if word == "there" and (_CODES.get(after) in tuple("BbMcklAhnid")):
            return "T", at + 1
        if word == "there" and self.text.lower(at - 1) in w.BE and at + 1 in self.phrases:
            return "T", at + 1
        if word in ("have", "had") and self.text.lower(at - 1) in w.SPEAKERS:
            return "?", at + 1  # I have a dog at home
        if word in _SEEN_OR_SAW and self.text.lower(at - 1) in w.SPEAKERS:
            return "S", at + 1
        verb = self._verb(at, word, after)
        if verb:
            return verb, at + 1
        if word in lexicon.TAILS and at + 1 not in self.phrases:
            return ">", self._end(at)
        if word == "none" and after == "of" and self.text.lower(at + 2) in lexicon.POINTERS:
            return "U", at + 3
        if word == "but" and self.text.lower(at - 1) in w.ALL_OR_NOTHING | {"one"}:
            return "?", at + 1
        if word == "nor" and after in w.BE | w.DO | w.NOT_DO:
            return "V", at + 1
        if at == self.sentence.first and word in lexicon.SHOWING:
            return "$", at + 1
        if word == "could" and "be" in (after, after == "not" and self.text.lower(at + 2)):
            return "M", at + 1
        if word == "instead" and after == ",":
            return "A", at + 1
        if word in lexicon.DOUBTS or (word == "," and self._is_tight(at)):
            return "?", at + 1
        if word in ("count", "counts") and not self._is_counted(at + 1):
            return "?", at + 1
        if word in _CODES:
            return _CODES[word], at + 1
        if number_at(self.text, at) is not None:
            return "#", at + 1
        if word in lexicon.VERBS and any(
            each.last == at and each.plural and each.number for each in self.sentence.phrases
        ):
            return "G", at + 1  # two cars drive past
        if lexicon.is_doing(word):
            return "g", at + 1
        if word.endswith("ly") and word.isalpha():
            return "A", at + 1
        return "?", at + 1


def _is_scene(text: Text, phrase: Mention) -> bool:
    """`the street`, `a kitchen scene`"""
    return not phrase.known and (
        text.lower(phrase.last - 1) in lexicon.SCENES or text.lower(phrase.last) in w.PICTURE
    )
