"""A turn of three fields, written as in training and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuthatch.mllm.layout import Medium, Text
from nuthatch.mllm.presets.llava_plus import (
    Action,
    Turn,
    UnreadableTurn,
    observation,
    preset,
)

words = st.text(st.characters(codec="utf-8", exclude_characters='"'), max_size=20).map(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
actions = st.builds(Action, words, st.dictionaries(words, json_values, max_size=3))
turns = st.builds(Turn, words, st.lists(actions, max_size=3).map(tuple), words)


@given(turns)
def test_a_turn_is_read_as_it_was_written(turn: Turn) -> None:
    assert Turn.read(turn.write()) == turn


def test_a_turn_is_written_as_in_training() -> None:
    turn = Turn("I look.", (Action("grounding_dino", {"caption": "bear"}),), "One moment.")
    assert turn.write() == (
        '"thoughts🤔" I look.\n'
        '"actions🚀" [{"API_name": "grounding_dino", "API_params": {"caption": "bear"}}]\n'
        '"value👉" One moment.'
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("A bear.", Turn("", (), "A bear.")),
        (
            "\"thoughts🤔\" t \"actions🚀\" [{'API_name': 'sam', 'API_params': {}}] \"value👉\" v",
            Turn("t", (Action("sam"),), "v"),
        ),
        ('"value👉" v "actions🚀" [] "thoughts🤔" t', None),
    ],
)
def test_what_models_write_instead_is_read_too(said: str, expected: Turn | None) -> None:
    assert Turn.read(said) == (expected or Turn("", (), said))


@pytest.mark.parametrize(
    "actions",
    [
        "[{",
        "5",
        '[{"API_name": "sam"}]',
        '{"API_name": "sam"}',
        "",
        "[{[1]: 2}]",
        "[" * 3000,
        "+".join(["1"] * 3000),
        "[{'API_name': 'sam', 'API_params': {'boxes': {1, 2}}}]",
    ],
    ids=lambda text: text[:30],
)
def test_actions_that_are_no_calls_are_an_error_for_the_model(actions: str) -> None:
    with pytest.raises(UnreadableTurn, match="expected a list such as"):
        Turn.read(f'"thoughts🤔" t\n"actions🚀" {actions}\n"value👉" v')


@pytest.mark.parametrize(
    "said",
    [
        '"thoughts🤔" I look.\n"actions🚀" [{"API_name": "grounding_dino", "API_par',
        '"thoughts🤔" I look, and I',
        '"actions🚀" [] "value👉" A bear.',
        '"value👉" A bear.',
    ],
)
def test_a_turn_that_lacks_a_field_is_no_answer(said: str) -> None:
    with pytest.raises(UnreadableTurn, match="lacks a field or was cut off"):
        Turn.read(said)


def test_a_talk_with_a_tool_has_four_steps() -> None:
    _, chat = preset(text_config={"num_hidden_layers": 0})
    asked = "How many bears?"
    look = Turn("I look.", (Action("grounding_dino", {"caption": "bear"}),), "One moment.")
    found = observation([("grounding_dino", {"boxes": [[0.1, 0.2, 0.3, 0.4]]})], asked)
    segments = chat.segments(
        [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": asked}]},
            {"role": "assistant", "content": look.write()},
            {"role": "user", "content": found},
        ]
    )
    begin, picture, talk = segments
    assert isinstance(begin, Text)
    assert begin.text.endswith("questions.\n\n### Human: ")
    assert picture == Medium("image")
    assert isinstance(talk, Text)
    ((first, last),) = talk.learned
    assert talk.text[:first] == f"\n{asked}\n### Assistant:"
    assert talk.text[first:last] == f" {look.write()}\n### "
    assert talk.text[last:] == f"Human: {found}\n### Assistant:"
    assert chat.read(f"Assistant: {look.write()}\n### Human: and") == look.write()
