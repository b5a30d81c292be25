"""What may be written in a turn, and what may not."""

import json

import llguidance.hf
import pytest
from llguidance import LLMatcher

from nuthatch.mllm.generation.grammar import GrammarError, numbers, turn_grammar, word_spans
from tests.mllm.generation.speakers import CALLS, HANDLES, SCHEMAS, tokenizer

VOCABULARY = llguidance.hf.from_tokenizer(tokenizer(), n_vocab=len(tokenizer()))


def fits(text: str, grammar: str) -> bool:
    """Whether the grammar takes this turn, to its end."""
    matcher = LLMatcher(VOCABULARY, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    ids = tokenizer()(text)["input_ids"]
    return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()


def said(*calls: dict) -> str:
    return "".join(
        "<|call|>" + json.dumps(call, separators=(",", ":"), ensure_ascii=False) for call in calls
    )


def tool(parameters: dict, name: str = "t") -> dict:
    return {"name": name, "parameters": {"type": "object", **parameters}}


def takes(value: object, schema: dict, **more) -> bool:
    """Whether this value may be written for a required argument of this schema."""
    one = tool({"properties": {"a": schema}, "required": ["a"], **more})
    return fits(said({"name": "t", "arguments": {"a": value}}), turn_grammar([one], HANDLES))


# -- a turn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["name"])
def test_every_shipped_tool_can_be_called(call):
    assert fits(said(call), turn_grammar(SCHEMAS, HANDLES))


def test_a_turn_is_a_text_or_calls_and_not_both():
    grammar = turn_grammar(SCHEMAS, HANDLES)
    assert fits("There are two cups.\nAnd a dog — é中😀", grammar)
    assert fits(said(CALLS[0], CALLS[4]), grammar)
    assert not fits("Look: " + said(CALLS[0]), grammar)
    assert not fits(said(CALLS[0]) + " Look!", grammar)


@pytest.mark.parametrize("blank", ["", " ", "\n", "\u00a0", "\u3000x", "\x1c"])
def test_a_text_is_never_blank(blank):
    assert not fits(blank, turn_grammar(SCHEMAS, HANDLES))


READ = ["Open 24 hours.", 'A "b" \\ c', "caf\u00e9\n2"]


@pytest.mark.parametrize(
    "text", ["There is no text.", *(f'It says "{read}", I hear.' for read in READ)]
)
def test_what_a_text_quotes_is_what_was_read(text):
    assert fits(text, turn_grammar(SCHEMAS, HANDLES, read=READ))


@pytest.mark.parametrize(
    "text",
    ['It says "Open".', 'It says "Open 24 hours', 'It says "open 24 hours."', 'Say "', " ", ""],
)
def test_no_text_quotes_anything_else_or_a_part(text):
    assert not fits(text, turn_grammar(SCHEMAS, HANDLES, read=READ))
    assert fits(text or "-", turn_grammar(SCHEMAS, HANDLES)) is bool(text.strip() or not text)


def test_where_something_was_read_a_text_may_begin_with_it_or_quote_it_twice_and_calls_are_free():
    grammar = turn_grammar(SCHEMAS, HANDLES, read=READ)
    assert fits(f'"{READ[0]}" and "{READ[2]}"', grammar)
    assert fits(said(CALLS[0], CALLS[4]), grammar)


def test_a_text_quotes_no_more_often_than_there_are_readings_or_twice():
    for read, most in ((READ[:1], 2), (READ, 3)):
        grammar = turn_grammar(SCHEMAS, HANDLES, read=read)
        assert fits(" and ".join([f'"{READ[0]}"'] * most), grammar)
        assert not fits(" and ".join([f'"{READ[0]}"'] * (most + 1)), grammar)


def test_only_so_many_calls_fit_in_a_turn():
    grammar = turn_grammar(SCHEMAS, HANDLES, max_calls=2)
    assert fits(said(*CALLS[:2]), grammar)
    assert not fits(said(*CALLS[:3]), grammar)


def test_when_no_call_is_left_only_an_answer_can_be_written():
    grammar = turn_grammar(SCHEMAS, HANDLES, allow="answer")
    assert fits("Two.", grammar)
    assert not fits(said(CALLS[0]), grammar)


def test_when_only_calls_are_allowed_no_text_can_be_written():
    grammar = turn_grammar(SCHEMAS, HANDLES, allow="calls")
    assert fits(said(CALLS[0]), grammar)
    assert not fits("Two.", grammar)


def test_only_calls_of_no_tool_is_an_error_that_tells_what_there_is():
    tag_sound = [schema for schema in SCHEMAS if schema["name"] == "tag_sound"]
    with pytest.raises(ValueError, match="tools: tag_sound; live media: image"):
        turn_grammar(
            tag_sound,
            {"image": ["image_1"]},
            allow="calls",
        )


def test_without_tools_there_is_only_text():
    assert fits("Two.", turn_grammar([], {}))
    assert not fits(said(CALLS[0]), turn_grammar([], {}))


# -- handles --------------------------------------------------------------------------------------


def test_a_medium_is_one_of_the_handles_that_live():
    grammar = turn_grammar(SCHEMAS, HANDLES)
    for handle, live in (("image_2", True), ("image_3", False), ("audio_1", False), ("", False)):
        call = {"name": "detect", "arguments": {"image": handle, "labels": ["cup"]}}
        assert fits(said(call), grammar) == live


def test_a_tool_whose_medium_nobody_has_is_not_offered():
    grammar = turn_grammar(SCHEMAS, {"image": ["image_1"]})
    assert fits(said(CALLS[0]), grammar)
    assert not fits('<|call|>{"name":"tag_sound"', grammar)
    assert not fits('<|call|>{"name":"measure"', grammar)


def test_an_optional_medium_that_nobody_has_is_left_out():
    call = {"name": "verify_answer", "arguments": {"answer": "Two.", "audio": "audio_1"}}
    assert fits(said(call), turn_grammar(SCHEMAS, HANDLES))
    assert not fits(said(call), turn_grammar(SCHEMAS, {"image": ["image_1"]}))
    del call["arguments"]["audio"]
    assert fits(said(call), turn_grammar(SCHEMAS, {"image": ["image_1"]}))


def test_of_arguments_that_exclude_each_other_exactly_one_is_given():
    grammar = turn_grammar(SCHEMAS, HANDLES)
    box, found = {"box": [1, 2, 3, 4]}, {"detection": "detection_1"}
    for given, valid in ((box, True), (found, True), ({}, False), (box | found, False)):
        call = {"name": "crop", "arguments": {"image": "image_1", **given}}
        assert fits(said(call), grammar) == valid
    call = {"name": "crop", "arguments": {"image": "image_1", **found}}
    assert not fits(said(call), turn_grammar(SCHEMAS, {"image": ["image_1"]}))


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, ["", "a" * 200, 'q"\\\n\té中'], ["a" * 201, 3]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab"], ["a", "abcd"]),
        ({"type": "string", "pattern": "^[a-z]+$"}, ["abc"], ["", "A"]),
        ({"type": "integer", "minimum": 1, "maximum": 13}, [1, 13], [0, 14, 1.5]),
        ({"type": "integer"}, [-(10**9), 10**9], [10**9 + 1]),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0.35], [0, 1, 0.0]),
        ({"type": "number"}, [5, 5.0, -2.25], [1e12, 0.123456]),
        ({"type": "boolean"}, [True], ["true"]),
        ({"enum": ["left", 2, None]}, ["left", 2, None], ["right"]),
        ({"const": "on"}, ["on"], ["off"]),
        ({"type": "array", "items": {"type": "integer"}}, [[], list(range(16))], [[1] * 17]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, [[1]], [[]]),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}] * 2, "minItems": 2},
            [[1, 2]],
            [[1], [1, 2, 3]],
        ),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            [[1, "a"]],
            [["a", 1]],
        ),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None], ["a"]),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, [1, "a"], [True]),
        ({"type": ["integer", "null"], "minimum": 1}, [1, None], ["a", 0]),
        ({"allOf": [{"type": "integer"}]}, [1], ["a"]),
        ({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}, [[1, 2], [1]], [[3]]),
        ({"type": "string", "format": "path"}, ["a/b.png"], [3]),
        ({"type": "string", "format": "date"}, ["2026-02-28"], ["2026-02-30", "today"]),
        (
            {"type": "string", "format": "date-time"},
            ["2026-02-28T10:30", "2026-02-28T10:30Z"],
            ["-"],
        ),
        ({"type": "string", "format": "duration"}, ["P3D", "PT90S"], ["P", "90"]),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
            [{}, {"a": 1, "größe": 2}],
            [{"a": "b"}, {"a": 1, "b": 2, "c": 3}, {"x" * 49: 1}],
        ),
        (
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "propertyNames": {"enum": ["left", "right"]},
            },
            [{}, {"left": 1}, {"left": 1, "right": 2}],
            [{"up": 1}],
        ),
        (
            {"type": "object", "patternProperties": {"^[a-z]$": {"type": "boolean"}}},
            [{"a": True}],
            [{"A": True}, {"a": 1}],
        ),
        ({"type": "number", "minimum": 0.001, "maximum": 0.002}, [0.001, 0.0015], [0.003, 1]),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1e300}, [1e14], [0, -1]),
        (
            {"anyOf": [{"type": "integer"}, {"type": "number"}], "ge": 0, "le": 1},
            [1, 0.5],
            [2, -0.5],
        ),
        ({"anyOf": [{}, {"type": "integer"}]}, [1], ["a"]),
        (
            {
                "anyOf": [
                    {"type": "object", "additionalProperties": True},
                    {"type": "null"},
                    {"type": "string"},
                ]
            },
            [None, "a"],
            [{}],
        ),
        (
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
            [{"b": 1}],
            [{}, {"b": 1, "c": 2}],
        ),
    ],
)
def test_a_value_keeps_to_its_schema_and_has_an_end(schema, good, bad):
    assert [takes(value, schema) for value in good] == [True] * len(good)
    assert [takes(value, schema) for value in bad] == [False] * len(bad)


