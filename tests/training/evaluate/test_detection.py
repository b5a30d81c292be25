"""Average precision against cases worked out by hand."""

import pytest

from nuthatch.tools.detection.detectors import Found
from nuthatch.training.evaluate.detection import (
    Real,
    average_precision,
    average_precision_by_label,
)

BOX = (0.0, 0.0, 10.0, 10.0)
AWAY = (50.0, 50.0, 60.0, 60.0)


def ap(found: list[list[Found]], real: list[list[Real]], overlap: float = 0.5) -> float:
    return average_precision(found, real, overlap, resamples=0).value


def test_a_perfect_detector_has_an_average_precision_of_one() -> None:
    assert ap([[Found("cup", 0.9, BOX)]], [[Real("cup", BOX)]]) == 1.0


def test_an_object_that_is_never_found_gives_zero() -> None:
    assert ap([[]], [[Real("cup", BOX)]]) == 0.0


def test_a_better_scored_false_box_halves_the_precision_at_every_recall() -> None:
    found = [[Found("cup", 0.9, AWAY), Found("cup", 0.8, BOX)]]
    assert ap(found, [[Real("cup", BOX)]]) == pytest.approx(0.5)


def test_a_worse_scored_false_box_costs_nothing() -> None:
    found = [[Found("cup", 0.7, AWAY), Found("cup", 0.8, BOX)]]
    assert ap(found, [[Real("cup", BOX)]]) == 1.0


def test_a_second_box_on_the_same_object_is_false() -> None:
    found = [[Found("cup", 0.9, BOX), Found("cup", 0.8, BOX), Found("cup", 0.7, AWAY)]]
    # Precision 1 up to recall 1/2 (51 of the 101 points), then 2/3.
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert ap(found, [[Real("cup", BOX), Real("cup", AWAY)]]) == pytest.approx(expected)


def test_half_of_the_objects_found_gives_51_of_101_points() -> None:
    found = [[Found("cup", 0.9, BOX)], []]
    assert ap(found, [[Real("cup", BOX)], [Real("cup", BOX)]]) == pytest.approx(51 / 101)


def test_a_box_counts_only_with_enough_overlap() -> None:
    shifted = (0.0, 0.0, 10.0, 6.0)  # IoU 0.6
    found, real = [[Found("cup", 0.9, shifted)]], [[Real("cup", BOX)]]
    assert ap(found, real, 0.5) == 1.0
    assert ap(found, real, 0.75) == 0.0


def test_another_category_on_the_right_place_is_false() -> None:
    assert ap([[Found("vase", 0.9, BOX)]], [[Real("cup", BOX)]]) == 0.0


def test_categories_count_alike_however_often_they_occur() -> None:
    real = [[Real("cup", BOX)], [Real("cup", BOX)], [Real("vase", BOX)]]
    found = [[Found("cup", 0.9, BOX)], [Found("cup", 0.9, BOX)], []]
    assert ap(found, real) == pytest.approx(0.5)


def test_a_category_that_never_occurs_does_not_enter_the_mean() -> None:
    found = [[Found("cup", 0.9, BOX), Found("vase", 0.95, BOX)]]
    assert ap(found, [[Real("cup", BOX)]]) == 1.0


def test_the_interval_holds_the_value_and_narrows_with_more_pictures() -> None:
    def interval(times: int) -> tuple[float, float, float]:
        found = [[Found("cup", 0.9, BOX)], []] * times
        real = [[Real("cup", BOX)]] * (2 * times)
        value, low, high, n = average_precision(found, real, 0.5)
        assert n == 2 * times
        assert low <= value <= high
        return value, low, high

    _, few_low, few_high = interval(5)
    _, many_low, many_high = interval(100)
    assert many_high - many_low < few_high - few_low


def test_as_many_results_as_pictures_are_asked_for() -> None:
    with pytest.raises(ValueError, match="1 results for 2 pictures"):
        average_precision([[]], [[], []], 0.5)


def test_by_label_every_category_that_occurs_has_its_own_figure() -> None:
    real = [[Real("cup", BOX), Real("vase", AWAY)]]
    found = [[Found("cup", 0.9, BOX), Found("dog", 0.9, BOX)]]
    assert average_precision_by_label(found, real, 0.5) == {"cup": 1.0, "vase": 0.0}
