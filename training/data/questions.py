"""Questions to the planner's own eyes and ears: exact answers, balanced so that none leaks.

Existence: yes and no by halves, an absent thing as frequent as a present one (`layouts.negative`).
Counts: the number is drawn first, then a category that has it. Colours and relations are asked
where they are clear, a right and a wrong guess by halves.
"""

from dataclasses import dataclass
from typing import Any

from nuthatch.tools.verification.extraction.words import OPPOSITE
from nuthatch.tools.vocabulary import SOUNDS, TINTS
from nuthatch.training.data import paraphrase, sight
from nuthatch.training.data.layouts import Layout, draw_layout, negative
from nuthatch.training.data.paraphrase import reword
from nuthatch.training.data.sample import (
    TRAINING,
    Draw,
    Held,
    Message,
    Picture,
    Sample,
    Sound,
)
from nuthatch.training.data.talk import thing_slots
from nuthatch.training.data.words import Noun, known, world_noun

PICTURE_KINDS: dict[str, float] = {
    "exist": 30,
    "count": 26,
    "caption": 20,
    "list things": 5,
    "colour": 14,
    "is colour": 9,
    "relation": 11,
    "which side": 4,
    "where": 4,
}
SOUND_KINDS: dict[str, float] = {"tag sound": 50, "is sound": 50}
BOTH_KINDS: dict[str, float] = {**PICTURE_KINDS, "tag sound": 15, "is sound": 15, "source": 25}


_COUNTS = (1.0, 1.2, 3.0, 9.0, 12.0, 14.0)
"""Weights of the numbers 0 to 5 among those that a picture offers: large ones are rare in it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer; `category` is the thing that it is about, where it is one."""

    kind: str
    text: str
    answer: str
    branch: str
    category: str | None = None
    truth: Any = None
    """True or False, a number, a tint, the counts or the events."""


def ask(
    draw: Draw,
    kind: str,
    layout: Layout | None = None,
    sound: Sound | None = None,
    held: Held = TRAINING,
) -> Question | None:
    """A question of this kind; None where there is nothing to ask."""
    if kind in ("tag sound", "is sound", "source"):
        return _of_sound(draw, kind, layout, sound or Sound(()), held)
    assert layout is not None
    if kind in ("caption", "list things"):
        slots = {"image": reword(draw, "picture", {}), "in": _in(draw)}
        answer = sight.caption(layout) if kind == "caption" else sight.kinds(layout)
        return _made(draw, kind, slots, answer, held, None, layout.counts())
    if kind in ("relation", "which side"):
        return _of_two(draw, kind, layout, held)
    thing, truth = _thing(draw, kind, layout)
    slots = {**thing_slots(draw, [thing]), "image": reword(draw, "picture", {}), "in": _in(draw)}
    if kind == "is colour":
        slots["colour"] = truth if truth in TINTS and draw.chance(0.5) else _other_tint(draw, truth)
    answer = sight.looked(layout, kind, [thing], slots)
    if kind == "is colour":
        truth = answer.startswith("Yes")
    return _made(draw, kind, slots, answer, held, thing.category, truth)


def _thing(draw: Draw, kind: str, layout: Layout) -> tuple[Noun, Any]:
    """What is asked about, and what is true of it."""
    counts = layout.counts()
    present = draw.choice(list(counts))
    if kind == "exist":
        there = draw.chance(0.5)
        name = present if there else negative(draw, layout, present)
        return world_noun(draw, name), there
    if kind == "count":
        offered = [0, *sorted(set(counts.values()))]
        number = draw.choices(offered, [_COUNTS[min(each, 5)] for each in offered])[0]
        names = [name for name, count in counts.items() if count == number]
        name = draw.choice(names) if names else negative(draw, layout, present)
        return world_noun(draw, name), number
    singles = layout.singles()
    if kind in ("colour", "is colour"):
        coloured = [each for each in singles if each.tint] or list(singles)
        if coloured and draw.chance(0.95):
            one = draw.choice(coloured)
            return world_noun(draw, one.category), one.tint or "natural"
    name = present if draw.chance(0.9) else negative(draw, layout, present)
    tints = {each.tint for each in layout.things if each.category == name}
    return world_noun(draw, name), next(iter(tints), None) if len(tints) == 1 else None


def _other_tint(draw: Draw, tint: Any) -> str:
    return draw.choice([each for each in TINTS if each != tint])


