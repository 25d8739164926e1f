"""Statistics, each with its interval, each allowed to have none: None where the samples are too few to tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Curve = Mapping[float, Sequence[float]]

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None where the samples are too few for one."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def contains(self, value: float) -> bool | None:
        """Whether the interval holds `value`; None where there is no interval."""
        return None if self.low is None or self.high is None else self.low <= value <= self.high


@lru_cache
def t_factor(n: int) -> float:
    """Return how many standard errors of the mean of `n` values the 95 % t-interval reaches to each side."""
    from scipy import special

    return float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2))


def mean(values: Sequence[float]) -> Estimate | None:
    """Return the mean and its t-interval; no interval for a single value, None for none."""
    data = np.asarray(values, dtype=float)
    if data.size == 0:
        return None
    if data.size == 1:
        return Estimate(float(data[0]), None, None, 1)
    half = t_factor(data.size) * float(data.std(ddof=1)) / math.sqrt(data.size)
    center = float(data.mean())
    return Estimate(center, center - half, center + half, data.size)


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Return the mean difference over the seeds that both have, and its t-interval; None where they share none."""
    return mean([values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())])


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """Return an estimate in another unit."""
    low, high = (None if bound is None else bound * factor for bound in (estimate.low, estimate.high))
    return Estimate(estimate.value * factor, low, high, estimate.n)


def exact(value: float) -> Estimate:
    """Return a value without doubt, such as a count."""
    return Estimate(value, value, value, 1)


def predicted(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval in which one more value of the same kind is expected; None for fewer than two."""
    from scipy import stats

    data = np.asarray(values, dtype=float)
    if data.size < 2:
        return None
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, data.size - 1) * data.std(ddof=1) * np.sqrt(1 + 1 / data.size)
    return float(data.mean() - reach), float(data.mean() + reach)


def proportion(share: float, n: int) -> Estimate | None:
    """Return a share of `n` images with its Wilson score interval; None for no images."""
    from scipy import stats

    if n < 1:
        return None
    interval = stats.binomtest(round(share * n), n).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(share, float(interval.low), float(interval.high), 1)


def difference_of_proportions(share: float, baseline: float, n: int, baseline_n: int | None = None) -> Estimate | None:
    """Return the difference of shares of `n` and of `baseline_n` images, with Newcombe's interval (1998, method 10).

    Args:
        share: of `n` images.
        baseline: a share of `baseline_n` images, by default of as many.
        n: images.
        baseline_n: images.
    """
    first, second = proportion(share, n), proportion(baseline, n if baseline_n is None else baseline_n)
    if first is None or second is None:
        return None
    assert first.low is not None and first.high is not None  # noqa: PT018, S101 - a share of images has an interval
    assert second.low is not None and second.high is not None  # noqa: PT018, S101
    difference = share - baseline
    low = difference - math.hypot(share - first.low, second.high - baseline)
    high = difference + math.hypot(first.high - share, baseline - second.low)
    return Estimate(difference, low, high, 1)


def paired_ratio(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Return the geometric mean of the ratios by seed, with the t-interval of their logarithms."""
    shared = sorted(values.keys() & baseline.keys())
    logs = mean([math.log(values[seed] / baseline[seed]) for seed in shared if values[seed] > 0 and baseline[seed] > 0])
    if logs is None:
        return None
    low, high = (None if bound is None else math.exp(bound) for bound in (logs.low, logs.high))
    return Estimate(math.exp(logs.value), low, high, logs.n)


def crossover(family: Curve, rival: Curve) -> Estimate | None:
    """Return where a family that leads falls behind its rival, in the unit of x; None where it never does.

    Between measured points accuracy is taken as linear in the logarithm of x. The interval is that of the crossings of
    `RESAMPLES` pairs of curves as they may truly be: the points' means drawn from their posterior, normal runs with one
    deviation a curve (resampling two or three runs would tell far too little of it). There is none where more than 5 %
    of the pairs do not cross, or where every point of a curve has a single run.

    Args:
        family: by x (such as parameters) the accuracies of the runs there.
        rival: likewise.
    """
    value = _crossing(_means(family), _means(rival))
    if value is None:
        return None
    runs = min(len(y) for curve in (family, rival) for y in curve.values())
    found = _crossings(family, rival)
    crossed = [x for x in found if x is not None]
    if not found or len(crossed) < CONFIDENCE * RESAMPLES:
        return Estimate(value, None, None, runs)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(crossed, [tail, 100 - tail])
    return Estimate(value, float(low), float(high), runs)


def surely_uncrossed(family: Curve, rival: Curve) -> bool:
    """Whether at most 5 % of the pairs of curves as they may truly be cross; see `crossover`."""
    found = _crossings(family, rival)
    return bool(found) and sum(x is not None for x in found) <= (1 - CONFIDENCE) * RESAMPLES


def leads(family: Curve, rival: Curve) -> bool:
    """Whether the family is ahead at the smallest x at which both were measured or can be told."""
    return bool(_lead(_means(family), _means(rival))[1][0] > 0)


def _means(curve: Curve) -> dict[float, float]:
    return {x: float(np.mean(y)) for x, y in curve.items()}


def _crossings(family: Curve, rival: Curve) -> list[float | None]:
    """Return where drawn pairs of curves cross; none where a curve has no two runs at any point."""
    generator = np.random.default_rng(0)
    draws = [_drawn(curve, generator) for curve in (family, rival)]
    if any(draw is None for draw in draws):
        return []
    xs = [sorted(curve) for curve in (family, rival)]
    return [
        _crossing(*(dict(zip(x, draw[i], strict=True)) for x, draw in zip(xs, draws, strict=True) if draw is not None))
        for i in range(RESAMPLES)
    ]


def _drawn(curve: Curve, generator: np.random.Generator) -> np.ndarray[tuple[int, int], Any] | None:
    """Return `RESAMPLES` draws of the means of a curve's points by x; None where no point has two runs."""
    points = [np.asarray(curve[x], dtype=float) for x in sorted(curve)]
    degrees = sum(len(y) - 1 for y in points)
    if degrees == 0:
        return None
    squares = sum(float(((y - y.mean()) ** 2).sum()) for y in points)
    deviation = np.sqrt(squares / generator.chisquare(degrees, (RESAMPLES, 1)))
    errors = generator.standard_normal((RESAMPLES, len(points))) / np.sqrt([len(y) for y in points])
    return np.asarray([y.mean() for y in points] + deviation * errors)


def _crossing(family: Mapping[float, float], rival: Mapping[float, float]) -> float | None:
    """Return the first x at which the lead of a piecewise linear curve (in log x) ends."""
    grid, lead = _lead(family, rival)
    for left in range(len(grid) - 1):
        if lead[left] > 0 >= lead[left + 1]:
            share = lead[left] / (lead[left] - lead[left + 1])
            return float(np.exp(grid[left] + share * (grid[left + 1] - grid[left])))
    return None


def _lead(family: Mapping[float, float], rival: Mapping[float, float]) -> tuple[Any, Any]:
    """Return the logarithms of x at which one of two curves was measured and both are told, and the lead there."""
    xs = [np.log(sorted(curve)) for curve in (family, rival)]
    low, high = max(x[0] for x in xs), min(x[-1] for x in xs)
    grid = np.unique([*(x for x in np.concatenate(xs) if low <= x <= high)])
    leads = [
        np.interp(grid, x, [curve[key] for key in sorted(curve)]) for x, curve in zip(xs, (family, rival), strict=True)
    ]
    return grid, leads[0] - leads[1]
