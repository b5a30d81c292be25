"""The executor of tool calls: runs the calls of one turn on the media of one conversation.

`run` takes the calls of one turn. Calls that only look run side by side, those of a tool that
`merges` together; calls that write media run one after the other. Handles are given in the order
of the calls, whatever ends first. A call that fails leaves its siblings alone. A call whose time is
up gives control back at once and retires its worker and the models it used. A call that was cut off
by a kill starts anew, but gets what its inner calls had found out (`remembered`).
"""

import asyncio
import hashlib
import math
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import current_thread, main_thread

from pydantic import BaseModel

from nuthatch.deprecated import renamed
from nuthatch.tools.arguments import parameters
from nuthatch.tools.base import Context, DetectionSet, Provenance, ToolCall, ToolResult
from nuthatch.tools.domain.abstain import notices
from nuthatch.tools.exact_json import dumps
from nuthatch.tools.execution.batch import Batch, Listener
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import Fault, ToolFault, clipped, described
from nuthatch.tools.media.files import StoreError
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.notices import Notice, distinct
from nuthatch.tools.toolset import AnyTool, ToolSet
from nuthatch.tools.weights.devices import is_out_of_memory
from nuthatch.tools.weights.store import Weights
from nuthatch.tools.workers import WORKERS, RemoteBug, TimeIsUp, run_in_process

LONGEST_LOG = 20_000
"""Characters of a traceback that are recorded."""
LOADING = 120.0
"""Seconds that the models of a turn may take to load."""


