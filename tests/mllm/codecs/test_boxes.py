import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import load_file

from nuthatch.mllm.codecs.boxes import (
    BinGroups,
    Box,
    BoxCodec,
    CellTokens,
    DecimalBoxes,
    DecimalGroups,
    ResizedBins,
    Size,
    Thousandths,
)
from tests.paths import GOLDEN

TOLERANCE = 1e-12  # float64 against float64
UNIT = (1, 1)  # in a picture of one pixel, pixels are fractions

# Each way to write boxes, and its step: the coarseness of what it writes, in fractions of a side.
CODECS: list[tuple[BoxCodec, float]] = [
    (CellTokens(), 1 / 32),
    (CellTokens(cells=8), 1 / 8),
    (DecimalGroups(), 1e-3),
    (DecimalGroups(precision=2, small_brackets=True), 1e-2),
    (BinGroups(), 1e-3),
    (BinGroups(bins=101), 1e-2),
    (Thousandths(), 1e-3),
    (ResizedBins(), 1 / 999),
    (ResizedBins(image_size=480), 512 / 480 / 999),
    (DecimalBoxes(), 1e-2),
    (DecimalBoxes(decimals=3), 1e-3),
]
LONG = "9" * 5000  # Python refuses to make an int of it
sizes = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
any_codec = pytest.mark.parametrize("codec", [codec for codec, _ in CODECS], ids=repr)


@st.composite
def boxes(draw: st.DrawFn, size: Size, least: float) -> Box:
    """A box that lies at least partly in the picture, there no narrower than `least` of a side."""
    ends = []
    for side in size:
        start = draw(st.floats(-0.2, 1 - least))
        length = draw(st.floats(least, 1.2))
        ends.append((start * side, (max(start, 0.0) + length) * side))
    (x1, x2), (y1, y2) = ends
    return x1, y1, x2, y2


def group_codec(options: dict[str, Any]) -> DecimalGroups | BinGroups:
    if "num_bins" in options:
        return BinGroups(options["num_bins"])
    return DecimalGroups(options["precision"], options["use_small_brackets"])


def test_cells_agree_with_the_reference() -> None:
    golden = load_file(GOLDEN / "kosmos2_codec.safetensors")
    codec = CellTokens()

    def written(pairs: torch.Tensor) -> list[str]:
        return [
            f"<object><patch_index_{first:04d}><patch_index_{last:04d}></object>"
            for first, last in pairs.tolist()
        ]

    texts = [codec.encode([tuple(box)], UNIT) for box in golden["boxes"].tolist()]
    assert texts == written(golden["tokens"])
    for pairs, expected in [("tokens", "decoded"), ("free_tokens", "free_decoded")]:
        ours = codec.decode("".join(written(golden[pairs])), UNIT)
        torch.testing.assert_close(
            torch.tensor(ours, dtype=torch.float64), golden[expected], atol=TOLERANCE, rtol=0
        )


