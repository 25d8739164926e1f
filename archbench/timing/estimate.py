"""Timings -> estimates: a step's own time, ratios of models that were timed side by side, each with its interval.

The estimate is the median over processes of each process's median; the interval is a hierarchical bootstrap's
(processes are drawn, then rounds within each), as samples of one process share its memory layout and are no
independent witnesses of it (Kalibera and Jones 2013, Rigorous benchmarking in reasonable time, ISMM).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench.stats import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archbench.schema import Device, Mode, Timing

DRAWS = 2000
LEAST = 6  # samples under which there is no interval


def hierarchical(groups: Sequence[Sequence[float]]) -> Estimate | None:
    """Return the median over groups of the median of each, and its hierarchical bootstrap interval.

    Args:
        groups: values by process. None for no values; no interval for fewer than six in all.
    """
    kept = [np.sort(np.asarray(group, dtype=float)) for group in groups if len(group)]
    if not kept:
        return None
    value = float(np.median([np.median(group) for group in kept]))
    n = sum(len(group) for group in kept)
    if n < LEAST:
        return Estimate(value, None, None, n)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(_drawn_medians(kept), [tail, 100 - tail])
    # The percentiles of a bootstrap need not hold the value itself where groups are few.
    return Estimate(value, min(float(low), value), max(float(high), value), n)


def geometric(groups: Sequence[Sequence[float]]) -> Estimate | None:
    """Return `hierarchical` of positive values on a log scale, as ratios are told: twice and half are equally far."""
    found = hierarchical([np.log(group) for group in groups if len(group)])  # type: ignore[misc]
    if found is None:
        return None
    low, high = (None if bound is None else math.exp(bound) for bound in (found.low, found.high))
    return Estimate(math.exp(found.value), low, high, found.n)


def _drawn_medians(groups: Sequence[Any]) -> Any:
    """Return the estimates of `DRAWS` resamples.

    The median of n values drawn with replacement from n sorted ones is the value at the rank that the median of n
    uniform variables falls on, and that median is Beta((n + 1) / 2, (n + 1) / 2): drawn at once, whatever n is.
    """
    drawn: Any = np.median(np.concatenate(groups)[_ranks(tuple(map(len, groups)))], axis=1)
    return drawn


@lru_cache(maxsize=32)
def _ranks(sizes: tuple[int, ...]) -> Any:
    """Return the places of the medians that are drawn (draws, groups), by the sizes of the groups, one after another.

    They depend on nothing else, and many timings have the same sizes.
    """
    generator = np.random.default_rng(0)
    shape = (DRAWS, len(sizes))
    chosen = generator.integers(len(sizes), size=shape)
    ranks = np.empty(shape, dtype=np.intp)
    begins = np.cumsum((0, *sizes))
    for index, size in enumerate(sizes):
        mine = chosen == index
        half = (size + 1) / 2
        ranks[mine] = begins[index] + (generator.beta(half, half, size=int(mine.sum())) * size).astype(int)
    return ranks


def by_process(values: Sequence[float], processes: Sequence[int]) -> list[list[float]]:
    """Return values grouped by the process that each comes from; without processes all are one's."""
    groups: dict[int, list[float]] = {}
    for value, process in zip(values, processes or [0] * len(values), strict=True):
        groups.setdefault(process, []).append(value)
    return list(groups.values())


@lru_cache(maxsize=4096)
def step_us(timing: Timing) -> Estimate:
    """Return the time of a step in microseconds."""
    estimate = hierarchical(by_process(timing.samples_us, timing.processes))
    assert estimate is not None  # noqa: S101 - a timing has samples
    return estimate


def least_us(timing: Timing) -> float:
    """Return the shortest time of a step, a second figure: what it takes when nothing is in its way."""
    return min(timing.samples_us)


def data_us(timing: Timing) -> Estimate | None:
    """Return the time in which the data pipeline makes a batch, in microseconds; None where it was not measured."""
    return hierarchical(by_process(timing.data_us, timing.processes)) if timing.data_us else None


@lru_cache(maxsize=4096)
def step_ratio(timing: Timing, baseline: Timing) -> Estimate | None:
    """Return how many times as long a step takes as the baseline's: from the ratios round by round.

    None where the two were not timed side by side: a ratio across sessions would hold the machine's moods.
    """
    if timing.session != baseline.session or timing.device != baseline.device or timing.mode != baseline.mode:
        return None
    return _ratio(timing.samples_us, baseline.samples_us, timing.processes)


@lru_cache(maxsize=4096)
def twin_ratio(timing: Timing) -> Estimate | None:
    """Return the ratio of two copies of the same model, whose truth is 1; None where there was no second copy."""
    return _ratio(timing.twin_us, timing.samples_us, timing.processes) if timing.twin_us else None


def resolution(timing: Timing) -> float | None:
    """Return the smallest difference that a session can tell, as a share: the far end of the interval of A against A.

    None where there was no second copy, or too few samples for an interval.
    """
    ratio = twin_ratio(timing)
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    return max(ratio.high, 1 / ratio.low) - 1


def resolutions(timings: Iterable[Timing]) -> dict[tuple[Mode, Device], float]:
    """Return by mode and device the smallest difference that all sessions can tell, as a share; see `resolution`."""
    least: dict[tuple[Mode, Device], float] = {}
    for timing in timings:
        found = resolution(timing)
        if found is not None:
            least[timing.mode, timing.device] = max(found, least.get((timing.mode, timing.device), 0.0))
    return least


def _ratio(values: Sequence[float], baseline: Sequence[float], processes: Sequence[int]) -> Estimate | None:
    return geometric(by_process(np.divide(values, baseline).tolist(), processes))


def relative_half_width(estimate: Estimate | None) -> float:
    """Return half an interval as a share of its value; infinite where there is none."""
    if estimate is None or estimate.half_width is None:
        return math.inf
    return estimate.half_width / estimate.value
