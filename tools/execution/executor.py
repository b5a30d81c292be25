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
from nuthatch.tools.base.arguments import parameters
from nuthatch.tools.base.tool import Context, DetectionSet, Provenance, ToolCall, ToolResult
from nuthatch.tools.base.toolset import AnyTool, ToolSet
from nuthatch.tools.domain.abstain import notices
from nuthatch.tools.exact_json import dumps
from nuthatch.tools.execution.batch import Batch, Job, Listener, Report
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import Fault, ToolFault, clipped, described
from nuthatch.tools.media.files import StoreError
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.devices import is_out_of_memory
from nuthatch.tools.weights.store import Weights
from nuthatch.tools.workers import WORKERS, RemoteBug, TimeIsUp, run_in_process

LONGEST_LOG = 20_000
"""Characters of a traceback that are recorded."""
LOADING = 120.0
"""Seconds that the models of a turn may take to load."""
OF_AN_UNKNOWN_TOOL = 5.0
"""Seconds that the call of a tool that does not exist may take."""


class ToolExecutor:
    """Runs calls of tools on the media of one conversation.

    Args:
        tools: what `run` and `execute` may call; may be replaced between two calls of `run`.
        on_inner: is called with the result of each call made inside another one, at once.
        remembered: inner calls that ended before a kill, by id: they are not made again.
        cache: results of tools that say `caches`; several executors may share it.
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
        self.lock = threading.Lock()  # held while a result is made known

    def run(
        self,
        calls: Sequence[ToolCall],
        *,
        seconds: float | None = None,
        on_result: Listener | None = None,
    ) -> list[ToolResult]:
        """Run the calls of one turn; results come in the order of the calls.

        `seconds` is what is left of the run's time: no call gets more than that. `on_result`
        is called with each result the moment it is known (one at a time, from a worker's thread),
        so that a journal keeps what is finished even if a sibling never ends. What it raises is
        raised here, after the siblings.
        """
        self._load(calls, seconds)
        batches = [
            Batch(parts, self.lock, seconds, on_result)
            for parts in self._side_by_side([self._job(call) for call in calls])
        ]
        for batch in batches:
            batch.start(self.work)
        for batch in batches:
            batch.wait()
            self._retire_models(batch.late)
        for batch in batches:
            if batch.error is not None:  # the listener's, e.g. a full disk
                raise batch.error
        results = {name: result for batch in batches for name, result in batch.results.items()}
        return [results[call.id] for call in calls]

    async def arun(
        self,
        calls: Sequence[ToolCall],
        *,
        seconds: float | None = None,
        on_result: Listener | None = None,
    ) -> list[ToolResult]:
        """`run` for asynchronous programs, whose event loop keeps running."""
        return await asyncio.to_thread(self.run, calls, seconds=seconds, on_result=on_result)

    def execute(self, call: ToolCall, *, parent: Context | None = None) -> ToolResult:
        """Run one call here and now, in this thread; never raises for what the tool does.

        Calls inside calls come this way: the outer call's time limit covers them.
        """
        known = self.remembered.get(call.id)
        if known is not None and known.call == call:
            return known
        job = self._job(call, parent)
        (result,) = self.work([job])
        with self.lock:
            if parent is not None and self.on_inner and not parent.cancelled:
                self.on_inner(result)
        return result

    def work(self, jobs: Sequence[Job], report: Report | None = None) -> list[ToolResult]:
        """Check the arguments, run the tool, and turn whatever happens into results, in this
        thread; `report` is called with them.

        Several jobs are all of one tool, which runs them together.
        """
        began = time.perf_counter()
        checked: list[_Checked] = []
        for job in jobs:
            with self._faults(job):
                checked.append(self._check(job))
        waiting = [each for each in checked if each.job.fault is None and each.job.value is None]
        if len(waiting) == 1:
            (one,) = waiting
            with self._faults(one.job):
                alone = one.tool.isolation == "process"
                found = self._in_process(one) if alone else one.tool.run(one.args, one.job.context)
                self._accept(one, found)
        elif waiting:
            self._run_together(waiting)
        ms = (time.perf_counter() - began) * 1000
        results = [job.result(ms / len(jobs)) for job in jobs]
        if report is not None:
            report(jobs, results)
        return results

    # -- before -----------------------------------------------------------------------------------

    def _load(self, calls: Sequence[ToolCall], seconds: float | None) -> None:
        """Load the models of these calls before their clocks run: it is slow once, and no fault
        of the first who asks. A call reports itself what cannot be loaded; a tool in a
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

    def _job(self, call: ToolCall, parent: Context | None = None) -> Job:
        context = Context(call.id, self.media, self.weights, self, parent)
        tool = self.tools.get(call.tool)
        if tool is None:
            return Job(call, context, OF_AN_UNKNOWN_TOOL)
        if issubclass(tool.Result, DetectionSet):
            context.group = self.media.reserve_detections()
        return Job(call, context, tool.timeout)

    def _side_by_side(self, jobs: list[Job]) -> list[list[list[Job]]]:
        """Batches that may run at once. The parts of a batch follow each other; the jobs of a part
        are run together."""
        writers: list[list[Job]] = []
        single: list[list[list[Job]]] = []
        merged: dict[str, list[Job]] = {}
        for job in jobs:
            tool = self.tools.get(job.call.tool)
            if tool is not None and tool.effects == "writes_media":
                writers.append([job])
            elif tool is not None and tool.merges:
                merged.setdefault(tool.name, []).append(job)
            else:
                single.append([[job]])
        batches = [*single, *([part] for part in merged.values())]
        return [*batches, writers] if writers else batches

    def _check(self, job: Job) -> "_Checked":
        """Check the arguments of a call; one whose result is known from an earlier call has its
        value after this."""
        job.context.check()
        tool, args, handles = self.tools.check(job.call, self.media)
        job.taint = tool.taint
        job.provenance = self._provenance(job, tool, args, handles)
        checked = _Checked(job, tool, args)
        self._recall(checked, job.provenance, handles)
        job.notices = notices(self.weights, tool.weights, self.media, handles)
        return checked

    def _provenance(
        self, job: Job, tool: AnyTool, args: BaseModel, handles: list[str]
    ) -> Provenance:
        parent = job.context.parent
        return Provenance(
            version=tool.version,
            models={name: self.weights.fingerprint(name) for name in tool.weights},
            parameters=parameters(args),
            inputs={h: self.media[h].sha256 for h in handles if not h.startswith("detection")},
            parent=parent.call_id if parent else None,
        )

    def _recall(self, checked: "_Checked", made: Provenance, handles: list[str]) -> None:
        """Give a call the result of an earlier one with the same inputs."""
        if self.cache is None or not checked.tool.caches:
            return
        checked.contents = {handle: self._content(handle) for handle in dict.fromkeys(handles)}
        checked.key = self.cache.key(
            checked.tool.name,
            made.version,
            {name: self.weights.identity(name) for name in made.models},
            made.parameters,
            checked.contents,
        )
        known = self.cache.get(checked.key, checked.contents)
        if known is not None:
            checked.job.provenance = replace(made, cached=True)
            self._accept(checked, known)

    def _content(self, handle: str) -> str:
        if not handle.startswith("detection"):
            return self.media[handle].sha256
        found = [
            [self.media[each.image].sha256, *each.model_dump(exclude={"handle", "image"}).items()]
            for each in self.media.detections(handle)
        ]
        return hashlib.sha256(repr(found).encode()).hexdigest()

    # -- the tool at work -------------------------------------------------------------------------

    @contextmanager
    def _faults(self, *jobs: Job) -> Iterator[None]:
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
            limit = jobs[0].limit
            fault = Fault("timeout", f"{call.tool} did not end within {limit:g} s and was killed")
        except BaseException as bug:  # a tool may raise anything, SystemExit too
            if isinstance(bug, KeyboardInterrupt) and current_thread() is main_thread():
                raise  # somebody at the keyboard
            if is_out_of_memory(bug):
                fault = Fault("out_of_memory", f"{call.tool} ran out of memory")
                self.weights.make_room()
            else:
                # A bug is recorded, not hidden, and the planner may continue without the tool.
                said = str(bug) if isinstance(bug, RemoteBug) else described(bug)
                message = f"{call.tool} has a bug: {said}"
                fault = Fault("internal", message, clipped(traceback.format_exc(), LONGEST_LOG))
        for job in jobs:
            job.value, job.fault = None, fault

    def _run_together(self, calls: list["_Checked"]) -> None:
        tool = calls[0].tool
        with self._faults(*(each.job for each in calls)):
            found = tool.run_many([(each.args, each.job.context) for each in calls])
            if len(found) != len(calls):
                raise TypeError(f"returned {len(found)} results for {len(calls)} calls")
            for each, value in zip(calls, found, strict=True):
                with self._faults(each.job):
                    if isinstance(value, ToolFault):
                        raise value
                    self._accept(each, value)

    def _in_process(self, checked: "_Checked") -> BaseModel:
        context = checked.job.context
        found: BaseModel = run_in_process(
            _run_alone,
            checked.tool,
            checked.args,
            context.call_id,
            self.media,
            self.weights,
            timeout=checked.tool.timeout,
            is_cancelled=lambda: context.cancelled,
        )
        return found

    def _accept(self, checked: "_Checked", value: BaseModel) -> None:
        """Check what a tool returned, keep it, and give new detections their handles."""
        job, tool = checked.job, checked.tool
        if not isinstance(value, tool.Result):
            promised = tool.Result.__name__
            raise TypeError(f"returned {type(value).__name__}, promised {promised}")
        dumps(value)  # what cannot be recorded exactly is an error of the tool
        is_new = job.provenance is None or not job.provenance.cached
        if self.cache is not None and checked.key and is_new:
            self.cache.put(checked.key, value, checked.contents)
        job.value = value
        with self.lock:  # not while the call is being given up
            job.context.check()
            if job.context.group and isinstance(value, DetectionSet):
                named = self.media.add_detections(job.context.group, value.detections)
                job.value = value.model_copy(update={"detections": named})

    def _retire_models(self, late: Sequence[Job]) -> None:
        """A call that was given up may still be using its models: the next one loads new ones."""
        for job in late:
            tool = self.tools.get(job.call.tool)
            for name in tool.weights if tool is not None else ():
                self.weights.retire(name)


@dataclass
class _Checked:
    """A call with valid arguments; `key` and `contents` name its inputs where results are kept."""

    job: Job
    tool: AnyTool
    args: BaseModel
    key: str = ""
    contents: dict[str, str] = field(default_factory=dict)


def _run_alone(
    tool: AnyTool, args: BaseModel, call_id: str, media: MediaStore, weights: Weights
) -> BaseModel:
    """The other side of a process: the same media and places of weights, no tools to call."""
    alone = ToolExecutor(ToolSet([tool]), media, weights)
    result: BaseModel = tool.run(args, Context(call_id, media, alone.weights, alone))
    return result


__getattr__ = renamed(__name__)
