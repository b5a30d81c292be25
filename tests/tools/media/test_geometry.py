"""Boxes and masks: one frame, one order, checked once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from nuthatch.tools.media.geometry import Box, Mask, intersection, iou

sides = st.floats(0, 500, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x1, y1 = draw(sides), draw(sides)
    width, height = draw(st.floats(0.5, 200)), draw(st.floats(0.5, 200))
    return Box.of((x1, y1, x1 + width, y1 + height))


@given(boxes(), boxes())
def test_iou_is_symmetric_and_between_0_and_1(a, b):
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert intersection(a, b) <= min(a.area, b.area) + 1e-6


def test_right_and_bottom_are_exclusive():
    assert Box.of((0, 0, 4, 3)).area == 12
    assert intersection(Box.of((0, 0, 4, 4)), Box.of((4, 0, 8, 4))) == 0


@pytest.mark.parametrize(
    "xyxy", [(4, 0, 4, 3), (5, 0, 4, 3), (-1, 0, 4, 3), (0, 0, float("inf"), 3)]
)
def test_a_box_that_is_none_is_refused(xyxy):
    with pytest.raises(ValidationError):
        Box.of(xyxy)


def test_a_box_keeps_to_its_picture():
    assert Box.of((2, 2, 50, 50)).clip(10, 8).xyxy == (2, 2, 10, 8)
    assert Box.of((2, 2, 8, 8)).grow(1.0, 10, 9).xyxy == (0, 0, 10, 9)
    with pytest.raises(ValueError, match="empty"):
        Box.of((20, 20, 30, 30)).clip(10, 10)


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_a_mask_comes_back_as_it_went_in(pixels):
    mask = Mask.of(pixels)
    assert np.array_equal(mask.numpy(), pixels)
    assert mask.area == pixels.sum()
    assert Mask.model_validate_json(mask.model_dump_json()) == mask


def test_counts_are_those_of_the_coco_tools():
    coco = pytest.importorskip("pycocotools.mask")
    pixels = np.random.default_rng(0).random((37, 53)) > 0.7
    theirs = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    assert Mask.of(pixels).counts == theirs["counts"].decode()


@pytest.mark.parametrize("counts", ["", "0", "zzzz", "\x7f", "P" * 9, "11"])
def test_malformed_runs_are_refused_before_anything_decodes_them(counts):
    with pytest.raises(ValidationError):
        Mask(size=(10, 10), counts=counts)