@pytest.mark.parametrize(("what", "number"), [("boxes", 240), ("points", 60)])
def test_groups_agree_with_the_reference(what: str, number: int) -> None:
    golden = json.loads((GOLDEN / "shikra.json").read_text(encoding="utf-8"))["cases"]
    cases = [case for case in golden if case["what"] == what]
    assert len(cases) == number
    for case in cases:
        ours = group_codec(case["options"])
        encode = ours.encode if what == "boxes" else ours.encode_points
        decode = ours.decode if what == "boxes" else ours.decode_points
        text = case["template"]
        for group in case["pixels"]:
            text = text.replace(f"<{what}>", encode(group, (case["width"], case["height"])), 1)
        assert text == case["text"]
        expected = [tuple(item) for group in case["parsed"] for item in group]
        for given_text in (case["text"], case["parse_input"]):
            assert decode(given_text, UNIT) == expected
        if what == "boxes":
            places = re.findall(ours.pattern, case["parse_input"])
            assert [len(decode(place, UNIT)) for place in places] == [
                len(group) for group in case["parsed"]
            ]


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        (
            CellTokens(),
            "<object><patch_index_0264><patch_index_1023>"
            "</delimiter_of_multi_objects/><patch_index_0000><patch_index_0495></object>",
        ),
        (DecimalGroups(), "[0.250,0.250,1.000,1.000;0.000,0.000,0.500,0.500]"),
        (
            BinGroups(),
            "<b_st><bin_250> <bin_250> <bin_1000> <bin_1000><b_sep>"
            "<bin_0> <bin_0> <bin_500> <bin_500><b_ed>",
        ),
        (Thousandths(), "<box>(250,250),(999,999)</box><box>(0,0),(500,500)</box>"),
        (
            ResizedBins(),
            "<bin_250> <bin_250> <bin_999> <bin_999> <bin_0> <bin_0> <bin_500> <bin_500>",
        ),
        (
            ResizedBins(image_size=256),
            "<bin_125> <bin_125> <bin_500> <bin_500> <bin_0> <bin_0> <bin_250> <bin_250>",
        ),
        (DecimalBoxes(), "[0.25, 0.25, 1.00, 1.00], [0.00, 0.00, 0.50, 0.50]"),
        (DecimalBoxes(padded=True), "[0.25, 0.38, 1.00, 0.75], [0.00, 0.25, 0.50, 0.50]"),
    ],
    ids=repr,
)
def test_two_boxes_are_written_in_the_released_form(codec: BoxCodec, text: str) -> None:
    size = (800, 400)
    assert codec.encode([(200, 100, 800, 400), (-9, -0.0, 400, 200)], size) == text
    assert re.fullmatch(codec.pattern, text)
    assert codec.encode(codec.decode(f"A dog {text} sleeps.", size), size) == text


@pytest.mark.parametrize(
    ("codec", "step"),
    [*CODECS, (DecimalBoxes(padded=True), 1e-2)],
    ids=lambda value: repr(value) if not isinstance(value, float) else "",
)
@given(data=st.data(), size=sizes)
def test_what_is_read_back_is_one_step_off_at_most_and_is_written_the_same(
    codec: BoxCodec, step: float, data: st.DataObject, size: Size
) -> None:
    padded = isinstance(codec, DecimalBoxes) and codec.padded
    steps = [step * max(size) / side if padded else step for side in size]
    least = 2 * max(steps)
    assume(least < 1)  # a padded picture can be thinner than that
    given_boxes = data.draw(st.lists(boxes(size, least), min_size=1, max_size=3))
    text = codec.encode(given_boxes, size)
    read = codec.decode(text, size)
    assert len(read) == len(given_boxes)
    for box, again in zip(given_boxes, read, strict=True):
        for axis in (0, 1, 2, 3):
            side = size[axis % 2]
            inside = min(max(box[axis], 0), side)
            assert 0 <= again[axis] <= side
            assert abs(again[axis] - inside) <= (steps[axis % 2] + 1e-9) * side
    assert codec.encode(read, size) == text


@pytest.mark.parametrize("codec", [CellTokens(), CellTokens(cells=2)], ids=repr)
@given(data=st.data(), size=sizes)
def test_a_box_of_any_size_lies_within_the_cells_that_are_written(
    codec: CellTokens, data: st.DataObject, size: Size
) -> None:
    text = codec.encode([data.draw(boxes(size, 1e-6))], size)
    first, last = (int(index) for index in re.findall(r"\d+", text))
    assert 0 <= first <= last < codec.cells**2
    assert first % codec.cells <= last % codec.cells
    assert codec.encode(codec.decode(text, size), size) == text


@pytest.mark.parametrize("codec", [DecimalGroups(), BinGroups()], ids=repr)
@given(points=st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480)), min_size=1, max_size=3))
def test_points_come_back_within_half_a_step(
    codec: DecimalGroups | BinGroups, points: list[tuple[float, float]]
) -> None:
    text = codec.encode_points(points, (640, 480))
    read = codec.decode_points(text, (640, 480))
    for (x, y), (again_x, again_y) in zip(points, read, strict=True):
        assert abs(x - again_x) <= 0.33
        assert abs(y - again_y) <= 0.25
    assert codec.encode_points(read, (640, 480)) == text
    assert codec.decode(text, (640, 480)) == []


