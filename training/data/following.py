"""Second exchanges that rest on the first: "and the spoons?", "cut it out", "the second one"."""

from typing import Any

from nuthatch.tools.tagging.tag import Tag, Tags
from nuthatch.training.data import words
from nuthatch.training.data.looking import counted, finds
from nuthatch.training.data.regions import shown
from nuthatch.training.data.talk import ORDINALS, Talk, known_nouns, thing_slots, yes_no
from nuthatch.training.data.words import Noun, listed


def follow(talk: Talk) -> None:
    """A search, and then a turn that rests on what was found."""
    draw = talk.draw
    image = talk.show()
    layout = talk.layout(image)
    (asked,) = known_nouns(draw, layout)
    if layout.counts() and draw.chance(0.7):
        asked = words.known(draw.choice(list(layout.counts())))
    slots = {**thing_slots(draw, [asked]), **talk.mentions(image)}
    wording = talk.ask(draw.choice(("detect", "count")), slots)
    labels = wording.quoted["labels"][:1]
    (result,) = talk.call(("detect", {"image": image, "labels": labels}))
    value: Any = result.value
    found = value.detections
    talk.say(finds([asked], found) if "detect" in wording.branch else counted([asked], found))
    _then(talk, image, asked, [each.handle for each in found])


def _then(talk: Talk, image: str, asked: Noun, found: list[str]) -> None:
    """The second exchange."""
    draw = talk.draw
    if not found or draw.chance(0.25):
        if draw.chance(0.3):
            talk.ask("how many found", {"many": asked.many}, wraps=False)
            talk.say(counted([asked], [talk.house.media.detection(h) for h in found]))
            return
        (other,) = known_nouns(draw, talk.layout(image))
        while other.category == asked.category:
            other = words.world_noun(draw)
        slots = {**thing_slots(draw, [other]), "in": ""}
        labels = talk.ask("again", slots, wraps=False).quoted["labels"]
        (result,) = talk.call(("detect", {"image": image, "labels": labels}))
        value: Any = result.value
        talk.say(counted([other], value.detections))
        return
    do = draw.choice(("colour", "crop", "segment"))
    needed = {"colour": "describe_attributes", "crop": "crop", "segment": "segment"}[do]
    handle = found[0]
    if len(found) > 1 and do == "segment" and draw.chance(0.6):
        talk.ask("them segment", {}, wraps=False)
        handle = found[0].split(".")[0]
    elif draw.chance(0.3):
        handle = draw.choice(found)
        talk.ask(f"handle {do}", {"handle": handle})
    elif len(found) > 1 and do != "segment":
        place = draw.randrange(len(found[:6]))
        handle = found[place]
        talk.ask(f"nth {do}", {"nth": ORDINALS[place]}, wraps=False)
    else:
        talk.ask(f"it {do}", {}, wraps=False)
    if needed not in talk.tools:
        what = {"colour": "look closely", "crop": "crop pictures", "segment": "cut things out"}
        talk.say(f"I have no tool to {what[do]}.")
        return
    argument = {"colour": "region", "crop": "detection", "segment": "detections"}[do]
    given = [handle] if do == "segment" else handle
    (result,) = talk.call((needed, {"image": image, argument: given}))
    made: Any = result.value
    if do == "colour":
        talk.say(shown(made))
    elif do == "crop":
        talk.say(f"{made.image} shows the {asked.one}.")
    else:
        talk.say(f"Done: {listed(made.masks)}.")


def doubt(talk: Talk) -> None:
    """ "Are you sure?": a second judge is asked, and where the two differ, that is said."""
    draw = talk.draw
    image = talk.show()
    (asked,) = known_nouns(draw, talk.layout(image))
    slots = {**thing_slots(draw, [asked]), **talk.mentions(image)}
    labels = talk.ask("exist", slots).quoted["labels"]
    (result,) = talk.call(("detect", {"image": image, "labels": labels}))
    value: Any = result.value
    there = bool(value.detections)
    talk.say(yes_no([(asked, len(value.detections))]))
    talk.ask("doubt", {}, wraps=False)
    agrees = draw.chance(0.6)
    score = draw.uniform(0.6, 0.99) if there == agrees else draw.uniform(0.01, 0.3)
    told = Tags(
        tags=[Tag(label=labels[0], score=score)], score_kind="best tile's probability", unknown=[]
    )
    talk.call(("tag", {"image": image, "labels": labels}), told=[told])
    word = f"{labels[0]} {score:.2f}"
    seen = asked.with_a if there else f"no {asked.one}"
    if agrees:
        talk.say(f"Yes: the detector found {seen}, and the tagger gives {word}.")
    else:
        talk.say(f"I am not sure: the detector found {seen}, but the tagger gives {word}.")
