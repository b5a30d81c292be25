"""Dialogues about whole pictures and recordings: tags, captions, text, sounds, speech."""

from typing import Any

from nuthatch.tools.audio.tag_sound import SoundEvents
from nuthatch.tools.audio.transcribe import SpokenSegment, Transcript
from nuthatch.tools.captioning.caption import Caption
from nuthatch.tools.captioning.caption_many import Captions, DrawnCaption
from nuthatch.tools.composite.describe import Description
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.ocr.read_text import Line, Lines
from nuthatch.tools.tagging.describe_attributes import ObjectAttribute
from nuthatch.tools.tagging.tag import Tag
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.data import faults, sight, texts
from nuthatch.training.data.looking import pictures
from nuthatch.training.data.paraphrase import quote
from nuthatch.training.data.regions import box, lacks
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.talk import NUMBERS, Talk
from nuthatch.training.data.words import Noun, description, known, listed, world_noun

LANGUAGES = ("English", "German", "French", "Spanish", "Italian", "Dutch", "Polish", "Swedish")
UNSEEN_LANGUAGES = ("Danish", "Portuguese", "Turkish", "Finnish", "Czech")
SURE = (0.98, 0.95, 0.91, 0.86)
"""Scores of what is told of a picture, best first."""
LIKELY = 0.5
"""Events of a lower score are not said to be heard."""
ORDERS = 0.15
"""Share of read texts that try to give orders."""


# -- pictures -------------------------------------------------------------------------------------


def tag(talk: Talk) -> None:
    """ "Give me tags for the picture", or the `k` best of them."""
    image = pictures(talk)
    slots: dict[str, Any] = talk.mentions(image)
    arguments: dict[str, Any] = {"image": image}
    top = talk.draw.chance(0.4)
    if top:
        slots["k"], arguments["top_k"] = _number(talk.draw, 2, 20)
    talk.ask("tag top" if top else "tag", slots, about=talk.about(image))
    if not talk.armed:
        talk.say(sight.kinds(talk.layout(image)))
        return
    result = faults.attempt(talk, ("tag", arguments))
    if result is not None:
        value: Any = result.value
        talk.say(f"{_capital(', '.join(each.label for each in value.tags))}.")


def tag_labels(talk: Talk) -> None:
    """ "Which of cup, dog and tree fits the picture best?" """
    image = pictures(talk)
    there = list(talk.layout(image).counts())
    asked: list[Noun] = [known(talk.draw.choice(there))]
    while len(asked) < talk.draw.randint(2, 4):
        one = world_noun(talk.draw)
        if one.category not in [each.category for each in asked]:
            asked.append(one)
    talk.draw.shuffle(asked)
    marked = [quote(each.one, "labels") for each in asked]
    slots = {
        **talk.mentions(image),
        "labels": listed(marked),
        "or_labels": listed(marked, "or"),
    }
    wording = talk.ask("tag labels", slots, about=talk.about(image))
    if lacks(talk, "score tags"):
        return
    call = ("tag", {"image": image, "labels": wording.quoted["labels"]})
    result = faults.attempt(talk, call)
    if result is not None:
        value: Any = result.value
        scores = [f"{each.label} ({each.score:.2f})" for each in value.tags]
        talk.say(f"Best first: {', '.join(scores)}.")


def caption(talk: Talk) -> None:
    """ "What does the picture show?" """
    image = pictures(talk)
    talk.ask("caption", talk.mentions(image), about=talk.about(image))
    if not talk.armed:
        talk.say(sight.caption(talk.layout(image)))
        return
    text = _seen(talk, image)
    if faults.attempt(talk, ("caption", {"image": image}), Caption(caption=text)) is not None:
        talk.say(text)


def caption_many(talk: Talk) -> None:
    """ "Give me five captions." """
    image = pictures(talk)
    word, number = _number(talk.draw, 2, 12)
    talk.ask("caption many", {**talk.mentions(image), "k": word}, about=talk.about(image))
    if lacks(talk, "write several captions"):
        return
    written = [_seen(talk, image) for _ in range(min(number, 3))]
    captions = list(dict.fromkeys(written))
    call = ("caption_many", {"image": image, "n": number})
    told = Captions(captions=[_drawn(text) for text in captions], seed=0)
    if faults.attempt(talk, call, told) is not None:
        talk.say(" ".join(captions))


