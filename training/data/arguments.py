"""Arguments of invented tools: their names, their types, and how a user says their values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from nuthatch.training.data import words
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.words import any_word, code, held_out, listed, some_words

KINDS = ("str", "int", "number", "bool", "list", "ints", "enum", "object")
_SHARES = (46, 16, 10, 6, 9, 3, 6, 4)


@dataclass(frozen=True, slots=True)
class Field:
    """An argument; `options` of an enum, `inner` fields of an object."""

    name: str
    kind: str
    required: bool
    options: tuple[str, ...] = ()
    inner: tuple["Field", ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        match self.kind:
            case "str":
                return {"type": "string"}
            case "int":
                return {"type": "integer"}
            case "number":
                return {"type": "number"}
            case "bool":
                return {"type": "boolean"}
            case "list":
                return {"type": "array", "items": {"type": "string"}}
            case "ints":
                return {"type": "array", "items": {"type": "integer"}}
            case "enum":
                return {"type": "string", "enum": list(self.options)}
            case _:
                return {
                    "type": "object",
                    "properties": {each.name: each.schema for each in self.inner},
                    "required": [each.name for each in self.inner if each.required],
                    "additionalProperties": False,
                }


@cache
def _names(kind: str, held: bool) -> tuple[str, ...]:
    lines = (line.split() for line in words.lines("fields"))
    found = [name for first, *names in lines if first == kind for name in names]
    kept = tuple(name for name in found if held_out(name) == held)
    return kept or tuple(found)


def draw_field(draw: Draw, held: bool, *, first: bool, nested: bool = False) -> Field:
    """A field at random; the first one is nearly always required."""
    kind = draw.choices(KINDS[:3] if nested else KINDS, _SHARES[:3] if nested else _SHARES)[0]
    name = draw.choice(_names(kind, held))
    if draw.chance(0.15) and kind == "str":
        name = draw.choice(words.words("nouns", held))
    required = nested or draw.chance(0.92 if first else 0.7)
    options: tuple[str, ...] = ()
    inner: tuple[Field, ...] = ()
    if kind == "enum":
        options = tuple(draw.sample(words.words("adjectives", held), draw.randint(2, 4)))
    if kind == "object":
        parts = [draw_field(draw, held, first=True, nested=True) for _ in range(2)]
        inner = tuple({part.name: part for part in parts}.values())
    return Field(name, kind, required, options, inner)


def mention(draw: Draw, fields: Sequence[Field], *, held: bool) -> tuple[str, dict[str, Any]]:
    """How a user gives these values, and the values; `with city Oslo and size 4`."""
    values: dict[str, Any] = {}
    pairs: list[tuple[str, str]] = []
    for field in fields:
        said, values[field.name] = _value(draw, field, held)
        pairs.append((field.name.replace("_", " ") if draw.chance(0.8) else field.name, said))
    if not pairs:
        return "", {}
    if len(pairs) == 1 and fields[0].kind == "str" and draw.chance(0.4):
        return f"{draw.choice(('for', 'of', 'called', 'named', ''))} {pairs[0][1]}".strip(), values
    return _joined(draw, pairs), values


def _joined(draw: Draw, pairs: Sequence[tuple[str, str]]) -> str:
    match draw.randrange(8):
        case 0 | 1:
            return f"with {listed([f'{name} {said}' for name, said in pairs])}"
        case 2:
            return f"with {listed([f'the {name} {said}' for name, said in pairs])}"
        case 3:
            return ", ".join(f"{name}: {said}" for name, said in pairs)
        case 4:
            return ", ".join(f"{name} = {said}" for name, said in pairs)
        case 5:
            return f"({', '.join(f'{name} {said}' for name, said in pairs)})"
        case 6:
            return f"using {listed([f'{said} as {name}' for name, said in pairs])}"
        case _:
            return f"where {listed([f'the {name} is {said}' for name, said in pairs])}"


def _value(draw: Draw, field: Field, held: bool) -> tuple[str, Any]:
    """A value as it is said, and as it is written in the call."""
    match field.kind:
        case "str":
            text = _text(draw, held)
            return (f'"{text}"' if draw.chance(0.2) or len(text.split()) > 3 else text), text
        case "int":
            number = draw.randrange(10 ** draw.choice((1, 2, 2, 3, 4)))
            return str(number), number
        case "number":
            share = round(draw.uniform(0.01, 300), draw.choice((1, 2)))
            return str(share), share
        case "bool":
            yes = draw.chance(0.6)
            forms = ("on", "yes", "true") if yes else ("off", "no", "false")
            return draw.choice(forms), yes
        case "enum":
            option = draw.choice(field.options)
            return option, option
        case "list":
            items = [any_word(draw, held) for _ in range(draw.randint(1, 4))]
            items = list(dict.fromkeys(items))
            return (listed(items) if draw.chance(0.7) else ", ".join(items)), items
        case "ints":
            numbers = [draw.randrange(100) for _ in range(draw.randint(1, 4))]
            return listed([str(number) for number in numbers]), numbers
        case _:
            parts, values = [], {}
            for inner in field.inner:
                said, values[inner.name] = _value(draw, inner, held)
                parts.append(f"{inner.name.replace('_', ' ')} {said}")
            return f"with {listed(parts)}", values


def _text(draw: Draw, held: bool) -> str:
    match draw.choices(range(6), (30, 22, 14, 12, 12, 10))[0]:
        case 0:
            return any_word(draw, held)
        case 1:
            return some_words(draw, held, 2, 3)
        case 2:
            return draw.choice(words.names("people", held))
        case 3:
            return draw.choice(words.names("cities", held))
        case 4:
            return code(draw)
        case _:
            return some_words(draw, held, 4, 8)
