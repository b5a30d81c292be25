"""The runs of a home: listed, shown, deleted and pruned, with the media that nobody else uses."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.answer import Answer
from nuthatch.agent.budget import Budget
from nuthatch.agent.journal import (
    JOURNAL,
    Journal,
    JournalError,
    delete_run,
    list_runs,
    load_run,
    prune_runs,
)
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import MediaStore
from tests.agent.little_tools import PHOTO, Cut, Find, Judge, Say, Trouble

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})
CUT = ("cut", {"image": "image_1"})
TOOLS = ToolSet([Find(cup=[(1, 1, 9, 9.5)]), Say(), Cut(), Trouble(), Judge()])


def ask(home: Path, *script, **given) -> Answer:
    return Agent(ScriptedPlanner(list(script)), TOOLS, verify=False, home=home).ask("?", **given)


def cut_off(answer: Answer, events: int) -> str:
    """Leave only the first events of a run, as a kill would; its id."""
    path = answer.run_folder / JOURNAL
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:events]))
    return answer.run_id


def blobs(home: Path) -> set[str]:
    return {path.name for path in (home / "blobs").iterdir()}


def named(*answers: Answer) -> set[str]:
    return {item.path.name for answer in answers for item in answer.media}


# -- listed and shown -----------------------------------------------------------------------------


def test_runs_are_listed_newest_first_with_what_became_of_them(tmp_path):
    ask(tmp_path, "One.")
    planner, budget = ScriptedPlanner([("trouble", {"text": "x"})]), Budget(retries=0)
    Agent(planner, TOOLS, budget=budget, verify=False, home=tmp_path).ask("?")
    cut_off(ask(tmp_path, "x"), 1)
    (tmp_path / "runs" / "00000000-empty").mkdir()
    lines = list_runs(tmp_path)
    assert [line["state"] for line in lines] == ["open", "stopped", "answered", "unreadable"]
    assert lines[2]["answer"] == "One."
    assert "ZeroDivisionError" in lines[1]["answer"]
    assert lines[0]["run_id"] > lines[1]["run_id"]
    json.dumps(lines)


def test_a_home_without_runs_has_none(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []
    assert prune_runs(tmp_path / "nowhere") == []


def test_an_open_run_is_shown_with_what_to_do(tmp_path):
    run_id = cut_off(ask(tmp_path, LOOK, "x", image=PHOTO), 3)
    shown = load_run(run_id, tmp_path, tools=TOOLS)
    assert not shown.finished
    assert f"Agent.resume('{run_id}')" in shown.reason
    assert len(shown.calls) == 1


# -- pruned ---------------------------------------------------------------------------------------


def old(path: Path) -> None:
    os.utime(path, (time.time() - 7200,) * 2)


def test_pruning_keeps_the_newest_runs_and_the_media_they_name(tmp_path):
    first = ask(tmp_path, "x", image=PHOTO)
    second = ask(tmp_path, "x", image=PHOTO // 2)
    for blob in (tmp_path / "blobs").iterdir():
        old(blob)
    young = tmp_path / "blobs" / "young.png"
    young.write_bytes(b"of a run that is starting")
    assert prune_runs(tmp_path, keep=1) == [first.run_id]
    assert [line["run_id"] for line in list_runs(tmp_path)] == [second.run_id]
    assert {p.name for p in (tmp_path / "blobs").iterdir()} == {
        second.media[0].path.name,
        "young.png",
    }


def test_pruning_keeps_the_beginning_of_a_talk_that_goes_on(tmp_path):
    first = ask(tmp_path, "x", image=PHOTO)
    ask(tmp_path, "x")
    third = ask(tmp_path, "x", after=first)
    prune_runs(tmp_path, keep=1)
    assert {line["run_id"] for line in list_runs(tmp_path)} == {first.run_id, third.run_id}
    assert ask(tmp_path, "x", after=third).finished


def test_pruning_leaves_a_run_that_is_at_work(tmp_path):
    journal = Journal.open(tmp_path, "00000000-000000000-000000")
    journal.write("run", format=1, question="?", given=[], after=None, media=[])
    assert prune_runs(tmp_path, keep=0) == []
    journal.close()
    assert prune_runs(tmp_path, keep=0) == ["00000000-000000000-000000"]


def test_keeping_less_than_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep=-1"):
        prune_runs(tmp_path, keep=-1)


def test_pruning_counts_what_a_damaged_run_names_and_removes_what_kills_left(tmp_path):
    first, second = ask(tmp_path, "x", image=PHOTO), ask(tmp_path, "x", image=PHOTO // 2)
    path = first.run_folder / JOURNAL
    path.write_bytes(b"null\n" + path.read_bytes())
    for name in ("x.png.01.partial", "y.png.02.partial"):
        (tmp_path / "blobs" / name).write_bytes(b"half")
    (second.run_folder / "answer.png.03.partial").write_bytes(b"half")
    (tmp_path / "blobs" / f"{'0' * 64}.png").write_bytes(b"nobody's")
    for blob in (tmp_path / "blobs").iterdir():
        old(blob)
    assert prune_runs(tmp_path, keep=2) == []
    assert blobs(tmp_path) == named(first, second)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_link_in_place_of_a_run_is_removed_and_what_it_leads_to_is_not(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "elsewhere")
    assert prune_runs(tmp_path, keep=0) == ["a"]
    assert (tmp_path / "elsewhere").is_dir()


# -- deleted --------------------------------------------------------------------------------------


def test_a_run_is_deleted_with_all_its_media_at_once(tmp_path):
    answer = ask(tmp_path, CUT, "x", image=PHOTO)
    answer.save_picture()
    assert delete_run(answer.run_id, tmp_path) == 2
    assert blobs(tmp_path) == set()
    assert list((tmp_path / "runs").iterdir()) == []
    with pytest.raises(JournalError, match="there is no run"):
        delete_run(answer.run_id, tmp_path)


def test_media_that_another_run_uses_stay(tmp_path):
    first = ask(tmp_path, "x", image=[PHOTO, PHOTO // 2])
    second = ask(tmp_path, "x", image=[PHOTO, PHOTO // 3])
    assert delete_run(first.run_id, tmp_path) == 1
    assert blobs(tmp_path) == named(second)
    assert delete_run(second.run_id, tmp_path) == 2


def test_a_talk_goes_on_when_its_beginning_is_deleted(tmp_path):
    first = ask(tmp_path, LOOK, CUT, "x", image=PHOTO)
    second = ask(tmp_path, LOOK, "y", after=first)
    assert delete_run(first.run_id, tmp_path) == 0
    assert load_run(second.run_id, tmp_path, tools=TOOLS) == second
    third = ask(tmp_path, LOOK, "z", after=second)
    assert [call.call.id for call in third.calls] == ["call_4"], "ids are not given twice"
    assert third.calls[0].value.detections[0].handle == "detection_3.1"
    assert third.media == second.media
    delete_run(second.run_id, tmp_path)
    assert delete_run(third.run_id, tmp_path) == 2


def test_a_run_that_was_cut_off_goes_on_when_the_beginning_of_its_talk_is_deleted(tmp_path):
    first = ask(tmp_path, LOOK, "x", image=PHOTO)
    run_id = cut_off(ask(tmp_path, CUT, LOOK, "y", after=first), 3)
    delete_run(first.run_id, tmp_path)
    agent = Agent(ScriptedPlanner([LOOK, "y"]), TOOLS, verify=False, home=tmp_path)
    again = agent.resume(run_id)
    assert [call.call.id for call in again.calls] == ["call_2", "call_3"]
    assert [item.handle for item in again.media] == ["image_1", "image_2"]


def test_a_damaged_run_can_be_deleted(tmp_path):
    answer = ask(tmp_path, "x", image=PHOTO)
    (answer.run_folder / JOURNAL).write_text("null\n")
    delete_run(answer.run_id, tmp_path)
    assert list_runs(tmp_path) == []


def beside(home: Path, action: Callable[[], Any], *script: Any, **given: Any) -> Answer:
    """An answer of a run in the middle of which something else happens."""
    done: list[object] = []

    def once(event: object) -> None:
        if not done:
            done.append(event)
            action()

    return ask(home, *script, on_event=once, **given)


def test_media_of_a_run_at_work_stay(tmp_path):
    first = ask(tmp_path, CUT, "x", image=PHOTO)
    corner = next(item.path for item in first.media if item.made_by)

    def delete() -> None:
        # What the run at work has stored and not yet named: the corner that it cuts out too.
        MediaStore(tmp_path).add_image(corner.read_bytes())
        assert delete_run(first.run_id, tmp_path) == 0

    second = beside(tmp_path, delete, CUT, "x", image=PHOTO)
    assert blobs(tmp_path) == named(second)
    assert load_run(second.run_id, tmp_path, tools=TOOLS) == second


def test_a_run_at_work_is_neither_deleted_nor_pruned(tmp_path):
    def remove() -> None:
        (line,) = list_runs(tmp_path)
        with pytest.raises(JournalError, match="a process is at run") as caught:
            delete_run(line["run_id"], tmp_path)
        assert caught.value.code == "run_busy"
        assert prune_runs(tmp_path, keep=0) == []

    assert beside(tmp_path, remove, CUT, "x", image=PHOTO).finished


def test_media_of_a_run_that_is_just_beginning_stay(tmp_path, monkeypatch):
    first = ask(tmp_path, "x", image=PHOTO)
    real = Journal.__init__

    def meanwhile(self: Journal, *args: Any, **options: Any) -> None:
        with pytest.raises(JournalError, match="another process is adding files"):
            delete_run(first.run_id, tmp_path)
        real(self, *args, **options)

    monkeypatch.setattr("nuthatch.agent.runs.removing", impatient)
    monkeypatch.setattr(Journal, "__init__", meanwhile)
    second = ask(tmp_path, "x", image=PHOTO)
    assert blobs(tmp_path) == named(second)


def impatient(home: Path) -> Any:
    from nuthatch.tools.media.files import removing

    return removing(home, seconds=0)


def work(home: Path, seed: int) -> None:
    """Ask about the same few pictures as everyone."""
    rng = random.Random(seed)
    for _ in range(25):
        pictures = [PHOTO // rng.randint(1, 5) for _ in range(rng.randint(1, 3))]
        ask(home, *[CUT] * rng.randint(0, 2), "x", image=pictures)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the other processes are forked")
def test_whatever_is_removed_meanwhile_no_run_loses_its_media(tmp_path, monkeypatch):
    monkeypatch.setattr("nuthatch.agent.runs.GRACE", 0.0)
    rng = random.Random(0)
    workers = [forked(lambda seed=seed: work(tmp_path, seed)) for seed in range(4)]
    removed, told = 0, set()
    while workers:
        removed += len(prune_runs(tmp_path, keep=rng.randint(1, 6)))
        for line in rng.sample(runs := list_runs(tmp_path), min(2, len(runs))):
            try:
                delete_run(line["run_id"], tmp_path)
                removed += 1
            except JournalError as error:
                told.add(error.code)
        for line in list_runs(tmp_path):
            try:
                answer = load_run(line["run_id"], tmp_path, tools=TOOLS)
            except JournalError as error:
                told.add(error.code)
            else:
                assert all(item.path.is_file() for item in answer.media)
        for worker in workers[:]:
            ended, status = os.waitpid(worker, os.WNOHANG)
            if ended:
                assert status == 0
                workers.remove(worker)
    assert removed > 50
    assert told <= {"run_busy", "run_empty", "run_not_found"}
    assert blobs(tmp_path) >= named(
        *(load_run(line["run_id"], tmp_path, tools=TOOLS) for line in list_runs(tmp_path))
    )


def forked(job: Callable[[], None]) -> int:
    """The id of a process that does a job; its status says whether it could."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        job()
        status = 0
    finally:
        os._exit(status)


def test_the_picture_of_a_deleted_run_brings_no_folder_back(tmp_path: Path) -> None:
    answer = Agent(ScriptedPlanner(["Hello."]), [], home=tmp_path).ask("?", image=PHOTO)
    delete_run(answer.run_id, tmp_path)
    with pytest.raises((JournalError, MediaError)):
        answer.save_picture()
    again = Agent(ScriptedPlanner(["Hello."]), [], home=tmp_path).ask("?", image=PHOTO)
    with pytest.raises(JournalError, match="was deleted"):  # its picture is another run's too
        answer.save_picture()
    assert [line["run_id"] for line in list_runs(tmp_path)] == [again.run_id]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda home: load_run("x" * 8000, home),
        lambda home: list_runs(home / ("x" * 8000)),
        lambda home: delete_run("20260101-000000000000-aaaaaa", home / ("x" * 8000)),
        lambda home: Agent(ScriptedPlanner(["?"]), [], home=home / ("x" * 8000)).ask("?"),
        lambda home: Agent.load("x" * 8000),
    ],
)
def test_messages_show_little_of_names_and_homes(
    attempt: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^.{1,200}$"):
        attempt(tmp_path)
