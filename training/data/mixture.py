"""The mixture: which dialogues there are, and how often each is drawn.

`sample(seed, index)` is a pure function. About half of all first turns call a tool; with the
answers that follow every observation, turns without a call outnumber those with one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nuthatch.training.data import (
    chatting,
    checking,
    describing,
    drills,
    following,
    generated,
    looking,
    making,
    questions,
    regions,
    together,
)
from nuthatch.training.data.offers import offer
from nuthatch.training.data.sample import TRAINING, Draw, Held, Sample
from nuthatch.training.data.talk import Talk


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A kind of dialogue, the tools without which it goes another way, and its weight."""

    make: Callable[[Talk], None]
    needs: tuple[str, ...] = ()
    weight: float = 1.0


TOOLS: dict[str, Dialogue] = {
    "find": Dialogue(looking.find, ("detect",), 10),
    "count": Dialogue(looking.count, ("detect",), 10),
    "exist": Dialogue(looking.exist, ("detect",), 10),
    "where": Dialogue(looking.where, ("detect",), 5),
    "colour": Dialogue(looking.colour, ("detect", "describe_attributes"), 5),
    "is colour": Dialogue(looking.is_colour, ("detect", "describe_attributes"), 3),
    "relation": Dialogue(looking.relation, ("detect", "measure"), 5),
    "which side": Dialogue(looking.which_side, ("detect", "measure"), 2),
    "distance": Dialogue(looking.distance, ("detect", "measure"), 3),
    "order": Dialogue(looking.order, ("detect", "measure"), 2),
    "segment": Dialogue(regions.segment, ("detect", "segment"), 6),
    "segment box": Dialogue(regions.segment_box, ("segment",), 2),
    "segment point": Dialogue(regions.segment_point, ("segment",), 1),
    "crop": Dialogue(regions.crop, ("detect", "crop"), 5),
    "crop box": Dialogue(regions.crop_box, ("crop",), 2),
    "attributes": Dialogue(regions.attributes, ("describe_attributes",), 3),
    "ask region": Dialogue(regions.ask_region, ("ask_region",), 3),
    "ask options": Dialogue(regions.ask_options, ("ask_region",), 2),
    "caption box": Dialogue(regions.caption_box, ("caption",), 1),
    "ground": Dialogue(regions.ground, ("ground",), 4),
    "edit": Dialogue(regions.edit, ("detect", "edit_image"), 4),
    "tag": Dialogue(describing.tag, ("tag",), 4),
    "tag labels": Dialogue(describing.tag_labels, ("tag",), 2),
    "caption": Dialogue(describing.caption, ("caption",), 5),
    "caption many": Dialogue(describing.caption_many, ("caption_many",), 3),
    "describe": Dialogue(describing.describe, ("describe",), 3),
    "list things": Dialogue(describing.list_things, ("tag",), 3),
    "read text": Dialogue(describing.read_text, ("read_text",), 4),
    "tag sound": Dialogue(describing.tag_sound, ("tag_sound",), 5),
    "is sound": Dialogue(describing.is_sound, ("tag_sound",), 3),
    "source": Dialogue(describing.source, ("locate_sound_source",), 4),
    "transcribe": Dialogue(describing.transcribe, ("transcribe",), 4),
    "generate": Dialogue(making.generate, ("generate_image",), 6),
    "calculate": Dialogue(making.calculate, ("calculate",), 6),
    "verify": Dialogue(checking.verify, ("verify_answer",), 5),
    "correct": Dialogue(checking.correct, ("correct_answer",), 5),
    "together": Dialogue(together.together, together.NEEDS, 24),
}
"""Dialogues whose first turn calls a tool where the tools it needs are there."""

FOLLOWING: dict[str, Dialogue] = {
    "follow": Dialogue(following.follow, ("detect",), 4),
    "doubt": Dialogue(following.doubt, ("detect", "tag"), 1),
    "edit mask": Dialogue(regions.edit_mask, ("segment", "edit_image"), 1),
    "observed": Dialogue(drills.observed, ("detect",), 2),
    "several": Dialogue(together.several, ("detect", "caption", "tag_sound"), 8),
}
"""Dialogues of several exchanges."""

TALK: dict[str, Dialogue] = {
    "greet": Dialogue(chatting.greet, weight=2),
    "thank": Dialogue(chatting.thank, weight=1),
    "capabilities": Dialogue(chatting.capabilities, weight=2),
    "who": Dialogue(chatting.who, weight=1),
    "opinion": Dialogue(chatting.opinion, weight=3),
    "blind": Dialogue(chatting.blind, weight=4),
    "dead handle": Dialogue(chatting.dead_handle, weight=1),
    "told": Dialogue(chatting.told, weight=6),
    "recall": Dialogue(chatting.recall, weight=3),
}
DRILLS: dict[str, Dialogue] = {
    "repeat": Dialogue(drills.repeat, weight=6),
    "nth word": Dialogue(drills.nth_word, weight=1),
    "in list": Dialogue(drills.in_list, weight=2),
    "count list": Dialogue(drills.count_list, weight=2),
    "list length": Dialogue(drills.list_length, weight=1),
}
ALL: dict[str, Dialogue] = {**TOOLS, **FOLLOWING, **TALK, **DRILLS}

SHARES: dict[str, float] = {
    "tools": 34,
    "following": 5,
    "generated": 15,
    "talk": 16,
    "drills": 11,
    "questions": 19,
}
ARMED = 0.88
"""Share of dialogues that are offered every tool they need."""


def sample(
    seed: int, index: int, *, held: Held = TRAINING, shares: Mapping[str, float] = SHARES
) -> Sample:
    """The sample of this number."""
    draw = Draw.of(seed, index)
    family = draw.weighted(shares)
    if family == "generated":
        return generated.make(draw, held).sample("generated")
    if family == "questions":
        return questions.make(draw, held)
    kinds = {"tools": TOOLS, "following": FOLLOWING, "talk": TALK, "drills": DRILLS}[family]
    return dialogue(draw, draw.weighted({k: each.weight for k, each in kinds.items()}), held)


def dialogue(draw: Draw, kind: str, held: Held = TRAINING, *, armed: bool | None = None) -> Sample:
    """A dialogue of this kind; `armed` says whether it gets the tools it needs (None: drawn)."""
    chosen = ALL[kind]
    if armed is None:
        armed = kind not in TOOLS or held != TRAINING or draw.chance(ARMED)
    if kind in DRILLS and draw.chance(0.7):
        talk = Talk(draw, held, {})
    else:
        without = () if armed else (draw.choice(chosen.needs),)
        needed = [name for name in chosen.needs if name not in without]
        talk = Talk(draw, held, offer(draw, needed, without=without), armed=armed)
    chosen.make(talk)
    return talk.sample(kind)


def samples(seed: int, **options: Any) -> Iterator[Sample]:
    """All samples of a seed, from the first on, without end."""
    index = 0
    while True:
        yield sample(seed, index, **options)
        index += 1


def shown(sample: Sample) -> str:
    """A sample for people, a line a turn."""
    offered = ", ".join(schema["name"] for schema in sample.tools)
    lines = [f"[{sample.kind}: {sample.branch}] tools: {offered or 'none'}"]
    for message in sample.messages:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = " ".join(part.get("text", part.get("handle")) for part in content)
        for call in message.get("tool_calls", ()):
            content += f"{call['function']['name']}{call['function']['arguments']} "
        lines.append(f"  {message['role']:>9}: {content}")
    return "\n".join(lines)
