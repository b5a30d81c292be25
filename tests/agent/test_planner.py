"""The planner for users' unit tests."""

import pytest

from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, ScriptedPlanner
from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.media.store import MediaStore
from tests.agent.little_tools import Note


def talk(tmp_path) -> Conversation:
    conversation = Conversation(MediaStore(tmp_path), ToolSet([]))
    conversation.ask("How many?", [])
    return conversation


def test_it_says_its_script_one_turn_after_the_other(tmp_path):
    planner = ScriptedPlanner([("a", {"n": 1}), [("b", {}), ("c", {})], "Done."])
    conversation = talk(tmp_path)
    assert planner.plan(conversation) == [Call("a", {"n": 1})]
    assert planner.plan(conversation) == [Call("b", {}), Call("c", {})]
    assert planner.plan(conversation) == Draft("Done.")


def test_it_remembers_what_it_heard(tmp_path):
    planner = ScriptedPlanner([("a", {}), "Done."])
    conversation = talk(tmp_path)
    planner.plan(conversation)
    call = ToolCall("call_1", "a", {})
    conversation.call([call])
    conversation.observe(ToolResult(call, Note(text="seven"), None, 1.0))
    planner.plan(conversation)
    assert planner.received == ["How many?", "call_1 a: text: seven"]


def test_it_says_when_the_script_is_over(tmp_path):
    planner = ScriptedPlanner(["Done."])
    planner.plan(talk(tmp_path))
    with pytest.raises(IndexError, match="the script has 1 turns and was asked for turn 2"):
        planner.plan(talk(tmp_path))


def test_a_script_that_is_a_text_is_refused_with_what_to_write():
    with pytest.raises(TypeError, match=r"write ScriptedPlanner\(\['Done.'\]\)"):
        ScriptedPlanner("Done.")
