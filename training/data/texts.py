"""Sentences that are spoken, written on signs, or try to give orders."""

from nuthatch.training.data import words
from nuthatch.training.data.paraphrase import reword
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.words import code, noun


def spoken(draw: Draw, *, held: bool = False) -> str:
    """`Meet me at the old mill at 7.`"""
    text = reword(draw, "spoken", _slots(draw, held))
    return text[0].upper() + text[1:]


def written(draw: Draw, *, held: bool = False) -> str:
    """`CLOSED ON MONDAY`"""
    text = reword(draw, "sign", _slots(draw, held))
    return text.upper() if draw.chance(0.6) else text[0].upper() + text[1:]


def order(draw: Draw) -> str:
    """A text that would have the planner do something. It is read, and not obeyed."""
    text = reword(draw, "orders", _slots(draw, False))
    return text.upper() if draw.chance(0.3) else text[0].upper() + text[1:]


def _slots(draw: Draw, held: bool) -> dict[str, str]:
    one, other = noun(draw, held, longest=2), noun(draw, held, longest=2)
    people = draw.sample(words.names("people", held), 2)
    return {
        "noun": one.one,
        "nouns": one.many,
        "noun2": other.one,
        "place": draw.choice(("near", "behind", "under", "next to", "in front of")),
        "adjective": draw.choice(words.words("adjectives", held)),
        "person": people[0],
        "person2": people[1],
        "city": draw.choice(words.names("cities", held)),
        "day": draw.choice(words.names("days")),
        "hour": str(draw.randint(1, 12)),
        "number": str(draw.randint(2, 99)),
        "code": code(draw),
    }
