"""Estimates with their intervals, each allowed to have none: None where the samples are too few to tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95


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


@lru_cache(maxsize=4096)
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
