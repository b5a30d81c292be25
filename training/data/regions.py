"""Dialogues about parts of pictures: cut out, zoom in, ask about a box, link phrases, repaint."""

from typing import Any

from nuthatch.tools.base.tool import ToolResult
from nuthatch.tools.captioning.ask_region import RegionAnswer, RegionAnswers
from nuthatch.tools.captioning.caption import Caption
from nuthatch.tools.image_generation.generate_image import Painted, seed_of
from nuthatch.tools.image_generation.recipe import STANDARD
from nuthatch.training.data import faults
from nuthatch.training.data.layouts import Thing
from nuthatch.training.data.looking import of, pictures, things
from nuthatch.training.data.paraphrase import quote, reword
from nuthatch.training.data.talk import Talk, there_are, thing_slots
from nuthatch.training.data.words import (
    any_word,
    description,
    known,
    listed,
    noun,
    nouns,
    some_words,
)

BOX_FORMS = ("{} {} {} {}", "({}, {}, {}, {})", "[{}, {}, {}, {}]", "{},{},{},{}")
OUTSIDE = 0.05
"""Share of boxes that lie outside the picture."""
POINT_FORMS = ("{} {}", "({}, {})", "{}, {}", "x {} y {}")


def lacks(talk: Talk, what: str) -> bool:
    """Where the tool is missing, say so; True: the dialogue has ended."""
    if not talk.armed:
        talk.say(f"I have no tool to {what}.")
    return not talk.armed


def segment(talk: Talk) -> None:
    """ "Cut out the cups": look, then cut out all that was found."""
    image = pictures(talk)
    asked = things(talk, image, most=3) if talk.armed else nouns(talk.draw, most=2)
    slots = {**thing_slots(talk.draw, asked), **talk.mentions(image)}
    wording = talk.ask("segment", slots, about=talk.about(image))
    if lacks(talk, "cut things out"):
        return
    found = _find(talk, image, wording.quoted["labels"], asked)
    if not found:
        return
    group = found[0].handle.split(".")[0]
    result = faults.attempt(talk, ("segment", {"image": image, "detections": [group]}))
    if result is not None:
        value: Any = result.value
        talk.say(f"Done: {listed(value.masks)}.")


def segment_box(talk: Talk) -> None:
    """ "Segment the box 10 20 60 80." """
    image = pictures(talk)
    number = 1 if talk.draw.chance(0.85) else 2
    boxes = [box(talk, image, beyond=number == 1) for _ in range(number)]
    said = listed([text for text, _ in boxes])
    _cut(talk, image, "segment box", {"box": said}, {"boxes": [each for _, each in boxes]})


