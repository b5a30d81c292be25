"""Argument words: names of things, phrases, sentences, names, made-up words, numbers.

One word in eight is held out of training, by a hash of the word, so that copying can be measured
on words never copied before. The world's own categories are always known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

from nuthatch.tools.vocabulary import CATEGORIES, SYNONYMS, TINTS, canonical, plural
from nuthatch.training.data.sample import Draw

BLENDED = 0.35
LONGEST = 48
"""Characters of a thing's name: as many as `tools.base.Label` takes."""
_FOLDER = Path(__file__).parent / "words"
_PAIRS = frozenset({"scissors", "skis", "tongs", "tweezers", "sunglasses", "goggles"})
_MASS = frozenset(
    (
        *("bamboo", "butter", "cheese", "coffee", "copper", "corn", "cotton", "garlic", "ginger"),
        *("glue", "grass", "hail", "hay", "honey", "iron", "ivy", "jelly", "juice", "lace"),
        *("lemonade", "lettuce", "milk", "paper", "parsley", "pasta", "police", "powder", "rice"),
        *("smoke", "soap", "soda", "spinach", "squash", "steak", "string", "sugar", "tea", "trash"),
        *("wheat", "wool", "yarn", "yogurt", "sheep", "celery", "cabbage", "silver"),
    )
)
"""Nouns that are not counted in the plural; they are used where one thing is meant."""
_PLACES = (
    *("near", "on", "under", "behind", "next to", "beside", "in front of", "inside", "by"),
    *("close to", "at the back of", "on top of", "to the left of", "below"),
)
_HAVING = ("with", "with", "holding", "wearing", "carrying", "next to")
_MATERIALS = ("glass", "wood", "paper", "plastic", "stone", "gold", "wool", "clay", "metal")
_SYLLABLES = (
    *("ba", "be", "bi", "bo", "da", "dra", "dri", "el", "fa", "fen", "fi", "ga", "gli", "go"),
    *("ka", "ki", "kor", "la", "le", "lo", "lu", "ma", "mi", "mor", "na", "ne", "no", "or"),
    *("pa", "pli", "qua", "ra", "ri", "ro", "sa", "sil", "so", "ta", "ti", "tor", "tu", "u"),
    *("va", "vel", "vi", "wa", "xa", "ya", "yo", "za", "ze", "zin", "zu"),
)


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun phrase without its article, one and many: `red cup by the door`, `red cups by ...`."""

    one: str
    many: str
    pair: bool = False
    """Plural in form, one thing: `a pair of scissors`."""

    @property
    def with_a(self) -> str:
        if self.pair:
            return f"a pair of {self.one}"
        return f"{article(self.one)} {self.one}"

    @property
    def be(self) -> str:
        """`is` or `are` after "the ..."."""
        return "are" if self.pair else "is"

    @property
    def category(self) -> str | None:
        """The category of the world that it names."""
        return canonical(self.one)


def article(word: str) -> str:
    """`a` or `an`, by the sound of the first letters."""
    spoken_as_consonant = word.startswith(("uni", "eu", "use", "uku", "one"))
    return "an" if word[:1] in tuple("aeiou") and not spoken_as_consonant else "a"


def held_out(word: str) -> bool:
    """Whether training never shows this word as an argument; names of the world it always does."""
    return canonical(word) is None and crc32(f"word {word}".encode()) % 8 == 0


@cache
def words(kind: str, held: bool = False) -> tuple[str, ...]:
    """The `nouns`, `adjectives` or `common` words of training, or those held out."""
    return tuple(word for word in read(kind) if held_out(word) == held)


@cache
def names(kind: str, held: bool = False) -> tuple[str, ...]:
    """`people`, `cities` or `days`; days are never held out."""
    line = ("people", "cities", "days").index(kind)
    given = lines("names")[line].split()
    if kind == "days":
        return tuple(given)
    return tuple(name for name in given if held_out(name) == held)


@cache
def read(kind: str) -> tuple[str, ...]:
    """All words of a list."""
    return tuple((_FOLDER / f"{kind}.txt").read_text("utf-8").split())


def lines(kind: str) -> list[str]:
    """A list line by line."""
    return (_FOLDER / f"{kind}.txt").read_text("utf-8").splitlines()


def known(name: str) -> Noun:
    """A category of the world or another word for one."""
    return Noun(name, plural(name), pair=name in _PAIRS)


def world_noun(draw: Draw, category: str | None = None) -> Noun:
    """A category, one time in six under another name."""
    if category is None:
        category = draw.choice(CATEGORIES)
    if draw.chance(1 / 6):
        others = _synonyms().get(category)
        if others:
            return known(draw.choice(others))
    return known(category)


@cache
def _synonyms() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word, category in SYNONYMS.items():
        found.setdefault(category, []).append(word)
    return {category: tuple(others) for category, others in found.items()}


def noun(draw: Draw, held: bool = False, *, longest: int = 8) -> Noun:
    """A thing by any name, of 1 to `longest` words; of held-out words, or of those of training."""
    if not held and draw.chance(0.15):
        plain = world_noun(draw)
    else:
        word = _word(draw, "nouns", held)
        first = f"{_word(draw, 'nouns', held)} " if draw.chance(0.12) else ""
        plain = Noun(first + word, first + _many(word), pair=word in _PAIRS)
    if longest < 3 or draw.chance(0.55):
        return plain
    before = adjectives(draw, held)
    after = ""
    room = longest - len(f"{before} {plain.one}".split())
    if room >= 3 and draw.chance(0.35):
        after = f" {_after(draw, held, room)}"
    elif not before:
        before = _word(draw, "adjectives", held)
    front = f"{before} " if before else ""
    whole = Noun(f"{front}{plain.one}{after}", f"{front}{plain.many}{after}", pair=plain.pair)
    return whole if max(len(whole.one), len(whole.many)) <= LONGEST else plain


def adjectives(draw: Draw, held: bool) -> str:
    """None, one or two."""
    number = draw.choices((0, 1, 2), (2, 6, 2))[0]
    if number and draw.chance(0.3):
        return draw.choice(list(TINTS))
    return " ".join(_word(draw, "adjectives", held) for _ in range(number))


def _word(draw: Draw, kind: str, held: bool) -> str:
    """A word of a list; in training often a blend of two, since lists can be learned by heart."""
    return draw.choice(words(kind, held)) if held or not draw.chance(BLENDED) else blend(draw, kind)


def blend(draw: Draw, kind: str) -> str:
    """The beginning of one word and the end of another: `carrand`, of carrot and grand; it is in no
    list."""
    while True:
        first, second = draw.choice(words(kind)), draw.choice(words(kind))
        word = first[: draw.randint(2, max(2, len(first) - 1))] + second[-draw.randint(2, 4) :]
        if canonical(word) is None and not held_out(word) and word not in _listed():
            return word


@cache
def _listed() -> frozenset[str]:
    return frozenset(word for kind in ("nouns", "adjectives", "common") for word in read(kind))


def _after(draw: Draw, held: bool, room: int) -> str:
    where = _word(draw, "nouns", held)
    if draw.chance(0.15):
        return f"made of {draw.choice(_MATERIALS)}"
    if draw.chance(0.15):
        return f"{draw.choice(_HAVING)} {article(where)} {where}"
    place = draw.choice(_PLACES)
    if len(place.split()) + 2 > room:
        place = "near"
    extra = ""
    if len(place.split()) + 3 <= room and draw.chance(0.3):
        extra = f"{_word(draw, 'adjectives', held)} "
    return f"{place} the {extra}{where}"


def _many(word: str) -> str:
    return word if word in _MASS or word in _PAIRS else plural(word)


def nouns(draw: Draw, held: bool = False, *, most: int = 4) -> list[Noun]:
    """One to `most` things that do not share a word."""
    number = draw.choices(range(1, most + 1), (60, 24, 11, 5)[:most])[0]
    found: list[Noun] = []
    used: set[str] = set()
    while len(found) < number:
        one = noun(draw, held, longest=8 if number == 1 else 4)
        content = set(one.one.split()) | set(one.many.split()) | {f"= {one.category or one.one}"}
        if not (content - {"the"}) & used:
            found.append(one)
            used |= content
    return found


def made_up(draw: Draw, *, syllables: tuple[int, int] = (2, 4)) -> str:
    """A word that is none: `morvelki`."""
    return "".join(draw.choice(_SYLLABLES) for _ in range(draw.randint(*syllables)))


def code(draw: Draw) -> str:
    """Letters and digits in no order: `k7-qx2`, `B4T9`."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    parts = [
        "".join(draw.choices(letters, k=draw.randint(2, 4))) for _ in range(draw.randint(1, 2))
    ]
    text = draw.choice(("-", "_", "")).join(parts)
    return text.upper() if draw.chance(0.4) else text


