"""MULTIS records as talks; the golden conversations are those of the reference."""

import json
from random import Random

import pytest

from nuthatch.mllm.layout import Medium
from nuthatch.mllm.presets.chatbridge import CHAT
from nuthatch.training.data.multis import messages
from tests.paths import GOLDEN

GOLDEN = json.loads((GOLDEN / "multis_conversations.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=[case["task"] for case in GOLDEN])
def test_conversations_are_those_of_the_reference(case: dict) -> None:
    talk = messages(case["annotation"], case["task"], case["prompt"], Random(0))
    segments = CHAT.segments(talk)
    written = "".join("<query>" if isinstance(one, Medium) else one.text for one in segments)
    assert written == case["conversation"]


def test_one_of_several_captions_and_answers_is_drawn() -> None:
    captions = {"image_id": "1", "caption": ["a", "b", "c"]}
    said = {messages(captions, "ti-cap", "Say.", Random(seed))[1]["content"] for seed in range(20)}
    assert said == {"a\n", "b\n", "c\n"}
    asked = {"image_id": "1", "question": ["one?", "two?"], "answer": ["1", "2"]}
    pairs = {
        (talk[0]["content"][-1]["text"], talk[1]["content"])
        for talk in (messages(asked, "ti-normalqa", "<QUESTION>", Random(n)) for n in range(20))
    }
    assert pairs == {("one?", "1\n"), ("two?", "2\n")}


def test_a_conversation_is_read_up_to_its_eighth_message() -> None:
    turns = [{"from": who, "value": str(n)} for n in range(6) for who in ("human", "gpt")]
    assert len(messages({"conversations": turns}, "ti-conv", "", Random(0))) == 8
    assert len(messages({"conversations": turns[:9]}, "ti-conv", "", Random(0))) == 8
    assert len(messages({"conversations": turns}, "ti-det", "", Random(0))) == 2


@pytest.mark.parametrize(
    ("record", "task", "message"),
    [
        ({"caption": "a"}, "xx-cap", "task 'xx-cap'"),
        ({"caption": "a"}, "ti-xyz", "task 'ti-xyz'"),
        ({"caption": "a"}, "ti", "task 'ti'"),
        ({"image_id": "1"}, "ti-cap", "record with image_id"),
        ({"caption": []}, "ti-cap", r"caption = \[\], expected a text"),
        ({"desc": None}, "ti-cap", "desc = None"),
        ({"text": ["a", 5]}, "ti-ocr", r"text = \['a', 5\]"),
        ({"conversations": []}, "ti-conv", r"conversation of \[\]"),
        ({"conversations": [{"from": "gpt", "value": "a"}]}, "ti-conv", r"conversation of \['gpt'"),
        ({"conversations": [{"value": "a"}]}, "ti-conv", "messages with from and value"),
        ({"conversations": [{"from": "human"}]}, "ti-conv", "messages with from and value"),
        ({"conversations": None}, "ti-conv", "messages with from and value"),
    ],
)
def test_records_that_cannot_be_read_are_errors(record: dict, task: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        messages(record, task, "Say.", Random(0))


def test_one_question_may_have_several_answers() -> None:
    asked = {"question": "one?", "answer": ["1", "I"]}
    talks = [messages(asked, "ti-shortqa", "<QUESTION>", Random(seed)) for seed in range(20)]
    assert {talk[0]["content"][-1]["text"] for talk in talks} == {"one?"}
    assert {talk[1]["content"] for talk in talks} == {"1\n", "I\n"}


@pytest.mark.parametrize(
    ("questions", "answers", "message"),
    [
        (["one?", "two?"], ["1", "2", "3"], "2 questions with 3 answers"),
        (["one?", "two?", "three?"], "1", "3 questions with 1 answers"),
        ("one?", None, "answer = None"),
        ("one?", [], r"answer = \[\]"),
        ([], "1", r"question = \[\]"),
    ],
)
def test_questions_and_answers_that_do_not_go_together_are_errors(
    questions: object, answers: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        messages({"question": questions, "answer": answers}, "ti-shortqa", "<QUESTION>", Random(0))
    if answers is None:
        with pytest.raises(ValueError, match=message):
            messages({"question": questions}, "ti-shortqa", "<QUESTION>", Random(0))


@pytest.mark.parametrize(
    ("record", "instruction"),
    [({"caption": "a"}, "In short, <QUESTION>"), ({"question": "q?", "answer": "a"}, "In short.")],
)
def test_an_instruction_has_a_place_for_a_question_where_there_is_one(
    record: dict, instruction: str
) -> None:
    with pytest.raises(ValueError, match="<QUESTION>"):
        messages(record, "ti-shortqa", instruction, Random(0))
