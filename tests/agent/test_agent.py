"""What a caller of `Agent` may rely on."""

import asyncio
import json
import time

import pytest
import torch

from nuthatch.agent.agent import Agent, PlannerFailed
from nuthatch.agent.answer import Answered, ClaimChecked, Draft, Drafted, ToolFinished, ToolStarted
from nuthatch.agent.budget import Budget
from nuthatch.agent.journal import JOURNAL, JournalError, read_events
from nuthatch.agent.planner import Call, ScriptedPlanner
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.media.ingest import MediaError
from tests.agent.little_tools import PHOTO, TONE, Cut, Find, Judge, Lost, Say, Trouble

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})
CUPS = [(1, 1, 9, 9), (20, 5, 40, 25), (41, 1, 60, 30)]


def agent(tmp_path, *script, planner=None, budget=None, verify=False) -> Agent:
    tools = [Say(), Trouble(), Find(cup=CUPS), Cut(), Judge()]
    planner = planner or ScriptedPlanner(list(script))
    return Agent(planner, tools, budget=budget, verify=verify, home=tmp_path)


def events_of(answer) -> list[str]:
    return [event["event"] for event in read_events(answer.run_folder)]


# -- what comes in --------------------------------------------------------------------------------


def test_several_pictures_and_sounds_get_a_handle_each(tmp_path):
    answer = agent(tmp_path, "Done.").ask("?", image=[PHOTO, PHOTO // 2], audio=TONE)
    assert [media.handle for media in answer.media] == ["image_1", "image_2", "audio_1"]


def test_a_sound_with_its_rate_is_one_sound(tmp_path):
    answer = agent(tmp_path, "Done.").ask("?", audio=(TONE[::2], 8000))
    assert [media.handle for media in answer.media] == ["audio_1"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("x" * 100_000, "100,000 characters"),
        (None, "expected text"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_before_anything_runs(question, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        agent(tmp_path, "x").ask(question)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "question", ["有几个杯子？", "كم عدد الأكواب؟", "Сколько?", "🐦?", "a\ud800b"]
)
def test_any_script_can_be_asked_in_and_is_read_back(question, tmp_path):
    planner = ScriptedPlanner(["Done."])
    answer = agent(tmp_path, planner=planner).ask(question)
    assert planner.received == [question.encode("utf-8", "replace").decode()]
    assert read_events(answer.run_folder)[0]["question"] == planner.received[0]


def test_a_picture_that_cannot_be_read_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(MediaError, match="there is no file"):
        agent(tmp_path, "x").ask("?", image=str(tmp_path / "gone.png"))
    assert not (tmp_path / "runs").exists()


def test_a_home_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(JournalError, match="NUTHATCH_HOME"):
        agent(tmp_path, "x").ask("?")


def test_home_is_taken_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path / "nest"))
    answer = Agent(ScriptedPlanner(["Done."]), [], verify=False).ask("?")
    assert answer.run_folder.parent == tmp_path / "nest" / "runs"


# -- events ---------------------------------------------------------------------------------------


def test_a_stream_tells_each_step_and_ends_with_the_answer(tmp_path):
    heard = list(agent(tmp_path, LOOK, "Three cups.").stream("?", image=PHOTO))
    assert [type(event) for event in heard] == [ToolStarted, ToolFinished, Answered]
    assert heard[-1].answer.text == "Three cups."


def test_no_draft_is_streamed_unless_drafts_are_asked_for(tmp_path):
    script = [LOOK, "Two cups."]
    plain = list(agent(tmp_path, *script, verify=True).stream("?", image=PHOTO))
    assert not any(isinstance(event, Drafted) for event in plain)
    assert [event.verdict.verdict for event in plain if isinstance(event, ClaimChecked)] == [
        "refuted"
    ]
    said = list(agent(tmp_path, *script, verify=True).stream("?", image=PHOTO, drafts=True))
    assert [event.draft.text for event in said if isinstance(event, Drafted)] == ["Two cups."]


def test_an_error_is_raised_where_the_stream_is_read(tmp_path):
    with pytest.raises(PlannerFailed):
        list(agent(tmp_path, ("say", {"text": "a"})).stream("?"))


def test_whoever_stops_listening_stops_the_run(tmp_path):
    planner = Lost()
    stream = agent(tmp_path, planner=planner, budget=Budget(steps=10**6, calls=10**6)).stream("?")
    next(stream)
    stream.close()
    (folder,) = (tmp_path / "runs").iterdir()
    for _ in range(200):
        events = read_events(folder)
        if events[-1]["event"] == "answer":
            break
        time.sleep(0.01)
    assert "nobody waits" in events[-1]["answer"]["reason"]


def test_what_a_listener_raises_reaches_the_caller_and_the_run_can_go_on(tmp_path):
    house = agent(tmp_path, LOOK, "Three cups.")

    def listen(event) -> None:
        if isinstance(event, ToolFinished):
            raise KeyError("the listener's own bug")

    with pytest.raises(KeyError, match="own bug"):
        house.ask("?", image=PHOTO, on_event=listen)
    (folder,) = (tmp_path / "runs").iterdir()
    answer = house.resume(folder.name)
    assert answer.text == "Three cups."
    assert len(answer.calls) == 1


# -- without blocking -----------------------------------------------------------------------------


def test_several_questions_can_be_asked_at_once(tmp_path):
    class Patient:
        def plan(self, conversation):
            if conversation.now.observed:
                return Draft(conversation.now.observed[0].value.text)
            return [Call("say", {"text": conversation.question, "seconds": 0.05})]

    house = agent(tmp_path, planner=Patient())

    async def ask_all():
        return await asyncio.gather(*(house.aask(f"question {n}") for n in range(6)))

    answers = asyncio.run(ask_all())
    assert [answer.text for answer in answers] == [f"question {n}" for n in range(6)]
    assert len({answer.run_id for answer in answers}) == 6


def test_a_cancelled_task_stops_its_run(tmp_path):
    planner = Lost()
    house = agent(tmp_path, planner=planner, budget=Budget(steps=10**6, calls=10**6))

    async def cancel():
        task = asyncio.create_task(house.aask("?"))
        while not planner.turns:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    (folder,) = (tmp_path / "runs").iterdir()
    last = json.loads((folder / JOURNAL).read_text().splitlines()[-1])
    assert "nobody waits" in last["answer"]["reason"]


# -- the next question ----------------------------------------------------------------------------


def test_the_next_question_of_a_talk_knows_its_media_and_what_was_said(tmp_path):
    class Nosy(ScriptedPlanner):
        def plan(self, conversation):
            self.seen = [(e.question, e.answer) for e in conversation.exchanges]
            self.handles = conversation.media.handles()
            return super().plan(conversation)

    first = agent(tmp_path, LOOK, "Three cups.").ask("How many cups?", image=PHOTO)
    planner = Nosy([("say", {"text": "hm"}), "The first one."])
    second = agent(tmp_path, planner=planner).ask("Which is left?", image=PHOTO // 3, after=first)
    assert planner.seen == [("How many cups?", "Three cups."), ("Which is left?", None)]
    assert planner.handles[:2] == ["image_1", "image_2"]
    assert "detection_1.3" in planner.handles
    assert [result.call.id for result in second.calls] == ["call_2"]
    assert second.text == "The first one."


def test_a_talk_may_go_on_in_two_ways_from_one_answer(tmp_path):
    first = agent(tmp_path, LOOK, "Three.").ask("How many?", image=PHOTO)
    left = agent(tmp_path, "Left.").ask("Where?", after=first)
    right = agent(tmp_path, "Right.").ask("Where?", after=first.run_id, image=PHOTO // 2)
    assert [m.handle for m in left.media] == ["image_1"]
    assert [m.handle for m in right.media] == ["image_1", "image_2"]


def test_a_third_question_still_knows_the_first(tmp_path):
    answer = agent(tmp_path, LOOK, "One.").ask("1?", image=PHOTO)
    answer = agent(tmp_path, LOOK, "Two.").ask("2?", after=answer)
    planner = ScriptedPlanner([("detect", {"image": "image_1", "labels": ["cup"]}), "Three."])
    answer = agent(tmp_path, planner=planner).ask("3?", after=answer)
    assert "detection_3.1" in planner.received[1]
    assert answer.calls[0].call.id == "call_3"


def test_going_on_with_a_run_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(JournalError, match="there is no run"):
        agent(tmp_path, "x").ask("?", after="20200101-000000000-abcdef")


@pytest.mark.parametrize(
    ("asked", "gpus", "told"),
    [
        ("cuda", 0, r"no device 'cuda:0' here: torch \S+ sees cpu\. Give device=\"cpu\""),
        ("cuda:2", 2, r"no device 'cuda:2' here: torch \S+ sees cpu, cuda:0, cuda:1\."),
    ],
)
def test_a_gpu_that_is_not_here_is_told_with_what_is(asked, gpus, told, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ToolUnavailable, match=told):
        Agent.load("embedded", device=asked, home=tmp_path)
