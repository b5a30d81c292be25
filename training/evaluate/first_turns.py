"""Requests with their tools and media, ready to be planned, and what a planner's turn is worth.

Held-out sets are drawn from the mixture of dialogues with seeds of their own: forms or argument
words, or both, that training never shows (every tool equally often), invented tools of unseen
words, and talk that needs no tool. What pictures and recordings show does not decide a first turn,
so any of the split "test" stands in.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, Planner
from nuthatch.mllm.generation.decoding import ContextTooLong
from nuthatch.tools.base.toolset import ToolSet, media_kind
from nuthatch.tools.media.ingest import Pixels, Samples
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.vocabulary import singular
from nuthatch.training.data import generated, mixture, words
from nuthatch.training.data.sample import HELD_OUT, TRAINING, Draw, Held, Sample
from nuthatch.training.data.simulation import ARGUMENTS
from nuthatch.training.data.tool_schemas import Schema, schemas
from nuthatch.training.evaluate.records import Row
from nuthatch.training.evaluate.requests import Request, is_exact, is_right, same_tools
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.sounds import make_sound

HELD: dict[str, Held] = {"seen": TRAINING, **HELD_OUT}
DRAWN = (*HELD, "unseen_tools", "no_tool")
"""The sets that are drawn; the requests of a file are one more."""
STAND_INS = 16
"""Different pictures and sounds that stand in for any."""
TRIES = 50


@dataclass(frozen=True)
class Case:
    """One request: the tools offered, the media given, and the first turns that are right."""

    text: str
    media: tuple[str, ...]
    tools: tuple[Schema, ...]
    expect: tuple[tuple[Call, ...], ...]
    kind: str
    complete: bool
    """Whether `expect` holds all arguments there are."""


def of_request(request: Request) -> Case:
    """A request written by hand, with all tools of the catalogue on offer."""
    offered = tuple(schemas().values())
    return Case(request.text, request.media, offered, request.expect, request.kind, complete=False)


def drawn(kind: str, seed: int, index: int) -> Case:
    """A case of one of the sets `DRAWN`; another seed draws others."""
    for attempt in range(TRIES):
        draw = Draw.of("first turn", seed, kind, index, attempt)
        sample = _sample(kind, index, draw)
        found = _case(sample)
        if _belongs(found, kind) and (not HELD.get(kind, TRAINING).branches or _new_form(sample)):
            return found
    raise ValueError(f"no sample of {TRIES} belongs to the set {kind!r} (index {index})")


def _sample(kind: str, index: int, draw: Draw) -> Sample:
    if kind == "unseen_tools":
        return generated.make(draw, HELD_OUT["words"]).sample("generated")
    if kind == "no_tool":
        names = list(mixture.TALK)
        return mixture.dialogue(draw, names[index % len(names)], HELD_OUT["branches"])
    # Not every tool takes words: where these are on trial, another kind is drawn after a failure.
    names = list(mixture.TOOLS)
    name = draw.choice(names) if HELD[kind].words else names[index % len(names)]
    return mixture.dialogue(draw, name, HELD[kind], armed=True)


def _belongs(case: Case, kind: str) -> bool:
    """Talk is no trial without tools on offer; elsewhere a call is wanted, with words as due."""
    calls = case.expect[0]
    if kind == "no_tool":
        return bool(case.tools) and not calls
    if HELD.get(kind, TRAINING).words:
        return any(_has_unseen_word(call.arguments) for call in calls)
    return bool(calls)


def _new_form(sample: Sample) -> bool:
    """Whether the first question is of a held-out branch of the grammar."""
    first = re.search(r"\.(h?)\w+", sample.branch)  # names of branches may hold spaces
    return first is not None and first[1] == "h"


def _has_unseen_word(value: Any) -> bool:
    """Whether a word that training never shows stands anywhere in the arguments."""
    if isinstance(value, Mapping):
        return any(_has_unseen_word(each) for each in value.values())
    if isinstance(value, list):
        return any(_has_unseen_word(each) for each in value)
    if not isinstance(value, str):
        return False
    return any(singular(word) in _unseen_words() for word in re.findall(r"[^\W\d_]+", value))


@cache
def _unseen_words() -> frozenset[str]:
    kinds = ("nouns", "adjectives", "common")
    return frozenset(word for kind in kinds for word in words.words(kind, held=True))


def _case(sample: Sample) -> Case:
    first, *_ = sample.messages
    content = first["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    said = [call["function"] for call in sample.first_turn.get("tool_calls", ())]
    return Case(
        text=parts[-1]["text"],
        media=tuple(part["type"] for part in parts[:-1]),
        tools=tuple(sample.tools),
        expect=(tuple(Call(call["name"], call["arguments"]) for call in said),),
        kind=sample.kind,
        complete=True,
    )


# -- the talk -------------------------------------------------------------------------------------


class Offered(ToolSet):
    """Schemas on offer; the tools themselves are not needed to plan a first turn."""

    def __init__(self, offered: Sequence[Schema]) -> None:
        super().__init__(())
        self.offered = list(offered)

    def schemas(self) -> list[Schema]:
        return self.offered


def conversation(case: Case, home: Path, index: int = 0) -> Conversation:
    """The talk that a planner sees; `index` says which pictures and sounds stand in."""
    media = MediaStore(home)
    given = [
        (
            media.add_image(_picture((index + place) % STAND_INS))
            if kind == "image"
            else media.add_audio(_sound((index + place) % STAND_INS))
        ).handle
        for place, kind in enumerate(case.media)
    ]
    talk = Conversation(media, Offered(case.tools))
    talk.ask(case.text, given)
    return talk


@cache
def _picture(seed: int) -> Pixels:
    return make_scene(seed, "test").image


@cache
def _sound(seed: int) -> Samples:
    return make_sound(seed, "test").samples


# -- the turn -------------------------------------------------------------------------------------


def planned(planner: Planner, case: Case, home: Path, index: int = 0) -> Row:
    """What a planner says first, what it is worth, and how long it took.

    A talk that the planner has no room for is told under `refused`, and is not right.
    """
    talk = conversation(case, home, index)
    began = time.perf_counter()
    refused = None
    try:
        turn = planner.plan(talk)
    except ContextTooLong as error:
        turn, refused = Draft("-"), str(error)
    seconds = time.perf_counter() - began
    calls = [] if isinstance(turn, Draft) else turn
    dead = [dead_handles(call, case.tools, talk.media) for call in calls]
    return {
        "text": case.text,
        "kind": case.kind,
        "expect": case.expect,
        "said": calls if calls or not isinstance(turn, Draft) else turn.text,
        "refused": refused,
        "calls": len(calls),
        "valid": sum(
            not handles and is_valid(call, case.tools)
            for call, handles in zip(calls, dead, strict=True)
        ),
        "dead": sum(map(len, dead)),
        "tools_right": refused is None and same_tools(calls, case.expect),
        "right": refused is None and is_right(calls, case.expect, complete=case.complete),
        "exact": refused is None and is_exact(calls, case.expect),
        "seconds": round(seconds, 5),
    }


def is_valid(call: Call, offered: Sequence[Schema]) -> bool:
    """Whether the tool is on offer and takes these arguments, handles aside."""
    schema = _schema(call.tool, offered)
    if schema is None or not Draft202012Validator(schema).is_valid(call.arguments):
        return False
    known = ARGUMENTS.get(call.tool)
    if known is not None:  # what a tool asks for beyond its schema
        try:
            known.model_validate(call.arguments)
        except ValidationError:
            return False
    return True


def dead_handles(call: Call, offered: Sequence[Schema], media: MediaStore) -> list[str]:
    """The handles in a call that name nothing, or a medium of another kind."""
    schema = _schema(call.tool, offered) or {}
    dead: list[str] = []
    for name, field in schema.get("properties", {}).items():
        kind = media_kind(field)
        if kind is None or name not in call.arguments:
            continue
        value = call.arguments[name]
        named = value if isinstance(value, list) else [value]
        live = media.handles(kind)  # type: ignore[arg-type]
        dead += [each for each in named if isinstance(each, str) and each not in live]
    return dead


def _schema(tool: str, offered: Sequence[Schema]) -> Mapping[str, Any] | None:
    return next((each["parameters"] for each in offered if each["name"] == tool), None)
