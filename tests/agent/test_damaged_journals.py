"""A journal that is damaged or foreign is told with one kind of error, and hides no other run."""

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.answer import Answer
from nuthatch.agent.journal import (
    JOURNAL,
    JournalError,
    delete_run,
    list_runs,
    load_run,
    prune_runs,
)
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.agent.run import PlannerFailed
from nuthatch.console import print_runs
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.media.ingest import MediaError
from tests.agent.little_tools import PHOTO, TONE, Cut, Find, Judge, Say, Trouble

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})
TOOLS = ToolSet([Find(cup=[(1, 1, 9, 9.5)]), Say(), Cut(), Trouble(), Judge()])
SCRIPT = [[LOOK, ("say", {"text": "a"})], ("cut", {"image": "image_1"}), "Two cups."]


def agent(home: Path, script: list[Any]) -> Agent:
    return Agent(ScriptedPlanner(script), TOOLS, home=home)


def ask(home: Path, **given: Any) -> Answer:
    return agent(home, SCRIPT).ask("How many?", **given)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Path, list[str]]:
    """A home with an answered run, a run that goes on with its talk, and one that was cut off."""
    home = tmp_path_factory.mktemp("recorded")
    first = ask(home, image=PHOTO, audio=TONE)
    later = agent(home, ["Two."]).ask("And now?", after=first)
    cut = ask(home, image=PHOTO)
    path = cut.run_folder / JOURNAL
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    return home, [first.run_id, later.run_id, cut.run_id]


@pytest.fixture
def home(recorded, tmp_path) -> Path:
    shutil.copytree(recorded[0], tmp_path / "home")
    return tmp_path / "home"


def others_are_well(home: Path, damaged: str, whole: list[str]) -> None:
    """What concerns many runs goes on beside a damaged one."""
    states = {line["run_id"]: line["state"] for line in list_runs(home)}
    assert set(states) == {damaged, *whole}
    json.dumps(list_runs(home))
    for run_id in whole:
        assert states[run_id] != "unreadable"
    assert prune_runs(home, keep=len(states)) == []
    for run_id in whole:
        assert all(item.path.is_file() for item in load_run(run_id, home, tools=TOOLS).media)


def actions(home: Path, run_id: str) -> list[Callable[[], Any]]:
    """What can be asked of one run."""
    return [
        lambda: load_run(run_id, home, tools=TOOLS).model_dump_json(),
        lambda: str(load_run(run_id, home)),
        lambda: agent(home, SCRIPT[1:]).ask("And now?", after=run_id),
        lambda: agent(home, SCRIPT[1:]).resume(run_id),
    ]


LINES: dict[str, bytes] = {
    "null": b"null\n",
    "a list": b"[1, 2]\n",
    "a number": b"7\n",
    "no object of ours": b'{"a": 1}\n',
    "another format": b'{"event": "run", "at": 1.0, "format": 99}\n',
    "missing fields": b'{"event": "run", "at": 1.0, "format": 3}\n',
    "binary": bytes(range(256)) + b"\n",
    "deep": b"[" * 100_000 + b"\n",
    "a long number": b'{"event": ' + b"9" * 10_000 + b"}\n",
    "a long line": b'{"event": "' + b"x" * 2_000_000 + b'"}\n',
    "UTF-16": '{"event": "run"}\n'.encode("utf-16"),
    "half a line": b'{"event": "ru',
    "nothing": b"",
}


@pytest.mark.parametrize("content", LINES.values(), ids=LINES)
def test_a_foreign_journal_is_one_error_and_hides_no_other(content, home, recorded):
    folder = home / "runs" / "20990101-000000000000-aaaaaa"
    folder.mkdir()
    (folder / JOURNAL).write_bytes(content)
    others_are_well(home, folder.name, recorded[1])
    for action in actions(home, folder.name):
        with pytest.raises(JournalError):
            action()
    delete_run(folder.name, home)
    assert not folder.exists()


