"""A talk as a planner sees it."""

import pytest

from nuthatch.agent.conversation import (
    MAX_CHARACTERS,
    Conversation,
    QuestionError,
    checked_question,
)
from nuthatch.mllm.chat import prompt_ids
from nuthatch.tools.base import Provenance, ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.media.store import MediaStore
from tests.agent.little_tools import PHOTO, Note
from tests.mllm.generation.speakers import tokenizer
from tests.tools.media.little_videos import write_video


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


# -- videos ---------------------------------------------------------------------------------------


def test_a_planner_reads_which_second_of_which_video_each_frame_is(tmp_path):
    conversation = Conversation(MediaStore(tmp_path), ToolSet([]))
    photo = conversation.media.add_image(PHOTO)
    path = write_video(tmp_path / "a.mp4", 30, sound=1.0)
    video = conversation.media.add_video(path, frames=2)
    conversation.ask("How many?", [item.handle for item in (photo, *video[1:])])
    said = [*conversation.parts(conversation.now), {"type": "text", "text": conversation.question}]
    ids = prompt_ids(tokenizer(), [{"role": "user", "content": said}])
    assert tokenizer().decode(ids) == (
        "<|bos|><|user|>image_1 <|image|> image_2 <|image|> (0.70 s of video_1) image_3 <|image|> "
        "(2.20 s of video_1) audio_1 <|audio|> (sound of video_1) How many?<|end|><|assistant|>"
    )


def test_a_result_says_which_frame_was_looked_at(tmp_path):
    conversation = talk(tmp_path)
    conversation.media.add_video(write_video(tmp_path / "a.mp4", 30), frames=1)
    conversation.media.add_image(PHOTO, made_by="call_1", parents=("image_2",))
    for handle, added in (
        ("image_1", ""),
        ("image_2", " (image_2: 1.40 s of video_1)"),
        ("image_3", " (image_3: 1.40 s of video_1)"),
    ):
        looked_at = Provenance("1", {}, {}, {handle: "sha256"})
        result = ToolResult(ToolCall("call_1", "say", {}), Note(text="a"), None, 1.0, looked_at)
        assert conversation.text(result) == f"call_1 say: text: a{added}"
