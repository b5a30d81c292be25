import re
from pathlib import Path

import pytest

from nuthatch.agent.answer import Draft
from nuthatch.agent.planner import Call, ScriptedPlanner
from nuthatch.mllm.generation.decoding import ContextTooLong
from nuthatch.training.data import words
from nuthatch.training.data.tool_schemas import schemas
from nuthatch.training.evaluate.first_turns import (
    DRAWN,
    Case,
    conversation,
    dead_handles,
    drawn,
    is_valid,
    of_request,
    planned,
)
from nuthatch.training.evaluate.requests import Request

NUMBER = 40
KNOWN = tuple(schemas().values())
CUP = Call("detect", {"image": "image_1", "labels": ["cup"]})
CASE = Case("Where is the cup?", ("image", "audio"), KNOWN, ((CUP,),), "find", complete=True)


def cases(kind: str) -> list[Case]:
    return [drawn(kind, 3, index) for index in range(NUMBER)]


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("kind", DRAWN)
def test_what_is_expected_is_valid_alive_and_repeatable(kind, tmp_path):
    assert drawn(kind, 3, 5) == drawn(kind, 3, 5)
    assert drawn(kind, 3, 5) != drawn(kind, 4, 5)
    for case in cases(kind):
        media = conversation(case, tmp_path).media
        for call in case.expect[0]:
            assert is_valid(call, case.tools), call
            assert not dead_handles(call, case.tools, media)


@pytest.mark.parametrize("kind", ["seen", "branches", "words", "both", "unseen_tools"])
def test_sets_for_calls_always_want_one(kind):
    assert all(case.expect[0] for case in cases(kind))


def test_talk_wants_none_though_tools_are_on_offer():
    assert all(case.tools and not case.expect[0] for case in cases("no_tool"))


@pytest.mark.parametrize("kind", ["words", "both"])
def test_unseen_words_are_in_the_arguments(kind):
    held = [*words.words("nouns", held=True), *words.words("adjectives", held=True)]
    held += words.words("common", held=True)
    for case in cases(kind):
        said = " ".join(strings([call.arguments for call in case.expect[0]]))
        assert any(re.search(rf"\b{word[:-1]}", said) for word in held), said


def test_every_tool_is_asked_for_in_held_out_forms():
    called = {case.expect[0][0].tool for case in (drawn("branches", 0, i) for i in range(36))}
    assert {"detect", "segment", "tag_sound", "generate_image", "calculate", "ground"} <= called


def test_a_request_by_hand_is_offered_the_whole_catalogue():
    request = Request("r1", "Where?", ("image",), ((CUP,),), "detection")
    case = of_request(request)
    assert {tool["name"] for tool in case.tools} == set(schemas())
    assert not case.complete


def test_media_are_live_under_the_names_that_requests_use(tmp_path):
    case = Case("?", ("image", "audio", "image"), KNOWN, ((),), "", complete=True)
    talk = conversation(case, tmp_path)
    assert talk.media.handles() == ["image_1", "audio_1", "image_2"]
    assert talk.media["image_1"].sha256 != talk.media["image_2"].sha256
    assert [tool["name"] for tool in talk.tools.schemas()] == list(schemas())


def row(tmp_path: Path, *calls: tuple[str, dict]) -> dict:
    return planned(ScriptedPlanner([list(calls)]), CASE, tmp_path)


def test_a_right_turn_is_told_from_a_wrong_one(tmp_path):
    right = row(tmp_path, ("detect", {"image": "image_1", "labels": ["Cups"]}))
    assert (right["right"], right["tools_right"], right["exact"]) == (True, True, False)
    assert (right["calls"], right["valid"], right["dead"]) == (1, 1, 0)
    wrong = row(tmp_path, ("detect", {"image": "image_1", "labels": ["dog"]}))
    assert (wrong["right"], wrong["tools_right"]) == (False, True)
    said = planned(ScriptedPlanner(["On the left."]), CASE, tmp_path)
    assert (said["right"], said["calls"], said["said"]) == (False, 0, "On the left.")


@pytest.mark.parametrize(
    "call",
    [
        ("paint", {"image": "image_1"}),
        ("detect", {"image": "image_1"}),
        ("detect", {"image": "image_1", "labels": ["cup"], "colour": "red"}),
        ("detect", {"image": "image_1", "labels": ["cup"], "threshold": 2}),
        ("tag_sound", {"audio": 1}),
    ],
)
def test_calls_that_no_tool_takes_are_not_valid(tmp_path, call):
    assert row(tmp_path, call)["valid"] == 0


def test_a_handle_that_names_nothing_or_another_kind_is_dead(tmp_path):
    for call in (
        ("detect", {"image": "image_7", "labels": ["cup"]}),
        ("detect", {"image": "audio_1", "labels": ["cup"]}),
        ("segment", {"image": "image_1", "detections": ["detection_1.1"]}),
    ):
        measured = row(tmp_path, call)
        assert (measured["dead"], measured["valid"]) == (1, 0)


class NoRoom:
    def plan(self, conversation: object) -> Draft:
        raise ContextTooLong("the prompt has 9,000 tokens")


def test_a_talk_without_room_is_told_and_is_never_right(tmp_path):
    case = Case("Hi", (), KNOWN, ((),), "greet", complete=True)
    measured = planned(NoRoom(), case, tmp_path)
    assert measured["refused"] == "the prompt has 9,000 tokens"
    assert not measured["right"]
