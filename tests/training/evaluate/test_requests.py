import json
import re

import pytest

from nuthatch.agent.planner import Call
from nuthatch.training.data import tool_schemas
from nuthatch.training.evaluate.requests import (
    RequestError,
    is_exact,
    is_right,
    read_requests,
    same_tools,
)
from tests.paths import ROOT

REQUESTS = ROOT / "tests" / "data" / "requests.jsonl"
CUP = Call("detect", {"image": "image_1", "labels": ["cup"]})


def detect(*labels: str, **more) -> Call:
    return Call("detect", {"image": "image_1", "labels": list(labels), **more})


def test_the_requests_are_read_and_every_expected_call_names_a_tool_of_the_catalogue():
    requests = read_requests(REQUESTS)
    assert len(requests) == 160
    assert len({request.id for request in requests}) == 160
    schemas = tool_schemas.schemas()
    for request in requests:
        for turn in request.expect:
            for call in turn:
                assert set(call.arguments) <= set(schemas[call.tool]["parameters"]["properties"])
            assert is_right(turn, request.expect)


def test_no_code_that_makes_training_data_or_trains_knows_the_requests():
    read_for_training = [
        path
        for folder in ("data", "stages", "perceive", "world", "recipes")
        for path in (ROOT / "training" / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".txt")
    ]
    read_for_training += list((ROOT / "training").glob("*.py"))
    assert len(read_for_training) > 40
    for path in read_for_training:
        text = path.read_text(encoding="utf-8")
        assert "requests.jsonl" not in text, path
        assert "evaluate.requests" not in text, path
        assert "answers.jsonl" not in text, path


EVERYDAY = {
    *("from left to right", "in order from left", "order from left to", "left or right of"),
    *("i want to see", "what colour is the", "to know where the", "what does the sign"),
    *("let me know what", "me the position of", "pixels belong to the"),
    *("in one sentence what", "one sentence what is"),
}
"""What many people say in the same words."""


def runs(text: str) -> set[str]:
    """Four words in a row."""
    said = re.findall(r"[a-z']+", text.lower())
    return {" ".join(said[i : i + 4]) for i in range(len(said) - 3)}


def test_no_form_of_training_repeats_what_a_request_says():
    forms = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "training" / "data" / "frames").glob("*.txt")
    )
    parts = re.split(r"\{\w+\}|[()|\[\]\n]", forms)
    trained = set[str]().union(*(runs(part) for part in parts))
    assert len(trained) > 1000
    for request in read_requests(REQUESTS):
        assert not (runs(request.text) & trained) - EVERYDAY, request.id


@pytest.mark.parametrize("line", ["{", '{"id": "a", "text": "b", "media": ["smell"]}', "[]"])
def test_a_line_that_is_no_request_is_named(tmp_path, line):
    good = {"id": "a", "text": "Hi", "media": [], "expect": [[]], "kind": "none"}
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{json.dumps(good)}\n{line}\n")
    with pytest.raises(RequestError, match=r"mine\.jsonl, line 2.*expected id, text"):
        read_requests(path)


def test_any_one_of_the_turns_expected_is_right():
    expect = [[CUP], [Call("ground", {"image": "image_1", "phrases": ["the cup"]})], []]
    assert all(is_right(turn, expect) for turn in expect)
    assert not is_right([CUP, CUP._replace(tool="tag")], expect)


def test_an_answer_is_right_only_where_one_is_expected():
    assert is_right([], [[]])
    assert not is_right([], [[CUP]])
    assert not is_right([CUP], [[]])


def test_labels_compare_as_singular_lower_case_in_any_order():
    assert is_right([detect("Wine Glasses", "CUP")], [[detect("cup", "wine glass")]])
    assert not is_right([detect("glass", "cup")], [[detect("cup", "wine glass")]])
    assert not is_right([detect("cup")], [[detect("cup", "dog")]])
    assert not is_right([detect("cup", "dog")], [[detect("cup")]])


def test_one_detect_of_several_labels_equals_several_detects():
    assert is_right([detect("cups"), detect("dog")], [[detect("dog", "cup")]])
    assert is_right([detect("dog", "cup")], [[detect("cup"), detect("dog")]])
    both = [CUP, Call("detect", {"image": "image_2", "labels": ["cup"]})]
    assert is_right(both[::-1], [both])
    assert is_right([detect("cup", "cups")], [[CUP]])
    assert not is_right([detect("cup", "cups")], [both])
    caption = Call("caption", {"image": "image_1"})
    assert not is_right([caption, caption], [[caption]])


def test_prompts_phrases_and_expressions_compare_by_content_words():
    def prompt(text: str) -> list[Call]:
        return [Call("generate_image", {"prompt": text})]

    assert is_right(prompt("Red bicycle under the trees."), [prompt("a red bicycle under a tree")])
    assert not is_right(prompt("a red bicycle"), [prompt("a red bicycle under a tree")])

    def ground(*phrases: str) -> list[Call]:
        return [Call("ground", {"image": "image_1", "phrases": list(phrases)})]

    assert is_right(ground("lamp", "a Couch"), [ground("the couch", "the lamp")])
    assert not is_right(ground("the couch the lamp"), [ground("the couch", "the lamp")])

    def calculate(expression: str) -> list[Call]:
        return [Call("calculate", {"expression": expression})]

    assert is_right(calculate("12.5 + (7)"), [calculate("12.50+7")])
    assert not is_right(calculate("12.5-7"), [calculate("12.5+7")])


def test_of_ask_region_only_the_picture_counts():
    expect = [[Call("ask_region", {"image": "image_1"})]]
    assert is_right([Call("ask_region", {"image": "image_1", "question": "What is it?"})], expect)
    assert not is_right([Call("ask_region", {"image": "image_2", "question": "What?"})], expect)


def test_other_arguments_must_be_equal_and_the_undetermined_are_free():
    expect = [[Call("caption_many", {"image": "image_1", "n": 3})]]
    assert is_right([Call("caption_many", {"image": "image_1", "n": 3, "seed": 4})], expect)
    assert not is_right([Call("caption_many", {"image": "image_1", "n": 4})], expect)
    assert not is_right([Call("caption_many", {"image": "image_1"})], expect)


def test_where_all_arguments_are_known_any_other_is_wrong():
    assert is_right([detect("cup", threshold=0.4)], [[CUP]])
    assert not is_right([detect("cup", threshold=0.4)], [[CUP]], complete=True)


def test_tools_alone_and_letters_are_told_apart():
    assert same_tools([detect("dog")], [[CUP]])
    assert not same_tools([], [[CUP]])
    assert is_exact([detect("cup")], [[CUP]])
    assert not is_exact([detect("cups")], [[CUP]])
