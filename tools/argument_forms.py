"""What an argument of a tool can be, read from its schema: media, lists, rows of numbers, text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from nuthatch.tools.base.arguments import SchemaGenerator, arguments_schema
from nuthatch.tools.base.toolset import AnyTool

_MEDIA = {
    "image": "a path, bytes, a PIL image, an array, a handle such as 'image_1', or a result with "
    "one picture",
    "audio": "a path, bytes, 16 kHz samples, (samples, rate), a handle such as 'audio_1', or a "
    "result about one sound",
    "mask": "a mask of `segment`, an array (height, width) of bool, or a handle such as 'mask_1'",
    "detection": "a detection such as found.value.detections[0], or its handle, 'detection_1.1'",
}


@dataclass(frozen=True, slots=True)
class Form:
    """The forms that one argument may have."""

    kinds: frozenset[str] = frozenset()  # of media that it names
    items: "Form | None" = None  # of a list's items, where it takes a list
    numbers: int = 0  # of a row of as many: 4 are a box, 2 a point
    text: bool = False
    other: bool = False  # objects, numbers, fixed rows of other things

    @property
    def is_list(self) -> bool:
        """Whether it takes lists and nothing else."""
        return self.items is not None and not (self.kinds or self.numbers or self.text | self.other)

    @property
    def expected(self) -> str:
        """What to write, where that can be said better than by pydantic; else empty."""
        parts = [_MEDIA[kind] for kind in sorted(self.kinds & _MEDIA.keys())]
        if self.numbers:
            parts.append({4: "x1 y1 x2 y2 in pixels", 2: "x y in pixels"}.get(self.numbers, ""))
        if self.items is not None and self.items.expected:
            parts.append(f"one or a list of: {self.items.expected}")
        return ", or ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool."""

    form: Form
    required: bool
    description: str

    @property
    def expected(self) -> str:
        """What to write; empty where pydantic says it best."""
        return self.form.expected or self.description


def parameters_of(tool: AnyTool) -> dict[str, Parameter]:
    """The arguments of a tool by the names that callers may use: a field's own and its alias.
    Those that planners are not shown are among them."""
    return _parameters(tool.Args)  # type: ignore[arg-type]


@cache
def _parameters(args: type[BaseModel]) -> dict[str, Parameter]:
    schema = arguments_schema(args)
    found: dict[str, Parameter] = {}
    for name, field in args.model_fields.items():
        alias = field.alias or name
        part = schema.get("properties", {}).get(alias)
        defs = schema.get("$defs", {})
        if part is None:  # hidden from planners
            hidden: TypeAdapter[Any] = TypeAdapter(field.annotation or Any)
            part = hidden.json_schema(schema_generator=SchemaGenerator)
            defs = part.get("$defs", {})
        known = Parameter(_form(part, defs), field.is_required(), field.description or "")
        found[name] = found[alias] = known
    return found


def _form(schema: Any, defs: Mapping[str, Any]) -> Form:
    if not isinstance(schema, Mapping):
        return Form(other=True)
    if "x-media" in schema:
        return Form(kinds=frozenset([schema["x-media"]]))
    if "$ref" in schema:
        # A recursive model is an object; planners cannot be held to one.
        return _form(defs.get(schema["$ref"].rsplit("/", 1)[-1]), {})
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema and "properties" not in schema:
            return _merged([_form(part, defs) for part in schema[union]])
    match schema.get("type"):
        case "null":
            return Form()
        case "string":
            return Form(text=True)
        case "array" if "prefixItems" in schema:
            rows = schema["prefixItems"]
            are_numbers = all(each.get("type") in ("number", "integer") for each in rows)
            return Form(numbers=len(rows)) if are_numbers else Form(other=True)
        case "array":
            return Form(items=_form(schema.get("items"), defs))
    return Form(other=True)


def _merged(forms: list[Form]) -> Form:
    items = [form.items for form in forms if form.items is not None]
    return Form(
        kinds=frozenset().union(*(form.kinds for form in forms)),
        items=_merged(items) if items else None,
        numbers=max((form.numbers for form in forms), default=0),
        text=any(form.text for form in forms),
        other=any(form.other for form in forms),
    )