@any_codec
def test_arrays_and_numbers_of_other_kinds_are_written_and_read_alike(codec: BoxCodec) -> None:
    rows = [(10.5, 20.25, 100.0, 200.0), (0.0, 0.0, 640.0, 480.0)]
    text = codec.encode(rows, (640, 480))
    array = np.array(rows, np.float32)
    sizes: list[Any] = [(640, 480), np.array([640, 480]), (640.0, 480.0), [np.int32(640), 480.0]]
    for size in sizes:
        assert codec.encode(array, size) == text  # type: ignore[arg-type]
        read = codec.decode(text, size)
        assert read == codec.decode(text, (640, 480))
        assert {type(number) for box in read for number in box} == {float}
    with pytest.raises(ValueError, match="at least one"):
        codec.encode(np.zeros((0, 4)), (640, 480))  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", [DecimalGroups(), BinGroups()], ids=repr)
def test_an_array_of_points_is_written_too(codec: DecimalGroups | BinGroups) -> None:
    points = [(1.0, 2.0), (3.5, 4.0)]
    array = np.array(points)
    assert codec.encode_points(array, (8, 8)) == codec.encode_points(points, (8, 8))  # type: ignore[arg-type]


@any_codec
def test_a_text_without_boxes_holds_none(codec: BoxCodec) -> None:
    assert codec.decode("The dog (see [12, 3]) sleeps.", (640, 480)) == []


