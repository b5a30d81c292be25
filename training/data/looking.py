"""Dialogues about things in pictures: find, count, is there, where, what colour, how do they stand.

With all the tools at hand that a question needs, the planner looks with them and answers from what
was observed; else it answers from its own sight, which is asked of things of the world only.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nuthatch.tools.basic.measure import CLEAR_MARGIN
from nuthatch.tools.detection.detect import Found
from nuthatch.tools.media.store import Detection
from nuthatch.tools.verification.extraction.words import OPPOSITE
from nuthatch.tools.vocabulary import TINTS, canonical
from nuthatch.training.data import faults, sight
from nuthatch.training.data.paraphrase import quote, reword
from nuthatch.training.data.talk import (
    Talk,
    known_nouns,
    number_of,
    there_are,
    thing_slots,
    yes_no,
)
from nuthatch.training.data.words import Noun, known, listed, noun, nouns

MANY = 3
"""From so many on, `measure` counts, if it is there."""
SAID_HANDLES = 4
"""Of more finds than this, an answer gives the number only."""


def pictures(talk: Talk) -> str:
    """One picture, seldom two or three; the one that is talked about."""
    number = talk.draw.choices((1, 2, 3), (78, 17, 5))[0]
    handles = [talk.show() for _ in range(number)]
    return handles[-1] if talk.draw.chance(0.5) else talk.draw.choice(handles)


def things(talk: Talk, image: str, *, most: int = 4) -> list[Noun]:
    """What is asked for: by any name where a tool looks, else things of the world."""
    if not talk.held.words and (not talk.armed or talk.draw.chance(0.5)):
        number = talk.draw.choices(range(1, most + 1), (60, 24, 11, 5)[:most])[0]
        return known_nouns(talk.draw, talk.layout(image), most=number)
    return nouns(talk.draw, talk.held.words, most=most)


def find(talk: Talk) -> None:
    """ "Find the cups." """
    image = pictures(talk)
    asked = things(talk, image)
    found = _look(talk, "detect", image, asked, threshold=True)
    if found is not None:
        talk.say(finds(asked, found))


def count(talk: Talk) -> None:
    """ "How many cups are there?" """
    image = pictures(talk)
    asked = things(talk, image, most=3)
    found = _look(talk, "count", image, asked)
    if found is None:
        return
    if len(asked) == 1 and len(found) >= MANY and "measure" in talk.tools:
        (group,) = {each.handle.split(".")[0] for each in found}
        talk.call(("measure", {"op": "count", "a": [group]}))
    talk.say(counted(asked, found))


def exist(talk: Talk) -> None:
    """ "Is there a cup?" """
    image = pictures(talk)
    asked = things(talk, image, most=2)
    found = _look(talk, "exist", image, asked)
    if found is not None:
        talk.say(yes_no(_counts(asked, found)))


def where(talk: Talk) -> None:
    """ "Where is the cup?" """
    image = pictures(talk)
    asked = things(talk, image, most=1)
    found = _look(talk, "where", image, asked)
    if found is not None:
        talk.say(finds(asked, found))


def colour(talk: Talk) -> None:
    """ "What colour is the cup?" """
    image = pictures(talk)
    asked = things(talk, image, most=1)
    found = _look(talk, "colour", image, asked)
    if found == []:
        talk.say(there_are([(asked[0], 0)]))
    elif found:
        talk.say(f"The {asked[0].one} {asked[0].be} {_tint_of(talk, found[0])}.")


def is_colour(talk: Talk) -> None:
    """ "Is the cup red?" """
    image = pictures(talk)
    asked = things(talk, image, most=1)
    tint = talk.draw.choice(list(TINTS))
    there = [t for t in talk.layout(image).things if t.category == asked[0].category and t.tint]
    if there and talk.draw.chance(0.5):
        tint = there[0].tint or tint
    found = _look(talk, "is colour", image, asked, colour=tint)
    if found == []:
        talk.say(f"No, there is no {asked[0].one}.")
    elif found:
        seen = talk.house.things[found[0].handle]
        if not asked[0].category and talk.draw.chance(0.4):  # its tint is not drawn before now
            talk.house.things[found[0].handle] = replace(seen, tint=tint)
        said = _tint_of(talk, found[0])
        yes = "Yes" if said == tint else "No"
        talk.say(f"{yes}, the {asked[0].one} {asked[0].be} {said}.")


def relation(talk: Talk) -> None:
    """ "Is the cup left of the dog?" """
    pair = _two(talk, "relation")
    if pair is None:
        return
    asked, found, said = pair
    first, second = asked
    measured = _measured(talk, "relation", asked, found, no="No, ")
    if measured is None:
        return
    share = measured.numbers["dx" if said.endswith(" of") else "dy"]
    share = -share if said in ("left of", "above") else share
    seen = said if share > 0 else OPPOSITE[said]
    seen = seen if abs(share) >= CLEAR_MARGIN else measured.value
    if not measured.clear:
        talk.say(f"The {first.one} and the {second.one} are about level: too close to call.")
        return
    yes = "Yes" if seen == said else "No"
    talk.say(f"{yes}, the {first.one} {first.be} {seen} the {second.one}.")


def which_side(talk: Talk) -> None:
    """ "Where is the cup from the dog?" """
    pair = _two(talk, "which side")
    if pair is None:
        return
    (first, second), found, _ = pair
    measured = _measured(talk, "relation", [first, second], found)
    if measured is None:
        return
    if not measured.clear:
        talk.say(f"The {first.one} and the {second.one} are about level: too close to call.")
        return
    talk.say(f"The {first.one} {first.be} {measured.value} the {second.one}.")


def distance(talk: Talk) -> None:
    """ "How far is the cup from the dog?" """
    pair = _two(talk, "distance")
    if pair is None:
        return
    (first, second), found, _ = pair
    measured = _measured(talk, "distance", [first, second], found)
    if measured is not None:
        far = f"{measured.value:.2f}"
        talk.say(f"The {first.one} and the {second.one} are {far} pixels apart.")


def order(talk: Talk) -> None:
    """ "Put the cups in order from left to right." """
    image = pictures(talk)
    asked = things(talk, image, most=2)
    slots = {"the": thing_slots(talk.draw, asked)["the_many"]}
    found = _look(talk, "order", image, asked, **slots)
    if found is None:
        return
    if len(found) < 2:
        talk.say(counted(asked, found))
        return
    (group,) = {each.handle.split(".")[0] for each in found}
    (result,) = talk.call(("measure", {"op": "order", "a": [group]}))
    ordered: Any = result.value
    talk.say(f"From left to right: {', '.join(ordered.value)}.")


# -- looking --------------------------------------------------------------------------------------


def _look(
    talk: Talk,
    intent: str,
    image: str,
    asked: Sequence[Noun],
    *,
    threshold: bool = False,
    **slots: Any,
) -> list[Detection] | None:
    """Ask, call `detect`, and give what it found; None if the dialogue has ended otherwise."""
    words = {**thing_slots(talk.draw, asked), **talk.mentions(image), **slots}
    extra: dict[str, Any] = {}
    also = ""
    if threshold and talk.armed and talk.draw.chance(0.12):
        extra["threshold"] = round(talk.draw.uniform(0.1, 0.9), talk.draw.choice((1, 2)))
        also = reword(talk.draw, "with threshold", {"number": str(extra["threshold"])}, talk.held)
    wording = talk.ask(intent, words, about=talk.about(image), also=also)
    if not talk.armed:
        talk.say(sight.looked(talk.layout(image), intent, asked, slots))
        return None
    labels = list(dict.fromkeys(wording.quoted["labels"]))
    call = ("detect", {"image": image, "labels": labels, **extra})
    if faults.strike(talk) and not faults.overcome(talk, call, asked):
        return None
    (result,) = talk.call(call)
    assert isinstance(result.value, Found)
    return list(result.value.detections)


def _two(talk: Talk, intent: str) -> tuple[list[Noun], list[Detection], str] | None:
    """Ask about two things and look for both."""
    image = pictures(talk)
    said = talk.draw.choice(list(OPPOSITE))
    clear = list(talk.layout(image).relations())
    if clear and not talk.held.words and talk.draw.chance(0.5 if talk.armed else 0.8):
        one, name, other = talk.draw.choice(clear)
        said = name if talk.draw.chance(0.5) else OPPOSITE[name]
        asked = [known(one.category), known(other.category)]
    elif talk.armed:
        asked = _unlike(talk)
    else:
        layout = talk.layout(image)
        names = [*layout.counts(), *talk.draw.sample(layout.absent(), 2)]
        several = [name for name, number in layout.counts().items() if number > 1]
        asked = [
            known(name) for name in talk.draw.sample([n for n in names if n not in several], 2)
        ]
    first, second = (f"the {quote(each.one, 'labels')}" for each in asked)
    words: dict[str, Any] = {"first": first, "second": second, "relation": _spoken(talk, said)}
    if talk.draw.chance(0.5):
        words["in_first"] = talk.mentions(image)["in"] or "here"
    found = _look(talk, intent, image, asked, **words)
    return None if found is None else (asked, found, said)


def _unlike(talk: Talk) -> list[Noun]:
    """Two things by any names that share no word, each of which can be one."""
    asked: list[Noun] = []
    while len(asked) < 2:
        each = noun(talk.draw, talk.held.words, longest=3)
        if not each.pair and not (asked and set(each.one.split()) & set(asked[0].one.split())):
            asked.append(each)
    return asked


def _spoken(talk: Talk, relation: str) -> str:
    forms = {
        "left of": ("left of", "to the left of", "on the left of"),
        "right of": ("right of", "to the right of", "on the right of"),
        "above": ("above", "over", "above"),
        "below": ("below", "under", "underneath"),
    }
    return talk.draw.choice(forms[relation])


def _measured(
    talk: Talk, op: str, asked: Sequence[Noun], found: Sequence[Detection], *, no: str = ""
) -> Any:
    """The measurement between the best find of each; None if the answer was given without it."""
    sides = [of(each, found) for each in asked]
    for each, side in zip(asked, sides, strict=True):
        if not side:
            talk.say(f"{no}there is no {each.one}." if no else f"There is no {each.one}.")
            return None
    a, b = ([side[0].handle] for side in sides)
    (result,) = talk.call(("measure", {"op": op, "a": a, "b": b}))
    return result.value


def _tint_of(talk: Talk, found: Detection) -> str:
    """`red` or `in natural colours`, after a closer look."""
    call = ("describe_attributes", {"image": found.image, "region": found.handle})
    (result,) = talk.call(call)
    value: Any = result.value
    tint: str = value.tints[0].word
    return "in natural colours" if tint == "plain" else tint


# -- saying ---------------------------------------------------------------------------------------


def of(thing: Noun, found: Sequence[Detection]) -> list[Detection]:
    """The finds that were looked for under one of this thing's names, best first."""
    names = {thing.one.lower(), thing.many.lower()}
    category = canonical(thing.one)
    return [
        each
        for each in found
        if each.label in names or (category and canonical(each.label) == category)
    ]


def _counts(asked: Sequence[Noun], found: Sequence[Detection]) -> list[tuple[Noun, int]]:
    return [(each, len(of(each, found))) for each in asked]


def counted(asked: Sequence[Noun], found: Sequence[Detection]) -> str:
    """`There are two cups.`"""
    return there_are(_counts(asked, found))


def finds(asked: Sequence[Noun], found: Sequence[Detection]) -> str:
    """`I found two cups: detection_1.1 and detection_1.2.`"""
    if not found:
        return f"I found {listed([number_of(0, each) for each in asked])}."
    if len(found) > SAID_HANDLES:
        return f"I found {listed([number_of(len(of(t, found)), t) for t in asked])}."
    parts = []
    for each in sorted(asked, key=lambda each: not of(each, found)):
        handles = [d.handle for d in of(each, found)]
        said = number_of(len(handles), each)
        if len(asked) == 1:
            return f"I found {said}: {listed(handles)}."
        parts.append(f"{said} ({', '.join(handles)})" if handles else said)
    return f"I found {listed(parts)}."
