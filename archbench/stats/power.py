"""How many seeds it takes: the power of the paired t-test, by the noncentral t distribution."""

from __future__ import annotations

import math
from functools import lru_cache

from archbench.stats.intervals import t_factor

POWER = 0.8
FAR = 5.0  # noncentrality from which the wrong tail has less than Phi(-5) = 3e-7, and scipy's figure for it may be none
MOST_SEEDS = 10_000  # more than anybody runs: "how many" is then not told


def power(n: int, effect: float) -> float:
    """Return how often a paired t-test of `n` seeds at 5 % finds a difference of `effect` of its own deviations.

    Both tails of the noncentral t distribution with n - 1 degrees and noncentrality effect * sqrt(n) (Cohen 1988,
    Statistical power analysis for the behavioral sciences, chapter 2).
    """
    from scipy import special

    reach, shift = t_factor(n), effect * math.sqrt(n)
    near = 1 - special.nctdtr(n - 1, shift, reach)
    if math.isnan(near):  # where next to nothing is below, scipy has no figure
        return 1.0
    far = special.nctdtr(n - 1, shift, -reach) if shift < FAR else 0.0
    return float(near + far)


@lru_cache
def detectable_effect(n: int) -> float | None:
    """Return the difference, in its own deviations, that `n` seeds find 80 % of the time; None for fewer than two."""
    from scipy import optimize

    if n < 2:
        return None
    return float(optimize.brentq(lambda effect: power(n, effect) - POWER, 0.0, 40.0 / math.sqrt(n)))


def detectable(n: int, deviation: float) -> float | None:
    """Return the smallest difference that `n` paired seeds find 80 % of the time, in the unit of `deviation`.

    None for fewer than two, and where they had no deviation at all, which then is not known.

    Args:
        n: seeds.
        deviation: the standard deviation of the paired differences, as it was seen: with three seeds it is itself only
            known to a factor of two or so.
    """
    effect = detectable_effect(n)
    return None if effect is None or deviation == 0 else effect * deviation


def seeds_needed(difference: float, deviation: float) -> int | None:
    """Return how many paired seeds would find a difference 80 % of the time.

    None where it would take over 10,000, and where there was no deviation, which then is not known.

    Args:
        difference: as it was seen, or as it would matter.
        deviation: the standard deviation of the paired differences.
    """
    if deviation == 0:
        return None
    effect = abs(difference) / deviation
    low, high = 1, 2
    while power(high, effect) < POWER:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, effect) >= POWER else (middle, high)
    return high if high <= MOST_SEEDS else None
