"""What the words of a JSON schema mean to a grammar: which it keeps, which only describe."""

import math
from collections.abc import Mapping
from typing import Any

STEP = 0.0001  # of a number that is no integer: four digits after the point

ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("discriminator", "$schema", "$id", "$comment", "$defs", "definitions", "format"),
    *("contentMediaType", "contentEncoding", "contentSchema", "uniqueItems"),
}
_RANGE = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
KEYWORDS = {
    "string": {"minLength", "maxLength", "pattern"},
    "integer": _RANGE,
    "number": _RANGE,
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "object": {
        *("properties", "required", "additionalProperties", "oneOf", "anyOf"),
        *("propertyNames", "patternProperties", "minProperties", "maxProperties"),
    },
    "boolean": set(),
    "null": set(),
}
TYPES = f"expected one of {', '.join(sorted(KEYWORDS))}"
ALL_KEYWORDS = set[str]().union(*KEYWORDS.values())
OF_PYDANTIC = {
    **{"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"},
    **{"multiple_of": "multipleOf", "min_length": "minLength", "max_length": "maxLength"},
}
"""Bounds of a union, which pydantic writes beside its branches under names of its own."""
ENDS = (
    *(("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")),
    *(("exclusiveMinimum", "maximum"), ("minimum", "exclusiveMaximum")),
    *(("exclusiveMinimum", "exclusiveMaximum"), ("minProperties", "maxProperties")),
)
FORMATS = {"date", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}  # as the engine knows them
_DATE = r"[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_ZONE = r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
PATTERNS = {
    "time": rf"^{_CLOCK}{_ZONE}?$",
    "date-time": rf"^{_DATE}T{_CLOCK}{_ZONE}?$",
    "local-date-time": rf"^{_DATE}T{_CLOCK}$",
    "zoned-date-time": rf"^{_DATE}T{_CLOCK}{_ZONE}$",
    "duration": r"^P(\d{1,5}[WD]|(\d{1,5}D)?T\d{1,5}[HMS])$",
}
"""Formats that the engine knows otherwise: with a time zone always, of any length."""
OF_KEYS = {
    "date": rf"^{_DATE}$",
    "uuid": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    **PATTERNS,
}


class GrammarError(ValueError):
    """A tool that no grammar can be made for; `tool` and `keyword` say which, and over what."""

    def __init__(self, tool: str, keyword: str, message: str) -> None:
        super().__init__(f"tool '{tool}', keyword '{keyword}': {message}")
        self.tool = tool
        self.keyword = keyword
        self.reason = message


def of_kind(schema: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The schema without keywords of other types: those say nothing of a value of this one."""
    others = ALL_KEYWORDS - KEYWORDS.get(kind, set())
    return {word: value for word, value in schema.items() if word not in others}


def within(number: float, far: int) -> float:
    return max(-far, min(far, number))


def step(width: float) -> float:
    """A step that leaves a range this wide a hundred values or more."""
    digits = 4 if width >= 100 * STEP else math.ceil(-math.log10(width / 100))
    return float(f"1e-{digits}")


def fits(number: float, kind: str, bounds: Mapping[str, Any]) -> bool:
    """Whether a number may stand where a schema has this type and these bounds."""
    return (
        (kind == "number" or number == int(number))
        and number >= bounds.get("minimum", number)
        and number <= bounds.get("maximum", number)
        and number > bounds.get("exclusiveMinimum", -math.inf)
        and number < bounds.get("exclusiveMaximum", math.inf)
        and math.isclose(steps := number / bounds.get("multipleOf", number or 1), round(steps))
    )