def _of_two(draw: Draw, kind: str, layout: Layout, held: Held) -> Question | None:
    clear = list(layout.relations())
    if not clear:
        return None
    first, name, second = draw.choice(clear)
    said = name if draw.chance(0.5) else OPPOSITE[name]
    things = [known(first.category), known(second.category)]
    missing = draw.chance(0.08)
    if missing:
        things[1] = known(negative(draw, layout, first.category))
    spoken = said if said in ("above", "below") or draw.chance(0.5) else f"to the {said}"
    slots = {
        "first": f"the {things[0].one}",
        "second": f"the {things[1].one}",
        "relation": spoken,
        "image": reword(draw, "picture", {}),
        "in": _in(draw),
        "in_first": reword(draw, "in picture", {}),
    }
    answer = sight.looked(layout, kind, things, slots)
    return _made(draw, kind, slots, answer, held, first.category, said == name and not missing)


def _of_sound(
    draw: Draw, kind: str, layout: Layout | None, sound: Sound, held: Held
) -> Question | None:
    slots = {"sound": reword(draw, "sound", {}), "in_sound": _in(draw, "in sound")}
    truth: Any = sound.events
    if kind == "is sound":
        truth = bool(sound.events) and draw.chance(0.5)
        silent = [event for event in SOUNDS if event not in sound.events]
        event = draw.choice(sound.events if truth else silent)
        slots["event"] = SOUNDS[event].description
        answer = sight.is_heard(sound, event)
    elif kind == "source":
        if layout is None:
            return None
        slots |= {"image": reword(draw, "picture", {}), "in": _in(draw)}
        answer = sight.sources(layout, sound)
        truth = [SOUNDS[e].object for e in sound.events if SOUNDS[e].object in layout.counts()]
    else:
        answer = sight.heard(sound)
    return _made(draw, kind, slots, answer, held, None, truth)


def _in(draw: Draw, intent: str = "in picture") -> str:
    return "" if draw.chance(0.45) else reword(draw, intent, {})


def _made(
    draw: Draw,
    kind: str,
    slots: Any,
    answer: str,
    held: Held,
    category: str | None,
    truth: Any,
) -> Question:
    said = paraphrase.word(draw, kind, slots, held)
    return Question(kind, said.text, answer, said.branch, category, truth)


def questions(
    draw: Draw,
    layout: Layout | None,
    sound: Sound | None = None,
    *,
    number: int,
    held: Held = TRAINING,
) -> list[Question]:
    """So many questions about one picture, one sound, or both."""
    kinds = SOUND_KINDS if layout is None else BOTH_KINDS if sound else PICTURE_KINDS
    asked: list[Question] = []
    while len(asked) < number:
        question = ask(draw, draw.weighted(kinds), layout, sound, held)
        if question is not None:
            asked.append(question)
    return asked


def sample_of(question: Question, media: dict[str, Picture | Sound]) -> Sample:
    """The dialogue of one question; those of one picture share all that stands before it."""
    parts: list[dict[str, str]] = [
        {"type": handle.split("_")[0], "handle": handle} for handle in media
    ]
    user: Message = {"role": "user", "content": [*parts, {"type": "text", "text": question.text}]}
    answer: Message = {"role": "assistant", "content": question.answer}
    return Sample((user, answer), (), media, f"sight {question.kind}", question.branch)


def make(draw: Draw, held: Held = TRAINING) -> Sample:
    """One question about a picture, a sound, or both, drawn here."""
    way = draw.random()
    media: dict[str, Picture | Sound] = {}
    layout, sound = None, None
    if way < 0.8:
        layout = draw_layout(draw)
        media["image_1"] = Picture(layout)
    if way > 0.68:
        sound = draw_sound(draw, layout)
        media["audio_1"] = sound
    (question,) = questions(draw, layout, sound, number=1, held=held)
    return sample_of(question, media)


def draw_sound(draw: Draw, layout: Layout | None = None) -> Sound:
    """No, one or two events; mostly one whose maker is in the picture, where there is any."""
    events = draw.sample(list(SOUNDS), draw.choices((0, 1, 2), (6, 52, 42))[0])
    if layout is not None and draw.chance(sight.MAKER_IN_SIGHT):
        there = layout.counts()
        seen = [event for event in SOUNDS if SOUNDS[event].object in there]
        if seen:
            one = draw.choice(seen)
            events = [one, *(event for event in events[:1] if event != one)]
            draw.shuffle(events)
    return Sound(tuple(events), silent=not events and draw.chance(0.5))
