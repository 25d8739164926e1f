"""Why a timing is in doubt, each reason with its remedy."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from archbench.timing.estimate import relative_half_width, step_ratio, step_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archbench.schema import Timing

STEP_GOAL = 0.02  # half the interval of a step's own time, as a share
RATIO_GOAL = 0.01  # likewise of a ratio
SPREAD = 0.10  # IQR / median
WAITED = 1.05  # wall / processor time of one thread
OTHERS = 0.05  # cores that other processes took
DRIFT = 0.03  # of the last third against the first

QUIET = "quiet the machine and time again"
LONGER = "time longer (--max-seconds)"


@lru_cache(maxsize=4096)
def doubts(timing: Timing) -> tuple[str, ...]:
    """Return the reasons for which a timing is unstable, as `reason: remedy`; none where it is not."""
    return tuple(_reasons(timing))


def instability(timing: Timing) -> str | None:
    """Return the reasons for which a timing is unstable in one line, or None."""
    return "; ".join(doubts(timing)) or None


def ratio_doubts(timing: Timing, baseline: Timing) -> tuple[str, ...]:
    """Return the reasons for which a ratio is in doubt: those of its two timings, and a wide interval of its own."""
    half = relative_half_width(step_ratio(timing, baseline))
    found = [*doubts(timing), *(f"baseline: {doubt}" for doubt in doubts(baseline) if doubt not in doubts(timing))]
    if timing is not baseline and half > RATIO_GOAL:
        found.insert(0, f"the interval of the ratio is {_width(half)}, the goal ±{100 * RATIO_GOAL:.0f} %: {LONGER}")
    return tuple(found)


def _width(half: float) -> str:
    return f"±{100 * half:.1f} %" if np.isfinite(half) else "unknown"


def _reasons(timing: Timing) -> Iterator[str]:
    half = relative_half_width(step_us(timing))
    if half > STEP_GOAL:
        yield f"the interval of the step's time is {_width(half)}, the goal ±{100 * STEP_GOAL:.0f} %: {LONGER}"
    lower, middle, upper = np.percentile(timing.samples_us, [25, 50, 75])
    if (upper - lower) / middle > SPREAD:
        spread = 100 * (upper - lower) / middle
        yield f"the middle half of the samples spreads over {spread:.0f} % of the median: {QUIET}"
    if timing.device == "cpu" and timing.threads == 1 and timing.cpu_us:
        waited = float(np.median(np.divide(timing.samples_us, timing.cpu_us)))
        if waited > WAITED:
            share = 100 / waited
            yield f"the step had a core for only {share:.0f} % of its time: {QUIET}, or keep others off its core"
    others = timing.conditions.others_cores
    if others is not None and others > OTHERS:
        yield f"other processes took {100 * others:.0f} % of a core: {QUIET}"
    drift = drift_of(timing)
    if abs(drift) > DRIFT:
        yield f"the last third of the samples is {100 * drift:+.1f} % off the first: let the machine settle, {LONGER}"
    if not timing.settled:
        yield f"its blocks still disagreed when the warm-up ended: {QUIET}"
    if timing.conditions.throttled:
        yield f"the processor was slowed ({', '.join(timing.conditions.throttled)}): cool it, or lower the load"


def drift_of(timing: Timing) -> float:
    """Return how far the last third of the samples lies from the first, as a share; 0 for fewer than six.

    Every process's samples are taken as shares of their own median, so that which of them came last plays no part.
    """
    values = np.asarray(timing.samples_us)
    processes = np.asarray(timing.processes or [0] * len(values))
    level = np.empty_like(values)
    for process in np.unique(processes):
        own = processes == process
        level[own] = values[own] / np.median(values[own])
    third = len(level) // 3
    if third < 2:
        return 0.0
    return float(np.median(level[-third:]) / np.median(level[:third]) - 1)
