"""Runs that are killed at any moment, and on disks that are full or cannot be written."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.home import is_at_work
from nuthatch.agent.journal import (
    JOURNAL,
    JournalError,
    delete_run,
    list_runs,
    prune_runs,
    read_run,
)
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base import Context
from nuthatch.tools.base.toolset import ToolSet
from tests.agent import killed_run
from tests.agent.little_tools import PHOTO, Cut, Find, Note, NoteArgs, Say

NOISE = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
TEXTS = {"one", "two", "quick", "slow", "three"}


class WaitFor(Say):
    """Wait until a file is there."""

    name = "wait_for"

    def run(self, args: NoteArgs, context: Context) -> Note:
        while not Path(args.text).exists():
            context.check()
            time.sleep(0.005)
        return Note(text=args.text)


def killed_after(seconds: float, job: Callable[[], Any]) -> bool:
    """Do a job in a forked process and kill it; False: it had ended before."""
    process = os.fork()
    if process == 0:
        try:
            job()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def finished(home: Path, run_id: str, notes: Path) -> tuple[dict[str, int], int]:
    """How often each note that the journal knows as taken was written, and the turns it knows."""
    record = read_run(run_id, ToolSet([]), home)
    texts = [result.call.arguments.get("text") for result in record.results.values()]
    return {text: taken(notes).count(text) for text in texts if text}, len(record.turns)


def taken(notes: Path) -> list[str]:
    return notes.read_text().split() if notes.exists() else []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes to kill are forked")
@pytest.mark.parametrize("part", range(4))
def test_no_finished_call_is_lost_or_made_again_whenever_a_run_is_killed(part, tmp_path):
    rng = random.Random(part)
    kills = unrecorded = 0
    while kills < 20:
        home, notes = tmp_path / f"home{kills}", tmp_path / f"notes{kills}"
        if not killed_after(
            rng.uniform(0, 1.1),
            lambda home=home, notes=notes: killed_run.agent(home, notes).ask("?", image=NOISE),
        ):
            continue
        kills += 1
        runs = list_runs(home)
        if not runs or runs[0]["state"] == "unreadable":
            assert not notes.exists()
            unrecorded += 1
            continue
        run_id = runs[0]["run_id"]
        done, turns = finished(home, run_id, notes)
        if rng.random() < 0.5:  # and once more, while it goes on
            killed_after(
                rng.uniform(0, 0.6),
                lambda h=home, n=notes, r=run_id, t=turns: killed_run.agent(h, n, t).resume(r),
            )
            before, (done, turns) = done, finished(home, run_id, notes)
            assert done == done | before, "nothing is lost, and nothing made again"
        answer = killed_run.agent(home, notes, turns).resume(run_id)
        assert answer.text == "All noted."
        assert all(result.ok for result in answer.calls)
        assert [result.call.id for result in answer.calls] == [f"call_{n}" for n in range(1, 8)]
        assert set(taken(notes)) == TEXTS
        after, _ = finished(home, run_id, notes)
        assert after == after | done
        assert not list(home.rglob("*.partial"))
        for line in (answer.run_folder / JOURNAL).read_bytes().splitlines():
            json.loads(line)
    assert unrecorded < kills


# -- two at once ----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the second process is forked")
def test_of_two_processes_that_resume_a_run_one_does_and_the_other_is_told(tmp_path):
    tools = [WaitFor(), Cut()]
    script = [("wait_for", {"text": str(tmp_path / "go")}), "Done."]
    (tmp_path / "go").touch()
    whole = Agent(ScriptedPlanner(script), tools, verify=False, home=tmp_path).ask("?")
    path = whole.run_folder / JOURNAL
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    (tmp_path / "go").unlink()
    process = os.fork()
    if process == 0:
        try:
            again = Agent(ScriptedPlanner(script[1:]), tools, verify=False, home=tmp_path)
            again.resume(whole.run_id)
        finally:
            os._exit(0)
    while not is_at_work(whole.run_folder):
        time.sleep(0.005)
    for action in (
        lambda: Agent(ScriptedPlanner([]), tools, home=tmp_path).resume(whole.run_id),
        lambda: delete_run(whole.run_id, tmp_path),
    ):
        with pytest.raises(JournalError) as caught:
            action()
        assert caught.value.code == "run_busy"
    assert prune_runs(tmp_path, keep=0) == []
    (tmp_path / "go").touch()
    os.waitpid(process, 0)
    events = [json.loads(line)["event"] for line in path.read_bytes().splitlines()]
    assert events == ["run", "turn", "result", "draft", "answer"]


def test_a_process_that_was_forked_meanwhile_does_not_keep_a_run_from_others(tmp_path):
    reading, writing = os.pipe()
    forked: list[int] = []

    def fork(event: object) -> None:
        if not forked:
            forked.append(os.fork())
            if forked[0] == 0:
                os.close(writing)
                os.read(reading, 1)  # as long as the test runs
                os._exit(0)

    tools = [Say()]
    script = [("say", {"text": "a"}), "Done."]
    agent = Agent(ScriptedPlanner(script), tools, verify=False, home=tmp_path)
    answer = agent.ask("?", on_event=fork)
    assert not is_at_work(answer.run_folder)
    delete_run(answer.run_id, tmp_path)
    os.close(writing)
    os.waitpid(forked[0], 0)


# -- disks ----------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from nuthatch.agent.journal import JournalError
from nuthatch.agent.agent import Agent
from nuthatch.agent.planner import ScriptedPlanner
from tests.agent.test_killed_runs import NOISE, PHOTO, tools

home, part, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
script = [("cut", {"image": "image_1"}), ("say", {"text": "a" * 6000}), "Done."]
agent = Agent(ScriptedPlanner(script), tools(), verify=False, home=home)
picture = NOISE if part == "media" else PHOTO
answer = agent.ask("?", image=picture) if part == "picture" else None
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    answer.save_picture() if answer else agent.ask("?", image=picture)
except JournalError as error:
    print(error.code, error)
"""


