"""An array is the picture that it is in a file, or it is refused; never another picture."""

import numpy as np
import pytest
import torch

from nuthatch.tools.media.ingest import MediaError, read_image

DRAW = np.random.default_rng(0)
RGB = DRAW.integers(0, 256, (12, 20, 3), np.uint8)
RGB[0, :2] = ((0,) * 3, (255,) * 3)
GREY = np.ascontiguousarray(RGB[..., 0])
ALPHA = np.dstack([RGB, np.full(GREY.shape, 255, np.uint8)])
WIDE = RGB.astype(np.int64)


def same(array: object, expected: np.ndarray = RGB, by: int = 1) -> bool:
    pixels, _ = read_image(array)
    wanted = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, 2)
    return pixels.shape == wanted.shape and int(np.abs(pixels.astype(int) - wanted).max()) <= by


def refusal(array: object) -> str:
    with pytest.raises(MediaError) as caught:
        read_image(array)
    assert caught.value.code == "unsupported_media"
    return caught.value.message


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RGB, RGB),
        (RGB.transpose(2, 0, 1), RGB),
        (RGB[None], RGB),
        (RGB.transpose(2, 0, 1)[None], RGB),
        (ALPHA, RGB),
        (ALPHA.transpose(2, 0, 1), RGB),
        (GREY, GREY),
        (GREY[..., None], GREY),
        (GREY[None], GREY),
    ],
    ids=["hwc", "chw", "1hwc", "1chw", "rgba", "rgba first", "hw", "hw1", "1hw"],
)
def test_channels_are_first_or_last(array, expected):
    assert same(array, expected, by=0)


@pytest.mark.parametrize(
    "shape", [(12, 20, 2), (12, 20, 5), (2, 12, 20, 3), (40,), (), (1, 1, 12, 20, 3)]
)
def test_another_shape_is_refused_with_what_is_expected(shape):
    assert "expected (height, width, 3) uint8 RGB" in refusal(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4"])
def test_floats_from_0_to_1_and_whole_floats_up_to_255_are_pictures(kind):
    assert same((RGB / 255).astype(kind))
    assert same((ALPHA / 255).astype(kind))
    assert same(RGB.astype(kind), by=0)


@pytest.mark.parametrize("kind", ["i2", "u2", "i4", "u4", "i8", "u8", ">u2", ">i4"])
def test_whole_numbers_up_to_255_are_8_bits_in_any_type(kind):
    assert same(RGB.astype(kind), by=0)


@pytest.mark.parametrize("kind", ["u2", ">u2", "i4", "i8", "f4"])
def test_values_above_16383_are_16_bits_in_any_type(kind):
    assert same((257 * WIDE).astype(kind), by=0)
    assert same((WIDE << 8).astype(kind))


def test_bools_are_black_and_white():
    assert same(GREY > 99, np.where(GREY > 99, 255, 0), by=0)


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        ((WIDE << 4).astype(np.uint16), "12 bits"),
        ((WIDE << 2).astype(np.uint16), "10, 12 or 14 bits"),
        (RGB / 127.5 - 1, r"(array + 1) / 2"),
        ((RGB / 255 - 0.45) / 0.22, "give 0 to 1"),
        (RGB * 0.99, "give 0 to 1, or array.clip(0, 255).astype(np.uint8)"),
        (RGB / 200, "give 0 to 1"),
        (WIDE * 1000, "scale them"),
        (WIDE - 128, "scale them"),
        ((GREY > 99).astype(int), "give bool"),
        (np.where(GREY > 9, RGB[..., 0] / 255, np.nan), "np.nan_to_num"),
        (np.where(GREY > 9, RGB[..., 0] / 255, np.inf), "np.nan_to_num"),
    ],
)
def test_what_can_be_read_in_several_ways_is_refused_with_what_to_pass(array, advice):
    assert advice in refusal(array)


@pytest.mark.parametrize(
    "array",
    [
        RGB.astype(object),
        RGB.astype(complex),
        np.array(["a"]),
        np.ma.masked_array(RGB, GREY[..., None].repeat(3, 2) > 9),
        np.zeros((9, 9), "datetime64[s]"),
    ],
)
def test_what_holds_no_numbers_or_hides_some_is_refused(array):
    refusal(array)


def test_transparent_parts_lie_on_white():
    half = ALPHA.copy()
    half[..., 3] = 128
    assert same(half, np.rint(RGB * (128 / 255) + 255 * (127 / 255)))
    assert "white" in (read_image(half)[1] or "")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.permute(2, 0, 1).float() / 255,
        lambda t: (t.float() / 255).requires_grad_(),
        lambda t: (t.permute(2, 0, 1)[None].float() / 255).half(),
        lambda t: (t.float() / 255).bfloat16(),
    ],
    ids=["uint8", "float chw", "grad", "half batch", "bfloat16"],
)
def test_tensors_of_torch_are_arrays(change):
    assert same(change(torch.from_numpy(RGB.copy())))


@pytest.mark.parametrize("change", [lambda t: t.to("meta"), lambda t: t.float().to_sparse()])
def test_a_tensor_without_values_of_its_own_is_refused(change):
    assert "copied to numpy" in refusal(change(torch.from_numpy(RGB.copy())))


def test_the_pixels_are_not_those_of_the_array():
    array = RGB.copy()
    pixels, _ = read_image(array)
    array[:] = 0
    assert np.array_equal(pixels, RGB)
