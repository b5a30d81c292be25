import numpy as np
import pytest

from nuthatch.training.evaluate.statistics import (
    UNKNOWN,
    bootstrap,
    clustered_proportion,
    difference,
    mean,
    median,
    proportion,
    ratio,
    wilson,
)


def test_wilson_agrees_with_the_published_table():
    # Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for right, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


def test_nothing_measured_is_nothing_known():
    assert proportion(0, 0) == clustered_proportion([0], [0]) == mean([], []) == UNKNOWN
    assert bootstrap([[0, 0]], ratio) == median([]) == UNKNOWN


def test_a_perfect_record_keeps_an_interval():
    figure = clustered_proportion([3] * 20, [3] * 20)
    assert figure.value == figure.high == 1.0
    assert 0.9 < figure.low < 0.99


def test_independent_cases_get_the_plain_interval():
    rng = np.random.default_rng(0)
    right = rng.random(4000) < 0.8
    clustered = clustered_proportion(right.astype(int).tolist(), [1] * 4000)
    plain = proportion(int(right.sum()), 4000)
    assert clustered == pytest.approx(plain, abs=1e-3)


def test_scenes_that_fail_as_a_whole_widen_the_interval():
    whole = clustered_proportion([4, 0] * 50, [4] * 100)
    spread = clustered_proportion([2] * 100, [4] * 100)
    assert whole.value == spread.value == 0.5
    # Only the scenes count: as wide as 100 independent cases, not 400.
    assert whole.high - whole.low == pytest.approx(np.subtract(*wilson(50, 100)[::-1]), rel=0.02)
    assert spread.high - spread.low == pytest.approx(np.subtract(*wilson(200, 400)[::-1]))


def test_intervals_cover_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = {"clustered": 0, "bootstrap": 0}
    for trial in range(200):
        chance = rng.beta(4, 1, 80)  # a scene's own difficulty; mean 0.8
        of = rng.integers(1, 6, 80)
        right = rng.binomial(of, chance)
        for name, figure in {
            "clustered": clustered_proportion(right.tolist(), of.tolist()),
            "bootstrap": bootstrap(np.stack([right, of], axis=1), ratio, seed=trial),
        }.items():
            covered[name] += figure.low <= 0.8 <= figure.high
    assert all(178 <= times <= 199 for times in covered.values()), covered


def test_a_mean_weights_cases_and_not_scenes():
    figure = mean([1.0, 0.0], [1, 3])
    assert figure.value == 0.25
    assert figure.n == 4


def test_a_paired_difference_is_narrower_than_its_parts():
    rng = np.random.default_rng(2)
    of = np.full(300, 6)
    first = rng.binomial(6, rng.beta(2, 1, 300))
    second = np.maximum(first - (rng.random(300) < 0.2), 0)
    one, other = np.stack([first, of], 1), np.stack([second, of], 1)
    paired = difference(one, other, ratio)
    alone = bootstrap(one, ratio)
    assert paired.low > 0
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_the_same_counts_give_the_same_interval():
    counts = np.random.default_rng(3).integers(1, 9, (40, 2))
    assert bootstrap(counts, ratio, seed=5) == bootstrap(counts, ratio, seed=5)


def test_the_median_is_not_moved_by_one_slow_case():
    assert median([1.0, 1.1, 1.2, 60.0, 1.1]).value == 1.1
