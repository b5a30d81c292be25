"""The words of the miniature world: categories, themes, sounds, tints, and their English forms.

Everything comes from ``tools/embedded/vocabulary.json``, which is read once, here.
"""

import json
from pathlib import Path
from typing import NamedTuple

_DATA = json.loads((Path(__file__).parent / "embedded" / "vocabulary.json").read_text("utf-8"))


class Sound(NamedTuple):
    """What a sound event tells: the category that makes it, and the event in words."""

    object: str
    description: str


CATEGORIES: tuple[str, ...] = tuple(_DATA["categories"])
"""All category names, in the fixed order that indexes every model's outputs."""

GLYPHS: dict[str, tuple[str, ...]] = {k: tuple(v) for k, v in _DATA["categories"].items()}
"""Category -> emoji; the first is the main glyph, the second is held out of all training."""

THEMES: dict[str, tuple[str, ...]] = {k: tuple(v) for k, v in _DATA["themes"].items()}
"""Theme -> the categories that keep company in it."""

SOUNDS: dict[str, Sound] = {k: Sound(*v) for k, v in _DATA["sounds"].items()}
"""Sound event -> what makes it."""

TINTS: dict[str, tuple[int, int, int]] = {k: (v[0], v[1], v[2]) for k, v in _DATA["tints"].items()}
"""Tint name -> reference colour, sRGB 0-255."""

SYNONYMS: dict[str, str] = dict(_DATA["synonyms"])
"""Other words (singular, lower case) -> category."""

_IRREGULAR: dict[str, str] = dict(_DATA["plurals"])
_PAIRS = frozenset({"scissors", "skis"})  # plural in form, one thing in the picture


def plural(name: str) -> str:
    """``wine glass`` -> ``wine glasses``; only the last word changes. Takes a singular."""
    head, space, last = name.rpartition(" ")
    if last in _IRREGULAR:
        return head + space + _IRREGULAR[last]
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if last.endswith("y") and last[-2:-1] not in tuple("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}s"


_SINGULAR_OF = {
    plural(name): name for name in (*_IRREGULAR, *SYNONYMS, *CATEGORIES) if plural(name) != name
}
# Words that end in s, or end like a plural, and are already singular.
_ALREADY_SINGULAR = frozenset((*CATEGORIES, *SYNONYMS, *_IRREGULAR))


def singular(word: str) -> str:
    """``Wine glasses`` -> ``wine glass``; lower case, one space between words.

    Known words come back exactly; unknown ones follow the regular rules of English, and a word
    that does not look like a plural is returned as it is.
    """
    text = " ".join(word.lower().split())
    if text in _ALREADY_SINGULAR:
        return text
    if text in _SINGULAR_OF:
        return _SINGULAR_OF[text]
    head, space, last = text.rpartition(" ")
    if space:
        return head + space + singular(last)
    if last.endswith("ies") and len(last) > 4:
        return last[:-3] + "y"
    if last.endswith(("sses", "xes", "ches", "shes", "zes")):
        return last[:-2]
    if last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 2:
        return last[:-1]
    return last


def canonical(phrase: str) -> str | None:
    """The category a noun phrase names, or None when it is outside the vocabulary.

    Handles case, articles, plurals and synonyms: ``the sofas`` -> ``couch``. Adjectives are the
    caller's to remove: ``red cup`` is None here, because dropping words silently loses claims.
    """
    words = phrase.lower().split()
    while words and words[0] in ("a", "an", "the", "some"):
        words = words[1:]
    name = singular(" ".join(words))
    if name in GLYPHS:
        return name
    return SYNONYMS.get(name)


def with_article(name: str) -> str:
    """``apple`` -> ``an apple``; ``scissors`` -> ``a pair of scissors``."""
    if name in _PAIRS:
        return f"a pair of {name}"
    return f"{'an' if name[:1] in tuple('aeiou') else 'a'} {name}"


def counted(number: int, name: str) -> str:
    """``(2, "knife")`` -> ``2 knives``; ``(1, "cup")`` -> ``1 cup``."""
    return f"{number} {name if number == 1 else plural(name)}"
