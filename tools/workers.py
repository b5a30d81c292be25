"""Where a tool's `run` really runs: a reused thread, or a process of its own.

A thread cannot be killed. When a call's time is up, control goes back at once, the worker is
retired (its late result goes nowhere) and a fresh one takes its place. A tool that declares
`isolation = "process"` is really killed; it needs to be importable and to return its own result.
"""

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from typing import Any


class TimeIsUp(Exception):
    """The call did not end within its time."""


class Worker:
    """A daemon thread that runs one job after another, until it is retired."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]] | None]
        self._jobs = queue.SimpleQueue()
        threading.Thread(target=self._work, name="nuthatch-tool", daemon=True).start()

    def submit(self, job: Callable[[], Any]) -> "queue.SimpleQueue[Any]":
        """Start `job`; its return value arrives in the queue. The job must not raise."""
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._jobs.put((job, done))
        return done

    def retire(self) -> None:
        """Let the thread end after the job it may still be at."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (next_job := self._jobs.get()) is not None:
            job, done = next_job
            done.put(job())


class WorkerPool:
    """Idle workers, reused; as many as calls run side by side."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def take(self) -> Worker:
        with self._lock:
            return self._idle.pop() if self._idle else Worker()

    def give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """End all idle workers."""
        with self._lock:
            for worker in self._idle:
                worker.retire()
            self._idle.clear()


def run_in_process(function: Callable[..., Any], *arguments: Any, timeout: float) -> Any:
    """Call `function(*arguments)` in a new process and kill it when `timeout` seconds are over.

    Raises:
        TimeIsUp: it was killed.
        ChildProcessError: it ended without an answer (a crash, an out-of-memory kill).
        Exception: what the function raised.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_answer, args=(there, function, arguments), daemon=True)
    deadline = time.monotonic() + timeout
    process.start()
    there.close()
    try:
        if not here.poll(max(0.0, deadline - time.monotonic())):
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
    except Exception as error:
        answer = (None, error)  # raised on the other side
    pipe.send(answer)
    pipe.close()
