"""Tools at hand: call them from Python, without an agent, and look at what they found.

    box = Toolbox()
    found = box.run("detect", image="kitchen.png", labels=["cup", "bowl"])
    found.show()
    box.run("segment", detections=found)

Arguments may be what Python programs have, not only what planners write: pictures and sounds in any
form, earlier results and their detections, boxes, masks, arrays, one label in place of a list.
"""

import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nuthatch.tools.argument_conversion import convert, explain
from nuthatch.tools.base.arguments import arguments_schema
from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.base.toolset import AnyTool, ToolLike, ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import RetryCall, ToolFault, raised
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.output.view import View
from nuthatch.tools.weights.store import Weights

__all__ = ["Toolbox", "View"]

_COLUMNS = 100  # of a listing


class Toolbox:
    """Tools, and the media they work on; printed, it lists the tools and those that cannot work.

    Args:
        tools: all of the catalogue by default.
        weights: the shipped ones by default.
        store: where media are kept; a folder of the system's temporary ones by default, gone with
            the toolbox.
    """

    def __init__(
        self,
        tools: ToolSet | Iterable[ToolLike] | None = None,
        *,
        weights: Weights | None = None,
        store: MediaStore | None = None,
    ) -> None:
        if tools is None:
            from nuthatch.tools.catalogue import all_tools

            tools = all_tools()
        self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        if store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nuthatch-")
            store = MediaStore(Path(self._folder.name))
        self.media = store
        self.weights = weights or Weights()
        self._executor = ToolExecutor(self.tools, store, self.weights, cache=ResultCache())
        self._numbers = itertools.count(1)

    @property
    def available(self) -> list[str]:
        """Names of the tools that can work here, as far as can be told without loading models."""
        unavailable = self.unavailable
        return [name for name in self.tools.names if name not in unavailable]

    @property
    def unavailable(self) -> dict[str, str]:
        """Tools that cannot work here, and for each what is missing and how to get it."""
        return {tool.name: lack for tool in self.tools if (lack := tool.lack(self.weights))}

    def run(self, tool: str, /, **arguments: Any) -> View:
        """Call one tool.

        Args:
            tool: its name; print the toolbox to see all.
            arguments: as the tool names them. Pictures: a path, bytes, a PIL image, an array of
                numpy or torch, a handle. Sounds: a path, bytes, 16 kHz samples, (samples, rate), a
                handle. Boxes: x1 y1 x2 y2 in pixels of the upright original, as numbers, rows of an
                array, `Box`, or detections. What `run` returned stands for what it found. A picture
                may be left out where detections are given.

        Raises:
            RetryCall: no such tool or argument, or a wrong value; the message says what to write.
            ToolUnavailable, ToolFailed: what the tool says. A bug of the tool is a `ToolFailed` of
                code `internal`, with the traceback as its note.
            MediaError: a picture or sound cannot be used.
        """
        (found,) = self.run_many([(tool, arguments)])
        if isinstance(found, ToolFault):
            raise found
        return found

    def run_many(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[View | ToolFault]:
        """Call several tools at once, given as (name, arguments); of each what it found, or its
        fault. Calls that share a picture or a model share its work where the tool can.

        Raises:
            MediaError: as `run`.
        """
        orders = [self._order(*call) for call in calls]
        return self._found(orders, self._executor.run(_accepted(orders)))

    async def arun_many(
        self, calls: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> list[View | ToolFault]:
        """`run_many` for asynchronous programs, whose loop goes on meanwhile."""
        orders = [self._order(*call) for call in calls]
        return self._found(orders, await self._executor.arun(_accepted(orders)))

    def __repr__(self) -> str:
        unavailable = self.unavailable
        able = [tool for tool in self.tools if tool.name not in unavailable]
        width = max((len(tool.name) for tool in self.tools), default=0)
        lines = [f"<Toolbox: {len(able)} tools can work here, {len(unavailable)} cannot"]
        lines += [f"  {tool.name:{width}}  {_usage(tool)}"[:_COLUMNS] for tool in able]
        lines += ["cannot work here:"] if unavailable else []
        lines += [f"  {name:{width}}  {lack}" for name, lack in unavailable.items()]
        return "\n".join(lines) + ">"

    def _order(self, name: str, arguments: Mapping[str, Any]) -> "_Order":
        call_id = f"call_{next(self._numbers)}"
        tool = self.tools.get(name)
        if tool is None or not isinstance(arguments, Mapping):  # the executor says what is wrong
            given: Any = arguments
            return _Order(ToolCall(call_id, name, given), arguments)
        try:
            return _Order(ToolCall(call_id, name, convert(tool, arguments, self.media)), arguments)
        except RetryCall as fault:
            return _Order(fault, arguments)
        except RecursionError:
            message = f"{name}: an argument holds itself, or is nested too deeply"
            return _Order(RetryCall(message), arguments)

    def _found(
        self, orders: Sequence["_Order"], results: Iterable[ToolResult]
    ) -> list[View | ToolFault]:
        known = iter(results)
        return [
            order.call if isinstance(order.call, ToolFault) else self._view(next(known), order)
            for order in orders
        ]

    def _view(self, result: ToolResult, order: "_Order") -> View | ToolFault:
        fault, tool = result.fault, self.tools.get(result.call.tool)
        if fault is None:
            return View(result, self.media)
        if fault.code == "invalid_arguments" and tool and isinstance(order.arguments, Mapping):
            message = explain(tool, order.arguments, result.call.arguments)
            fault = replace(fault, message=message or fault.message)
        return raised(fault)


@dataclass(frozen=True, slots=True)
class _Order:
    """A call as it is run, or why it is not, and its arguments as they were written."""

    call: ToolCall | ToolFault
    arguments: Mapping[str, Any]


def _accepted(orders: Iterable[_Order]) -> list[ToolCall]:
    return [order.call for order in orders if isinstance(order.call, ToolCall)]


def _usage(tool: AnyTool) -> str:
    """`(image, labels, threshold?)  Locate every object ...`."""
    schema = arguments_schema(tool.Args)  # type: ignore[arg-type]
    required = schema.get("required", ())
    names = [name if name in required else f"{name}?" for name in schema.get("properties", {})]
    return f"({', '.join(names)})  {tool.description}"