def test_a_folder_or_nothing_in_place_of_a_journal_is_one_error(home, recorded):
    folder = home / "runs" / "20990101-000000000000-aaaaaa"
    folder.mkdir()
    for _ in range(2):
        others_are_well(home, folder.name, recorded[1])
        for action in actions(home, folder.name):
            with pytest.raises(JournalError):
                action()
        (folder / JOURNAL).mkdir(exist_ok=True)
    delete_run(folder.name, home)


FIELDS: dict[str, tuple[int, tuple[Any, ...], Any]] = {
    "a time that is none": (0, ("at",), 1e300),
    "a question that is none": (0, ("question",), None),
    "a handle that is none": (0, ("given",), ["image_x"]),
    "a medium that is not there": (0, ("given",), ["image_7"]),
    "a conversation that continues from itself": (0, ("after",), "..."),
    "a medium of another type": (0, ("media", 0, "type"), "audio"),
    "a medium of another content": (0, ("media", 0, "sha256"), "0" * 64),
    "a medium made of itself": (0, ("media", 0, "parents"), ["image_1"]),
    "a medium without a size": (0, ("media", 0, "width"), None),
    "a file elsewhere": (0, ("media", 0, "path"), "/etc/passwd"),
    "calls that are none": (1, ("calls",), {}),
    "a call without a name": (1, ("calls", 0, "tool"), None),
    "the same call twice": (1, ("calls", 1, "id"), "call_1"),
    "a call of no form": (1, ("calls", 0, "id"), "call_1."),
    "a value that is none": (2, ("result", "value"), [1]),
    "a value of an unknown form": (2, ("result", "value"), {"$what": 1}),
    "an array that is none": (2, ("result", "value"), {"$array": ["|O", [1], "AAAA"]}),
    "neither value nor fault": (2, ("result", "value"), None),
    "another beginning": (2, ("event",), "run"),
    "an event nobody knows": (2, ("event",), "dance"),
    "provenance that is none": (2, ("result", "provenance"), 3),
}


def changed(path: Path, line: int, place: tuple[Any, ...], value: Any) -> None:
    """Set one field of a journal."""
    lines = [json.loads(each) for each in path.read_bytes().splitlines()]
    inside = lines[line]
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))


@pytest.mark.parametrize(("line", "place", "value"), FIELDS.values(), ids=FIELDS)
def test_a_wrong_field_is_told_with_its_line(line, place, value, home, recorded):
    first, later, cut = recorded[1]
    changed(home / "runs" / cut / JOURNAL, line, place, value)
    for action in actions(home, cut):
        with pytest.raises(JournalError, match=f"line {line + 1} is damaged"):
            action()
    others_are_well(home, cut, [first, later])


def test_runs_that_go_on_from_each_other_are_told(home, recorded):
    first, later, _ = recorded[1]
    changed(home / "runs" / first / JOURNAL, 0, ("after",), later)
    with pytest.raises(JournalError, match="continues from itself"):
        agent(home, ["x"]).ask("?", after=later)
    assert len(list_runs(home)) == 3
    assert prune_runs(home, keep=1) != []


def test_a_name_of_a_detection_that_would_fill_the_memory_is_refused(home, recorded):
    cut = recorded[1][2]
    lines = (home / "runs" / cut / JOURNAL).read_text().splitlines()
    (number,) = (n for n, line in enumerate(lines) if "detection_1.1" in line)
    place = ("result", "value", "detections", 0, "handle")
    changed(home / "runs" / cut / JOURNAL, number, place, "detection_900000000.1")
    with pytest.raises(JournalError, match="detection_900000000"):
        agent(home, SCRIPT[1:]).resume(cut)


def test_a_picture_that_is_gone_is_told_where_it_is_needed(home, recorded):
    first, _, cut = recorded[1]
    for blob in (home / "blobs").glob("*.png"):
        blob.unlink()
    for action in (
        lambda: agent(home, SCRIPT[1:]).resume(cut),
        lambda: agent(home, SCRIPT).ask("?", after=first),
    ):
        with pytest.raises(JournalError, match=r"image_1: its file .* is gone"):
            action()
    assert load_run(first, home, tools=TOOLS).text == "three cups."


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "a/b", "../runs", "a\0b", "x" * 300, "\udc80", 7]
)
def test_what_is_no_run_id_is_refused(run_id, home):
    for action in (*actions(home, run_id), lambda: delete_run(run_id, home)):
        with pytest.raises(JournalError, match="no run id"):
            action()


