"""Reused worker threads and child processes, in which tools run under a time limit.

A thread cannot be killed. When a call's time is up, control goes back at once, the worker is
retired (its late result goes nowhere) and a fresh one takes its place. A tool that declares
`isolation = "process"` is really killed; it needs to be importable and to return its own result.
"""

import multiprocessing
import os
import pickle
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from nuthatch.tools.faults import ToolFault, described
from nuthatch.tools.media.ingest import MediaError

T = TypeVar("T")


class TimeIsUp(Exception):
    """The call did not end within its time."""


@dataclass(slots=True)
class Outcome:
    """What a job returned, or what it raised."""

    value: Any = None
    error: BaseException | None = None


Pending = queue.SimpleQueue[Outcome]
"""Receives the outcome of one job."""


class Worker(threading.Thread):
    """A daemon thread that runs one job after another, until it is retired."""

    def __init__(self) -> None:
        super().__init__(name="nuthatch-tool", daemon=True)
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Pending] | None] = (
            queue.SimpleQueue()
        )

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Pending:
        """Call the function in this thread, after what was submitted before; its outcome arrives
        in the queue."""
        done: Pending = queue.SimpleQueue()
        self._jobs.put((partial(function, *arguments), done))
        return done

    def retire(self) -> None:
        """Let the thread end after the job that it may still be running."""
        self._jobs.put(None)

    def run(self) -> None:
        while (next_job := self._jobs.get()) is not None:
            job, done = next_job
            try:
                outcome = Outcome(job())
            except BaseException as error:  # whoever waits for the outcome raises it
                outcome = Outcome(error=error)
            done.put(outcome)
            del job, done, outcome, next_job  # an idle worker holds nothing alive


class WorkerPool:
    """Idle workers, reused; there are as many as jobs ever ran side by side."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def acquire(self) -> Worker:
        """An idle worker, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        worker = Worker()
        worker.start()
        return worker

    def release(self, worker: Worker) -> None:
        """Keep a worker that has finished its jobs for others."""
        with self._lock:
            self._idle.append(worker)

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """A worker for one job: `with WORKERS.worker() as w: w.submit(job).get(timeout=...)`.

        A job that is not waited for to its end retires the worker.

        Raises:
            TimeIsUp: the outcome did not arrive in time.
        """
        worker = self.acquire()
        try:
            yield worker
        except queue.Empty:
            worker.retire()
            raise TimeIsUp from None
        except BaseException:  # e.g. somebody at the keyboard
            worker.retire()
            raise
        self.release(worker)

    def run(self, job: Callable[[], T], timeout: float) -> T:
        """Run `job` in a worker, which is retired if it does not end in `timeout` seconds.

        Raises:
            TimeIsUp: it did not end in time.
            BaseException: what the job raised.
        """
        with self.worker() as worker:
            outcome = worker.submit(job).get(timeout=min(timeout, threading.TIMEOUT_MAX))
        if outcome.error is not None:
            raise outcome.error
        return cast(T, outcome.value)

    def forget(self) -> None:
        """Start anew: threads do not survive a fork."""
        self._idle = []
        self._lock = threading.Lock()


WORKERS = WorkerPool()
"""The workers of this process; starting a thread costs more than a step of the loop."""
if hasattr(os, "register_at_fork"):  # where there is a fork
    os.register_at_fork(after_in_child=WORKERS.forget)


class RemoteBug(Exception):
    """What a function in another process raised: type and message, and there its traceback."""


def run_in_process(
    function: Callable[..., Any],
    *arguments: Any,
    timeout: float,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """Call `function(*arguments)` in a new process; kill it when `timeout` seconds are over.

    `is_cancelled` is asked ten times a second: when it says so, the process is killed too.

    Raises:
        TimeIsUp: it was killed.
        ChildProcessError: it ended without an answer (a crash, an out-of-memory kill).
        ToolFault, MediaError, MemoryError: what the function raised.
        RemoteBug: it raised anything else, or its result cannot be handed over.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_answer, args=(there, function, arguments), daemon=True)
    deadline = time.monotonic() + timeout
    process.start()
    there.close()
    try:
        while not here.poll(min(0.1, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or is_cancelled():
                raise TimeIsUp
        try:
            value, error = here.recv()
        except EOFError:
            process.join()
            raise ChildProcessError(
                f"the tool's process ended with exit status {process.exitcode} and no answer"
            ) from None
    finally:
        process.kill()
        process.join()
        here.close()
    if error is not None:
        raise error
    return value


def _answer(pipe: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    answer: tuple[Any, Exception | None]
    try:
        answer = (function(*arguments), None)
        pickle.dumps(answer)
    except (ToolFault, MediaError, MemoryError) as error:
        answer = (None, error)  # raised on the other side
    except BaseException as error:  # of any class, which the other side may be unable to build
        bug = RemoteBug(described(error))
        bug.add_note(traceback.format_exc())
        answer = (None, bug)
    pipe.send(answer)
    pipe.close()