def segment_point(talk: Talk) -> None:
    """ "Cut out the thing at 34 60." """
    image = pictures(talk)
    (x1, y1, x2, y2), form = box(talk, image)[1], talk.draw.choice(POINT_FORMS)
    point = [(x1 + x2) // 2, (y1 + y2) // 2]
    _cut(talk, image, "segment point", {"point": form.format(*point)}, {"points": [point]})


def _cut(talk: Talk, image: str, intent: str, said: dict[str, str], prompt: dict[str, Any]) -> None:
    talk.ask(intent, {**talk.mentions(image), **said}, about=talk.about(image))
    if lacks(talk, "cut things out"):
        return
    result = faults.attempt(talk, ("segment", {"image": image, **prompt}))
    if result is not None and not _outside(talk, image, result):
        value: Any = result.value
        talk.say(f"Done: {listed(value.masks)}.")


def crop(talk: Talk) -> None:
    """ "Zoom in on the cup": look, then crop the best find."""
    image = pictures(talk)
    asked = things(talk, image, most=1) if talk.armed else nouns(talk.draw, most=1)
    slots = {**thing_slots(talk.draw, asked), **talk.mentions(image)}
    margin, also = _margin(talk)
    wording = talk.ask("crop", slots, about=talk.about(image), also=also)
    if lacks(talk, "crop pictures"):
        return
    found = _find(talk, image, wording.quoted["labels"], asked)
    if not found:
        return
    result = faults.attempt(
        talk, ("crop", {"image": image, "detection": found[0].handle, **margin})
    )
    if result is not None:
        value: Any = result.value
        talk.say(f"{value.image} shows the {asked[0].one}.")


def crop_box(talk: Talk) -> None:
    """ "Crop to 10 20 60 80." """
    image = pictures(talk)
    text, sides = box(talk, image, beyond=True)
    margin, also = _margin(talk)
    slots = {**talk.mentions(image), "box": text}
    talk.ask("crop box", slots, about=talk.about(image), also=also)
    if lacks(talk, "crop pictures"):
        return
    result = faults.attempt(talk, ("crop", {"image": image, "box": sides, **margin}))
    if result is not None and not _outside(talk, image, result):
        value: Any = result.value
        talk.say(f"{value.image} shows this region.")


def _outside(talk: Talk, image: str, result: ToolResult) -> bool:
    """Whether the region lay outside the picture; it is said then."""
    if result.fault is None:
        return False
    layout = talk.layout(image)
    talk.say(f"This lies outside the picture, which is {layout.width}x{layout.height} pixels.")
    return True


def _margin(talk: Talk) -> tuple[dict[str, float], str]:
    if not talk.armed or not talk.draw.chance(0.12):
        return {}, ""
    margin = round(talk.draw.uniform(0.05, 0.8), talk.draw.choice((1, 2)))
    return {"margin": margin}, reword(talk.draw, "with margin", {"number": str(margin)}, talk.held)


def attributes(talk: Talk) -> None:
    """ "What is in the box 10 20 60 80?" """
    image = pictures(talk)
    text, sides = box(talk, image)
    talk.ask("attributes", {**talk.mentions(image), "box": text}, about=talk.about(image))
    if lacks(talk, "look at a region closely"):
        return
    call = ("describe_attributes", {"image": image, "region": sides})
    result = faults.attempt(talk, call)
    if result is not None:
        talk.say(shown(result.value))


def shown(value: Any) -> str:
    """`It shows a red cup.`, from the first of each list."""
    thing, tint = known(value.objects[0].word), value.tints[0].word
    if tint == "plain":
        return f"It shows {thing.with_a} in natural colours."
    return f"It shows {thing.with_a}; the colour is {tint}."


def ask_region(talk: Talk) -> None:
    """ "Look at the box 10 20 60 80 and answer: is it wet?" """
    image = pictures(talk)
    text, sides = box(talk, image)
    question = region_question(talk)
    slots = {**talk.mentions(image), "box": text, "question": quote(question, "text")}
    wording = talk.ask("ask region", slots, about=talk.about(image), wraps=False)
    if lacks(talk, "ask about a region"):
        return
    asked = wording.quoted["text"][0]
    call = ("ask_region", {"image": image, "question": asked, "boxes": [sides]})
    closed = asked.lower().startswith(("is ", "does "))
    answer = talk.draw.choice(("yes", "no")) if closed else any_word(talk.draw, talk.held.words)
    _answered(talk, call, answer)


def ask_options(talk: Talk) -> None:
    """ "What is it made of? Choose from wood and glass." """
    image = pictures(talk)
    options = [some_words(talk.draw, talk.held.words, 1, 2) for _ in range(talk.draw.randint(2, 4))]
    marked = [quote(each, "option") for each in options]
    slots = {
        **talk.mentions(image),
        "question": quote(region_question(talk), "text"),
        "options": listed(marked),
        "or_options": listed(marked, "or"),
    }
    wording = talk.ask("ask options", slots, about=talk.about(image), wraps=False)
    if lacks(talk, "choose between answers"):
        return
    quoted = wording.quoted
    call = (
        "ask_region",
        {"image": image, "question": quoted["text"][0], "options": quoted["option"]},
    )
    _answered(talk, call, talk.draw.choice(quoted["option"]))


def _answered(talk: Talk, call: tuple[str, dict[str, Any]], answer: str) -> None:
    score = round(talk.draw.uniform(0.4, 0.99), 2)
    told = RegionAnswers(
        answers=[RegionAnswer(answer=answer, score=score)], score_kind="probability a token"
    )
    if faults.attempt(talk, call, told) is not None:
        talk.say(f"The answer is: {answer}.")


def region_question(talk: Talk) -> str:
    """A short question about a region, as a user would write it."""
    one = noun(talk.draw, talk.held.words, longest=2)
    forms = (
        *("what is it made of?", "is it broken?", "is it old or new?", "what is it used for?"),
        *(f"is it {one.with_a}?", f"does it look like {one.with_a}?", "is it clean?"),
        *(f"what does the {one.one} look like?", f"is the {one.one} open?", "what is behind it?"),
        *("who made it?", f"is there {one.with_a} on it?", "is it wet?", "what brand is it?"),
        *("is it moving?", f"what is next to the {one.one}?", f"what is on the {one.one}?"),
    )
    question = talk.draw.choice(forms)
    return question[0].upper() + question[1:] if talk.draw.chance(0.4) else question


def caption_box(talk: Talk) -> None:
    """ "Caption only the region 10 20 60 80." """
    image = pictures(talk)
    text, sides = box(talk, image)
    talk.ask("caption box", {**talk.mentions(image), "box": text}, about=talk.about(image))
    if lacks(talk, "caption a region"):
        return
    caption = description(talk.draw)
    call = ("caption", {"image": image, "region": sides})
    if faults.attempt(talk, call, Caption(caption=caption)) is not None:
        talk.say(f"{caption[0].upper()}{caption[1:]}.")


def ground(talk: Talk) -> None:
    """ "Link these phrases to the picture: a red cup, the old dog." """
    image = pictures(talk)
    number = talk.draw.choices((1, 2, 3), (30, 50, 20))[0]
    things_said = nouns(talk.draw, talk.held.words, most=number)
    phrases = [
        quote(talk.draw.choice((each.with_a, f"the {each.one}", each.one)), "text")
        for each in things_said
    ]
    quoted = talk.draw.chance(0.35)
    said = listed([f'"{each}"' if quoted else each for each in phrases])
    slots = {**talk.mentions(image), "phrases": said}
    wording = talk.ask("ground", slots, about=talk.about(image))
    if lacks(talk, "link phrases to a picture"):
        return
    call = ("ground", {"image": image, "phrases": wording.quoted["text"]})
    result = faults.attempt(talk, call)
    if result is None:
        return
    value: Any = result.value
    parts = [
        f'"{link.phrase}": {listed(link.detections) if link.detections else "nothing fits"}'
        for link in value.links
    ]
    talk.say(f"{'; '.join(parts)}.")


def edit(talk: Talk) -> None:
    """ "Replace the cup with a red lamp": look, then repaint the best find."""
    image = pictures(talk)
    asked = things(talk, image, most=1) if talk.armed else nouns(talk.draw, most=1)
    prompt = quote(description(talk.draw, talk.held.words), "text")
    slots = {**thing_slots(talk.draw, asked), **talk.mentions(image), "prompt": prompt}
    also, seed = _seed(talk)
    wording = talk.ask("edit", slots, about=talk.about(image), also=also)
    if lacks(talk, "change pictures"):
        return
    found = _find(talk, image, wording.quoted["labels"], asked)
    if not found:
        return
    arguments = {"image": image, "detection": found[0].handle, "prompt": wording.quoted["text"][0]}
    made(talk, ("edit_image", {**arguments, **seed}), 1, seed)


def edit_mask(talk: Talk) -> None:
    """ "Fill mask_1 with a red lamp", after it was cut out."""
    image = talk.show()
    text, sides = box(talk, image)
    talk.user(f"Segment the box {text}.")
    talk.call(("segment", {"image": image, "boxes": [sides]}))
    talk.say("Done: mask_1.")
    prompt = quote(description(talk.draw, talk.held.words), "text")
    also, seed = _seed(talk)
    slots = {**talk.mentions(image), "mask": "mask_1", "prompt": prompt}
    wording = talk.ask("edit mask", slots, also=also)
    arguments = {"image": image, "mask": "mask_1", "prompt": wording.quoted["text"][0]}
    made(talk, ("edit_image", {**arguments, **seed}), 1, seed)


def _seed(talk: Talk) -> tuple[str, dict[str, int]]:
    if not talk.armed or not talk.draw.chance(0.15):
        return "", {}
    seed = talk.draw.randrange(10 ** talk.draw.randint(1, 4))
    return reword(talk.draw, "with seed", {"number": str(seed)}, talk.held), {"seed": seed}


def made(talk: Talk, call: tuple[str, dict[str, Any]], number: int, said: dict[str, int]) -> None:
    """Call a tool that makes pictures, and name what it made."""
    if faults.strike(talk):
        problem = faults.fault(talk, call[0])
        talk.call(call, fault=problem)
        talk.say(faults.sorry(call[0], problem))
        return
    layout = next(iter(talk.house.layouts.values()), None)
    size = (layout.width, layout.height) if layout else (512, 512)
    handles = [
        talk.house.media.enter("image", width=size[0], height=size[1]) for _ in range(number)
    ]
    # Any seed where none was said, not the tool's 0: the draws that follow count on this one.
    seed = said.get("seed", talk.draw.randrange(1000))
    painted = Painted(
        images=handles,
        seeds=[seed_of(seed, index) for index in range(number)],
        width=size[0],
        height=size[1],
        prompt_tokens=len(call[1]["prompt"].split()) + 2,
        prompt_truncated=False,
        model="known",
        steps=STANDARD.steps,
        guidance=STANDARD.guidance,
        negative_prompt=STANDARD.negative_prompt,
        refined=False,
        policy="none",
    )
    talk.call(call, told=[painted])
    talk.say(f"Done: {listed(handles)}.")


def _find(talk: Talk, image: str, labels: list[str], asked: Any) -> Any:
    """Look for what the next step needs; says so where nothing is found."""
    call = ("detect", {"image": image, "labels": list(dict.fromkeys(labels))})
    if faults.strike(talk) and not faults.overcome(talk, call, asked):
        return None
    (result,) = talk.call(call)
    value: Any = result.value
    if not value.detections:
        talk.say(there_are([(each, len(of(each, []))) for each in asked]))
    return value.detections


def box(talk: Talk, image: str, *, beyond: bool = False) -> tuple[str, list[int]]:
    """A box as a user writes it, around a thing of the picture or anywhere in it.

    `beyond`: seldom a box outside the picture.
    """
    layout = talk.layout(image)
    if beyond and talk.draw.chance(OUTSIDE):
        x, y = layout.width + talk.draw.randint(1, 300), talk.draw.randrange(layout.height)
        sides = [x, y, x + talk.draw.randint(10, 200), y + talk.draw.randint(10, 200)]
    elif layout.things and talk.draw.chance(0.8):
        thing: Thing = talk.draw.choice(layout.things)
        sides = [round(side) for side in thing.box]
    else:
        x1, y1 = talk.draw.randrange(layout.width // 2), talk.draw.randrange(layout.height // 2)
        sides = [x1, y1, talk.draw.randint(x1 + 10, layout.width)]
        sides.append(talk.draw.randint(y1 + 10, layout.height))
    return talk.draw.choice(BOX_FORMS).format(*sides), sides
