"""The arguments of a tool: their JSON schema, whether a planner can be held to it, and the media in
them, however deep they stand."""

import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

from nuthatch.mllm.generation.bounded_schema import check_parameters
from nuthatch.mllm.generation.schema_words import GrammarError

Swap = Callable[[str, Any, tuple[str, ...], bool], Any]
"""What takes the place of a medium: called with its kind, what stands there, the names of the
fields around it, and whether it can be nothing but a medium."""


class SchemaGenerator(GenerateJsonSchema):
    """pydantic's schemas, where these allow more than the type takes."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A number; pydantic would take any text for one."""
        made: JsonSchemaValue = {"type": "number"}
        bounds = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum"}
        for name, word in {**bounds, "lt": "exclusiveMaximum", "multiple_of": "multipleOf"}.items():
            if schema.get(name) is not None:
                made[word] = float(schema[name])  # type: ignore[literal-required]
        places, digits = schema.get("decimal_places"), schema.get("max_digits")
        if places is not None:
            made.setdefault("multipleOf", 10.0**-places)
        if digits is not None:
            most = 10.0 ** (digits - (places or 0)) - 1
            if not {"maximum", "exclusiveMaximum"} & made.keys():
                made["maximum"] = most
            if not {"minimum", "exclusiveMinimum"} & made.keys():
                made["minimum"] = -most
            if places is None:
                made.setdefault("multipleOf", 1)
        return made

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        zones = {"naive": "local-date-time", "aware": "zoned-date-time"}
        zone = zones.get(str(schema.get("tz_constraint")), "date-time")
        return {"type": "string", "format": zone}

    def url_schema(self, schema: core_schema.UrlSchema) -> JsonSchemaValue:
        made = super().url_schema(schema)
        if schemes := schema.get("allowed_schemes"):
            made["pattern"] = rf"^({'|'.join(schemes)})://[a-z0-9]+(\.[a-z0-9]+)*(/[!-~]*)?$"
            made["format"] = "url"
        return made

    def generator_schema(self, schema: core_schema.GeneratorSchema) -> JsonSchemaValue:
        raise PydanticInvalidForJsonSchema("an Iterable is read only once; write list[...]")

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if schema.get("keys_schema", {}).get("type") == "int" and "propertyNames" not in made:
            made["propertyNames"] = {"pattern": r"^-?[0-9]{1,9}$"}
        return made


