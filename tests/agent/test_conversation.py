"""A talk as a planner sees it."""

import pytest

from nuthatch.agent.conversation import (
    MAX_CHARACTERS,
    Conversation,
    QuestionError,
    checked_question,
)
from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.media import MediaStore
from nuthatch.tools.toolset import ToolSet
from tests.agent.little_tools import PHOTO, Note


def talk(tmp_path) -> Conversation:
    conversation = Conversation(MediaStore(tmp_path), ToolSet([]))
    conversation.ask("How many?", [conversation.media.add_image(PHOTO).handle])
    return conversation


def said(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call, Note(text=text), None, 1.0)


def test_results_are_in_the_order_of_the_calls_whatever_ended_first(tmp_path):
    conversation = talk(tmp_path)
    first, second = ToolCall("call_1", "say", {}), ToolCall("call_2", "say", {})
    conversation.call([first, second])
    conversation.observe(said(second, "b"))
    assert conversation.now.unfinished == [first]
    conversation.observe(said(first, "a"))
    assert [result.value.text for result in conversation.now.observed] == ["a", "b"]
    assert conversation.now.unfinished == []
    assert conversation.latest == "call_1 say: text: a\ncall_2 say: text: b"


def test_each_question_begins_with_no_observations_and_keeps_the_media(tmp_path):
    conversation = talk(tmp_path)
    conversation.call([ToolCall("call_1", "say", {})])
    conversation.observe(said(ToolCall("call_1", "say", {}), "a"))
    conversation.ask("And now?", [])
    assert conversation.now.observed == []
    assert conversation.latest == conversation.question == "And now?"
    assert conversation.media.handles("image") == ["image_1"]


def test_a_question_of_the_largest_length_is_taken():
    assert len(checked_question("x" * MAX_CHARACTERS)) == MAX_CHARACTERS


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("", "is empty"),
        ("\u3000\n", "is empty"),
        ("x" * 20_001, "20,001 characters"),
        (7, "type int"),
    ],
)
def test_what_is_no_question_is_refused_with_what_was_given(question, said):
    with pytest.raises(QuestionError, match=said) as caught:
        checked_question(question)
    assert caught.value.code == "invalid_question"


def test_what_is_no_unicode_becomes_a_question_mark():
    assert checked_question("a\udcffb") == "a?b"
