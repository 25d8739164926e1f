"""Why a timing is in doubt, each reason with its figure and its remedy."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archbench.timing.estimate import relative_half_width, step_ratio, step_us
from archbench.timing.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archbench.schema import Timing

STEP_GOAL, RATIO_GOAL = Protocol.step_goal, Protocol.ratio_goal
PROCESSES = Protocol.processes  # fewer cannot tell how much they differ
SPREAD = 0.10  # IQR / median
WAITED = 1.05  # wall / processor time of one thread
OTHERS = 0.05  # cores that other processes took
DRIFT = 0.03  # of the last third against the first

QUIET = "quiet the machine and time again"
LONGER = "time longer (--max-seconds)"


class Doubt(NamedTuple):
    """A reason for which a timing is unstable: what is wrong, by how much (may be empty), and what to do about it."""

    what: str
    much: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}{f' ({self.much})' if self.much else ''}: {self.remedy}"


@lru_cache(maxsize=4096)
def doubts(timing: Timing) -> tuple[Doubt, ...]:
    """Return the reasons for which a timing is unstable; none where it is not."""
    return tuple(_reasons(timing))


def instability(timing: Timing) -> str | None:
    """Return the reasons for which a timing is unstable in one line, or None."""
    return "; ".join(map(str, doubts(timing))) or None


def ratio_doubts(timing: Timing, baseline: Timing) -> tuple[Doubt, ...]:
    """Return the reasons for which a ratio is in doubt: those of its two timings, and a wide interval of its own."""
    found = list(dict.fromkeys([*doubts(timing), *doubts(baseline)]))
    ratio = step_ratio(timing, baseline)
    half = relative_half_width(ratio)
    if ratio is not None and timing is not baseline and half > RATIO_GOAL:
        goal = f"the interval of the ratio is wider than ±{100 * RATIO_GOAL:g} %"
        found.insert(0, Doubt(goal, _width(half), LONGER))
    return tuple(found)


def _width(half: float) -> str:
    return f"±{100 * half:.1f} %" if np.isfinite(half) else "too few samples to tell"


def _reasons(timing: Timing) -> Iterator[Doubt]:
    half = relative_half_width(step_us(timing))
    if half > STEP_GOAL:
        yield Doubt(f"the interval of the step's time is wider than ±{100 * STEP_GOAL:g} %", _width(half), LONGER)
    processes = len(set(timing.processes)) or 1
    if processes < PROCESSES:
        yield Doubt("few processes show little of how much they differ", str(processes), f"--processes {PROCESSES}")
    lower, middle, upper = np.percentile(timing.samples_us, [25, 50, 75])
    spread = (upper - lower) / middle
    if spread > SPREAD:
        what = f"the middle half of the samples spreads over more than {100 * SPREAD:g} % of the median"
        yield Doubt(what, f"{100 * spread:.0f} %", QUIET)
    if timing.device == "cpu" and timing.threads == 1 and timing.cpu_us:
        waited = float(np.median(np.divide(timing.samples_us, timing.cpu_us)))
        if waited > WAITED:
            yield Doubt("the step waited for its core", f"it had it for {100 / waited:.0f} % of the time", QUIET)
    others = timing.conditions.others_cores
    if others is not None and others > OTHERS:
        yield Doubt(f"other processes took more than {100 * OTHERS:g} % of a core", f"{100 * others:.0f} %", QUIET)
    drift = drift_of(timing)
    if abs(drift) > DRIFT:
        what = f"the last third of the samples is more than {100 * DRIFT:g} % off the first"
        yield Doubt(what, f"{100 * drift:+.1f} %", f"let the machine settle and {LONGER}")
    if not timing.settled:
        yield Doubt("its blocks still disagreed when the warm-up ended", "", QUIET)
    if timing.conditions.throttled:
        yield Doubt("the processor was slowed", ", ".join(timing.conditions.throttled), "cool it, or lower the load")


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
