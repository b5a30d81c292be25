"""The loop: plan, call, observe, until there is a draft; and what ends it before."""

import threading
import time

import pytest

from nuthatch.agent.agent import Agent, PlannerFailed
from nuthatch.agent.answer import Draft
from nuthatch.agent.budget import Budget
from nuthatch.agent.journal import load_run, read_events
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base.toolset import ToolSet
from tests.agent.little_tools import PHOTO, Cut, Find, Judge, Lost, Say, Trouble

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})
CUPS = [(1, 1, 9, 9), (20, 5, 40, 25), (41, 1, 60, 30)]


def agent(tmp_path, *script, planner=None, budget=None, verify=False) -> Agent:
    tools = [Say(), Trouble(), Find(cup=CUPS), Cut(), Judge()]
    planner = planner or ScriptedPlanner(list(script))
    return Agent(planner, tools, budget=budget, verify=verify, home=tmp_path)


def events_of(answer) -> list[str]:
    return [event["event"] for event in read_events(answer.run_folder)]


# -- say, call, observe ---------------------------------------------------------------------------


def test_what_a_tool_finds_is_shown_to_the_planner_before_it_answers(tmp_path):
    planner = ScriptedPlanner([LOOK, "Three cups."])
    answer = agent(tmp_path, planner=planner).ask("How many cups?", image=PHOTO)
    assert answer.finished
    assert answer.text == "Three cups."
    assert [result.call.tool for result in answer.calls] == ["detect"]
    assert planner.received[0] == "How many cups?"
    assert planner.received[1].count("cup 0.90") == 3
    assert "detection_1.3" in planner.received[1]


def test_several_calls_of_one_turn_are_all_made_and_all_heard(tmp_path):
    planner = ScriptedPlanner([[LOOK, ("say", {"text": "hello"})], "Done."])
    answer = agent(tmp_path, planner=planner).ask("?", image=PHOTO)
    assert [result.call.id for result in answer.calls] == ["call_1", "call_2"]
    assert "hello" in planner.received[1]
    assert "call_1 detect" in planner.received[1]


def test_a_planner_that_answers_at_once_needs_no_tool(tmp_path):
    assert agent(tmp_path, "Seven.").ask("3 + 4?").calls == []


def test_each_part_of_a_run_is_timed(tmp_path):
    timing = agent(tmp_path, ("say", {"text": "a", "seconds": 0.05}), "x").ask("?").timing
    assert timing.tools >= 0.05
    assert timing.plan > 0
    assert timing.total >= timing.load + timing.plan + timing.tools + timing.verify


# -- a planner that errs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "explained"),
    [
        (("detekt", {}), "did you mean 'detect'"),
        (("detect", {"image": "image_9", "labels": ["cup"]}), "image_9"),
        (("detect", {"image": "image_1", "labels": "cup"}), "labels"),
        (("detect", None), "valid dictionary"),
        (("trouble", {"text": "wrong call"}), "say it otherwise"),
    ],
)
def test_a_wrong_call_is_explained_to_the_planner_and_not_raised_to_the_caller(
    wrong, explained, tmp_path
):
    planner = ScriptedPlanner([wrong, LOOK, "Three cups."])
    answer = agent(tmp_path, planner=planner).ask("?", image=PHOTO)
    assert explained in planner.received[1]
    assert answer.finished
    assert [result.ok for result in answer.calls] == [False, True]


def test_a_tool_that_cannot_work_here_is_told_to_the_planner(tmp_path):
    planner = ScriptedPlanner([("trouble", {"text": "unavailable"}), "I cannot look."])
    assert agent(tmp_path, planner=planner).ask("?").text == "I cannot look."
    assert "no weights here" in planner.received[1]


def test_wrong_calls_are_bounded(tmp_path):
    planner = Lost(text="wrong call", tool="nothing_like_it")
    answer = agent(tmp_path, planner=planner, budget=Budget(retries=2, repeats=99)).ask("?")
    assert not answer.finished
    assert "2 retries" in answer.reason
    assert "nothing_like_it" in answer.reason
    assert len(answer.calls) == 3


def test_a_right_call_between_makes_wrong_ones_forgivable(tmp_path):
    wrong, right = ("nothing", {}), [("say", {"text": str(n)}) for n in range(3)]
    script = [wrong, right[0], wrong, right[1], wrong, right[2], "Done."]
    assert agent(tmp_path, *script, budget=Budget(retries=1, repeats=5)).ask("?").finished


def test_the_same_call_again_and_again_is_stopped_with_the_reason(tmp_path):
    answer = agent(tmp_path, planner=Lost(text="same"), budget=Budget(repeats=2)).ask("?")
    assert not answer.finished
    assert "2 repeats of the same call, say" in answer.reason
    assert len(answer.calls) == 3


