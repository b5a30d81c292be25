"""Jobs run in reused threads, or in processes that can be killed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nuthatch.tools.workers import RemoteBug, TimeIsUp, WorkerPool, run_in_process


def double(number: int) -> int:
    return 2 * number


def fail(message: str) -> None:
    raise KeyError(message)


def die(status: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_later(path: str, seconds: float) -> None:
    time.sleep(seconds)
    with open(path, "w") as file:
        file.write("late")


def test_a_worker_is_reused():
    pool = WorkerPool()
    names = {pool.run(threading.get_ident, 5) for _ in range(5)}
    assert len(names) == 1
    assert threading.get_ident() not in names


def test_what_a_job_raises_is_raised_to_whoever_waits():
    pool = WorkerPool()
    with pytest.raises(KeyError, match="broken"):
        pool.run(lambda: fail("broken"), 5)
    with pytest.raises(SystemExit):
        pool.run(lambda: exit(3), 5)
    assert pool.run(lambda: 1, 5) == 1


def test_a_job_that_does_not_end_gives_control_back_and_its_worker_is_not_used_again():
    pool = WorkerPool()
    stuck, release = [], threading.Event()

    def hang() -> None:
        stuck.append(threading.get_ident())
        release.wait(20)

    began = time.monotonic()
    with pytest.raises(TimeIsUp):
        pool.run(hang, 0.05)
    assert time.monotonic() - began < 10
    assert pool.run(threading.get_ident, 5) not in stuck
    release.set()


def test_no_bound_on_the_time_is_allowed():
    assert WorkerPool().run(lambda: 7, float("inf")) == 7


def test_a_process_gives_its_value_or_says_what_it_raised():
    assert run_in_process(double, 21, timeout=60) == 42
    with pytest.raises(RemoteBug, match="KeyError: 'broken'") as caught:
        run_in_process(fail, "broken", timeout=60)
    assert "raise KeyError(message)" in caught.value.__notes__[0]


def test_the_pool_works_where_there_is_no_fork():
    code = "import os; del os.register_at_fork, os.fork; import nuthatch.tools.workers as w; "
    code += "print(w.WORKERS.run(lambda: 7, 5))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "7", done.stderr


def test_a_process_that_does_not_end_is_killed(tmp_path):
    late = tmp_path / "late"
    with pytest.raises(TimeIsUp):
        run_in_process(write_later, str(late), 60.0, timeout=0.5)
    assert not late.exists()


def test_a_process_that_nobody_waits_for_is_killed():
    began = time.monotonic()
    with pytest.raises(TimeIsUp):
        run_in_process(time.sleep, 60, timeout=50, is_cancelled=lambda: True)
    assert time.monotonic() - began < 40


def test_a_process_that_dies_says_so():
    with pytest.raises(ChildProcessError, match="exit status -9"):
        run_in_process(die, 0, timeout=60)


def test_idle_workers_do_not_survive_a_fork():
    pool = WorkerPool()
    pool.run(lambda: 1, 5)
    pool.forget()
    assert pool.run(lambda: 2, 5) == 2