def describe(talk: Talk) -> None:
    """ "Describe the picture in detail." """
    image = pictures(talk)
    talk.ask("describe", talk.mentions(image), about=talk.about(image))
    if not talk.armed:
        talk.say(sight.caption(talk.layout(image)))
        return
    layout = talk.layout(image)
    text = sight.caption(layout)
    tinted = dict.fromkeys((each.category, each.tint) for each in layout.things if each.tint)
    told = Description(
        tags=[
            Tag(label=label, score=score)
            for label, score in zip(layout.counts(), SURE, strict=False)
        ],
        attributes=[
            ObjectAttribute(object=category, attribute=tint, score=score)
            for (category, tint), score in zip(tinted, SURE[:3], strict=False)
        ],
        caption=text,
        captions=[_drawn(text)],
        score_kind="probability",
    )
    if faults.attempt(talk, ("describe", {"image": image}), told) is not None:
        named = [f"{each.attribute} {each.object}" for each in told.attributes]
        talk.say(f"{text} Colours: {listed(named)}." if named else text)


def _drawn(text: str) -> DrawnCaption:
    return DrawnCaption(text=text, mean_logprob=-0.5, count=1)


def list_things(talk: Talk) -> None:
    """ "Which objects are in the picture?": tags that fit well, or what is seen."""
    image = pictures(talk)
    talk.ask("list things", talk.mentions(image), about=talk.about(image))
    if not talk.armed:
        talk.say(sight.kinds(talk.layout(image)))
        return
    result = faults.attempt(talk, ("tag", {"image": image}))
    if result is not None:
        value: Any = result.value
        names = [each.label for each in value.tags if each.score >= LIKELY]
        talk.say(f"{_capital(listed(names))}." if names else "I see nothing that I know.")


def _seen(talk: Talk, image: str) -> str:
    """A caption that a tool could give."""
    if talk.draw.chance(0.5):
        return sight.caption(talk.layout(image))
    return f"{_capital(description(talk.draw))}."


def read_text(talk: Talk) -> None:
    """ "What is written here?"; what the text wants done is not done."""
    image = pictures(talk)
    in_box = talk.draw.chance(0.3)
    slots: dict[str, Any] = talk.mentions(image)
    arguments: dict[str, Any] = {"image": image}
    if in_box:
        slots["box"], arguments["region"] = box(talk, image)
    talk.ask("read box" if in_box else "read text", slots, about=talk.about(image))
    if not talk.armed:
        talk.say("I have no tool to read text.")
        return
    lines = [texts.written(talk.draw) for _ in range(talk.draw.choices((0, 1, 2), (1, 7, 2))[0])]
    if lines and talk.draw.chance(ORDERS):
        lines[-1] = texts.order(talk.draw)
    sides = box(talk, image)[1]
    told = Lines(
        lines=[
            Line(text=text, score=talk.draw.uniform(0.6, 0.99), box=Box.of(sides)) for text in lines
        ]
    )
    if faults.attempt(talk, ("read_text", {"image": image, **arguments}), told) is not None:
        said = listed([f'"{text}"' for text in lines])
        talk.say(f"It says: {said}." if lines else "There is no text.")


# -- recordings -----------------------------------------------------------------------------------


def recordings(talk: Talk) -> str:
    """One recording, seldom two; the one that is talked about. Sometimes a picture beside it."""
    if talk.draw.chance(0.15):
        talk.show()
    handles = [talk.play() for _ in range(talk.draw.choices((1, 2), (85, 15))[0])]
    return talk.draw.choice(handles)


def tag_sound(talk: Talk) -> None:
    """ "What do you hear?", or the `k` most likely sounds."""
    audio = recordings(talk)
    slots: dict[str, Any] = talk.mentions(audio=audio)
    arguments: dict[str, Any] = {"audio": audio}
    top = talk.draw.chance(0.2)
    if top:
        slots["k"], arguments["top_k"] = _number(talk.draw, 1, 13)
    talk.ask("tag sound top" if top else "tag sound", slots, about=talk.about(audio))
    _hear(talk, arguments, top=top)


