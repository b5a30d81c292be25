"""What the planner can say from its own eyes and ears: exact answers from what is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from nuthatch.tools.verification.extraction.words import OPPOSITE
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.data.layouts import Layout, Thing
from nuthatch.training.data.sample import Sound
from nuthatch.training.data.talk import NUMBERS, there_are, yes_no
from nuthatch.training.data.words import Noun, known, listed

MAKER_IN_SIGHT = 0.85
"""How often a sound is one that something in sight makes, where there is anything that makes one:
in about half of the pictures there is."""


def looked(layout: Layout, intent: str, asked: Sequence[Noun], slots: Mapping[str, Any]) -> str:
    """The answer to a request of this intent by sight alone."""
    counts = layout.counts()
    numbers = [(each, counts.get(each.category or "", 0)) for each in asked]
    if intent in ("count", "exist"):
        return there_are(numbers) if intent == "count" else yes_no(numbers)
    if intent == "colour":
        return colour(layout, asked[0])
    if intent == "is colour":
        return is_colour(layout, asked[0], slots["colour"])
    if intent in ("relation", "which side"):
        first, second = (_one(layout, each) for each in asked)
        if intent == "which side":
            return which_side(layout, asked[0], asked[1], first, second)
        said = next(name for name in OPPOSITE if _same(name, slots["relation"]))
        return relation(layout, asked[0], asked[1], first, second, said)
    if intent in ("order", "distance"):
        return "I have no tool to measure that."
    if len(asked) == 1:
        return where(layout, asked[0])
    return there_are(numbers)


def _one(layout: Layout, thing: Noun) -> Thing | None:
    return next((each for each in layout.things if each.category == thing.category), None)


def _same(relation: str, said: str) -> bool:
    spoken = {"over": "above", "under": "below", "underneath": "below"}
    return spoken.get(said, said).endswith(relation)


def where(layout: Layout, thing: Noun) -> str:
    """`The cup is at the top left.`; of several, how many there are and where."""
    there = [each for each in layout.things if each.category == thing.category]
    if not there:
        return there_are([(thing, 0)])
    if len(there) == 1:
        return f"The {thing.one} {thing.be} {layout.place(there[0])}."
    places = list(dict.fromkeys(layout.place(each) for each in there))
    said = there_are([(thing, len(there))])
    return f"{said[:-1]}, {listed(places)}." if len(places) <= 3 else said


def colour(layout: Layout, thing: Noun) -> str:
    """`The cup is red.`; of several with different tints, each once."""
    there = [each for each in layout.things if each.category == thing.category]
    if not there:
        return there_are([(thing, 0)])
    tints = sorted({each.tint or "in natural colours" for each in there})
    if len(there) == 1:
        return f"The {thing.one} {thing.be} {tints[0]}."
    return f"The {thing.many} are {listed(tints)}."


def is_colour(layout: Layout, thing: Noun, tint: str) -> str:
    """`Yes, the cup is red.`"""
    said = colour(layout, thing)
    if said.startswith("There"):
        return f"No, {said[0].lower()}{said[1:]}"
    right = said.endswith((f" is {tint}.", f" are {tint}."))
    return f"{'Yes' if right else 'No'}, {said[0].lower()}{said[1:]}"


def relation(
    layout: Layout, a: Noun, b: Noun, first: Thing | None, second: Thing | None, said: str
) -> str:
    """`Yes, the cup is left of the dog.`"""
    for noun, thing in ((a, first), (b, second)):
        if thing is None:
            return f"No, there is no {noun.one}."
    assert first is not None
    assert second is not None
    names = layout.relation(first, second)
    if said in names:
        return f"Yes, the {a.one} {a.be} {said} the {b.one}."
    if OPPOSITE[said] in names or names:
        other = OPPOSITE[said] if OPPOSITE[said] in names else names[0]
        return f"No, the {a.one} {a.be} {other} the {b.one}."
    return f"The {a.one} and the {b.one} are about level: too close to call."


def which_side(layout: Layout, a: Noun, b: Noun, first: Thing | None, second: Thing | None) -> str:
    """`The cup is left of the dog.`; both names where both are clear."""
    for noun, thing in ((a, first), (b, second)):
        if thing is None:
            return f"There is no {noun.one}."
    assert first is not None
    assert second is not None
    names = layout.relation(first, second)
    if not names:
        return f"The {a.one} and the {b.one} are about level: too close to call."
    return f"The {a.one} {a.be} {' and '.join(names)} the {b.one}."


def caption(layout: Layout) -> str:
    """`There are two cups, a dog and a tree.`: most first, then by name."""
    counts = sorted(layout.counts().items(), key=lambda pair: (-pair[1], pair[0]))
    if not counts:
        return "I see nothing that I know."
    parts = []
    for name, number in counts:
        thing = known(name)
        if number == 1:
            parts.append(thing.with_a)
        elif thing.pair:
            parts.append(f"{NUMBERS[number]} pairs of {thing.many}")
        else:
            parts.append(f"{NUMBERS[number]} {thing.many}")
    return f"There {'are' if counts[0][1] > 1 else 'is'} {listed(parts)}."


def kinds(layout: Layout) -> str:
    """`Cup, dog and tree.`: the categories that are there, by name."""
    names = sorted(layout.counts())
    said = listed(names)
    return f"{said[0].upper()}{said[1:]}." if names else "I see nothing that I know."


def heard(sound: Sound) -> str:
    """`I hear a dog barking and rain falling.`"""
    if sound.silent:
        return "The recording is silent."
    if not sound.events:
        return "I hear nothing that I know."
    return f"I hear {listed([SOUNDS[event].description for event in sound.events])}."


def is_heard(sound: Sound, event: str) -> str:
    """`Yes, I hear a dog barking.`"""
    if event in sound.events:
        return f"Yes, I hear {SOUNDS[event].description}."
    said = heard(sound)
    return f"No, {said if said.startswith('I ') else said[0].lower() + said[1:]}"


def sources(layout: Layout, sound: Sound) -> str:
    """`I hear a dog barking; the dog makes it.`; what is heard and not seen is said to be so."""
    if not sound.events:
        return heard(sound)
    counts = layout.counts()
    return " ".join(source(event, SOUNDS[event].object in counts) for event in sound.events)


def source(event: str, seen: bool) -> str:
    """One heard event and whether what makes it is in sight."""
    maker = SOUNDS[event].object
    if seen:
        return f"I hear {SOUNDS[event].description}; the {maker} makes it."
    return f"I hear {SOUNDS[event].description}, but I see no {maker}."