class ToolExecutor:
    """Runs calls of tools on the media of one conversation.

    Args:
        on_inner: hears the result of each call made inside another one, as soon as it is known.
        remembered: inner calls that ended before a kill, by id: they are not made again.
        cache: results of tools that say `caches`; several executors may share one.
    """

    def __init__(
        self,
        tools: ToolSet,
        media: MediaStore,
        weights: Weights,
        *,
        on_inner: Listener | None = None,
        remembered: Mapping[str, ToolResult] | None = None,
        cache: ResultCache | None = None,
    ) -> None:
        self.tools = tools
        self.media = media
        self.weights = weights
        self.on_inner = on_inner
        self.remembered = remembered or {}
        self.cache = cache
        self.hearing = threading.Lock()  # held while a result is made known

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
            Batch(self, group, seconds, on_result, together=together)
            for group, together in self._side_by_side([self._prepare(call) for call in calls])
        ]
        for batch in batches:
            batch.wait()
        for batch in batches:
            if batch.error is not None:  # the listener's, e.g. a full disk
                raise batch.error
        results = {call_id: result for batch in batches for call_id, result in batch.known.items()}
        return [results[call.id] for call in calls]

    async def arun(
        self,
        calls: Sequence[ToolCall],
        *,
        seconds: float | None = None,
        on_result: Listener | None = None,
    ) -> list[ToolResult]:
        """`run` for asynchronous programs, whose loop goes on meanwhile."""
        return await asyncio.to_thread(self.run, calls, seconds=seconds, on_result=on_result)

    def execute(self, call: ToolCall, *, parent: Context | None = None) -> ToolResult:
        """Run one call here and now, in this thread; never raises for what the tool does.

        Calls inside calls come this way: the outer call's time limit covers them.
        """
        known = self.remembered.get(call.id)
        if known is not None and known.call == call:
            return known
        _, context = self._prepare(call, parent)
        (result,) = self.work([(call, context)])
        with self.hearing:
            if parent is not None and self.on_inner and not parent.cancelled:
                self.on_inner(result)
        return result

    def work(self, calls: Sequence[tuple[ToolCall, Context]]) -> list[ToolResult]:
        """Check the arguments, run the tool, and turn whatever happens into results.

        Several calls are all of one tool, which runs them together.
        """
        began = time.perf_counter()
        jobs = [_Job(call, context) for call, context in calls]
        for job in jobs:
            with self._faults(job):
                job.context.check()
                job.tool, job.args, handles = self.tools.check(job.call, self.media)
                job.provenance = self._provenance(job, handles)
                self._remember(job, handles)
                job.notices = notices(self.weights, job.tool.weights, self.media, handles)
        waiting = [job for job in jobs if job.fault is None and job.value is None]
        if len(waiting) == 1:
            with self._faults(waiting[0]):
                self._finish(waiting[0], self._value(waiting[0]))
        elif waiting:
            self._run_together(waiting)
        ms = (time.perf_counter() - began) * 1000
        return [job.result(ms / len(jobs)) for job in jobs]

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
                with suppress(Exception):  # the call that needs it comes upon it again
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
    ) -> list[tuple[list[tuple[ToolCall, Context]], bool]]:
        """Groups that may run at once. Inside a group one call follows the other, or, where the
        second is true, all of them run together."""
        writers, single = [], []
        merged: dict[str, list[tuple[ToolCall, Context]]] = {}
        for call, context in calls:
            known = call.tool in self.tools
            if known and self.tools[call.tool].effects == "writes_media":
                writers.append((call, context))
            elif known and self.tools[call.tool].merges:
                merged.setdefault(call.tool, []).append((call, context))
            else:
                single.append([(call, context)])
        groups = [*((group, False) for group in single), *((g, True) for g in merged.values())]
        return [*groups, (writers, False)] if writers else groups

    @contextmanager
    def _faults(self, *jobs: "_Job") -> Iterator[None]:
        """Whatever goes wrong inside becomes the fault of these calls."""
        call = jobs[0].call
        try:
            yield
            return
        except StoreError:  # no fault of the call: it is made again when there is room
            raise
        except (ToolFault, MediaError) as problem:
            log = clipped("\n".join(getattr(problem, "__notes__", ())), LONGEST_LOG)
            fault = Fault(problem.code, problem.message, log)
        except TimeIsUp:
            limit = self.limit(call)
            fault = Fault("timeout", f"{call.tool} did not end within {limit:g} s and was killed")
        except BaseException as bug:  # a tool may raise anything, SystemExit too
            if isinstance(bug, KeyboardInterrupt) and current_thread() is main_thread():
                raise  # somebody at the keyboard
            if is_out_of_memory(bug):
                fault = Fault("out_of_memory", f"{call.tool} ran out of memory")
                self.weights.make_room()
            else:
                # A bug is recorded, not hidden, and the planner may go on without the tool.
                said = str(bug) if isinstance(bug, RemoteBug) else described(bug)
                message = f"{call.tool} has a bug: {said}"
                fault = Fault("internal", message, clipped(traceback.format_exc(), LONGEST_LOG))
        for job in jobs:
            job.value, job.fault = None, fault

    def _run_together(self, jobs: list["_Job"]) -> None:
        tool = jobs[0].tool
        with self._faults(*jobs):
            found = tool.run_many([(job.args, job.context) for job in jobs])
            if len(found) != len(jobs):
                raise TypeError(f"returned {len(found)} results for {len(jobs)} calls")
            for job, value in zip(jobs, found, strict=True):
                with self._faults(job):
                    if isinstance(value, ToolFault):
                        raise value
                    self._finish(job, value)

    def _remember(self, job: "_Job", handles: list[str]) -> None:
        """Give a call the result of an earlier one with the same inputs."""
        if self.cache is None or not job.tool.caches or job.provenance is None:
            return
        made = job.provenance
        job.contents = {handle: self._content(handle) for handle in dict.fromkeys(handles)}
        job.key = self.cache.key(
            job.tool.name,
            made.version,
            {name: self.weights.identity(name) for name in made.models},
            made.parameters,
            job.contents,
        )
        known = self.cache.get(job.key, job.contents)
        if known is not None:
            job.provenance = replace(made, cached=True)
            self._finish(job, known)

    def _content(self, handle: str) -> str:
        if not handle.startswith("detection"):
            return self.media[handle].sha256
        found = [
            [self.media[each.image].sha256, *each.model_dump(exclude={"handle", "image"}).items()]
            for each in self.media.detections(handle)
        ]
        return hashlib.sha256(repr(found).encode()).hexdigest()

    def _value(self, job: "_Job") -> BaseModel:
        tool, args, context = job.tool, job.args, job.context
        if tool.isolation == "process":
            found: BaseModel = run_in_process(
                _run_alone,
                tool,
                args,
                context.call_id,
                self.media,
                self.weights,
                timeout=tool.timeout,
                is_cancelled=lambda: context.cancelled,
            )
        else:
            found = tool.run(args, context)
        return found

    def _finish(self, job: "_Job", value: BaseModel) -> None:
        """Check what a tool returned, keep it, and give new detections their handles."""
        if not isinstance(value, job.tool.Result):
            promised = job.tool.Result.__name__
            raise TypeError(f"returned {type(value).__name__}, promised {promised}")
        dumps(value)  # what cannot be kept as it is, the tool is told of
        if self.cache is not None and job.key and not (job.provenance and job.provenance.cached):
            self.cache.put(job.key, value, job.contents)
        job.value = value
        with self.hearing:  # not while the call is being given up
            job.context.check()
            if job.context.group and isinstance(value, DetectionSet):
                named = self.media.add_detections(job.context.group, value.detections)
                job.value = value.model_copy(update={"detections": named})

    def _provenance(self, job: "_Job", handles: list[str]) -> Provenance:
        tool, parent = job.tool, job.context.parent
        return Provenance(
            version=tool.version,
            models={name: self.weights.fingerprint(name) for name in tool.weights},
            parameters=parameters(job.args),
            inputs={h: self.media[h].sha256 for h in handles if not h.startswith("detection")},
            parent=parent.call_id if parent else None,
        )


@dataclass
class _Job:
    """A call at work, and what is known of it so far."""

    call: ToolCall
    context: Context
    tool: AnyTool = field(init=False)
    args: BaseModel = field(init=False)
    provenance: Provenance | None = None
    key: str = ""
    contents: dict[str, str] = field(default_factory=dict)
    value: BaseModel | None = None
    fault: Fault | None = None
    notices: list[Notice] = field(default_factory=list)

    def result(self, ms: float) -> ToolResult:
        inner, made = tuple(self.context.children), self.provenance
        taint = self.tool.taint if hasattr(self, "tool") else ()
        told = tuple(distinct([*self.notices, *(each for one in inner for each in one.notices)]))
        return ToolResult(self.call, self.value, self.fault, ms, made, taint, inner, told)


def _run_alone(
    tool: AnyTool, args: BaseModel, call_id: str, media: MediaStore, weights: Weights
) -> BaseModel:
    """The other side of a process: the same media and places of weights, no tools to call."""
    alone = ToolExecutor(ToolSet([tool]), media, weights)
    result: BaseModel = tool.run(args, Context(call_id, media, alone.weights, alone))
    return result


__getattr__ = renamed(__name__)
