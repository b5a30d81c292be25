"""A set of tools by name: their schemas for a planner, their arguments checked."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from nuthatch.tools.base import Tool, ToolCall
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.ingest import MediaError
from nuthatch.tools.media import MediaStore

AnyTool = Tool[Any, Any]


class ToolSet:
    """Tools by name, in the order given; names are unique."""

    def __init__(self, tools: Iterable[AnyTool]) -> None:
        self._tools: dict[str, AnyTool] = {}
        self._handles: dict[str, tuple[tuple[str, str], ...]] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are called '{tool.name}'; names must differ")
            if tool.isolation == "process" and tool.effects == "writes_media":
                raise ValueError(
                    f"'{tool.name}' runs in a process of its own and cannot write media there; "
                    "return the result, or use isolation='thread'"
                )
            if tool.isolation == "process" and tool.merges:
                raise ValueError(
                    f"'{tool.name}' runs in a process of its own, where calls cannot be merged; "
                    "use merges=False, or isolation='thread'"
                )
            self._tools[tool.name] = tool
            self._handles[tool.name] = media_arguments(tool.Args)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[AnyTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> AnyTool:
        """The tool of this name.

        Raises:
            RetryCall: there is none; the message names the nearest.
        """
        if name in self._tools:
            return self._tools[name]
        near = difflib.get_close_matches(name, self._tools, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"tools: {', '.join(self._tools)}"
        raise RetryCall(f"there is no tool '{name}'; {hint}", "unknown_tool")

    @property
    def names(self) -> list[str]:
        return list(self._tools)

    def with_tools(self, *tools: AnyTool) -> "ToolSet":
        """This set and more; a new tool of an old name takes its place."""
        return ToolSet({**self._tools, **{tool.name: tool for tool in tools}}.values())

    def schemas(self) -> list[dict[str, Any]]:
        """One `{name, description, parameters}` per tool, parameters as JSON schema."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": _schema(tool.Args),  # type: ignore[arg-type]
            }
            for tool in self
        ]

    def check(self, call: ToolCall, media: MediaStore) -> tuple[AnyTool, BaseModel, list[str]]:
        """The tool, its checked arguments, and the handles they name.

        Raises:
            RetryCall: unknown tool, wrong arguments (with the path of the fault), dead handle.
        """
        tool = self[call.tool]
        try:
            args = tool.Args.model_validate(call.arguments)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc']) or 'arguments'}: {fault['msg']}"
                for fault in error.errors()[:3]
            )
            raise RetryCall(f"{call.tool}: {faults}") from error
        handles: list[str] = []
        for name, kind in self._handles[call.tool]:
            value = getattr(args, name)
            named = value if isinstance(value, (list, tuple)) else [value]
            for handle in named:
                if not isinstance(handle, str):  # left out, or a box in place of a detection
                    continue
                try:
                    if kind == "detection":
                        media.detections(handle)
                    elif media[handle].type != kind:
                        raise MediaError(
                            "asset_not_found",
                            f"'{handle}' is a medium of type {media[handle].type}, not {kind}",
                        )
                except MediaError as error:
                    raise RetryCall(f"{call.tool}.{name}: {error.message}", error.code) from error
                handles.append(handle)
        return tool, args, handles


@cache
def _schema(args: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, made once: a planner asks at every step."""
    return args.model_json_schema()


@cache
def media_arguments(args: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """(argument name, kind) of every argument that takes a handle or a list of handles."""
    properties = args.model_json_schema().get("properties", {})
    found = ((name, media_kind(schema)) for name, schema in properties.items())
    return tuple((name, kind) for name, kind in found if kind)


def media_kind(schema: Mapping[str, Any]) -> str | None:
    """The kind of medium that an argument of this schema takes, alone, in a list, or as a choice;
    None if it takes none."""
    if "x-media" in schema:
        return str(schema["x-media"])
    inner = [schema["items"]] if "items" in schema else schema.get("anyOf", [])
    return next((kind for part in inner if (kind := media_kind(part))), None)
