"""The grammar of one turn: what the planner may write now, made from tool schemas and live handles.

A turn is a text, or calls. A call's arguments are held to the tool's JSON schema; an argument that
names a medium is one of the handles that live now, so no other can be written; an argument that is
quoted from the user is a run of the user's own words. Everything has an end: strings, lists and
numbers without bounds are given some. Tools that need a medium that nobody has are not offered.

The grammar is text for llguidance, whose JSON follows JSON schema (draft 2020-12) and has one way
to write a value: no white space, keys in the order of the schema.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any, Literal

import regex
from llguidance import LLMatcher

from nuthatch.mllm.chat import CALL, Schema

MAX_CHARACTERS = 200  # of a string whose schema sets no bound
MAX_ITEMS = 16  # of a list; also where the schema would take more
LARGEST = 1_000_000_000  # of a number whose schema sets no bound, on either side of 0
STEP = 0.0001  # of a number that is no integer: four digits after the point
QUOTED_WORDS = 8  # in one quotation

Handles = Mapping[str, Sequence[str]]
"""Live handles by kind, e.g. `{"image": ["image_1"], "detection": ["detection_1.1"]}`."""

_ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("discriminator", "$schema", "$id", "$comment", "$defs", "definitions"),
}
_KEYWORDS = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties", "oneOf", "anyOf"},
    "boolean": set(),
    "null": set(),
}
_ENDS = (
    *(("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")),
    *(("exclusiveMinimum", "maximum"), ("minimum", "exclusiveMaximum")),
    ("exclusiveMinimum", "exclusiveMaximum"),
)
_ALL_KEYWORDS = set[str]().union(*_KEYWORDS.values())
_BLANK = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u206f\u3000"  # no text is blank
_WORD = re.compile(r"[^\W_]+(?:['’&-][^\W_]+)*")
_NUMBER = re.compile(
    r"(?<![A-WYZa-wyz_\d.])"  # `image_1` names a thing; `10x20` are two numbers
    r"(?:(?<![\w)])-)?(?:\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(?!\d)"
)
_POSSESSIVE = re.compile(r"['’]s$")


class GrammarError(ValueError):
    """A tool that no grammar can be made for; `tool` and `keyword` say which, and over what."""

    def __init__(self, tool: str, keyword: str, message: str) -> None:
        super().__init__(f"tool '{tool}', keyword '{keyword}': {message}")
        self.tool = tool
        self.keyword = keyword


def turn_grammar(
    tools: Sequence[Schema],
    handles: Handles,
    *,
    allow: Literal["any", "calls", "answer"] = "any",
    max_calls: int = 4,
    quoted: Sequence[str] | None = None,
    read: Sequence[str] = (),
) -> str:
    """What a planner may write in this turn, as a grammar for llguidance.

    Args:
        tools: `{name, description, parameters}` each, parameters as JSON schema.
        handles: the handles that live now.
        allow: "answer" when the budget has no call left; "calls" when a text would be no use.
        max_calls: in one turn.
        quoted: the user's own turns; values marked `x-quoted` are then held to these: strings to
            runs of words, numbers to numbers. None leaves them free.
        read: what tools read from media; where they read something, what a text puts between
            quotation marks is one of these, whole.

    Raises:
        GrammarError: a schema uses a keyword that no grammar can keep.
        ValueError: only calls are allowed, and no tool can be called.
    """
    rules = [] if allow == "answer" else list(_call_rules(tools, handles, quoted))
    if not rules and allow == "calls":
        names = ", ".join(str(tool["name"]) for tool in tools) or "none"
        raise ValueError(
            f"only calls are allowed, and no tool can be called (tools: {names}; live media: "
            f"{', '.join(kind for kind in handles if handles[kind]) or 'none'})"
        )
    lines = _text_rules(read)
    if rules:
        lines.append(f"calls: call{{1,{max(1, max_calls)}}}")
        lines.append(f"call: {CALL} ({' | '.join(f'tool_{n}' for n in range(len(rules)))})")
        lines += [f"tool_{n}: %json {rule}" for n, rule in enumerate(rules)]
    start = "calls" if allow == "calls" else "text | calls" if rules else "text"
    return str(LLMatcher.grammar_from_lark("\n".join([f"start: {start}", *lines])))


def _text_rules(read: Sequence[str]) -> list[str]:
    if not read:
        return ["text: TEXT", f"TEXT: /[^{_BLANK}](.|\\n)*/"]
    quotes = " | ".join(json.dumps(f'"{each}"', ensure_ascii=False) for each in read)
    return [
        "text: PLAIN (quote MORE?)* | (quote MORE?)+",
        f"quote: {quotes}",
        f'PLAIN: /[^"{_BLANK}][^"]*/',
        'MORE: /[^"]+/',
    ]


def word_spans(texts: Iterable[str]) -> list[str]:
    """Every run of up to eight words that stands in one of the texts with only spaces between.

    Of a run that ends with a possessive, as in "the cup's colour", there is one without it too.
    """
    spans: dict[str, None] = {}
    for text in texts:
        words = list(_WORD.finditer(text))
        for start, first in enumerate(words):
            span = first.group()
            spans |= {span: None, _POSSESSIVE.sub("", span): None}
            for before, word in pairwise(words[start : start + QUOTED_WORDS]):
                if not text[before.end() : word.start()].isspace():
                    break
                span = f"{span} {word.group()}"
                spans |= {span: None, _POSSESSIVE.sub("", span): None}
    return list(spans)


def numbers(texts: Iterable[str]) -> list[float]:
    """Every number of at most nine digits that stands in one of the texts, once."""
    found: dict[float, None] = {}
    for text in texts:
        for number in _NUMBER.findall(text):
            found[float(number) if "." in number else int(number)] = None
    return list(found)


def _call_rules(
    tools: Sequence[Schema], handles: Handles, quoted: Sequence[str] | None
) -> Iterator[str]:
    """The JSON schema of a call of each tool that can be called, as text."""
    spans = None if quoted is None else word_spans(quoted)
    for tool in tools:
        name, parameters = tool["name"], tool.get("parameters") or {"type": "object"}
        _refuse_early(json.dumps([name, parameters]))
        arguments = _Bounded(name, parameters, handles, quoted, spans).schema
        if arguments is not None:
            yield _call_schema(name, arguments)


def _call_schema(name: str, arguments: Schema) -> str:
    return json.dumps(
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": arguments},
            "required": ["name", "arguments"],
            "additionalProperties": False,
            "x-guidance": {"whitespace_flexible": False},
        }
    )


@lru_cache(maxsize=1024)
def _refuse_early(tool: str) -> None:
    """Find out once for each tool whether the engine takes its schema.

    Raises:
        GrammarError: it does not.
    """
    name, parameters = json.loads(tool)
    arguments = _Bounded(name, parameters, _AnyHandle()).schema
    grammar = LLMatcher.grammar_from_lark(f"start: %json {_call_schema(name, arguments or {})}")
    if error := LLMatcher.validate_grammar(grammar):
        known = next((k for k in ("oneOf", "pattern", "format", "multipleOf") if k in tool), "type")
        keyword = next(iter(re.findall(r'Unimplemented keys: \["(\w+)"', error)), known)
        reason = error.splitlines()[0].rpartition("JSON schema: ")[2]
        raise GrammarError(name, keyword, f"the grammar engine refuses its schema: {reason}")


class _AnyHandle(dict[str, Sequence[str]]):
    """As if one medium of every kind were there."""

    def __missing__(self, kind: str) -> Sequence[str]:
        return [f"{kind}_1"]

    def get(self, kind: str, default: Any = None) -> Sequence[str]:
        return self[kind]


class _Bounded:
    """A tool's parameters with live handles for media, quotations for quoted strings, and an end to
    everything. `schema` is None when a required medium or quotation does not exist."""

    def __init__(
        self,
        tool: str,
        parameters: Schema,
        handles: Handles,
        quoted: Sequence[str] | None = None,
        spans: list[str] | None = None,
    ) -> None:
        self.tool = tool
        self.defs = parameters.get("$defs") or parameters.get("definitions") or {}
        self.handles = handles
        self.quoted = quoted
        self.spans = spans
        self.schema = self._value(parameters, ())

    def _value(self, schema: Any, above: tuple[str, ...]) -> Schema | None:
        """The bounded schema of one value; `above` holds the definitions it stands in."""
        if not isinstance(schema, Mapping):
            raise self._error("items", f"its schema holds {schema!r} where a type is expected")
        if "$ref" in schema:
            return self._definition(str(schema["$ref"]), above)
        if "x-media" in schema:
            live = self.handles.get(schema["x-media"], ())
            return {"enum": list(live)} if live else None
        if "const" in schema:
            return {"const": schema["const"]}
        if "enum" in schema:
            return {"enum": list(schema["enum"])}
        if len(schema.get("allOf", ())) == 1:
            return self._value(schema["allOf"][0], above)
        kinds = schema.get("type") or ("object" if "properties" in schema else None)
        if kinds != "object":
            for union in ("anyOf", "oneOf"):
                if union in schema:
                    return self._union(union, schema[union], above)
        if isinstance(kinds, list):
            others = {kind: _ALL_KEYWORDS - _KEYWORDS.get(kind, set()) for kind in kinds}
            branches = [
                {word: schema[word] for word in schema if word not in others[kind]} | {"type": kind}
                for kind in kinds
            ]
            return self._union("anyOf", branches, above)
        kinds = str(kinds)
        known = _KEYWORDS.get(kinds, set()) | _ANNOTATIONS | {"type"}
        for keyword in schema:
            if keyword not in known and not keyword.startswith("x-"):
                raise self._error(keyword, "no grammar can keep this keyword of its schema")
        if kinds not in _KEYWORDS:
            raise self._error("type", f"its schema has a value of type {kinds}; {_TYPES}")
        bounds = {word: schema[word] for word in _KEYWORDS[kinds] if word in schema}
        for low, high in _ENDS:
            if low in bounds and high in bounds and bounds[low] > bounds[high]:
                raise self._error(low, f"{low} {bounds[low]} is above {high} {bounds[high]}")
        if "x-quoted" in schema and kinds not in ("string", "integer", "number"):
            raise self._error("x-quoted", f"only strings and numbers can be quoted, no {kinds}")
        match kinds:
            case "string":
                return self._string(bounds, quoted="x-quoted" in schema)
            case "integer" | "number":
                return self._number(kinds, bounds, quoted="x-quoted" in schema)
            case "array":
                return self._array(bounds, above)
            case "object":
                return self._object(bounds, above)
        return {"type": kinds}

    def _definition(self, path: str, above: tuple[str, ...]) -> Schema | None:
        name = path.rsplit("/", 1)[-1]
        if name not in self.defs:
            raise self._error("$ref", f"its schema refers to '{path}', which it does not define")
        if name in above:
            raise self._error("$ref", f"'{name}' in its schema holds itself")
        return self._value(self.defs[name], (*above, name))

    def _union(self, union: str, branches: Sequence[Any], above: tuple[str, ...]) -> Schema | None:
        alive = [part for branch in branches if (part := self._value(branch, above)) is not None]
        if union == "oneOf" and not all(_exclude(a, b) for a, b in combinations(alive, 2)):
            raise self._error("oneOf", "branches of a 'oneOf' in its schema overlap; use 'anyOf'")
        return {"anyOf": alive} if len(alive) > 1 else alive[0] if alive else None

    def _string(self, bounds: dict[str, Any], *, quoted: bool) -> Schema | None:
        if not quoted or self.spans is None:
            most = max(MAX_CHARACTERS, bounds.get("minLength", 0))
            longest = {} if "format" in bounds else {"maxLength": most}
            return {"type": "string", **longest, **bounds}
        fitting = [
            span
            for span in self.spans
            if bounds.get("minLength", 0) <= len(span) <= bounds.get("maxLength", len(span))
            and regex.search(bounds.get("pattern", ""), span)
        ]
        return {"enum": fitting} if fitting else None

    def _number(self, kind: str, bounds: dict[str, Any], *, quoted: bool) -> Schema | None:
        low = max((bounds[k] for k in ("minimum", "exclusiveMinimum") if k in bounds), default=None)
        high = min(
            (bounds[k] for k in ("maximum", "exclusiveMaximum") if k in bounds), default=None
        )
        ends = [k for k in ("exclusiveMinimum", "exclusiveMaximum") if k in bounds]
        if low is not None and high is not None and ends:
            room = len(ends) if kind == "integer" else 0  # between 3 and 4 there is no integer
            if high - low < room or high == low:
                raise self._error(ends[0], f"no {kind} lies between {low} and {high}")
        given: dict[str, Any] = {"multipleOf": STEP} if kind == "number" else {}
        if low is None:
            given["minimum"] = -LARGEST if high is None else min(-LARGEST, high - LARGEST)
        if high is None:
            given["maximum"] = LARGEST if low is None else max(LARGEST, low + LARGEST)
        whole = {"type": kind, **given, **bounds}
        if not quoted or self.quoted is None:
            return whole
        fitting = [each for each in numbers(self.quoted) if _fits(each, kind, bounds)]
        return {"enum": fitting} if fitting else None

    def _array(self, bounds: dict[str, Any], above: tuple[str, ...]) -> Schema | None:
        least = bounds.get("minItems", 0)
        fixed = [self._value(part, above) for part in bounds.get("prefixItems", ())]
        if None in fixed:
            return None
        more = bounds.get("items", False if fixed else None)
        if more is None:
            raise self._error("items", "its schema has a list without 'items'")
        items = False if more is False else self._value(more, above)
        if items is None:  # nothing to put in: an empty list would say nothing
            return None
        most = len(fixed) if items is False else min(bounds.get("maxItems", MAX_ITEMS), MAX_ITEMS)
        if fixed and items is False and least == most and all(part == fixed[0] for part in fixed):
            fixed, items = [], fixed[0]  # the same, and faster to compile
        inside = {"prefixItems": fixed} if fixed else {}
        ends = {"minItems": least, "maxItems": max(least, most)}
        return {"type": "array", **inside, "items": items, **ends}

    def _object(self, bounds: dict[str, Any], above: tuple[str, ...]) -> Schema | None:
        if isinstance(bounds.get("additionalProperties"), Mapping):
            raise self._error("additionalProperties", "its schema has keys of any name")
        required = set(bounds.get("required", ()))
        properties: dict[str, Schema] = {}
        for name, field in bounds.get("properties", {}).items():
            value = self._value(field if name in required else _without_null(field), above)
            if value is None and name in required:
                return None
            if value is not None:
                properties[name] = value
        whole = {"type": "object", "additionalProperties": False}
        choices = [*self._choices("oneOf", bounds), *self._choices("anyOf", bounds)]
        if not choices:
            return {**whole, "properties": properties, "required": sorted(required)}
        named = {name for choice in bounds.get("oneOf", ()) for name in choice["required"]}
        ways = [
            {
                **whole,
                "properties": {n: p for n, p in properties.items() if n in way or n not in named},
                "required": sorted(required | way),
            }
            for way in choices
            if way <= properties.keys()
        ]
        return {"anyOf": ways} if len(ways) > 1 else ways[0] if ways else None

    def _choices(self, union: str, bounds: dict[str, Any]) -> Iterator[set[str]]:
        """Sets of arguments of which one must be given: `"oneOf": [{"required": [...]}, ...]`."""
        for way in bounds.get(union, ()):
            if set(way) != {"required"}:
                raise self._error(
                    union, f"beside 'properties', '{union}' may only hold {{'required': [...]}}"
                )
            yield set(way["required"])

    def _error(self, keyword: str, message: str) -> GrammarError:
        return GrammarError(self.tool, keyword, message)


_TYPES = f"expected one of {', '.join(sorted(_KEYWORDS))}"


def _fits(number: float, kind: str, bounds: Mapping[str, Any]) -> bool:
    """Whether a number may stand where a schema has this type and these bounds."""
    return (
        (kind == "number" or number == int(number))
        and number >= bounds.get("minimum", number)
        and number <= bounds.get("maximum", number)
        and number > bounds.get("exclusiveMinimum", -math.inf)
        and number < bounds.get("exclusiveMaximum", math.inf)
        and math.isclose(steps := number / bounds.get("multipleOf", number or 1), round(steps))
    )


def _exclude(one: Schema, other: Schema) -> bool:
    """Whether no value fits both: by its type, by what is listed, or by a field that tells."""
    listed = [
        part.get("enum", [part["const"]] if "const" in part else None) for part in (one, other)
    ]
    if listed[0] is not None and listed[1] is not None:
        return not any(value in listed[1] for value in listed[0])
    kinds = {part.get("type") for part in (one, other)} - {None}
    if kinds == {"object"}:
        needed = set(one.get("required", ())) & set(other.get("required", ()))
        return any(_exclude(one["properties"][n], other["properties"][n]) for n in needed)
    return len(kinds) == 2 and kinds != {"integer", "number"}


def _without_null(schema: Any) -> Any:
    """An optional argument is left out rather than written as null."""
    if not isinstance(schema, Mapping):
        return schema
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}
    for union in ("anyOf", "oneOf"):
        if union in schema:
            branches = [b for b in schema[union] if b.get("type") != "null"]
            return {**schema, union: branches} if branches else schema
    return schema