def test_a_planner_that_never_answers_is_stopped_after_its_steps(tmp_path):
    planner = Lost()
    answer = agent(tmp_path, planner=planner, budget=Budget(steps=4)).ask("?")
    assert not answer.finished
    assert "4 steps" in answer.reason
    assert answer.text == ""
    assert len(answer.calls) == 4


def test_a_turn_that_would_use_too_many_calls_is_not_begun(tmp_path):
    many = [("say", {"text": str(n)}) for n in range(3)]
    answer = agent(tmp_path, many, many, "x", budget=Budget(calls=5)).ask("?")
    assert "5 calls" in answer.reason
    assert len(answer.calls) == 3


def test_the_seconds_of_a_run_bound_a_tool_that_hangs(tmp_path):
    Trouble.release.clear()
    began = time.monotonic()
    answer = agent(tmp_path, ("trouble", {"text": "hang"}), "x", budget=Budget(seconds=0.2)).ask(
        "?"
    )
    Trouble.release.set()
    assert time.monotonic() - began < 10
    assert not answer.finished
    assert "0.2 seconds" in answer.reason
    assert answer.calls[0].fault.code == "timeout"


def test_the_seconds_of_a_run_bound_a_planner_that_hangs(tmp_path):
    class Stuck:
        release = threading.Event()

        def plan(self, conversation):
            self.release.wait(20)
            return Draft("late")

    answer = agent(tmp_path, planner=Stuck(), budget=Budget(seconds=0.1)).ask("?")
    Stuck.release.set()
    assert "planner did not end within 0.1 seconds" in answer.reason


def test_a_planner_that_raises_is_an_error_and_the_run_is_recorded_and_can_go_on(tmp_path):
    house = agent(tmp_path, ("say", {"text": "one"}))
    with pytest.raises(PlannerFailed, match="the script has 1 turns") as caught:
        house.ask("?")
    assert isinstance(caught.value.__cause__, IndexError)
    events = read_events(tmp_path / "runs" / caught.value.run_id)
    assert [event["event"] for event in events] == ["run", "turn", "result", "problem"]
    house.planner = ScriptedPlanner(["On again."])
    assert house.resume(caught.value.run_id).text == "On again."


@pytest.mark.parametrize(
    "said", ["text", None, [], [("say", {})], Draft(""), Draft("  "), Draft(3)]
)
def test_a_planner_that_says_no_turn_is_told_what_a_turn_is(said, tmp_path):
    class Odd:
        def plan(self, conversation):
            return said

    with pytest.raises(PlannerFailed, match=r"expected Draft\(text\) or a list of Call"):
        agent(tmp_path, planner=Odd()).ask("?")


def test_arguments_that_cannot_be_written_as_json_do_no_harm(tmp_path):
    odd = [("say", {"text": "\ud800"}), ("say", {"text": object()}), ("say", {1: b"\xff"})]
    answer = agent(tmp_path, odd, "Done.").ask("?")
    assert answer.finished
    assert [result.ok for result in answer.calls][1:] == [False, False]
    assert load_run(answer.run_id, tmp_path, tools=ToolSet([Say()])).text == "Done."


# -- a tool with a bug ----------------------------------------------------------------------------


def test_a_bug_in_a_tool_is_told_to_the_planner_which_goes_on(tmp_path):
    planner = ScriptedPlanner(
        [
            [("trouble", {"text": "x"}), ("say", {"text": "sibling"})],
            ("say", {"text": "on"}),
            "Done.",
        ]
    )
    answer = agent(tmp_path, planner=planner).ask("?")
    assert answer.finished
    assert [result.ok for result in answer.calls[:3]] == [False, True, True]
    heard = (
        "call_1 trouble failed (internal): trouble has a bug: ZeroDivisionError: division by zero"
    )
    assert planner.received[1].startswith(heard)
    results = [e for e in read_events(answer.run_folder) if e["event"] == "result"]
    line = next(e for e in results if e["result"]["fault"])  # siblings end in any order
    assert "Traceback" in line["result"]["fault"]["detail"]
    assert load_run(answer.run_id, tmp_path, tools=ToolSet([Say()])).text == "Done."


def test_a_planner_that_calls_a_tool_with_a_bug_again_and_again_is_stopped(tmp_path):
    script = [("trouble", {"text": str(n)}) for n in range(9)]
    answer = agent(tmp_path, *script, budget=Budget(retries=2)).ask("?")
    assert not answer.finished
    assert "2 retries did not lead to a valid call" in answer.reason
    assert len(answer.calls) == 3
