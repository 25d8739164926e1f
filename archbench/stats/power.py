"""How many seeds it takes: the power of the paired t-test, by the noncentral t distribution."""

from __future__ import annotations

import math
from functools import lru_cache

LEVEL = 0.05
POWER = 0.8
FAR = 5.0  # noncentrality from which the wrong tail has less than Phi(-5) = 3e-7, and scipy's figure for it may be none
MOST_SEEDS = 10_000  # more than anybody runs: "how many" is then not told


def power(n: int, effect: float, level: float = LEVEL) -> float:
    """Return how often a paired t-test of `n` seeds finds a difference of `effect` of its own deviations.

    Both tails of the noncentral t distribution with n - 1 degrees and noncentrality effect * sqrt(n) (Cohen 1988,
    Statistical power analysis for the behavioral sciences, chapter 2).

    Args:
        n: seeds.
        effect: the difference over the standard deviation of the paired differences.
        level: under which p must be: of m tests that are corrected together, 5 % / m makes sure.
    """
    from scipy import special

    reach, shift = _reach(n, level), effect * math.sqrt(n)
    near = 1 - special.nctdtr(n - 1, shift, reach)
    if math.isnan(near):  # where next to nothing is below, scipy has no figure
        return 1.0
    far = special.nctdtr(n - 1, shift, -reach) if shift < FAR else 0.0
    return float(near + far)


@lru_cache
def detectable_effect(n: int, level: float = LEVEL) -> float | None:
    """Return the difference, in its own deviations, that `n` seeds find 80 % of the time; None for fewer than two."""
    from scipy import optimize

    if n < 2:
        return None
    most = 3 * (_reach(n, level) + 2)  # a noncentrality that is surely found
    return float(optimize.brentq(lambda effect: power(n, effect, level) - POWER, 0.0, most / math.sqrt(n)))


def detectable(n: int, deviation: float, level: float = LEVEL) -> float | None:
    """Return the smallest difference that `n` paired seeds find 80 % of the time, in the unit of `deviation`.

    None for fewer than two, and where they had no deviation at all, which then is not known.

    Args:
        n: seeds.
        deviation: the standard deviation of the paired differences, as it was seen: with three seeds it is itself only
            known to a factor of two or so.
        level: as for `power`.
    """
    effect = detectable_effect(n, level)
    return None if effect is None or deviation == 0 else effect * deviation


def seeds_needed(difference: float, deviation: float, level: float = LEVEL) -> int | None:
    """Return how many paired seeds would find a difference 80 % of the time.

    None where it would take over 10,000, and where there was no deviation, which then is not known.

    Args:
        difference: as it was seen, or as it would matter.
        deviation: the standard deviation of the paired differences.
        level: as for `power`.
    """
    if deviation == 0:
        return None
    effect = abs(difference) / deviation
    low, high = 1, 2
    while power(high, effect, level) < POWER:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, effect, level) >= POWER else (middle, high)
    return high if high <= MOST_SEEDS else None


@lru_cache
def _reach(n: int, level: float) -> float:
    """Return how many standard errors from 0 a mean of `n` must be."""
    from scipy import special

    return float(special.stdtrit(n - 1, 1 - level / 2))
