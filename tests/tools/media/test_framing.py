"""Pictures into the network's frame, and boxes back out of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nuthatch.tools.media.framing import Framing

HALF = (0.5, 0.5, 0.5)
SQUARE = Framing({"height": 64, "width": 64}, HALF, HALF)
RELEASED = Framing({"shortest_edge": 32, "longest_edge": 48}, HALF, HALF)


def white(height: int, width: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.full((height, width, 3), 255, np.uint8)


def test_a_wide_picture_fills_the_top_of_a_fixed_square_over_the_mean_colour() -> None:
    values, mask, inside = SQUARE.tensor([white(50, 100)])
    assert values.shape == (1, 3, 64, 64)
    assert inside == [(32, 64)]
    assert (values[0, :, :32] == 1).all()
    assert (values[0, :, 32:] == 0).all()
    assert (mask == 1).all()


def test_a_box_comes_back_from_a_fixed_square_in_pixels_of_the_picture() -> None:
    image = white(50, 100)
    box = torch.tensor([[0.5, 0.25, 0.5, 0.25]])  # 16..48 across, 8..24 down, of 64
    assert SQUARE.pixels(box, image, (32, 64)).tolist() == [[25.0, 12.5, 75.0, 37.5]]


def test_a_box_that_reaches_into_the_padding_is_clipped() -> None:
    box = torch.tensor([[0.5, 0.5, 1.2, 1.0]])
    assert SQUARE.pixels(box, white(50, 100), (32, 64)).tolist() == [[0.0, 0.0, 100.0, 50.0]]


def test_without_a_fixed_size_padding_is_masked_and_boxes_are_shares_of_the_picture() -> None:
    images = [white(32, 32), white(16, 64)]
    values, mask, inside = RELEASED.tensor(images)
    assert inside == [(32, 32), (12, 48)]
    assert values.shape == (2, 3, 32, 48)
    assert mask.sum((1, 2)).tolist() == [32 * 32, 12 * 48]
    box = torch.tensor([[0.5, 0.5, 0.5, 0.5]])
    assert RELEASED.pixels(box, images[1], inside[1])[0] == pytest.approx([16, 4, 48, 12])


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    SQUARE.save(tmp_path / "preprocessor_config.json")
    assert Framing.load(tmp_path / "preprocessor_config.json") == SQUARE
