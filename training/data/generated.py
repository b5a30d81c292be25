"""Tools that nobody has seen: schemas at random, requests made from them, results in their shape.

What a call must look like can only be known from the schema in context, so the planner learns to
read it instead of remembering names.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from nuthatch.tools.faults import ToolFailed
from nuthatch.training.data import words
from nuthatch.training.data.arguments import Field, draw_field, mention
from nuthatch.training.data.offers import offer
from nuthatch.training.data.paraphrase import choose, expand, plain, quote, reword, styled
from nuthatch.training.data.sample import Draw, Held
from nuthatch.training.data.simulation import Reply
from nuthatch.training.data.talk import Call, Talk
from nuthatch.training.data.tool_schemas import Schema
from nuthatch.training.data.words import any_word, article, held_out, listed, made_up

NONE_FITS = "I have no tool for that."


@dataclass(frozen=True, slots=True)
class Invented:
    """A tool: its name, the words for it, and its fields in order."""

    name: str
    verb: str
    noun: str
    by_name: bool
    """It has a made-up name: only the name itself can call it."""
    image: bool
    """Its first argument is a picture."""
    fields: tuple[Field, ...]

    @property
    def schema(self) -> Schema:
        properties: dict[str, Any] = {}
        if self.image:
            properties["image"] = {"type": "string", "x-media": "image"}
        properties |= {field.name: field.schema for field in self.fields}
        required = [name for name in properties if name == "image"]
        required += [field.name for field in self.fields if field.required]
        by = listed([field.name.replace("_", " ") for field in self.fields])
        noun = f"{article(self.noun)} {self.noun}"
        return {
            "name": self.name,
            "description": f"{self.verb.capitalize()} {noun}{f' by {by}' if by else ''}.",
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            },
        }


@cache
def verbs(held: bool) -> tuple[str, ...]:
    return tuple(verb for verb in words.read("verbs") if held_out(verb) == held)


def invent(draw: Draw, held: bool) -> Invented:
    """A tool of random name and fields; of held-out words, or of those of training."""
    verb, noun = draw.choice(verbs(held)), draw.choice(words.words("nouns", held))
    by_name = draw.chance(0.2)
    if by_name:
        name = made_up(draw)
        if draw.chance(0.3):
            name += f"_{made_up(draw, syllables=(1, 2))}"
    else:
        name = draw.choices(
            (f"{verb}_{noun}", f"{verb}{noun.capitalize()}", f"{noun}_{verb}", f"{verb}-{noun}"),
            (75, 12, 8, 5),
        )[0]
    number = draw.choices(range(5), (8, 36, 32, 16, 8))[0]
    fields: dict[str, Field] = {}
    for _ in range(number):
        field = draw_field(draw, held, first=not fields)
        fields.setdefault(field.name, field)
    ordered = sorted(fields.values(), key=lambda field: not field.required)
    return Invented(name, verb, noun, by_name, draw.chance(0.12), tuple(ordered))


@dataclass(frozen=True, slots=True)
class Request:
    """What a user says to have a tool called (slots of an intent), and the call."""

    intent: str
    slots: dict[str, str]
    arguments: dict[str, Any]


def request(talk: Talk, tool: Invented, image: str | None) -> Request:
    """A request for this tool, made from its schema."""
    draw = talk.draw
    chosen = [field for field in tool.fields if field.required or draw.chance(0.5)]
    said, values = mention(draw, chosen, held=talk.held.words)
    arguments: dict[str, Any] = {"image": image} if tool.image else {}
    arguments |= values
    if tool.image and draw.chance(0.75):
        said = f"{draw.choice(('for', 'of', 'on'))} {talk.mentions(image)['image']} {said}"
    intent = "bid by name" if tool.by_name or draw.chance(0.15) else "bid"
    slots = {
        "verb": tool.verb,
        "noun": tool.noun,
        "a_noun": f"{article(tool.noun)} {tool.noun}",
        "tool": quote(tool.name, "word"),
        "args": quote(said, "text") if said else "",
    }
    return Request(intent, slots, arguments)


def _bare(talk: Talk, asked: Request) -> str:
    """The request as a part of a longer sentence."""
    frame = choose(talk.draw, asked.intent, asked.slots, talk.held)
    talk.branches.append(frame.branch)
    return expand(frame, asked.slots, talk.draw).rstrip("?. ")


def make(draw: Draw, held: Held) -> Talk:
    """A dialogue with invented tools."""
    tools = [invent(draw, held.words)]
    for _ in range(draw.choices(range(6), (10, 22, 26, 22, 12, 8))[0]):
        other = invent(draw, held.words)
        names = [name for each in tools for name in (each.name, each.verb, each.noun)]
        if other.name not in names and (other.verb not in names or other.noun not in names):
            tools.append(other)
    target, *others = tools
    fits = not draw.chance(0.08)
    offered = [each.schema for each in (tools if fits else others)]
    if draw.chance(0.15):
        offered += list(offer(draw).values())[:4]
    draw.shuffle(offered)
    talk = Talk(draw, held, {schema["name"]: schema for schema in offered})
    image = talk.show() if any(each.image for each in tools) or draw.chance(0.1) else None
    if not fits:
        asked = request(talk, target, image)
        talk.ask(asked.intent, asked.slots, lower=0.0)
        talk.say(NONE_FITS)
        return talk
    way = draw.random() if not (held.words or held.branches) else 0.0
    if way > 0.88 and others:
        _both(talk, target, draw.choice(others), image)
    elif way > 0.8 and others:
        _chain(talk, target, others[0], image)
    else:
        _one(talk, target, image)
    return talk


def _one(talk: Talk, tool: Invented, image: str | None) -> None:
    """One request, one call, one answer."""
    asked = request(talk, tool, image)
    as_json = talk.draw.chance(0.15)
    also = reword(talk.draw, "as json", {}) if as_json else ""
    talk.ask(asked.intent, asked.slots, also=also, lower=0.0)
    call: Call = (tool.name, asked.arguments)
    if talk.draw.chance(0.06) and not talk.held.branches:
        reason = f"the {tool.noun} is {talk.draw.choice(('closed', 'not there', 'busy', 'full'))}"
        talk.call(call, fault=ToolFailed(reason))
        talk.say(f"{tool.name} failed: {reason}.")
        return
    reply = _reply(talk.draw)
    talk.call(call, told=[Reply(**reply)])
    talk.say(_answer(reply, as_json=as_json))


def _both(talk: Talk, first: Invented, second: Invented, image: str | None) -> None:
    """Two requests in one turn, two calls in one turn."""
    asked = [request(talk, each, image) for each in (first, second)]
    joint = talk.draw.choice((" and ", ". then ", ", and also ", ". "))
    said = joint.join(_bare(talk, each) for each in asked)
    talk.user(plain(styled(talk.draw, f"{said}.")))
    replies = [_reply(talk.draw, least=1), _reply(talk.draw, least=1)]
    talk.call(
        (first.name, asked[0].arguments),
        (second.name, asked[1].arguments),
        told=[Reply(**reply) for reply in replies],
    )
    talk.say(" ".join(_answer(reply) for reply in replies))


def _chain(talk: Talk, first: Invented, second: Invented, image: str | None) -> None:
    """The second call needs what the first one gives."""
    draw = talk.draw
    texts = [field for field in second.fields if field.kind == "str" and field.required]
    if len(second.fields) != 1 or not texts or second.image or second.by_name:
        return _one(talk, first, image)
    asked = request(talk, first, image)
    field = texts[0].name.replace("_", " ")
    slots = {
        **{"verb": second.verb, "noun": second.noun, "field": field},
        "a_noun": f"{article(second.noun)} {second.noun}",
    }
    then = reword(draw, "afterwards", slots, talk.held)
    joint = "" if then.startswith(",") else " "
    talk.user(plain(styled(draw, f"{_bare(talk, asked)}{joint}{then}.")))
    value = any_word(draw)
    talk.call((first.name, asked.arguments), told=[Reply(**{texts[0].name: value})])
    reply = _reply(draw, least=1)
    talk.call((second.name, {texts[0].name: value}), told=[Reply(**reply)])
    talk.say(_answer(reply))


def _reply(draw: Draw, least: int = 0) -> dict[str, Any]:
    """Fields and values at random."""
    reply: dict[str, Any] = {}
    for _ in range(max(least, draw.choices(range(4), (6, 50, 30, 14))[0])):
        field = draw_field(draw, False, first=False)
        kind = {"enum": "str", "object": "str", "ints": "int", "bool": "int"}.get(
            field.kind, field.kind
        )
        reply[field.name] = {
            "str": lambda: any_word(draw),
            "int": lambda: draw.randrange(10 ** draw.randint(1, 4)),
            "number": lambda: round(draw.uniform(0, 100), 2),
            "list": lambda: [any_word(draw) for _ in range(draw.randint(1, 3))],
        }[kind]()
    return reply


def _answer(reply: dict[str, Any], *, as_json: bool = False) -> str:
    """`The price is 3.50 and the owner is Ada.`, or the same as JSON."""
    if as_json:
        return json.dumps(reply, separators=(",", ":"), ensure_ascii=False)
    if not reply:
        return "Nothing was found."
    parts = []
    for name, value in reply.items():
        said = f"{value:.2f}" if isinstance(value, float) else value
        if isinstance(value, list):
            said = ", ".join(value)
        be = "are" if name.endswith("s") and name != "address" else "is"
        parts.append(f"the {name.replace('_', ' ')} {be} {said}")
    text = listed(parts)
    return f"{text[0].upper()}{text[1:]}."
