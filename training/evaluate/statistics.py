"""Figures with 95 % intervals, when many questions share one scene.

Questions about one picture succeed and fail together, so scenes, not questions, are what was drawn
at random: intervals resample scenes, or widen a binomial interval by how much scenes agree within.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Statistic = Callable[[Numbers], Numbers]
"""Sums over scenes (..., k) -> one value each (...); NaN where there is nothing to divide by."""

Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""
RESAMPLES = 1000


class Interval(NamedTuple):
    """A measured value, its 95 % interval, and the number of cases behind it.

    Without cases nothing is known: value 0, interval from 0 to 1, n 0.
    """

    value: float
    low: float
    high: float
    n: int


UNKNOWN = Interval(0.0, 0.0, 1.0, 0)


def wilson(right: float, n: float) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927); honest at 0, at 1 and for small n."""
    if n <= 0:
        return 0.0, 1.0
    share = right / n
    scale = 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / scale
    half = Z / scale * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # The ends touch 0 and 1 exactly where the share does; rounding may miss that by 1e-17.
    low = 0.0 if right <= 0 else float(centre - half)
    high = 1.0 if right >= n else float(centre + half)
    return low, high


def proportion(right: int, n: int) -> Interval:
    """A share of independent cases."""
    return Interval(right / n, *wilson(right, n), n) if n else UNKNOWN


def clustered_proportion(right: Sequence[int], of: Sequence[int]) -> Interval:
    """A share of cases that come in clusters: `right[i]` of the `of[i]` cases of scene i.

    Wilson's interval for the effective number of cases: n divided by the design effect, the ratio
    of the variance between clusters to that of independent cases (Korn and Graubard 1998; Dean and
    Pavlou 2015). Unlike the bootstrap it does not shrink to a point when no case failed.
    """
    if len(right) != len(of):
        raise ValueError(f"{len(right)} numerators for {len(of)} denominators")
    hits, cases = np.asarray(right, np.float64), np.asarray(of, np.float64)
    n, clusters = cases.sum(), int((cases > 0).sum())
    if not n:
        return UNKNOWN
    share = hits.sum() / n
    effect = 1.0
    if 0 < share < 1 and clusters > 1:
        residual = (hits - share * cases)[cases > 0]
        variance = clusters / (clusters - 1) * (residual**2).sum() / n**2
        effect = max(1.0, variance / (share * (1 - share) / n))
    effective = n / effect
    return Interval(float(share), *wilson(share * effective, effective), int(n))


def bootstrap(
    counts: npt.ArrayLike, statistic: Statistic, *, n: int | None = None, seed: int = 0
) -> Interval:
    """A statistic of sums over scenes, with the percentile interval over resampled scenes.

    Args:
        counts: (scenes, k) what each scene adds to the k sums.
        statistic: from the sums to the value, e.g. `ratio` or `pope.f1`.
        n: number of cases to report; the number of scenes if not given.
        seed: of the resampling.
    """
    table = np.asarray(counts, np.float64)
    if not len(table):
        return UNKNOWN
    value = float(statistic(table.sum(axis=0)))
    if np.isnan(value):
        return UNKNOWN
    rng = np.random.default_rng(seed)
    # How often each scene is drawn: (RESAMPLES, scenes).
    times = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
    low, high = np.nanpercentile(statistic(times @ table), [2.5, 97.5])
    return Interval(value, float(low), float(high), len(table) if n is None else n)


def mean(sums: npt.ArrayLike, counts: npt.ArrayLike) -> Interval:
    """The mean of cases that come in scenes: `sums[i]` over the `counts[i]` cases of scene i."""
    table = np.stack([np.asarray(sums, np.float64), np.asarray(counts, np.float64)], axis=-1)
    return bootstrap(table, ratio, n=int(table[:, 1].sum()))


def ratio(sums: Numbers) -> Numbers:
    """First sum over second."""
    return divide(sums[..., 0], sums[..., 1])


def difference(
    first: npt.ArrayLike, second: npt.ArrayLike, statistic: Statistic, *, seed: int = 0
) -> Interval:
    """`statistic` of the first minus that of the second, paired: both on the same resampled scenes.

    Args:
        first: (scenes, k) counts of one method.
        second: (scenes, k) counts of the other on the same scenes.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"counts of shape {one.shape} and {other.shape} cannot be paired")
    width = one.shape[-1]
    return bootstrap(
        np.concatenate([one, other], axis=-1),
        lambda sums: statistic(sums[..., :width]) - statistic(sums[..., width:]),
        seed=seed,
    )


def median(values: Sequence[float], *, seed: int = 0) -> Interval:
    """The median of independent values with its bootstrap interval."""
    if not values:
        return UNKNOWN
    drawn = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    draws = np.median(drawn[rng.integers(0, len(drawn), (RESAMPLES, len(drawn)))], axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(np.median(drawn)), float(low), float(high), len(drawn))


def divide(numerator: Numbers, denominator: Numbers) -> Numbers:
    """NaN, without a warning, where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Numbers = np.where(denominator == 0, np.nan, numerator / denominator)
    return quotient
