"""Calls handed to one worker, one after the other, and the waiting for them.

A call whose time is up is given up with those behind it: they get a fault for a result, the worker
is retired with the models it used, and what it may still find leaves no trace.
"""

import math
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from nuthatch.tools.base import Context, ToolCall, ToolResult
from nuthatch.tools.faults import Fault
from nuthatch.tools.workers import WORKERS, Worker

if TYPE_CHECKING:
    from nuthatch.tools.execution.executor import ToolExecutor

Listener = Callable[[ToolResult], None]


class Batch:
    """Some calls of a turn; they begin at once.

    Args:
        seconds: what is left of the run's time; None: any.
        on_result: hears each result; what it raises is kept in `error`.
        together: the calls are of one tool, which runs them in one go.
    """

    def __init__(
        self,
        executor: "ToolExecutor",
        calls: list[tuple[ToolCall, Context]],
        seconds: float | None,
        on_result: Listener | None,
        *,
        together: bool,
    ) -> None:
        self.executor = executor
        self.calls = calls
        self.seconds = seconds
        self.on_result = on_result
        self.known: dict[str, ToolResult] = {}
        self.error: BaseException | None = None
        self.began = time.monotonic()
        self.worker: Worker = WORKERS.take()
        self.parts = [calls] if together else [[entry] for entry in calls]
        self.pending = [self.worker.submit(self._job(part)) for part in self.parts]

    def wait(self) -> None:
        """Until all calls have a result; those that do not end in time are given up."""
        end = self.began + (math.inf if self.seconds is None else self.seconds)
        deadline = self.began
        for index, (part, done) in enumerate(zip(self.parts, self.pending, strict=True)):
            deadline = min(deadline + self.executor.limit(part[0][0]), end)
            left = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            try:
                outcome = done.get(timeout=left)
            except queue.Empty:
                self._give_up(index)
                return
            self.error = self.error or outcome.error
        WORKERS.give_back(self.worker)

    def _job(self, part: list[tuple[ToolCall, Context]]) -> Callable[[], None]:
        def job() -> None:
            results = self.executor.work(part)
            with self.executor.hearing:
                for (_, context), result in zip(part, results, strict=True):
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
        """Nobody waits for the calls of part `index` and those behind it any more."""
        with self.executor.hearing:
            late = [
                (call, context, part is self.parts[index])
                for part in self.parts[index:]
                for call, context in part
                if call.id not in self.known
            ]
            for call, context, was_at_work in late:
                context.given_up = True
                if was_at_work:
                    limit = self.executor.limit(call, self.seconds)
                    message = f"{call.tool} did not end within {limit:g} s and was given up"
                    fault = Fault("timeout", message)
                    spent = (time.monotonic() - self.began) * 1000
                else:
                    fault = Fault("cancelled", f"{call.tool} was not started: its time was used up")
                    spent = 0.0
                inner = tuple(context.children)
                self._hear(ToolResult(call, None, fault, spent, children=inner))
        self.worker.retire()
        for call, *_ in late:
            if call.tool in self.executor.tools:
                for name in self.executor.tools[call.tool].weights:
                    self.executor.weights.retire(name)