def test_references_and_tagged_unions():
    cat = {"type": "object", "properties": {"is": {"const": "cat"}}, "required": ["is"]}
    dog = {"type": "object", "properties": {"is": {"const": "dog"}}, "required": ["is"]}
    defs = {"$defs": {"Cat": cat, "Dog": dog}}
    either = {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}
    assert takes({"is": "dog"}, either, **defs)
    assert not takes({"is": "cow"}, either, **defs)


def test_an_optional_argument_is_left_out_rather_than_null():
    one = tool({"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}})
    grammar = turn_grammar([one], {})
    for arguments, valid in (({}, True), ({"a": 1}, True), ({"a": None}, False)):
        assert fits(said({"name": "t", "arguments": arguments}), grammar) == valid


# -- quotations -----------------------------------------------------------------------------------


def test_spans_are_runs_of_words_with_only_spaces_between():
    assert word_spans(["A wine  glass, where's it?"]) == [
        *("A", "A wine", "A wine glass", "wine", "wine glass", "glass"),
        *("where's", "where", "where's it", "it"),
    ]
    assert word_spans(["?!", ""]) == []
    assert {"the dog's", "the dog", "dog"} <= set(word_spans(["the dog's colour"]))
    assert max(span.count(" ") for span in word_spans(["x " * 20])) == 7


def labels(*words: str) -> str:
    return said({"name": "detect", "arguments": {"image": "image_1", "labels": list(words)}})


def test_a_quoted_argument_is_a_run_of_the_users_own_words():
    turns = ["How many wine glasses are there?", "And é-bikes?"]
    grammar = turn_grammar(SCHEMAS, HANDLES, quoted=turns)
    assert fits(labels("wine glasses"), grammar)
    assert fits(labels("é-bikes", "glasses"), grammar)
    for words in ("cups", "wine", "glasses wine", "win"):
        assert fits(labels(words), grammar) == (words == "wine")


def test_numbers_are_read_however_they_are_written():
    assert numbers(["image_1 to (8, 10)-(31.5, 40)", "10x20, -5, .5; v2 box_3"]) == [
        *(8, 10, 31.5, 40, 20, -5, 0.5)
    ]
    assert numbers(["9" * 5000, "1" * 400 + " 7", "1e400"]) == [7, 1]


def test_a_quoted_box_is_made_of_the_users_own_numbers():
    number = {"type": "number", "x-quoted": "user"}
    box = {"type": "array", "prefixItems": [number] * 4, "minItems": 4, "maxItems": 4}
    cut = tool({"properties": {"box": box}, "required": ["box"]})
    grammar = turn_grammar([cut], {}, quoted=["x from 10 to 90.5, y from 20 to 75"])
    for given, fit in (([10, 20, 90.5, 75], True), ([10, 20, 91, 75], False)):
        assert fits(said({"name": "t", "arguments": {"box": given}}), grammar) == fit
    assert fits(said({"name": "t", "arguments": {"box": [9, 9, 9, 9]}}), turn_grammar([cut], {}))
    assert not fits('<|call|>{"name":"t"', turn_grammar([cut], {}, quoted=["the left half"]))


def test_a_quoted_number_keeps_the_bounds_of_its_schema():
    count = {"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2}
    several = tool({"properties": {"n": {**count, "x-quoted": "user"}}, "required": ["n"]})
    grammar = turn_grammar([several], {}, quoted=["0 1 2 2.5 6 7 8 9 10"])
    right = [n for n in range(12) if fits(said({"name": "t", "arguments": {"n": n}}), grammar)]
    assert right == [2, 6, 8]


def test_a_bound_beyond_the_largest_number_is_kept():
    far = tool({"properties": {"n": {"type": "integer", "minimum": 2_000_000_000}}})
    grammar = turn_grammar([far], {})
    for n, fit in ((2_000_000_001, True), (5, False)):
        assert fits(said({"name": "t", "arguments": {"n": n}}), grammar) == fit


def test_without_the_option_any_words_will_do():
    assert fits(labels("cups"), turn_grammar(SCHEMAS, HANDLES))


def test_a_tool_that_must_quote_is_not_offered_when_there_is_nothing_to_quote():
    grammar = turn_grammar(SCHEMAS, HANDLES, quoted=["?"])
    assert not fits('<|call|>{"name":"detect"', grammar)
    assert not fits(labels("cup"), grammar)
    assert fits(said({"name": "tag", "arguments": {"image": "image_1"}}), grammar)


# -- refusals -------------------------------------------------------------------------------------

TREE = {"T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}}


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "array", "items": {"type": "integer"}, "contains": {}}, "contains"),
        ({"type": "array", "items": {}}, "items"),
        ({"type": "object", "additionalProperties": True}, "additionalProperties"),
        ({"type": "integer", "minimum": 10**19}, "minimum"),
        ({"type": "number", "minimum": 3, "maximum": 4, "multipleOf": 7}, "multipleOf"),
        ({"type": "string", "not": {"const": "x"}}, "not"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum"),
        ({"type": "integer", "minimum": 5, "exclusiveMaximum": 3}, "minimum"),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4}, "exclusiveMinimum"),
        ({"type": "array", "items": {"type": "string"}, "x-quoted": "user"}, "x-quoted"),
        ({"type": "string", "minLength": 5, "maxLength": 3}, "minLength"),
        ({"type": "array", "items": {"type": "null"}, "minItems": 5, "maxItems": 3}, "minItems"),
        (
            {"type": "object", "properties": {"b": {"type": "null"}}, "patternProperties": {}},
            "patternProperties",
        ),
        ({"type": "string", "pattern": "(?<=x)a"}, "pattern"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, "allOf"),
        ({"not": {"type": "string"}}, "not"),
        ({"$ref": "#/$defs/T"}, "$ref"),
        ({"$ref": "#/$defs/Gone"}, "$ref"),
        ({"type": ["array", "null"], "items": {"type": "null"}, "contains": {}}, "contains"),
        ({"type": "array"}, "items"),
        ({}, "type"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_schema_that_no_grammar_can_keep_is_refused_by_tool_and_keyword(schema, keyword):
    one = tool({"properties": {"a": schema}, "required": ["a"], "$defs": TREE}, name="paint")
    with pytest.raises(GrammarError, match="tool 'paint'") as refusal:
        turn_grammar([SCHEMAS[0], one], HANDLES)
    assert (refusal.value.tool, refusal.value.keyword) == ("paint", keyword)
    assert f"'{keyword}'" in str(refusal.value)