@any_codec
@pytest.mark.parametrize(
    ("box", "size", "message"),
    [
        ((4, 0, 4, 3), (8, 8), "empty or inverted"),
        ((0, 5, 4, 3), (8, 8), "empty or inverted"),
        ((0, 0, float("nan"), 3), (8, 8), "4 finite coordinates"),
        ((0, 0, float("inf"), 3), (8, 8), "4 finite coordinates"),
        ((0, 0, 3), (8, 8), "4 finite coordinates"),
        ((0, 0, 4, 3), (0, 8), r"size \(0, 8\)"),
        ((0, 0, 4, 3), (8, -8), r"size \(8, -8\)"),
        ((0, 0, 4, 3), (8, 7.5), r"size \(8, 7.5\)"),
        ((0, 0, 4, 3), (8, float("nan")), r"size \(8, nan\)"),
        ((0, 0, 4, 3), (8, "8"), r"size \(8, '8'\)"),
    ],
)
def test_what_is_no_box_and_what_is_no_picture_is_refused(
    codec: BoxCodec, box: Any, size: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        codec.encode([box], size)


@any_codec
def test_nothing_to_write_and_nothing_to_read_in_are_refused(codec: BoxCodec) -> None:
    with pytest.raises(ValueError, match="at least one"):
        codec.encode([], (8, 8))
    with pytest.raises(ValueError, match="size"):
        codec.decode(codec.encode([(0, 0, 8, 8)], (8, 8)), (8, 0))


@pytest.mark.parametrize("codec", [c for c, _ in CODECS if not hasattr(c, "encode_points")])
def test_a_box_outside_the_picture_is_refused(codec: BoxCodec) -> None:
    with pytest.raises(ValueError, match="outside a picture of 8 x 8 pixels"):
        codec.encode([(8, 1, 12, 4)], (8, 8))


@pytest.mark.parametrize("codec", [DecimalGroups(), BinGroups()], ids=repr)
def test_a_group_writes_the_edge_for_a_box_outside_the_picture(
    codec: DecimalGroups | BinGroups,
) -> None:
    assert codec.decode(codec.encode([(8, 2, 12, 4)], (8, 8)), (8, 8)) == [(8, 2, 8, 4)]


@pytest.mark.parametrize("codec", [DecimalGroups(), BinGroups()], ids=repr)
@pytest.mark.parametrize("point", [(1.0, float("nan")), (1.0, 2.0, 3.0)])
def test_what_is_no_point_is_refused(codec: DecimalGroups | BinGroups, point: Any) -> None:
    with pytest.raises(ValueError, match="2 finite coordinates"):
        codec.encode_points([point], (8, 8))


@pytest.mark.parametrize(
    ("codec", "text", "message"),
    [
        (CellTokens(), "<object><patch_index_0001></object>", "'<object>' stands outside"),
        (CellTokens(), "so <patch_index_0001><patch_index_0040>", "stands outside"),
        (CellTokens(), "<object><patch_index_0001><patch_index_1024></object>", "0 to 1023"),
        (BinGroups(), "<b_st><bin_1> <bin_2> <bin_3><b_ed>", "'<b_st>' stands outside"),
        (BinGroups(bins=11), "<b_st><bin_1> <bin_2> <bin_3> <bin_11><b_ed>", "0 to 10"),
        (Thousandths(), "<box>(1,2),(3,1000)</box>", "holds 1000, expected 0 to 999"),
        (Thousandths(), "<box>(1,2),(3)</box>", "'<box>' stands outside"),
        (Thousandths(), f"<box>(1,2),({LONG},3)</box>", "'<box>' stands outside"),
        (BinGroups(), f"<b_st><bin_1><bin_2><bin_3><bin_{LONG}><b_ed>", "'<b_st>' stands outside"),
        (ResizedBins(), f"<bin_1> <bin_2> <bin_3> <bin_{LONG}>", "'<bin_1>' stands outside"),
        (DecimalBoxes(), f"[0.10, 0.20, {LONG}, 0.40]", "expected numbers from 0 to 1"),
        (ResizedBins(), "<bin_1> <bin_2> <bin_3>", "'<bin_1>' stands outside"),
        (ResizedBins(), "<bin_1> <bin_2> <bin_3> <bin_1000>", "0 to 999"),
        (ResizedBins(image_size=256), "<bin_1> <bin_2> <bin_3> <bin_600>", "0 to 500"),
        (DecimalBoxes(), "[0.10, 0.20, 1.30, 0.40]", "holds 1.30"),
        (DecimalBoxes(), "[0.10, -0.20, 0.30, 0.40]", "holds -0.20"),
    ],
)
def test_a_box_that_is_written_wrongly_is_an_error(
    codec: BoxCodec, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        codec.decode(text, (640, 480))


@pytest.mark.parametrize("box", ["1.500,0.2,0.3,0.4", "0.1, 0.2,0.3,0.4", "0.1,0.2,0.3", "1,2,3,4"])
def test_a_group_of_decimals_that_is_written_wrongly_is_text(box: str) -> None:
    assert DecimalGroups().decode(f"[{box}] [0,0,0.5,1]", (640, 480)) == [(0, 0, 320, 480)]


def test_a_box_that_reaches_into_the_padding_ends_with_the_picture() -> None:
    read = DecimalBoxes(padded=True).decode("[0.00, 0.10, 1.00, 0.50]", (800, 400))
    assert read == [(0, 0, 800, 200)]


def test_an_inverted_box_is_read_as_it_stands() -> None:
    assert Thousandths().decode("<box>(500,0),(250,999)</box>", (640, 1000)) == [(320, 0, 160, 999)]


@any_codec
def test_new_tokens_are_all_that_is_written_beside_plain_text(codec: BoxCodec) -> None:
    tokens = codec.tokens()
    assert len(set(tokens)) == len(tokens)
    rest = codec.encode([(0, 0, 5, 5), (3, 3, 8, 8)], (8, 8))
    for token in tokens:
        rest = rest.replace(token, "")
    assert re.fullmatch(r"[0-9., ;()\[\]]*", rest)


@pytest.mark.parametrize(
    ("codec", "fields"),
    [
        (CellTokens, {"cells": 30}),
        (DecimalGroups, {"precision": 4}),
        (BinGroups, {"bins": 2000}),
        (ResizedBins, {"image_size": 640}),
        (DecimalBoxes, {"decimals": 0}),
    ],
)
def test_a_coarseness_that_does_not_round_trip_is_refused(codec: type, fields: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        codec(**fields)
