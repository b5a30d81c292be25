"""Values come back from JSON as they were, or are refused with their place."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel

from nuthatch.tools.exact_json import NotExact, cleaned, decode, dumps, encode, loads, plain


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float


class Numbers(RootModel[list[int]]):
    pass


class Inner(BaseModel):
    pair: tuple[int, float]
    colour: Colour


class Held(BaseModel):
    value: Any = None
    inner: Inner | None = None
    many: list[Inner] = []
    renamed: int = Field(1, alias="_renamed")
    point: Point | None = None
    numbers: Numbers | None = None
    path: Path | None = None


EXACT = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "minus zero": -0.0,
    "a scalar": np.float64(0.5),
    "a small float": np.float16(0.1),
    "an array": np.arange(6, dtype="<i2").reshape(2, 3),
    "an empty array": np.zeros((0, 3)),
    "an array of no axes": np.array(5),
    "an array with NaN": np.array([math.nan, 1.0], np.float32),
    "an array of text": np.array(["a", "bb"]),
    "a time of numpy": np.datetime64("2026-01-31"),
    "arrays inside": {"a": [np.ones(2), (np.int8(1),)]},
    "bytes": b"\x00\xff",
    "a bytearray": bytearray(b"a"),
    "tuples": (1, (2.0, "x"), ()),
    "a set": {1, "a"},
    "a frozenset": frozenset({(1, 2)}),
    "a moment": datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC),
    "a moment of a zone": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    "a day": date(2026, 1, 31),
    "a time": time(23, 59),
    "a duration": timedelta(days=-1, microseconds=3),
    "a decimal": Decimal("1.10"),
    "a complex number": complex(1, math.inf),
    "a path": Path("a/b"),
    "a UUID": UUID(int=7),
    "names that are numbers": {1: "a", (2, 3): None},
    "names like ours": {"$tuple": [1]},
    "a large number": 10**40,
    "control characters": "\x00\x1b[31m\u2028",
}


@pytest.mark.parametrize("value", EXACT.values(), ids=EXACT)
def test_a_value_comes_back_as_it_was(value):
    text = dumps(Held(value=value))
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    back = loads(text, Held).value
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_models_inside_come_back_by_their_annotations():
    inner = Inner(pair=(1, math.nan), colour="red")
    held = Held(
        inner=inner,
        many=[inner, inner],
        _renamed=3,
        point=Point(1, 2.0),
        numbers=Numbers([1]),
        path=Path("a"),
    )
    assert repr(loads(dumps(held), Held)) == repr(held)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "the result.value is of type object"),
        ({"a": [1, object()]}, r"the result.value.a\[1\] is of type object"),
        (np.array([object()]), "of type ndarray"),
        (Inner(pair=(1, 2.0), colour="red"), "the result.value would come back otherwise"),
        (Colour.RED, "would come back otherwise"),
        (Point(1, 2.0), "would come back otherwise"),
        ("a\ud800", "text that is no Unicode"),
        ({"a\ud800": 1}, "text that is no Unicode"),
        ("x" * 17_000_000, "return their handles"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_change_is_refused_with_its_place(value, said):
    with pytest.raises(NotExact, match=said):
        dumps(Held(value=value))


def test_what_holds_itself_is_refused():
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotExact, match="holds itself"):
        dumps(Held(value=value))


@pytest.mark.parametrize(
    "written",
    [
        {"$what": 1},
        {"$tuple": [1], "more": 2},
        {"$array": ["|O", [1], "AAAA"]},
        {"$array": ["<f4", [3], "AAAA"]},
        {"$array": ["<f4", [-1, 0], ""]},
        {"$scalar": 3},
        {"$float": "x"},
        {"$set": [[1]]},
        {"$decimal": "x"},
        {"$dict": [1]},
        {"$datetime": 3},
    ],
    ids=str,
)
def test_what_was_never_written_is_one_kind_of_error(written):
    with pytest.raises(ValueError, match="of the form"):
        decode([written])


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SIMPLE | st.decimals() | st.datetimes() | st.complex_numbers(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts) | st.tuples(parts, parts),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_any_value_comes_back_as_it_was(value):
    try:
        text = json.dumps(encode(value), allow_nan=False)
    except NotExact:  # text that is no Unicode
        return
    assert repr(decode(json.loads(text))) == repr(value)


def test_for_people_values_are_plain_json():
    value = Held(
        value={1: np.array([math.nan, 1.0]), "a": (b"x", {Decimal("1.10")}), "b": "\ud800"},
        inner=Inner(pair=(1, math.inf), colour="red"),
    )
    written = json.loads(json.dumps(plain(value), allow_nan=False))
    assert written["value"] == {"1": ["NaN", 1.0], "a": ["eA==", ["1.10"]], "b": "?"}
    assert written["inner"] == {"pair": [1, "Infinity"], "colour": "red"}


def test_what_has_no_form_is_written_as_it_shows_itself():
    assert plain([range(3)]) == ["range(0, 3)"]
    assert encode({"a": range(3)}, fallback=repr) == {"a": "range(0, 3)"}


def test_text_that_is_no_unicode_is_cleaned_wherever_it_stands():
    assert cleaned({"a\udc80": ["\ud800", ("x", 1)]}) == {"a?": ["?", ("x", 1)]}


def test_long_doubles_are_plain_numbers_for_people():
    value = [np.longdouble(0.5), np.array([0.5], np.longdouble), np.clongdouble(1)]
    assert plain(value) == [0.5, [0.5], "(1+0j)"]
