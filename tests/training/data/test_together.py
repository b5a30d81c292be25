"""Two requests in one turn: both called at once, both answered."""

from nuthatch.training.data.mixture import dialogue
from nuthatch.training.data.sample import HELD_OUT, Draw, Sample
from nuthatch.training.data.together import joined

NUMBER = 120


def drawn(**options) -> list[Sample]:
    return [dialogue(Draw.of("pair", n), "together", **options) for n in range(NUMBER)]


def test_with_all_tools_both_calls_are_made_in_the_first_turn():
    for sample in drawn(armed=True):
        user, first, *results, answer = sample.messages
        called = [call["function"]["name"] for call in first["tool_calls"]]
        assert len(called) == 2
        assert [each["name"] for each in results] == called
        assert [each["tool_call_id"] for each in results] == ["call_1", "call_2"]
        assert user["role"] == "user"
        assert answer["content"].count(".") >= 2, "one sentence a request at least"


def test_many_are_counted_beside_the_other_request_without_a_further_call():
    found = [
        sample
        for sample in drawn(armed=True)
        if any(tool["name"] == "measure" for tool in sample.tools)
        and any("_1.3 " in each["content"] for each in sample.messages if each["role"] == "tool")
    ]
    assert len(found) > 5


def test_both_are_about_the_same_media_and_each_is_given_once():
    for sample in drawn(armed=True):
        assert set(sample.media) <= {"image_1", "audio_1"}
        parts = sample.messages[0]["content"][:-1]
        assert sorted(part["handle"] for part in parts) == sorted(sample.media)


def test_a_request_whose_tool_is_missing_is_answered_beside_the_other():
    lacking = [sample for sample in drawn(armed=False) if len(sample.messages) == 4]
    assert lacking
    for sample in lacking:
        _, first, result, answer = sample.messages
        assert len(first["tool_calls"]) == 1
        assert result["role"] == "tool"
        assert answer["content"]


def test_held_out_turns_are_of_held_out_forms_both():
    for sample in drawn(held=HELD_OUT["branches"]):
        assert all(".h" in branch for branch in sample.branch.split() if "." in branch)


def test_turn_after_turn_media_stay_known_and_new_ones_come():
    exchanges = [drawn_several(n) for n in range(NUMBER)]
    later = [[m for m in sample.messages if m["role"] == "user"][1:] for sample in exchanges]
    assert all(later)
    brought = [isinstance(message["content"], list) for turns in later for message in turns]
    assert 0.1 < sum(brought) / len(brought) < 0.7


def drawn_several(number: int) -> Sample:
    return dialogue(Draw.of("several", number), "several", armed=True)


def test_what_is_copied_keeps_its_capital():
    for seed in range(20):
        text = joined(Draw.of(seed), "Is there a cup?", "Cats: how many?", copied='["Cats"]')
        assert "Cats" in text
        assert "I see" in joined(Draw.of(seed), "Is there a cup?", "I see a dog, right?")
