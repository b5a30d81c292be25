"""A set of tools by name: their schemas for a planner, their arguments checked."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from nuthatch.messages import shown
from nuthatch.tools.base.arguments import (
    arguments_schema,
    check_arguments,
    media_arguments,
    media_in,
    media_kind,
)
from nuthatch.tools.base.function_tool import tool as tool_of
from nuthatch.tools.base.tool import Tool, ToolCall, in_package
from nuthatch.tools.faults import RetryCall, clipped
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import MediaStore

__all__ = ["AnyTool", "ToolLike", "ToolSet", "media_arguments", "media_kind"]

AnyTool = Tool[Any, Any]
ToolLike = AnyTool | Callable[..., Any]
"""A tool, or a function that `tool` makes one of."""


class ToolSet:
    """Tools by name, in the order given; names are unique. A function becomes a tool (`tool`).

    Raises (on construction):
        TypeError: something is no tool, or no planner can be held to the schema of one.
        ValueError: two have one name, or a tool's options exclude each other.
    """

    def __init__(self, tools: Iterable[ToolLike]) -> None:
        self._tools: dict[str, AnyTool] = {}
        for tool in map(_as_tool, tools):
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
        raise RetryCall(f"there is no tool '{shown(name)}'; {hint}", "unknown_tool")

    def get(self, name: str) -> AnyTool | None:
        """The tool of this name, if there is one."""
        return self._tools.get(name)

    @property
    def names(self) -> list[str]:
        return list(self._tools)

    def with_tools(self, *tools: ToolLike) -> "ToolSet":
        """This set and more; a new tool of an old name takes its place."""
        more = {tool.name: tool for tool in map(_as_tool, tools)}
        return ToolSet({**self._tools, **more}.values())

    def schemas(self) -> list[dict[str, Any]]:
        """One `{name, description, parameters}` per tool, parameters as JSON schema."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": arguments_schema(tool.Args),  # type: ignore[arg-type]
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
                f"{shown('.'.join(map(str, fault['loc']))) or 'arguments'}: "
                f"{clipped(fault['msg'], 300)}"
                for fault in error.errors()[:3]
            )
            raise RetryCall(f"{call.tool}: {faults}") from error
        handles: list[str] = []
        for kind, handle, path, sure in media_in(args):
            try:
                if kind == "detection":
                    media.detections(handle)
                elif media[handle].type != kind:
                    raise MediaError(
                        "asset_not_found",
                        f"'{handle}' is a medium of type {media[handle].type}, not {kind}",
                    )
            except MediaError as error:
                if not sure:  # plain text, which may stand here too
                    continue
                where = ".".join((call.tool, *path))
                raise RetryCall(f"{where}: {error.message}", error.code) from error
            handles.append(handle)
        return tool, args, handles


def _as_tool(given: ToolLike) -> AnyTool:
    """A tool whose schema a planner can be held to.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(given, Tool):
        if inspect.isclass(given) and issubclass(given, Tool):
            raise TypeError(f"{given.__name__} is a class of tools; give one: {given.__name__}()")
        if not callable(given):
            raise TypeError(f"expected a tool or a function, given {given!r:.80}")
        return tool_of(given)
    kind = type(given)
    lacking = [each for each in ("name", "Args", "Result") if not hasattr(given, each)]
    if lacking:
        raise TypeError(f"the tool {kind.__name__} has no {' and no '.join(lacking)}")
    if not in_package(kind):
        try:
            check_arguments(given.name, given.Args)
        except TypeError as error:
            raise TypeError(f"the tool '{given.name}' {error}") from error
    return given
