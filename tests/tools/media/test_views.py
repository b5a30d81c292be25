"""Where to look in a picture so that what is small in it is seen."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nuthatch.tools.media.views import MOST_TILES, View, content_of, too_small, views


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def on_plain(width: int, height: int, part: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 200, np.uint8)
    x1, y1, x2, y2 = part
    picture[y1:y2, x1:x2] = noise(x2 - x1, y2 - y1)
    return picture


@pytest.mark.parametrize("size", [(128, 128), (640, 480), (512, 768), (4000, 3000)])
def test_an_ordinary_picture_has_one_view(size: tuple[int, int]) -> None:
    assert views(noise(*size)) == [View((0, 0, *size))]


def test_a_plain_picture_has_one_view() -> None:
    assert views(np.zeros((300, 400, 3), np.uint8)) == [View((0, 0, 400, 300))]


@pytest.mark.parametrize("part", [(0, 0, 256, 256), (3000, 2500, 3400, 2900), (1744, 0, 2256, 512)])
def test_within_plain_margins_the_content_is_looked_at_closely(
    part: tuple[int, int, int, int],
) -> None:
    whole, *closer = views(on_plain(4000, 3000, part))
    assert whole.box == (0, 0, 4000, 3000)
    assert not whole.finest
    x1, y1, x2, y2 = closer[-1].box
    assert max(x1 - part[0], y1 - part[1], part[2] - x2, part[3] - y2) <= 0
    assert max(x2 - x1, y2 - y1) < 1.2 * max(part[2] - part[0], part[3] - part[1])


def test_a_gradient_and_weak_noise_are_margins_too() -> None:
    picture = on_plain(1000, 1000, (400, 400, 700, 700)).astype(np.float64)
    margin = np.linspace(30, 220, 1000)[:, None] + np.random.default_rng(1).normal(
        0, 2, (1000, 1000)
    )
    plain = (picture == 200).all(axis=2)
    picture[plain] = margin.clip(0, 255)[plain][:, None]
    x1, y1, x2, y2 = content_of(picture.astype(np.uint8)).box
    assert (x1, y1) >= (390, 390)
    assert (x2, y2) <= (710, 710)


@pytest.mark.parametrize("size", [(2000, 400), (400, 2000), (3000, 400)])
def test_a_long_picture_is_looked_at_in_squares_that_cover_it(size: tuple[int, int]) -> None:
    squares = [view.box for view in views(noise(*size)) if view.within is not None]
    assert {(x2 - x1, y2 - y1) for x1, y1, x2, y2 in squares} == {(min(size), min(size))}
    covered = np.zeros(size[::-1], int)
    for x1, y1, x2, y2 in squares:
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    steps = np.diff(sorted(max(box[:2]) for box in squares))
    assert steps.max() <= min(size) / 2  # what is half as wide lies whole in one of them


def test_squares_without_any_detail_are_left_out() -> None:
    picture = on_plain(4000, 400, (0, 0, 400, 400))
    picture[:, 3600:] = noise(400, 400)
    squares = [view.box[0] for view in views(picture) if view.within is not None]
    assert squares
    assert all(x <= 400 or x >= 3200 for x in squares)


def test_a_picture_that_may_be_stretched_is_squeezed_and_boxes_come_back() -> None:
    (view,) = (view for view in views(noise(300, 100)) if view.squeezed)
    assert view.of(noise(300, 100)).shape == (100, 100, 3)
    assert view.place((10, 20, 30, 40)) == (30, 20, 90, 40)
    assert not any(view.squeezed for view in views(noise(500, 100)))


def test_what_a_square_cuts_through_is_left_to_its_neighbour() -> None:
    inner = [view for view in views(noise(800, 100)) if view.within is not None][2]
    x1, _, x2, _ = inner.box
    assert inner.suits((x1 + 10, 10, x1 + 60, 60))
    assert not inner.suits((x1, 10, x1 + 60, 60))
    assert not inner.suits((x2 - 60, 10, x2 - 1, 60))


def test_each_view_takes_the_objects_of_its_scale() -> None:
    whole, *_, closest = views(on_plain(2000, 2000, (0, 0, 200, 200)))
    small = (10, 10, 60, 60)
    assert not whole.suits(small)
    assert closest.suits(small)
    assert whole.suits((0, 0, 900, 900))


@pytest.mark.parametrize(
    ("size", "thin"),
    [
        ((20, 20), True),
        ((5000, 40), True),
        ((20000, 16), True),
        ((2048, 512), False),
        ((512, 512), False),
    ],
)
def test_too_small_is_a_picture_too_narrow_or_too_long(size: tuple[int, int], thin: bool) -> None:
    assert too_small(views(noise(*size))) is thin


def test_no_more_squares_than_can_be_looked_at() -> None:
    assert len(views(noise(3000, 400))) <= 2 + MOST_TILES
    assert not any(view.within for view in views(noise(20_000, 16)))