def any_word(draw: Draw, held: bool = False) -> str:
    """A word of any kind."""
    way = draw.random()
    if way < 0.45:
        return draw.choice(words("nouns", held))
    if way < 0.8:
        return draw.choice(words("common", held))
    if way < 0.9:
        return draw.choice(words("adjectives", held))
    return made_up(draw)


def some_words(draw: Draw, held: bool, low: int, high: int) -> str:
    """So many words in no order; for copying alone."""
    return " ".join(any_word(draw, held) for _ in range(draw.randint(low, high)))


def description(draw: Draw, held: bool = False) -> str:
    """What a picture could show, 2 to 12 words: `a small cat on a red chair`."""
    one = noun(draw, held, longest=4)
    text = one.with_a if draw.chance(0.75) else f"two {one.many}"
    if draw.chance(0.65):
        other = noun(draw, held, longest=3)
        text += f" {draw.choice((*_PLACES, 'and', 'with'))} {other.with_a}"
    if draw.chance(0.25):
        text += draw.choice(
            (" at night", " in the rain", " by the sea", " in winter", " at sunset", " in the snow")
        )
    if draw.chance(0.2):
        style = draw.choice(("a painting", "a photo", "a drawing", "a cartoon", "a poster"))
        text = f"{style} of {text}"
    return text


def listed(parts: Sequence[str], last: str = "and") -> str:
    """`a cup, two spoons and a cake`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"