def tools() -> list[Any]:
    return [Say(), Cut(), Find()]


def limited(home: Path, part: str, most: int) -> str:
    """What a process says that can write no file larger than `most` bytes."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(home), part, str(most)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("part", "most"), [("media", 20_000), ("journal", 100), ("result", 9000), ("picture", 500)]
)
def test_a_full_disk_is_told_with_advice_and_the_run_can_go_on(part, most, tmp_path):
    said = limited(tmp_path, part, most)
    assert said.startswith("write_failed")
    assert "make room" in said
    assert not list(tmp_path.rglob("*.partial"))
    runs = list_runs(tmp_path)
    if part == "result":
        script = ScriptedPlanner(["Done."])
        answer = Agent(script, tools(), verify=False, home=tmp_path).resume(runs[0]["run_id"])
        assert [call.ok for call in answer.calls] == [True, True]
    elif part in ("media", "journal"):
        assert runs == [], "nothing was recorded, so that nothing is left"


def test_a_picture_of_a_tool_that_finds_no_room_ends_the_run_and_is_made_when_there_is(
    tmp_path, monkeypatch
):
    script = [("cut", {"image": "image_1"}), "Done."]
    agent = Agent(ScriptedPlanner(script), tools(), verify=False, home=tmp_path)
    from nuthatch.tools.media import blobs, files

    class Full:
        def __enter__(self):
            raise files.StoreError("no room", "write_failed")

        def __exit__(self, *args):
            return None

    def no_room(event: object) -> None:
        monkeypatch.setattr(blobs, "whole_file", lambda path: Full())

    with pytest.raises(JournalError, match="no room"):
        agent.ask("?", image=PHOTO, on_event=no_room)
    monkeypatch.undo()
    (line,) = list_runs(tmp_path)
    assert line["state"] == "open"
    agent = Agent(ScriptedPlanner(script[1:]), tools(), verify=False, home=tmp_path)
    assert [call.ok for call in agent.resume(line["run_id"]).calls] == [True]


def test_a_home_that_cannot_be_written_is_told_and_still_read(tmp_path):
    home = tmp_path / "home"
    answer = Agent(ScriptedPlanner(["Done."]), [], verify=False, home=home).ask("?", image=PHOTO)
    (home / "lock").unlink()
    (home / "lock").mkdir()  # what not even root can write to
    with pytest.raises(JournalError, match="NUTHATCH_HOME") as caught:
        Agent(ScriptedPlanner(["Done."]), [], verify=False, home=home).ask("?")
    assert caught.value.code == "home_not_writable"
    for action in (lambda: prune_runs(home), lambda: delete_run(answer.run_id, home)):
        with pytest.raises(JournalError):
            action()
    assert [line["answer"] for line in list_runs(home)] == ["Done."]
    again = Agent(ScriptedPlanner([]), [], verify=False, home=home).resume(answer.run_id)
    assert again == answer
