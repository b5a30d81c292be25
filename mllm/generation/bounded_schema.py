"""A tool's parameters as the JSON schema of what a planner may write: live handles, quotations, an
end to everything.

pydantic's schemas are the input. The bounded schema is never wider than what the types allow but
for what JSON schema cannot say, such as a date that must lie in the past: that the tool's own check
finds. `check_parameters` tells when a tool is made whether there is such a schema at all; it needs
no grammar engine, and asks the engine too where it is installed.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import combinations
from typing import Any

from nuthatch.mllm.generation.schema_words import (
    ALL_KEYWORDS,
    ANNOTATIONS,
    ENDS,
    FORMATS,
    KEYWORDS,
    OF_KEYS,
    OF_PYDANTIC,
    PATTERNS,
    TYPES,
    GrammarError,
    fits,
    of_kind,
    step,
    within,
)

Schema = Mapping[str, Any]
Handles = Mapping[str, Sequence[str]]
"""Live handles by kind, e.g. `{"image": ["image_1"], "detection": ["detection_1.1"]}`."""

MAX_CHARACTERS = 200  # of a string whose schema sets no bound
MAX_KEY = 48  # characters of a key, where any name may be one
MAX_ITEMS = 16  # of a list or a dict; also where the schema would take more
LARGEST = 1_000_000_000  # of a number whose schema sets no bound, on either side of 0
FINEST = 1e-10  # the finest step that the engine takes
FARTHEST = {"integer": 10**18, "number": 10**15}  # numbers beyond have too many digits for it
LISTED = 101  # values of a range that no step fits


def check_parameters(tool: str, parameters: Schema) -> None:
    """Whether a planner can be held to these parameters, whatever media there are.

    Raises:
        GrammarError: it cannot; `reason` says why, and what to write instead.
    """
    _check(tool, json.dumps(parameters))


@lru_cache(maxsize=1024)
def _check(tool: str, parameters: str) -> None:
    arguments = bounded(tool, json.loads(parameters), _AnyHandle())
    if find_spec("llguidance") is None:  # no planner here that would need a grammar
        return
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_lark(f"start: %json {call_schema(tool, arguments or {})}")
    if error := LLMatcher.validate_grammar(grammar):
        words = ("oneOf", "pattern", "format", "multipleOf")
        known = next((word for word in words if f'"{word}"' in parameters), "type")
        keyword = next(iter(re.findall(r'Unimplemented keys: \["(\w+)"', error)), known)
        reason = error.splitlines()[0].rpartition("JSON schema: ")[2]
        raise GrammarError(tool, keyword, f"the grammar engine refuses its schema: {reason}")


def call_schema(name: str, arguments: Schema) -> str:
    """The JSON schema of a call, as text; its JSON has one way to be written."""
    return json.dumps(
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": arguments},
            "required": ["name", "arguments"],
            "additionalProperties": False,
            "x-guidance": {"whitespace_flexible": False},
        }
    )


def bounded(
    tool: str,
    parameters: Schema,
    handles: Handles,
    *,
    spans: Sequence[str] | None = None,
    numbers: Sequence[float] = (),
) -> Schema | None:
    """The schema of a tool's arguments, or None when a required medium or quotation does not exist.

    Args:
        handles: the media that live now.
        spans, numbers: what a value marked `x-quoted` may be; None leaves it free.

    Raises:
        GrammarError: the schema uses a keyword that no grammar can keep.
    """
    return _Bounded(tool, parameters, handles, spans, numbers).schema


class _AnyHandle(dict[str, Sequence[str]]):
    """As if one medium of every kind were there."""

    def __missing__(self, kind: str) -> Sequence[str]:
        return [f"{kind}_1"]

    def get(self, kind: str, default: Any = None) -> Sequence[str]:
        return self[kind]


class _Bounded:
    def __init__(
        self,
        tool: str,
        parameters: Schema,
        handles: Handles,
        spans: Sequence[str] | None,
        numbers: Sequence[float],
    ) -> None:
        self.tool = tool
        self.defs = parameters.get("$defs") or parameters.get("definitions") or {}
        self.handles = handles
        self.spans = spans
        self.numbers = numbers
        self.inside: list[str] = []  # names of the fields around the value at hand
        self.schema = self._value(parameters, ())

    def _value(self, schema: Any, above: tuple[str, ...]) -> Schema | None:
        """The bounded schema of one value; `above` holds the definitions it stands in."""
        if not isinstance(schema, Mapping):
            raise self._error("items", f"it holds {schema!r} where a type is expected")
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
                    return self._union(union, self._branches(schema, union), above)
        if isinstance(kinds, list):
            branches = [of_kind(schema, kind) | {"type": kind} for kind in kinds]
            return self._union("anyOf", branches, above)
        if kinds is None and not schema.keys() - ANNOTATIONS:
            raise self._error(
                "type", "it may be anything; name what it may be, such as str or int | str"
            )
        kinds = str(kinds)
        known = KEYWORDS.get(kinds, set()) | ANNOTATIONS | {"type"}
        for keyword in schema:
            if keyword not in known and not keyword.startswith("x-"):
                raise self._error(keyword, "no grammar can keep this keyword of its schema")
        if kinds not in KEYWORDS:
            raise self._error("type", f"its schema has a value of type {kinds}; {TYPES}")
        bounds = {word: schema[word] for word in KEYWORDS[kinds] if word in schema}
        for low, high in ENDS:
            if low in bounds and high in bounds and bounds[low] > bounds[high]:
                raise self._error(low, f"{low} {bounds[low]} is above {high} {bounds[high]}")
        if "x-quoted" in schema and kinds not in ("string", "integer", "number"):
            raise self._error("x-quoted", f"only strings and numbers can be quoted, no {kinds}")
        match kinds:
            case "string":
                form = str(schema.get("format", ""))
                return self._string(bounds, form, quoted="x-quoted" in schema)
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
            raise self._error(
                "$ref",
                f"'{name}' holds itself, and may be of any depth; write a model for each level, or "
                "a list in which the parts name each other",
            )
        return self._value(self.defs[name], (*above, name))

    def _branches(self, schema: Schema, union: str) -> list[Any]:
        """The branches of a union, each with the bounds beside it that concern its type."""
        beside = {OF_PYDANTIC.get(word, word): value for word, value in schema.items()}
        beside = {word: value for word, value in beside.items() if word in ALL_KEYWORDS - {union}}
        return [
            {**of_kind(beside, branch["type"]), **branch}
            if isinstance(branch, Mapping) and isinstance(branch.get("type"), str)
            else branch
            for branch in schema[union]
        ]

    def _union(self, union: str, branches: Sequence[Any], above: tuple[str, ...]) -> Schema | None:
        """What one of the branches takes; those that no grammar can keep are left out if another
        one can be kept: what is written is always right."""
        alive: list[Schema] = []
        refused: GrammarError | None = None
        for branch in branches:
            try:
                part = self._value(branch, above)
            except GrammarError as error:
                refused = refused or error
            else:
                alive += [] if part is None else [part]
        if refused is not None and all(part.get("type") == "null" for part in alive):
            raise refused
        if union == "oneOf" and not all(_exclude(a, b) for a, b in combinations(alive, 2)):
            raise self._error("oneOf", "branches of a 'oneOf' in its schema overlap; use 'anyOf'")
        return {"anyOf": alive} if len(alive) > 1 else alive[0] if alive else None

    def _string(self, bounds: dict[str, Any], form: str, *, quoted: bool) -> Schema | None:
        if not quoted or self.spans is None:
            if form in FORMATS:
                return {"type": "string", "format": form, **bounds}
            if form in PATTERNS and "pattern" not in bounds:
                bounds["pattern"] = PATTERNS[form]
            most = max(MAX_CHARACTERS, bounds.get("minLength", 0))
            return {"type": "string", "maxLength": most, **bounds}
        import regex  # comes with the planners that quote

        fitting = [
            span
            for span in self.spans
            if bounds.get("minLength", 0) <= len(span) <= bounds.get("maxLength", len(span))
            and regex.search(bounds.get("pattern", ""), span)
        ]
        return {"enum": fitting} if fitting else None

    def _number(self, kind: str, bounds: dict[str, Any], *, quoted: bool) -> Schema | None:
        bounds = {word: value for word, value in bounds.items() if math.isfinite(value)}
        lows = [bounds[word] for word in ("minimum", "exclusiveMinimum") if word in bounds]
        highs = [bounds[word] for word in ("maximum", "exclusiveMaximum") if word in bounds]
        ends = [word for word in ("exclusiveMinimum", "exclusiveMaximum") if word in bounds]
        if lows and highs and ends:
            low, high = max(lows), min(highs)
            room = len(ends) if kind == "integer" else 0  # between 3 and 4 there is no integer
            if high - low < room or high == low:
                raise self._error(ends[0], f"no {kind} lies between {low} and {high}")
        if quoted and self.spans is not None:
            fitting = [each for each in self.numbers if fits(each, kind, bounds)]
            return {"enum": fitting} if fitting else None
        low = max(lows, default=min(-LARGEST, min(highs, default=0) - LARGEST))
        high = min(highs, default=max(LARGEST, max(lows, default=0) + LARGEST))
        far = FARTHEST[kind]
        if kind == "integer":
            if low > far or high < -far:
                raise self._error("minimum", f"it lies beyond {far:g}; take a str of digits")
        elif low > far or high < -far or high - low < 100 * FINEST:
            return self._listed(bounds, low, high)
        bounds |= {"minimum": low} if not lows or low < -far else {}
        bounds |= {"maximum": high} if not highs or high > far else {}
        bounds = {word: within(value, far) for word, value in bounds.items()}
        grid = {"multipleOf": step(high - low)} if kind == "number" else {}
        return {"type": kind, **grid, **bounds}

    def _listed(self, bounds: dict[str, Any], low: float, high: float) -> Schema:
        """Numbers of a range that is too narrow or too far for a step, evenly spread."""
        spread = [low + (high - low) * n / (LISTED - 1) for n in range(LISTED)]
        fitting = [each for each in dict.fromkeys(spread) if fits(each, "number", bounds)]
        if not fitting:
            raise self._error("multipleOf", f"no number between {low} and {high} can be written")
        return {"enum": fitting}

    def _array(self, bounds: dict[str, Any], above: tuple[str, ...]) -> Schema | None:
        least = bounds.get("minItems", 0)
        if bounds.get("maxItems") == 0:
            return {"const": []}
        fixed = [self._value(part, above) for part in bounds.get("prefixItems", ())]
        if None in fixed:
            return None
        more = bounds.get("items", False if fixed else None)
        if more is None or more is True or more == {}:
            raise self._error("items", "it is a list of anything; write e.g. list[str]")
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
        named = bounds.get("properties", {})
        more = bounds.get("additionalProperties")
        if not named and (isinstance(more, Mapping) or "patternProperties" in bounds):
            return self._dict(bounds, above)
        if not named and more is True:
            raise self._error(
                "additionalProperties", "it is a dict of anything; write e.g. dict[str, int]"
            )
        for keyword in ("patternProperties", "propertyNames", "minProperties", "maxProperties"):
            if keyword in bounds:
                raise self._error(keyword, "no grammar can keep it beside named fields")
        required = set(bounds.get("required", ()))
        properties: dict[str, Schema] = {}
        for name, field in named.items():
            self.inside.append(name)
            value = self._value(field if name in required else _without_null(field), above)
            self.inside.pop()
            if value is None and name in required:
                return None
            if value is not None:
                properties[name] = value
        whole = {"type": "object", "additionalProperties": False}
        choices = [*self._choices("oneOf", bounds), *self._choices("anyOf", bounds)]
        if not choices:
            return {**whole, "properties": properties, "required": sorted(required)}
        chosen = {name for choice in bounds.get("oneOf", ()) for name in choice["required"]}
        ways = [
            {
                **whole,
                "properties": {n: p for n, p in properties.items() if n in way or n not in chosen},
                "required": sorted(required | way),
            }
            for way in choices
            if way <= properties.keys()
        ]
        return {"anyOf": ways} if len(ways) > 1 else ways[0] if ways else None

    def _dict(self, bounds: dict[str, Any], above: tuple[str, ...]) -> Schema | None:
        """A dict with one type of value: under any key, keys of a pattern, or listed keys."""
        least = bounds.get("minProperties", 0)
        ends = {"minProperties": least}
        ends["maxProperties"] = max(least, min(bounds.get("maxProperties", MAX_ITEMS), MAX_ITEMS))
        whole = {"type": "object", "additionalProperties": False}
        if "patternProperties" in bounds:
            patterns = {
                pattern: self._value(field, above)
                for pattern, field in bounds["patternProperties"].items()
            }
            if None in patterns.values():
                return None
            return {**whole, "patternProperties": patterns, **ends}
        value = self._value(bounds["additionalProperties"], above)
        names = bounds.get("propertyNames", {})
        names = self._value({"type": "string", **names} if "$ref" not in names else names, above)
        if value is None or names is None:
            return None
        keys = names.get("enum", [names["const"]] if "const" in names else None)
        if keys is not None:
            if least > len(keys):
                raise self._error("minProperties", f"there are only {len(keys)} keys")
            required = [str(key) for key in keys] if least == len(keys) else []
            properties = {str(key): value for key in keys}
            return {**whole, "properties": properties, "required": required}
        most = min(MAX_KEY, names.get("maxLength", MAX_KEY))
        form = bounds.get("propertyNames", {}).get("format")
        of_length = rf"^(.|\n){{{names.get('minLength', 0)},{most}}}$"
        pattern = names.get("pattern") or OF_KEYS.get(form) or of_length
        return {**whole, "patternProperties": {pattern: value}, **ends}

    def _choices(self, union: str, bounds: dict[str, Any]) -> Iterator[set[str]]:
        """Sets of arguments of which one must be given: `"oneOf": [{"required": [...]}, ...]`."""
        for way in bounds.get(union, ()):
            if set(way) != {"required"}:
                raise self._error(
                    union, f"beside 'properties', '{union}' may only hold {{'required': [...]}}"
                )
            yield set(way["required"])

    def _error(self, keyword: str, message: str) -> GrammarError:
        where = f"argument '{'.'.join(self.inside)}': " if self.inside else ""
        return GrammarError(self.tool, keyword, f"{where}{message}")


def _exclude(one: Schema, other: Schema) -> bool:
    """Whether no value fits both, by its type or by what is listed."""
    listed = [
        part.get("enum", [part["const"]] if "const" in part else None) for part in (one, other)
    ]
    if listed[0] is not None and listed[1] is not None:
        return not any(value in listed[1] for value in listed[0])
    kinds = {part.get("type") for part in (one, other)} - {None}
    if kinds == {"object"}:  # one that could be both is for the tool's own check to tell
        return True
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