# -- many, by chance ------------------------------------------------------------------------------

JUNK = (
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    "",
    "x",
    "\ud800",
    "call_1",
    "image_1",
    [],
    [[]],
    {},
    {"a": 1},
)


def mutated(rng: random.Random, content: bytes) -> bytes:
    """A journal with a few bytes, lines or fields of it changed."""
    kind = rng.choice(["bytes", "lines", "field", "field", "field"])
    if kind == "bytes":
        data = bytearray(content)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randint(1, 40)]
                case 2:
                    data[at:at] = rng.randbytes(rng.randint(1, 9))
            if not data:
                break
        return bytes(data)
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    if kind == "lines":
        match rng.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                rng.shuffle(lines)
            case 3:
                lines[at] = lines[at][: rng.randrange(len(lines[at]))] + b"\n"
        return b"".join(lines)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        lines[at] = json.dumps(with_junk(rng, json.loads(lines[at]))).encode() + b"\n"
    return b"".join(lines)


def with_junk(rng: random.Random, value: Any) -> Any:
    """The same JSON with one part replaced, removed, or of another name."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(sorted(value))
        match rng.randrange(6):
            case 0:
                return {each: part for each, part in value.items() if each != name}
            case 1:
                return {(f"{each}x" if each == name else each): v for each, v in value.items()}
            case _:
                return {**value, name: with_junk(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], with_junk(rng, value[at]), *value[at + 1 :]]
    return rng.choice(JUNK)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_nothing_but_a_journal_error_comes_of_any_damage(part, recorded, tmp_path):
    home, ids = recorded
    rng = random.Random(part)
    refused = 0
    for number in range(50):
        place = tmp_path / str(number)
        shutil.copytree(home, place)
        damaged = rng.choice(ids)
        path = place / "runs" / damaged / JOURNAL
        path.write_bytes(mutated(rng, path.read_bytes()))
        whole = [run_id for run_id in ids if run_id != damaged]
        others_are_well(place, damaged, whole)
        print_runs("show", damaged, keep=0, home=place, as_json=bool(number % 2))
        for action in actions(place, damaged):
            try:
                action()
            except (JournalError, PlannerFailed):  # the script may be over
                refused += 1
        prune_runs(place, keep=1)
        for line in list_runs(place):
            delete_run(line["run_id"], place)
        assert not any((place / "runs").iterdir())
        shutil.rmtree(place)
    assert refused > 50


def loop(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


def pipe(folder: Path) -> None:
    (folder / JOURNAL).unlink()
    os.mkfifo(folder / JOURNAL)


def device(folder: Path) -> None:
    (folder / JOURNAL).unlink()
    (folder / JOURNAL).symlink_to("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("damage", [loop, pipe, device])
def test_what_is_no_file_hides_no_other_run_and_is_not_waited_for(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    house = Agent(ScriptedPlanner(["Hello.", "Bye."]), [], home=tmp_path, verify=False)
    bad, good = house.ask("?"), house.ask("?")
    damage(bad.run_folder)
    states = {line["run_id"]: line["state"] for line in list_runs(tmp_path)}
    assert states[good.run_id] == "answered"
    assert states.get(bad.run_id) in (None, "unreadable")
    for attempt in (house.resume, partial(load_run, home=tmp_path)):
        with pytest.raises(JournalError):
            attempt(bad.run_id)
    assert house.resume(good.run_id).text == good.text
    prune_runs(tmp_path, keep=0)
    assert not list_runs(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_place_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    answer = Agent(ScriptedPlanner(["Hello."]), [], home=tmp_path).ask("?", image=PHOTO)
    answer.media[0].path.unlink()
    os.mkfifo(answer.media[0].path)
    with pytest.raises(MediaError, match="no ordinary file"):
        load_run(answer.run_id, tmp_path).picture()
