"""The workbench: tools at work on the media of one talk.

`run` takes the calls of one turn. Calls that only look run side by side; calls that write media
run one after the other. Handles are given in the order of the calls, whatever ends first. A call
that fails leaves its siblings alone. A call whose time is up gives control back at once and
retires its worker and the models it used. A call that was cut off by a kill starts anew, but gets
what its inner calls had found out (`remembered`).
"""

import math
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from pydantic import BaseModel

from nuthatch.tools.base import (
    Context,
    DetectionSet,
    Provenance,
    ToolCall,
    ToolResult,
)
from nuthatch.tools.faults import Fault, ToolFault, ToolUnavailable
from nuthatch.tools.ingest import MediaError
from nuthatch.tools.media import MediaStore
from nuthatch.tools.toolset import AnyTool, ToolSet
from nuthatch.tools.weights import Weights
from nuthatch.tools.workers import WORKERS, TimeIsUp, Worker, run_in_process

Listener = Callable[[ToolResult], None]
LOADING = 120.0
"""Seconds that the models of a turn may take to load."""


class Workbench:
    """Tools, media and weights of one talk.

    Args:
        on_inner: hears the result of each call made inside another one, as soon as it is known.
        remembered: inner calls that ended before a kill, by id: they are not made again.
    """

    def __init__(
        self,
        tools: ToolSet,
        media: MediaStore,
        weights: Weights,
        *,
        on_inner: Listener | None = None,
        remembered: Mapping[str, ToolResult] | None = None,
    ) -> None:
        self.tools = tools
        self.media = media
        self.weights = weights
        self.on_inner = on_inner
        self.remembered = remembered or {}
        self._hearing = threading.Lock()

    def run(
        self,
        calls: Sequence[ToolCall],
        *,
        seconds: float | None = None,
        on_result: Listener | None = None,
    ) -> list[ToolResult]:
        """Run the calls of one turn; results come in the order of the calls.

        `seconds` is what is left of the run's time: no call gets more than that. `on_result`
        hears each result the moment it is known (one at a time, from a worker's thread), so that
        a journal keeps what is finished even if a sibling never ends. What `on_result` raises is
        raised here, after the siblings.
        """
        self._load(calls, seconds)
        batches = [
            _Batch(self, group, seconds, on_result)
            for group in self._side_by_side([self._prepare(call) for call in calls])
        ]
        for batch in batches:
            batch.wait()
        for batch in batches:
            if batch.error is not None:  # the listener's, e.g. a full disk
                raise batch.error
        results = {call_id: result for batch in batches for call_id, result in batch.known.items()}
        return [results[call.id] for call in calls]

    def execute(self, call: ToolCall, *, parent: Context | None = None) -> ToolResult:
        """Run one call here and now, in this thread; never raises for what the tool does.

        Calls inside calls come this way: the outer call's time limit covers them.
        """
        known = self.remembered.get(call.id)
        if known is not None and known.call == call:
            return known
        _, context = self._prepare(call, parent)
        result = self.work(call, context)
        with self._hearing:
            if parent is not None and self.on_inner and not parent.cancelled:
                self.on_inner(result)
        return result

    def work(self, call: ToolCall, context: Context) -> ToolResult:
        """Check the arguments, run the tool, and turn whatever happens into a result."""
        began = time.perf_counter()
        provenance: Provenance | None = None
        value: BaseModel | None = None
        fault: Fault | None = None
        taint: tuple[str, ...] = ()
        try:
            context.check()
            tool, args, handles = self.tools.check(call, self.media)
            taint = tool.taint
            provenance = self._provenance(tool, args, handles, context.parent)
            value = self._value(tool, args, context)
        except (ToolFault, MediaError) as problem:
            fault = Fault(problem.code, problem.message)
        except TimeIsUp:
            limit = self.limit(call)
            fault = Fault("timeout", f"{call.tool} did not end within {limit:g} s and was killed")
        except MemoryError:
            fault = Fault("out_of_memory", f"{call.tool} ran out of memory")
        except (Exception, SystemExit) as bug:
            # A bug of the tool is recorded, not hidden: the run ends with it, after its siblings.
            message = f"{call.tool} has a bug: {type(bug).__name__}: {bug}"
            fault = Fault("internal", message, traceback.format_exc())
        ms = (time.perf_counter() - began) * 1000
        return ToolResult(call, value, fault, ms, provenance, taint, tuple(context.children))

    def limit(self, call: ToolCall, seconds: float | None = None) -> float:
        """Seconds this call may take."""
        own = self.tools[call.tool].timeout if call.tool in self.tools else 5.0
        return own if seconds is None else max(0.0, min(own, seconds))

    def _load(self, calls: Sequence[ToolCall], seconds: float | None) -> None:
        """Load the models of these calls before their clocks run: it is slow once, and no fault
        of the first who asks. What cannot be loaded the calls will tell themselves; a tool in a
        process of its own loads its own."""
        tools = [self.tools[call.tool] for call in calls if call.tool in self.tools]
        here = [tool for tool in tools if tool.isolation == "thread"]
        names = {name for tool in here for name in tool.weights} - set(self.weights.loaded)

        def load() -> None:
            for name in sorted(names):
                with suppress(ToolUnavailable):
                    self.weights.get(name)

        if names:
            with suppress(TimeIsUp):
                WORKERS.run(load, min(LOADING, math.inf if seconds is None else seconds))

    # -- inside ---------------------------------------------------------------------------------

    def _prepare(self, call: ToolCall, parent: Context | None = None) -> tuple[ToolCall, Context]:
        context = Context(call.id, self.media, self.weights, self, parent)
        known = call.tool in self.tools
        if known and issubclass(self.tools[call.tool].Result, DetectionSet):
            context.group = self.media.reserve_detections()
        return call, context

    def _side_by_side(
        self, calls: list[tuple[ToolCall, Context]]
    ) -> list[list[tuple[ToolCall, Context]]]:
        """Groups that may run at once; inside a group one call follows the other."""
        writers, groups = [], []
        for call, context in calls:
            writes = call.tool in self.tools and self.tools[call.tool].effects == "writes_media"
            if writes:
                writers.append((call, context))
            else:
                groups.append([(call, context)])
        return [*groups, writers] if writers else groups

    def _value(self, tool: AnyTool, args: BaseModel, context: Context) -> BaseModel:
        if tool.isolation == "process":
            value = run_in_process(
                _run_alone,
                tool,
                args,
                context.call_id,
                self.media,
                timeout=tool.timeout,
                is_cancelled=lambda: context.cancelled,
            )
        else:
            value = tool.run(args, context)
        if not isinstance(value, tool.Result):
            promised = tool.Result.__name__
            raise TypeError(f"returned {type(value).__name__}, promised {promised}")
        result: BaseModel = value
        with self._hearing:  # not while the call is being given up
            context.check()
            if context.group and isinstance(result, DetectionSet):
                named = self.media.add_detections(context.group, result.detections)
                return result.model_copy(update={"detections": named})
        return result

    def _provenance(
        self, tool: AnyTool, args: BaseModel, handles: list[str], parent: Context | None
    ) -> Provenance:
        return Provenance(
            version=tool.version,
            models={name: self.weights.fingerprint(name) for name in tool.weights},
            parameters=args.model_dump(mode="json"),
            inputs={h: self.media[h].sha256 for h in handles if not h.startswith("detection")},
            parent=parent.call_id if parent else None,
        )