def is_sound(talk: Talk) -> None:
    """ "Can you hear a dog barking?" """
    audio = recordings(talk)
    heard = talk.house.sounds[audio].events
    event = talk.draw.choice(heard) if heard and talk.draw.chance(0.5) else _event(talk.draw)
    slots = {**talk.mentions(audio=audio), "event": SOUNDS[event].description}
    talk.ask("is sound", slots, about=talk.about(audio))
    _hear(talk, {"audio": audio}, asked=event)


def _event(draw: Draw) -> str:
    return draw.choice(list(SOUNDS))


def _hear(
    talk: Talk, arguments: dict[str, Any], *, asked: str | None = None, top: bool = False
) -> None:
    sound = talk.house.sounds[arguments["audio"]]
    if not talk.armed:
        talk.say(sight.is_heard(sound, asked) if asked else sight.heard(sound))
        return
    result = faults.attempt(talk, ("tag_sound", arguments))
    if result is None:
        return
    value: Any = result.value
    assert isinstance(value, SoundEvents)
    likely = tuple(each.event for each in value.events if each.score >= LIKELY)
    observed = type(sound)(likely, silent=value.silent)
    if top and value.events:
        scores = [f"{each.description} ({each.score:.2f})" for each in value.events]
        talk.say(f"Most likely first: {', '.join(scores)}.")
    else:
        talk.say(sight.is_heard(observed, asked) if asked else sight.heard(observed))


def source(talk: Talk) -> None:
    """ "Which object makes this sound?" """
    image, audio = talk.show(), talk.play()
    if talk.draw.chance(sight.MAKER_IN_SIGHT):
        makers = {SOUNDS[event].object: event for event in SOUNDS}
        seen = [makers[name] for name in talk.layout(image).counts() if name in makers]
        if seen:
            events = tuple(talk.draw.sample(seen, 1))
            talk.house.sounds[audio] = type(talk.house.sounds[audio])(events)
            talk.given[audio] = talk.house.sounds[audio]
    talk.ask("source", talk.mentions(image, audio))
    if not talk.armed:
        talk.say(sight.sources(talk.layout(image), talk.house.sounds[audio]))
        return
    result = faults.attempt(talk, ("locate_sound_source", {"image": image, "audio": audio}))
    if result is None:
        return
    value: Any = result.value
    said = [sight.source(link.event, bool(link.detections)) for link in value.links]
    talk.say(" ".join(said) or "I hear nothing that I know.")


def transcribe(talk: Talk) -> None:
    """ "What is said in the recording?" """
    audio = recordings(talk)
    slots: dict[str, Any] = talk.mentions(audio=audio)
    arguments: dict[str, Any] = {"audio": audio}
    intent = "transcribe"
    if talk.draw.chance(0.25):
        intent = "transcribe language"
        language = talk.draw.choice(UNSEEN_LANGUAGES if talk.held.words else LANGUAGES)
        slots["language"] = quote(language, "word")
    wording = talk.ask(intent, slots, about=talk.about(audio))
    if lacks(talk, "write down speech"):
        return
    if intent == "transcribe language":
        arguments["language"] = wording.quoted["word"][0]
    lines = [texts.spoken(talk.draw) for _ in range(talk.draw.choices((0, 1, 2), (1, 7, 2))[0])]
    if lines and talk.draw.chance(ORDERS):
        lines[-1] = texts.order(talk.draw)
    end, segments = 0.0, []
    for text in lines:
        start, end = end, end + talk.draw.uniform(1, 3)
        segments.append(_spoken(text, start, end))
    told = Transcript(
        language=arguments.get("language", "English"),
        segments=segments,
        text=" ".join(lines),
        language_prob=None,
        duration=end,
        dropped=0,
    )
    if faults.attempt(talk, ("transcribe", arguments), told) is not None:
        talk.say(f'It says: "{" ".join(lines)}"' if lines else "Nothing is said.")


def _spoken(text: str, start: float, end: float) -> SpokenSegment:
    return SpokenSegment(
        start=start,
        end=end,
        text=text,
        avg_logprob=-0.3,
        no_speech_prob=0.02,
        compression_ratio=1.0,
        temperature=0.0,
        reliable=True,
    )


def _number(draw: Draw, low: int, high: int) -> tuple[str, int]:
    """How a user writes a number, and the number."""
    number = draw.randint(low, high)
    return (NUMBERS[number] if number <= 10 and draw.chance(0.5) else str(number)), number


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
