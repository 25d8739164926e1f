"""Statistics, each with its interval, each allowed to have none: None where the samples are too few to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archbench.schema import Timing

CONFIDENCE = 0.95
UNSTABLE_SPREAD = 0.10  # IQR / median above which a timing is called unstable


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


def mean(values: Sequence[float]) -> Estimate | None:
    """Return the mean and its t-interval; no interval for a single value, None for none."""
    from scipy import stats

    data = np.asarray(values, dtype=float)
    if data.size == 0:
        return None
    if data.size == 1:
        return Estimate(float(data[0]), None, None, 1)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, data.size - 1) * stats.sem(data))
    center = float(data.mean())
    return Estimate(center, center - half, center + half, data.size)


def median(values: Sequence[float]) -> Estimate | None:
    """Return the median and its distribution-free interval from order statistics (needs 6 values), None for none."""
    from scipy import stats

    data = np.asarray(values, dtype=float)
    if data.size == 0:
        return None
    interval: Any = stats.quantile_test(data, p=0.5).confidence_interval(CONFIDENCE)
    low, high = (float(b) if np.isfinite(b) else None for b in (interval.low, interval.high))
    if low is None or high is None:
        low = high = None
    return Estimate(float(np.median(data)), low, high, data.size)


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Return the mean difference over the seeds that both have, and its t-interval; None where they share none."""
    return mean([values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())])


def step_us(timing: Timing) -> Estimate:
    """Return the median of a timing's samples, in microseconds, with its interval."""
    estimate = median(timing.samples_us)
    assert estimate is not None  # noqa: S101 - a timing has samples
    return estimate


def step_ratio(timing: Timing, baseline: Timing) -> Estimate | None:
    """Return how many times as long a step takes as the baseline's: the median of the ratios round by round.

    None where the two were not timed side by side: a ratio across sessions would hold the machine's moods.
    """
    if timing.session != baseline.session or timing.device != baseline.device or timing.mode != baseline.mode:
        return None
    logs = median(np.log(np.divide(timing.samples_us, baseline.samples_us)))  # type: ignore[arg-type]
    if logs is None:
        return None
    low, high = (None if bound is None else float(np.exp(bound)) for bound in (logs.low, logs.high))
    return Estimate(float(np.exp(logs.value)), low, high, logs.n)


def instability(timing: Timing) -> str | None:
    """Return why a timing is in doubt and what to do, or None."""
    lower, middle, upper = np.percentile(timing.samples_us, [25, 50, 75])
    spread = float((upper - lower) / middle)
    if spread <= UNSTABLE_SPREAD:
        return None
    return (
        f"the middle half of the samples spreads over {100 * spread:.0f} % of the median: quiet the machine, time again"
    )