class _Batch:
    """Calls handed to one worker, one after the other, and the waiting for them."""

    def __init__(
        self,
        bench: Workbench,
        calls: list[tuple[ToolCall, Context]],
        seconds: float | None,
        on_result: Listener | None,
    ) -> None:
        self.bench = bench
        self.calls = calls
        self.seconds = seconds
        self.on_result = on_result
        self.known: dict[str, ToolResult] = {}
        self.error: BaseException | None = None
        self.began = time.monotonic()
        self.worker: Worker = WORKERS.take()
        self.pending = [self.worker.submit(self._job(*entry)) for entry in calls]

    def wait(self) -> None:
        """Until all calls have a result; those that do not end in time are given up."""
        end = self.began + (math.inf if self.seconds is None else self.seconds)
        deadline = self.began
        for index, ((call, _), done) in enumerate(zip(self.calls, self.pending, strict=True)):
            deadline = min(deadline + self.bench.limit(call), end)
            left = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            try:
                outcome = done.get(timeout=left)
            except queue.Empty:
                self._give_up(index)
                return
            self.error = self.error or outcome.error
        WORKERS.give_back(self.worker)

    def _job(self, call: ToolCall, context: Context) -> Callable[[], None]:
        def job() -> None:
            result = self.bench.work(call, context)
            with self.bench._hearing:
                if not context.given_up:
                    self._hear(result)

        return job

    def _hear(self, result: ToolResult) -> None:
        self.known[result.call.id] = result
        if self.on_result:
            try:
                self.on_result(result)
            except Exception as error:  # raised again where the calls are waited for
                self.error = self.error or error

    def _give_up(self, index: int) -> None:
        """Nobody waits for call `index` and those behind it any more."""
        with self.bench._hearing:
            late = [entry for entry in self.calls[index:] if entry[0].id not in self.known]
            for position, (call, context) in enumerate(late):
                context.given_up = True
                if position == 0:
                    limit = self.bench.limit(call, self.seconds)
                    message = f"{call.tool} did not end within {limit:g} s and was given up"
                    fault = Fault("timeout", message)
                    spent = (time.monotonic() - self.began) * 1000
                else:
                    fault = Fault("cancelled", f"{call.tool} was not started: its time was used up")
                    spent = 0.0
                inner = tuple(context.children)
                self._hear(ToolResult(call, None, fault, spent, children=inner))
        self.worker.retire()
        for call, _ in late:
            if call.tool in self.bench.tools:
                for name in self.bench.tools[call.tool].weights:
                    self.bench.weights.retire(name)


def _run_alone(tool: AnyTool, args: BaseModel, call_id: str, media: MediaStore) -> BaseModel:
    """The other side of a process: the same media, weights of its own, no tools to call."""
    alone = Workbench(ToolSet([tool]), media, Weights())
    result: BaseModel = tool.run(args, Context(call_id, media, alone.weights, alone))
    return result
