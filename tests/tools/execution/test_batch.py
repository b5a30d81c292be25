"""What becomes of the calls that one worker executes."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nuthatch.tools.base import Context, ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.batch import Batch, Job, Report
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights


@pytest.fixture
def executor(tmp_path: Path) -> ToolExecutor:
    return ToolExecutor(ToolSet([]), MediaStore(tmp_path), Weights())


def jobs(executor: ToolExecutor, *names: str, limit: float = 20.0) -> list[Job]:
    media, weights = executor.media, executor.weights
    return [
        Job(ToolCall(name, "say", {}), Context(name, media, weights, executor), limit)
        for name in names
    ]


def done(jobs: Sequence[Job], report: Report) -> None:
    report(jobs, [job.result(1.0) for job in jobs])


def test_parts_follow_each_other_and_every_result_is_reported_at_once(executor):
    heard: list[str] = []
    parts = [jobs(executor, "call_1"), jobs(executor, "call_2", "call_3")]
    batch = Batch(parts, threading.Lock(), None, lambda result: heard.append(result.call.id))
    batch.start(done)
    batch.wait()
    assert heard == list(batch.results) == ["call_1", "call_2", "call_3"]
    assert batch.late == []


def test_nothing_begins_before_it_is_started(executor):
    threads = threading.active_count()
    batch = Batch([jobs(executor, "call_1")], threading.Lock(), None, None)
    assert threading.active_count() == threads
    assert batch.results == {}


def test_a_part_that_does_not_end_is_given_up_with_those_behind_it(executor):
    release = threading.Event()

    def work(jobs: Sequence[Job], report: Report) -> None:
        if jobs[0].call.id == "call_2":
            release.wait(20)
        done(jobs, report)

    parts = [jobs(executor, f"call_{n}", limit=0.05) for n in (1, 2, 3)]
    batch = Batch(parts, threading.Lock(), None, None)
    batch.start(work)
    batch.wait()
    release.set()
    faults = [result.fault.code if result.fault else None for result in batch.results.values()]
    assert faults == [None, "timeout", "cancelled"]
    assert [job.call.id for job in batch.late] == ["call_2", "call_3"]
    assert all(job.context.cancelled for job in batch.late)
    time.sleep(0.1)
    assert len(batch.results) == 3  # what came late left no trace
    assert batch.results["call_2"].fault is not None


def test_an_error_of_the_listener_is_kept_and_the_others_are_executed(executor):
    def on_result(result: ToolResult) -> None:
        raise OSError("the disk is full")

    batch = Batch(
        [jobs(executor, "call_1"), jobs(executor, "call_2")], threading.Lock(), None, on_result
    )
    batch.start(done)
    batch.wait()
    assert isinstance(batch.error, OSError)
    assert list(batch.results) == ["call_1", "call_2"]
