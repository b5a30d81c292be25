"""Journals that an earlier version wrote are read, resumed and continued."""

import shutil
from pathlib import Path

import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.journal import read_events
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.catalogue import default_tools
from tests.agent.scripted_run import BROKEN_OFF, FINISHED, OLD, agent, normalised
from tests.paths import GOLDEN
from tests.tools.verification.worlds import weights


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    shutil.copytree(OLD / "blobs", tmp_path / "blobs")
    for run_id in (FINISHED, BROKEN_OFF):
        folder = tmp_path / "runs" / run_id
        folder.mkdir(parents=True)
        shutil.copy(OLD / f"{run_id}.jsonl", folder / "journal.jsonl")
    return tmp_path


def test_an_old_journal_is_read_as_it_was_written(old_home: Path) -> None:
    events = read_events(old_home / "runs" / FINISHED)
    assert normalised(events) == (GOLDEN / "planner" / "journal.jsonl").read_text(encoding="utf-8")
    answer = agent(old_home).resume(FINISHED)
    assert read_events(old_home / "runs" / FINISHED) == events, "a finished run is not continued"
    assert answer.finished
    assert "There is no cat." in answer.text
    kinds = {result.call.id: type(result.value).__name__ for result in answer.calls if result.ok}
    assert "Recorded" not in kinds.values(), "results have the types of their tools"
    assert [item.handle for item in answer.media] == ["image_1", "audio_1", "image_2"]
    assert all(item.path.is_file() for item in answer.media)
    codes = [result.fault.code for result in answer.calls if result.fault]
    assert codes == ["refused", "internal", "unknown_tool", "asset_not_found"]


def test_an_old_run_that_was_killed_is_resumed(old_home: Path) -> None:
    before = read_events(old_home / "runs" / BROKEN_OFF)
    turns = sum(event["event"] == "turn" for event in before)
    answer = agent(old_home, turns).resume(BROKEN_OFF)
    after = read_events(old_home / "runs" / BROKEN_OFF)
    assert after[: len(before)] == before
    whole = agent(old_home).resume(FINISHED)
    assert (answer.text, answer.verdicts) == (whole.text, whole.verdicts)
    assert [call.call for call in answer.calls] == [call.call for call in whole.calls]


def test_the_conversation_of_an_old_run_goes_on(old_home: Path) -> None:
    planner = ScriptedPlanner(["There are three cups."])
    more = Agent(planner, default_tools(), weights=weights(), home=old_home)
    assert more.ask("Sure?", after=FINISHED).text == "There are three cups."