@cache
def arguments_schema(args: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments as planners write them, made once: a planner asks at
    every step."""
    return args.model_json_schema(schema_generator=SchemaGenerator)


@cache
def _by_name(args: type[BaseModel]) -> dict[str, Any]:
    """The same under the names of the fields, whatever their aliases."""
    return args.model_json_schema(by_alias=False, schema_generator=SchemaGenerator)


def check_arguments(tool: str, args: type[BaseModel]) -> None:
    """Whether a planner can be held to the schema of these arguments.

    Raises:
        TypeError: it cannot; the message says why, and what to write instead.
    """
    try:
        schema = arguments_schema(args)
        _by_name(args)
        check_parameters(tool, schema)
    except PydanticUserError as error:
        raise TypeError(f"has a type that pydantic does not know: {error.message}") from None
    except GrammarError as error:
        raise TypeError(f"cannot be called by a planner: {error.reason}") from error


def parameters(args: BaseModel) -> dict[str, Any]:
    """Checked arguments after defaults, in types that JSON knows, under the names of the fields.

    Equal arguments give equal parameters: what is in a set is sorted. Bytes are base64.
    """
    found: dict[str, Any] = with_media(args, _by_name(type(args)), _kept, _json)
    return found


def media_in(args: BaseModel) -> list[tuple[str, str, tuple[str, ...], bool]]:
    """Each medium that checked arguments name: kind, handle, names of the fields around it, and
    whether it can be nothing else."""
    found: list[tuple[str, str, tuple[str, ...], bool]] = []

    def note(kind: str, value: Any, path: tuple[str, ...], sure: bool) -> Any:
        if isinstance(value, str):
            found.append((kind, value, path, sure))
        return value

    with_media(args, _by_name(type(args)), note)
    return found


def swap_media(args: type[BaseModel], given: Mapping[str, Any], swap: Swap) -> dict[str, Any]:
    """Arguments as they are given, with something else in the place of their media; a field may
    stand under its alias or its name."""
    changed: dict[str, Any] = with_media(dict(given), arguments_schema(args), swap)
    whole: dict[str, Any] = with_media(changed, _by_name(args), swap)
    return whole


def with_media(
    value: Any, schema: Mapping[str, Any], swap: Swap, leaf: Callable[[Any], Any] = lambda v: v
) -> Any:
    """A value of this schema with something else in the place of its media, and `leaf` of all that
    holds no parts.

    Lists, sets and models come back as lists and dicts; what was in a set is sorted.
    """
    return _Walk(schema.get("$defs", {}), swap, leaf).value(value, schema, ())


def _kept(kind: str, value: Any, path: tuple[str, ...], sure: bool) -> Any:
    return value


def _json(value: Any) -> Any:
    """A value in types that JSON knows; what it does not know as `repr` writes it."""
    return to_jsonable_python(value, bytes_mode="base64", fallback=repr)


def _parts(value: Any) -> Any:
    """A model's or a dataclass's fields as a dict; anything else as it is, in a root model too."""
    if isinstance(value, RootModel):
        return _parts(value.root)
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value


_CONTAINERS = (Mapping, list, tuple, Set)


class _Walk:
    def __init__(self, defs: Mapping[str, Any], swap: Swap, leaf: Callable[[Any], Any]) -> None:
        self.defs = defs
        self.swap = swap
        self.leaf = leaf

    def value(self, value: Any, schema: Any, path: tuple[str, ...], sure: bool = True) -> Any:
        schema, value = self._resolved(schema), _parts(value)
        if "x-media" in schema and value is not None:
            return self.swap(schema["x-media"], value, path, sure)
        for union in ("anyOf", "oneOf"):
            if union in schema and "properties" not in schema:
                return self._one_of(value, schema[union], path)
        if isinstance(value, Mapping):
            return self._object(value, schema, path)
        if isinstance(value, _CONTAINERS):
            return self._array(value, schema, path)
        return self.leaf(value)

    def _one_of(self, value: Any, branches: Sequence[Any], path: tuple[str, ...]) -> Any:
        """The branch that the value is of; a medium, where it may be one or plain text."""
        fitting = [part for b in branches if self._fits(value, part := self._resolved(b))]
        media = [part for part in fitting if "x-media" in part]
        branch = (media or fitting or [{}])[0]
        return self.value(value, branch, path, len(fitting) == len(media))

    def _object(
        self, value: Mapping[Any, Any], schema: Mapping[str, Any], path: tuple[str, ...]
    ) -> dict[Any, Any]:
        named = schema.get("properties", {})
        patterns = list(schema.get("patternProperties", {}).values())
        more = schema.get("additionalProperties", patterns[0] if patterns else None)
        keys = schema.get("propertyNames", {})
        return {
            self.value(key, keys, path): self.value(
                part, named.get(key, more), (*path, key) if key in named else path
            )
            for key, part in value.items()
        }

    def _array(self, value: Any, schema: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
        fixed = schema.get("prefixItems", ())
        return [
            self.value(part, fixed[n] if n < len(fixed) else schema.get("items"), path)
            for n, part in enumerate(sorted(value, key=_order) if isinstance(value, Set) else value)
        ]

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        while isinstance(schema, Mapping) and "x-media" not in schema:
            if "$ref" in schema:
                schema = self.defs.get(schema["$ref"].rsplit("/", 1)[-1], {})
            elif len(schema.get("allOf", ())) == 1:
                schema = schema["allOf"][0]
            else:
                break
        return schema if isinstance(schema, Mapping) else {}

    def _fits(self, value: Any, schema: Any) -> bool:
        """Whether a value has the shape of this schema; bounds do not count."""
        schema, value = self._resolved(schema), _parts(value)
        for union in ("anyOf", "oneOf"):
            if union in schema and "properties" not in schema:
                return any(self._fits(value, part) for part in schema[union])
        if "const" in schema or "enum" in schema:
            plain = value.value if isinstance(value, Enum) else value
            return plain in schema.get("enum", [schema.get("const")])
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        if "x-media" in schema:
            return not (value is None or is_number or isinstance(value, bool | Mapping | list))
        match schema.get("type"):
            case "object":
                return isinstance(value, Mapping) and self._fits_object(value, schema)
            case "array":
                return isinstance(value, list | tuple | Set) and self._fits_array(value, schema)
            case "boolean":
                return isinstance(value, bool)
            case "integer":
                return isinstance(value, int) and is_number
            case "number":
                return is_number
            case "null":
                return value is None
            case "string":  # dates, paths and the like are strings too
                plain = value is not None and not is_number
                return plain and not isinstance(value, (bool, *_CONTAINERS))
        return True

    def _fits_object(self, value: Mapping[Any, Any], schema: Mapping[str, Any]) -> bool:
        named = schema.get("properties", {})
        patterns = list(schema.get("patternProperties", {}).values())
        more = schema.get("additionalProperties", patterns[0] if patterns else False)
        return (
            set(schema.get("required", ())) <= value.keys()
            and all(
                self._fits(part, named.get(key, more))
                for key, part in value.items()
                if key in named or more is not False
            )
            and (more is not False or value.keys() <= named.keys())
        )

    def _fits_array(self, value: Any, schema: Mapping[str, Any]) -> bool:
        fixed = schema.get("prefixItems", ())
        if fixed:
            pairs = zip(value, fixed, strict=False)
            return len(value) == len(fixed) and all(self._fits(v, part) for v, part in pairs)
        return all(self._fits(part, schema.get("items")) for part in value)


def _order(part: Any) -> str:
    return json.dumps(part, sort_keys=True, default=repr)


@cache
def media_arguments(args: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """(argument name, kind) of every argument that takes a handle or a list of handles."""
    properties = arguments_schema(args).get("properties", {})
    found = ((name, media_kind(schema)) for name, schema in properties.items())
    return tuple((name, kind) for name, kind in found if kind)


def media_kind(schema: Mapping[str, Any]) -> str | None:
    """The kind of medium that an argument of this schema takes, alone, in a list, or as a choice;
    None if it takes none."""
    if "x-media" in schema:
        return str(schema["x-media"])
    inner = [schema["items"]] if "items" in schema else schema.get("anyOf", [])
    return next((kind for part in inner if (kind := media_kind(part))), None)
