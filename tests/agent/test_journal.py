"""A run is written down as it happens, and can be read back, gone on with, and thrown away."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from nuthatch.agent.agent import Agent
from nuthatch.agent.answer import Answer
from nuthatch.agent.journal import (
    FORMAT,
    JOURNAL,
    Journal,
    JournalError,
    Recorded,
    load_run,
    new_run_id,
    read_events,
    read_run,
)
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base import Provenance, ToolCall, ToolResult
from nuthatch.tools.base.function_tool import tool
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.faults import Fault
from tests.agent import killed_run
from tests.agent.little_tools import PHOTO, TONE, Cut, Find, Found, Judge, Note, Say, Trouble

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})
TOOLS = ToolSet([Find(cup=[(1, 1, 9, 9.5)]), Say(), Cut(), Trouble(), Judge()])


def ask(home: Path, *script, verify=False, **given) -> Answer:
    return Agent(ScriptedPlanner(list(script)), TOOLS, verify=verify, home=home).ask("?", **given)


def cut_off(answer: Answer, events: int) -> str:
    """Leave only the first events of a run, as a kill would; its id."""
    path = answer.run_folder / JOURNAL
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:events]))
    return answer.run_id


# -- writing --------------------------------------------------------------------------------------


def test_every_event_is_on_disk_before_the_next_thing_happens(tmp_path):
    def events_so_far(event) -> None:
        (folder,) = (tmp_path / "runs").iterdir()
        seen.append([each["event"] for each in read_events(folder)])

    seen: list[list[str]] = []
    ask(tmp_path, ("say", {"text": "a"}), "Done.", on_event=events_so_far)
    started, finished, answered = seen
    assert started == ["run", "turn"]
    assert finished == ["run", "turn", "result"]
    assert answered == ["run", "turn", "result", "draft", "answer"]


def test_a_step_costs_the_same_bytes_however_long_the_run_and_however_large_the_picture(tmp_path):
    def bytes_per_step(steps: int, picture) -> float:
        script = [("say", {"text": f"{n:03}"}) for n in range(steps)]
        agent = Agent(ScriptedPlanner([*script, "."]), TOOLS, verify=False, home=tmp_path)
        agent.budget = type(agent.budget)(steps=999, calls=999)
        lines = (agent.ask("?", image=picture).run_folder / JOURNAL).read_bytes().splitlines()
        steps_only = [line for line in lines if b'"turn"' in line or b'"result"' in line]
        return sum(map(len, steps_only)) / steps

    short = bytes_per_step(10, PHOTO)
    assert bytes_per_step(80, PHOTO) == pytest.approx(short, rel=0.05)
    assert bytes_per_step(10, PHOTO.repeat(20, 0).repeat(20, 1)) == pytest.approx(short, rel=0.05)


def test_media_lie_once_by_content_and_are_shared_by_runs(tmp_path):
    first = ask(tmp_path, "x", image=PHOTO, audio=TONE)
    second = ask(tmp_path, "x", image=PHOTO, audio=TONE)
    assert [m.path for m in first.media] == [m.path for m in second.media]
    assert len(list((tmp_path / "blobs").iterdir())) == 2


def test_run_ids_sort_by_time_and_do_not_collide():
    ids = [new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert sorted(ids, key=lambda each: each[:21]) == ids
    assert re.fullmatch(r"\d{8}-\d{12}-[0-9a-f]{6}", ids[0])


def test_one_run_is_written_by_one_process_at_a_time(tmp_path):
    journal = Journal.open(tmp_path, "a")
    with pytest.raises(JournalError, match="another process is at run a") as caught:
        Journal.open(tmp_path, "a")
    assert caught.value.code == "run_busy"
    journal.close()
    Journal.open(tmp_path, "a").close()


# -- reading --------------------------------------------------------------------------------------


class Deep(BaseModel):
    inside: Note
    number: float


class Nest(Say):
    """Give a value with a value inside."""

    name = "nest"
    Result = Deep


@pytest.mark.parametrize("number", [0.1 + 0.2, 1e-300, float("inf"), -0.0])
def test_a_result_comes_back_as_it_was_with_all_that_it_holds(number, tmp_path):
    inner = ToolResult(
        ToolCall("call_1.1", "say", {"text": "ü\n"}), Note(text="ü\n"), None, 0.5, None, ("text",)
    )
    result = ToolResult(
        ToolCall("call_1", "nest", {"text": "x", "list": [1, None, True]}),
        Deep(inside=Note(text="日本"), number=number),
        Fault("timeout", "late", "detail"),
        1.25,
        Provenance("2", {"detect": "ff"}, {"a": [1]}, {"image_1": "00"}, parent="call_0"),
        ("inside",),
        (inner,),
    )
    journal = Journal.open(tmp_path, "a")
    journal.write("run", format=FORMAT, question="?", given=[], after=None, media=[])
    for each in (inner, replace(result, children=())):
        journal.write("result", result=each, media=[])
    journal.close()
    back = read_run("a", ToolSet([Nest(), Say()]), tmp_path).results["call_1"]
    assert back == result


@tool
def statistics(seed: int) -> dict[str, Any]:
    """Numbers of many kinds."""
    return {
        "mean": np.float64(0.5),
        "counts": np.arange(seed),
        "rest": (math.nan, b"\xff", {1, 2}, Decimal("1.10"), date(2026, 1, 31)),
    }


@tool
def ratio(seed: int) -> float:
    """A ratio of nothing to nothing."""
    return math.nan


@tool
def handle_of_a_file(seed: int) -> Any:
    """What cannot be written down."""
    return object()


@tool
def surrogate(seed: int) -> str:
    """Text that is no Unicode."""
    return "a\udc80"


def test_what_a_tool_returned_is_what_a_resumed_run_reads_or_the_tool_is_told(tmp_path):
    tools = ToolSet([statistics, ratio, handle_of_a_file, surrogate])
    script = [(each.name, {"seed": 2}) for each in tools]
    whole = Agent(ScriptedPlanner([script, "x"]), tools, verify=False, home=tmp_path).ask("?")
    again = load_run(whole.run_id, tmp_path, tools=tools)
    for live, read in zip(whole.calls[:2], again.calls[:2], strict=True):
        assert live.ok
        assert type(read.value) is type(live.value)
        assert repr(read.value) == repr(live.value)
    for result, said in zip(whole.calls[2:], ("of type object", "no Unicode"), strict=True):
        assert said in result.fault.message


def test_the_json_of_an_answer_holds_the_results(tmp_path):
    tools = ToolSet([statistics, ratio, Say()])
    script = [
        ("statistics", {"seed": 2}),
        ("ratio", {"seed": 1}),
        ("say", {"text": "a\ud800\x00", "more": np.arange(1)}),
        ("say", {"text": "a\ud800\x00"}),
    ]
    planner = ScriptedPlanner([script, "Done\ud800\x1b."])
    answer = Agent(planner, tools, verify=False, home=tmp_path).ask("?")
    assert answer.text == "Done?\x1b."
    written = json.loads(answer.model_dump_json())
    assert written["calls"] == answer.model_dump(mode="json")["calls"]
    values = [call["value"] for call in written["calls"]]
    assert values[0]["value"]["counts"] == [0, 1]
    assert values[0]["value"]["rest"][0] == values[1]["value"] == "NaN"
    assert values[3] == {"text": "a?\x00"}
    assert written["calls"][2]["call"]["arguments"] == {"text": "a?\x00", "more": [0]}
    assert load_run(answer.run_id, tmp_path, tools=tools).text == answer.text
    again = Answer.model_validate_json(answer.model_dump_json())
    assert json.loads(again.model_dump_json()) == written


def test_a_journal_of_the_format_before_this_one_is_read(tmp_path):
    answer = ask(tmp_path, LOOK, ("say", {"text": "$tuple"}), "Two.", image=PHOTO)
    path = answer.run_folder / JOURNAL
    path.write_bytes(path.read_bytes().replace(b'"format": 3', b'"format": 2'))
    assert load_run(answer.run_id, tmp_path, tools=TOOLS) == answer


def test_a_value_whose_tool_is_gone_is_kept_as_it_was_written(tmp_path):
    answer = ask(tmp_path, ("say", {"text": "a"}), "x")
    (result,) = load_run(answer.run_id, tmp_path, tools=ToolSet([])).calls
    assert isinstance(result.value, Recorded)
    assert result.value.model_dump() == {"text": "a"}


def test_an_answer_can_be_rebuilt_with_no_model_and_is_the_same(tmp_path):
    answer = ask(tmp_path, LOOK, ("cut", {"image": "image_1"}), "Two.", verify=True, image=PHOTO)
    again = load_run(answer.run_id, tmp_path, tools=TOOLS)
    assert again == answer
    assert isinstance(again.calls[0].value, Found)
    assert again.calls[0].value.detections[0].box.y2 == 9.5


def test_an_answer_is_rebuilt_with_the_tools_of_the_package_by_default(tmp_path):
    answer = ask(tmp_path, "Two.", image=PHOTO)
    assert load_run(answer.run_id, tmp_path) == answer


def test_a_torn_last_line_is_left_out(tmp_path):
    answer = ask(tmp_path, ("say", {"text": "a"}), "x")
    path = answer.run_folder / JOURNAL
    whole = path.read_bytes()
    for cut in (1, 5, 30):
        path.write_bytes(whole[:-cut])
        assert [e["event"] for e in read_events(path.parent)][-1] == "draft"


def test_going_on_after_a_torn_line_starts_a_line_of_its_own(tmp_path):
    answer = ask(tmp_path, ("say", {"text": "a"}), "x")
    path = answer.run_folder / JOURNAL
    path.write_bytes(path.read_bytes()[:-7])
    again = Agent(ScriptedPlanner([]), TOOLS, verify=False, home=tmp_path).resume(answer.run_id)
    assert again.text == "x"
    for line in path.read_text().splitlines():
        json.loads(line)


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    answer = ask(tmp_path, ("say", {"text": "a"}), "x")
    path = answer.run_folder / JOURNAL
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-9], *lines[2:]]) + "\n")
    with pytest.raises(JournalError, match="line 2 is damaged"):
        load_run(answer.run_id, tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"event": "ru'])
def test_a_run_that_was_killed_before_anything_was_recorded_says_so(content, tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / JOURNAL).write_bytes(content)
    with pytest.raises(JournalError, match="before anything was recorded"):
        load_run("a", tmp_path)


def test_a_home_that_was_moved_stays_readable(tmp_path):
    answer = ask(tmp_path / "old", LOOK, "x", image=PHOTO)
    (tmp_path / "old").rename(tmp_path / "new")
    again = load_run(answer.run_id, tmp_path / "new")
    assert again.media[0].path.is_file()


# -- going on -------------------------------------------------------------------------------------


def kill_after(lines: int, home: Path, notes: Path) -> str:
    """Start a run in a process, kill -9 it once so many notes were written; its id."""
    process = subprocess.Popen(
        [sys.executable, killed_run.__file__, str(home), str(notes)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if notes.exists() and len(notes.read_text().splitlines()) >= lines:
            break
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (folder,) = (home / "runs").iterdir()
    return folder.name


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_run_that_was_killed_goes_on_and_repeats_no_finished_call(lines, tmp_path):
    home, notes = tmp_path / "home", tmp_path / "notes"
    run_id = kill_after(lines, home, notes)
    before = read_run(run_id, ToolSet([]), home)
    finished = [result.call.arguments.get("text") for result in before.results.values()]
    answer = killed_run.agent(home, notes, len(before.turns)).resume(run_id)
    assert answer.text == "All noted."
    written = notes.read_text().split()
    assert set(written) == {"one", "two", "quick", "slow", "three"}
    for text in filter(None, finished):
        assert written.count(text) == 1
    assert [result.call.id for result in answer.calls] == [f"call_{n}" for n in range(1, 8)]
    assert all(result.ok for result in answer.calls)
    assert [media.handle for media in answer.media][:2] == ["image_1", "image_2"]
    assert load_run(run_id, home, tools=killed_run.agent(home, notes).tools).text == "All noted."


@pytest.mark.parametrize("events", range(1, 10))
def test_a_run_goes_on_from_wherever_it_was_cut_off(events, tmp_path):
    script = [[LOOK, ("say", {"text": "a"})], ("cut", {"image": "image_1"}), "Two cups."]
    whole = ask(tmp_path, *script, verify=True, image=PHOTO)
    run_id = cut_off(whole, events)
    turns = len(read_run(run_id, TOOLS, tmp_path).turns)
    planner = ScriptedPlanner(script[turns:])
    again = Agent(planner, TOOLS, home=tmp_path).resume(run_id)
    assert again.text == whole.text == "three cups."
    assert [r.call for r in again.calls] == [r.call for r in whole.calls]
    assert [r.value for r in again.calls] == [r.value for r in whole.calls]
    assert [m.handle for m in again.media] == [m.handle for m in whole.media]


def test_a_check_that_was_made_is_not_made_again(tmp_path):
    class CountingJudge(Judge):
        made = 0

        def run(self, args, context):
            CountingJudge.made += 1
            return super().run(args, context)

    house = Agent(ScriptedPlanner(["Two cups."]), [CountingJudge()], home=tmp_path)
    whole = house.ask("?", image=PHOTO)
    run_id = cut_off(whole, 3)  # run, draft, result of the check
    assert house.resume(run_id).verdicts == whole.verdicts
    assert CountingJudge.made == 1


def test_an_answered_run_is_answered_from_its_journal(tmp_path):
    answer = ask(tmp_path, LOOK, "One.", image=PHOTO)
    planner = ScriptedPlanner([])
    assert Agent(planner, TOOLS, verify=False, home=tmp_path).resume(answer.run_id) == answer
    assert planner.received == []


def test_a_run_that_another_process_ends_just_before_it_is_locked_is_not_gone_on_with(
    tmp_path, monkeypatch
):
    whole = ask(tmp_path, ("say", {"text": "a"}), "One.")
    path = whole.run_folder / JOURNAL
    content = path.read_bytes()
    cut_off(whole, 2)
    real = Journal.__init__

    def late(self, *args, **options):
        path.write_bytes(content)
        real(self, *args, **options)

    monkeypatch.setattr(Journal, "__init__", late)
    assert Agent(ScriptedPlanner([]), TOOLS, verify=False, home=tmp_path).resume(whole.run_id) == (
        whole
    )
    assert path.read_bytes() == content


def test_what_was_used_of_the_budget_counts_after_a_kill_too(tmp_path):
    script = [("say", {"text": str(n)}) for n in range(5)]
    whole = ask(tmp_path, *script, "x")
    run_id = cut_off(whole, 1 + 2 * 3)  # three steps done
    house = Agent(ScriptedPlanner(script[3:]), TOOLS, verify=False, home=tmp_path)
    house.budget = type(house.budget)(steps=4)
    answer = house.resume(run_id)
    assert not answer.finished
    assert "4 steps" in answer.reason
    assert len(answer.calls) == 4


def test_names_of_detections_are_not_given_twice_after_a_kill(tmp_path):
    script = [[("detect", {"image": "image_9", "labels": ["cup"]}), LOOK], LOOK, "x"]
    whole = ask(tmp_path, *script, image=PHOTO)
    assert whole.calls[1].value.detections[0].handle == "detection_2.1"
    run_id = cut_off(whole, 4)
    again = Agent(ScriptedPlanner(script[1:]), TOOLS, verify=False, home=tmp_path).resume(run_id)
    handles = [result.value.detections[0].handle for result in again.calls[1:]]
    assert handles == ["detection_2.1", "detection_3.1"]


class FindTwice(Find):
    """Look through another tool, twice."""

    name = "find_twice"

    def run(self, args, context):
        context.call("detect", image=args.image, labels=args.labels)
        return context.call("detect", image=args.image, labels=args.labels)


def test_names_that_inner_calls_gave_are_not_given_twice_either(tmp_path):
    tools = TOOLS.with_tools(FindTwice())
    script = [("find_twice", LOOK[1]), LOOK, "x"]
    house = Agent(ScriptedPlanner(script), tools, verify=False, home=tmp_path)
    whole = house.ask("?", image=PHOTO)
    assert whole.calls[1].value.detections[0].handle == "detection_4.1"
    run_id = cut_off(whole, 5)  # run, turn, two inner results and the outer one
    again = Agent(ScriptedPlanner(script[1:]), tools, verify=False, home=tmp_path).resume(run_id)
    assert again.calls[1].value.detections[0].handle == "detection_4.1"


class CountedFind(Find):
    """Count how often it looks."""

    def run(self, args, context):
        self.looks = getattr(self, "looks", 0) + 1
        return super().run(args, context)


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_inner_calls_that_ended_are_not_made_again_when_the_outer_one_is(ended, tmp_path):
    script = [("find_twice", LOOK[1]), "x"]
    whole = Agent(
        ScriptedPlanner(script), TOOLS.with_tools(FindTwice()), verify=False, home=tmp_path
    ).ask("?", image=PHOTO)
    run_id = cut_off(whole, 2 + ended)  # run, turn, then the inner results
    find = CountedFind(cup=[(1, 1, 9, 9.5)])
    tools = TOOLS.with_tools(find, FindTwice())
    again = Agent(ScriptedPlanner(script[1:]), tools, verify=False, home=tmp_path).resume(run_id)
    assert getattr(find, "looks", 0) == 2 - ended
    (outer,) = again.calls
    assert [inner.call.id for inner in outer.children] == ["call_1.1", "call_1.2"]
    assert load_run(run_id, tmp_path, tools=tools).calls == again.calls
