"""Runs the calls of one batch on one worker thread, with a time limit for each.

A call that does not end in time is given up together with the calls behind it: each gets a fault
as its result, the worker is retired, and what it may still find leaves no trace.
"""

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from nuthatch.tools.base.notices import Notice, distinct
from nuthatch.tools.base.tool import Context, Provenance, ToolCall, ToolResult
from nuthatch.tools.faults import Fault
from nuthatch.tools.workers import WORKERS, Pending, Worker

Listener = Callable[[ToolResult], None]


@dataclass
class Job:
    """A call being executed, and what is known of it so far."""

    call: ToolCall
    context: Context
    limit: float  # seconds it may take
    taint: tuple[str, ...] = ()
    provenance: Provenance | None = None
    notices: list[Notice] = field(default_factory=list)
    value: BaseModel | None = None
    fault: Fault | None = None

    def result(self, ms: float) -> ToolResult:
        inner = tuple(self.context.children)
        told = tuple(distinct([*self.notices, *(each for one in inner for each in one.notices)]))
        return ToolResult(
            self.call, self.value, self.fault, ms, self.provenance, self.taint, inner, told
        )


Report = Callable[[Sequence[Job], Sequence[ToolResult]], None]
Work = Callable[[Sequence[Job], Report], object]


class Batch:
    """Some calls of a turn, executed on one worker.

    Args:
        parts: executed one after the other; the jobs of one part are executed together.
        lock: held while a result is made known.
        seconds: what is left of the run's time; None: any.
        on_result: is called with each result; what it raises is kept in `error`.

    After `wait`, `results` holds a result of every call, by id, and `late` the jobs that were given
    up.
    """

    def __init__(
        self,
        parts: list[list[Job]],
        lock: threading.Lock,
        seconds: float | None,
        on_result: Listener | None,
    ) -> None:
        self.parts = parts
        self.lock = lock
        self.seconds = seconds
        self.on_result = on_result
        self.results: dict[str, ToolResult] = {}
        self.late: list[Job] = []
        self.error: BaseException | None = None

    def start(self, work: Work) -> None:
        """Take a worker and let it `work` at the parts."""
        self._began = time.monotonic()
        self._worker: Worker = WORKERS.acquire()
        self._pending: list[Pending] = [
            self._worker.submit(work, part, self._report) for part in self.parts
        ]

    def wait(self) -> None:
        """Wait until all calls have a result; those that do not end in time are given up."""
        end = self._began + (math.inf if self.seconds is None else self.seconds)
        deadline = self._began
        for index, (part, done) in enumerate(zip(self.parts, self._pending, strict=True)):
            deadline = min(deadline + part[0].limit, end)
            left = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            try:
                outcome = done.get(timeout=left)
            except queue.Empty:
                self._give_up(index)
                return
            self.error = self.error or outcome.error
        WORKERS.release(self._worker)

    def _report(self, jobs: Sequence[Job], results: Sequence[ToolResult]) -> None:
        """Called on the worker's thread, as soon as the jobs of a part have their results."""
        with self.lock:
            for job, result in zip(jobs, results, strict=True):
                if not job.context.given_up:
                    self._keep(result)

    def _keep(self, result: ToolResult) -> None:
        self.results[result.call.id] = result
        if self.on_result:
            try:
                self.on_result(result)
            except Exception as error:  # raised again where the calls are waited for
                self.error = self.error or error

    def _give_up(self, index: int) -> None:
        """Give up the calls of part `index` and the following ones: their results are dropped."""
        running = self.parts[index]
        with self.lock:
            behind = [job for part in self.parts[index:] for job in part]
            self.late = [job for job in behind if job.call.id not in self.results]
            for job in self.late:
                job.context.given_up = True
                tool, spent = job.call.tool, 0.0
                fault = Fault("cancelled", f"{tool} was not started: its time was used up")
                if any(job is each for each in running):
                    limit = job.limit if self.seconds is None else min(job.limit, self.seconds)
                    message = f"{tool} did not end within {max(0.0, limit):g} s and was given up"
                    fault = Fault("timeout", message)
                    spent = (time.monotonic() - self._began) * 1000
                inner = tuple(job.context.children)
                self._keep(ToolResult(job.call, None, fault, spent, children=inner))
        self._worker.retire()
