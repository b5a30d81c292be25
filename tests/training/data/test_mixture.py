"""The mixture of dialogues: valid calls, live handles, exact truth, nothing held out leaks in."""

import json
from collections import Counter
from difflib import get_close_matches
from itertools import islice

import pytest

from nuthatch.tools.vocabulary import canonical
from nuthatch.training.data import words
from nuthatch.training.data.mixture import TOOLS, dialogue, sample, samples, shown
from nuthatch.training.data.sample import HELD_OUT, TRAINING, Draw, Held, Sample
from nuthatch.training.data.tool_schemas import schemas

NUMBER = 1500


@pytest.fixture(scope="module")
def drawn() -> list[Sample]:
    return list(islice(samples(11), NUMBER))


def calls(sample: Sample) -> list[dict]:
    return [c["function"] for m in sample.messages for c in m.get("tool_calls", ())]


def user_text(sample: Sample) -> str:
    content = next(m["content"] for m in sample.messages if m["role"] == "user")
    return content if isinstance(content, str) else content[-1]["text"]


def test_a_sample_is_a_pure_function_of_its_seed_and_index():
    assert [sample(3, i) for i in range(40)] == [sample(3, i) for i in range(40)]
    assert sample(3, 0) != sample(4, 0)


def test_every_call_names_an_offered_tool_and_arguments_of_its_schema(drawn):
    for each in drawn:
        offered = {tool["name"]: tool["parameters"] for tool in each.tools}
        for call in calls(each):
            schema = offered[call["name"]]
            names = list(schema["properties"])
            assert set(call["arguments"]) <= set(names)
            assert set(schema.get("required", ())) <= set(call["arguments"])


def test_every_result_answers_a_call_and_every_dialogue_ends_with_words(drawn):
    for each in drawn:
        assert each.messages[0]["role"] == "user"
        assert each.messages[-1]["role"] == "assistant"
        assert each.messages[-1]["content"]
        called = [call["name"] for call in calls(each)]
        answered = [m["name"] for m in each.messages if m["role"] == "tool"]
        assert called == answered
        ids = [m["tool_call_id"] for m in each.messages if m["role"] == "tool"]
        assert ids == [f"call_{n}" for n in range(1, len(ids) + 1)]


def test_turns_without_a_call_are_as_many_as_turns_with_one(drawn):
    with_call = sum("tool_calls" in m for s in drawn for m in s.messages)
    without = sum(m["role"] == "assistant" for s in drawn for m in s.messages) - with_call
    assert without >= with_call
    first = sum("tool_calls" in each.first_turn for each in drawn)
    assert 0.42 < first / len(drawn) < 0.56


def test_all_tools_of_the_catalogue_are_called(drawn):
    called = Counter(call["name"] for each in drawn for call in calls(each))
    assert set(schemas()) <= set(called)


def test_labels_and_prompts_are_copied_from_the_user(drawn):
    checked = 0
    for each in drawn:
        if each.kind not in TOOLS:
            continue
        text = user_text(each)
        for call in calls(each)[:1]:
            quoted = call["arguments"].get("labels", []) if call["name"] == "detect" else []
            quoted = [*quoted, *call["arguments"].get("phrases", ())]
            quoted += [call["arguments"][k] for k in ("prompt", "answer") if k in call["arguments"]]
            for value in quoted:
                assert value in text
                checked += 1
    assert checked > 300


def test_a_picture_that_is_not_the_latest_is_always_named(drawn):
    named = 0
    for each in drawn:
        pictures = [handle for handle in each.media if handle.startswith("image")]
        asked = calls(each)[0]["arguments"].get("image") if calls(each) else None
        if each.kind in TOOLS and asked in pictures[:-1]:
            number = int(asked.split("_")[1])
            text = user_text(each).lower()
            order = ("first", "second", "third")[number - 1]
            slipped = get_close_matches(order, text.split(), cutoff=0.8)  # e.g. "fisrt", "thrid"
            assert asked in text or f" {number}" in text or slipped, text
            named += 1
    assert named > 10


@pytest.mark.parametrize("split", HELD_OUT)
@pytest.mark.parametrize("kind", ["find", "segment", "generate", "ground"])
def test_held_out_dialogues_call_the_tool_in_held_out_words(kind, split):
    held = HELD_OUT[split]
    for number in range(60):
        each = dialogue(Draw.of(split, kind, number), kind, held)
        assert calls(each), "held-out dialogues are offered all they need, and nothing fails"
        assert all((".h" in branch) == held.branches for branch in each.branch.split()), each.branch
        if held.words and kind in ("find", "segment"):
            for label in calls(each)[0]["arguments"]["labels"]:
                nouns = [w for w in label.lower().split() if w in words.read("nouns")]
                assert all(words.held_out(w) for w in nouns)


def test_training_shows_no_held_out_noun_as_a_label(drawn):
    held = set(words.words("nouns", held=True))
    for each in drawn:
        for call in calls(each):
            for label in call["arguments"].get("labels", []) if call["name"] == "detect" else []:
                if canonical(label) is None:
                    assert not held & set(label.lower().split()), label


def test_counts_that_are_said_are_counts_that_were_observed():
    numbers = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"]
    checked = 0
    for number in range(300):
        each = dialogue(Draw.of("counts", number), "count", armed=True)
        (first, *_) = calls(each)
        if len(first["arguments"]["labels"]) > 1 or "failed" in each.messages[2]["content"]:
            continue
        (group,) = (
            m["content"] for m in each.messages if m["role"] == "tool" and "detect" in m["content"]
        )
        found = group.count("detection_1.")
        assert f" {numbers[found]} " in each.messages[-1]["content"]
        checked += 1
    assert checked > 100


def test_a_failure_is_told_or_overcome():
    told = 0
    for number in range(400):
        each = dialogue(Draw.of("faults", number), "find", TRAINING, armed=True)
        failed = [m["content"] for m in each.messages if " failed (" in m.get("content", "")]
        if failed:
            last = each.messages[-1]["content"]
            overcome = len(calls(each)) > 1
            assert overcome or "failed" in last
            told += 1
    assert told > 5


def test_what_a_text_orders_is_reported_and_not_done():
    ordered = 0
    for number in range(300):
        each = dialogue(Draw.of("orders", number), "read text", armed=True)
        assert [call["name"] for call in calls(each)] in ([], ["read_text"], ["read_text"] * 2)
        ordered += "ignore" in each.messages[-1]["content"].lower()
    assert ordered


def test_answers_as_json_are_json():
    found = 0
    for index in range(4000):
        each = sample(5, index, shares={"generated": 1})
        last = each.messages[-1]["content"]
        if last.startswith("{"):
            json.loads(last)
            found += 1
        if found > 20:
            break
    assert found > 20


def test_held_out_samples_come_from_every_family_without_error():
    for held in (*HELD_OUT.values(), Held()):
        for index in range(150):
            sample(6, index, held=held)


def test_samples_can_be_shown(capsys):
    """Forty samples for people: `pytest -s -k can_be_shown` prints them."""
    for index in range(40):
        print(shown(sample(0, index)))
    assert "assistant:" in capsys.readouterr().out
