"""Two models on the same seeds: differences, ratios, tests that need no assumption, and many tests at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench.stats.intervals import Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Array = np.ndarray[Any, np.dtype[np.float64]]

EXACT_MOST = 13  # seeds of which every one of the 2^n signs is tried; with more, 2^13 are drawn
RELATIVE = 1e-9  # sums that are equal but for rounding are


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Return the mean difference over the seeds that both have, and its t-interval; None where they share none.

    There is no interval where all differences are equal, as they then tell no deviation: see `t_test`.
    """
    found = differences(values, baseline)
    estimate = mean(found)
    return replace(estimate, low=None, high=None) if estimate is not None and _are_equal(found) else estimate


def differences(values: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    """Return the differences over the seeds that both have, by seed."""
    return [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]


def paired_ratio(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Return the geometric mean of the ratios by seed: `paired_difference` on a log scale."""
    told = [seed for seed in values.keys() & baseline.keys() if values[seed] > 0 and baseline[seed] > 0]
    logs = paired_difference(*({seed: math.log(of[seed]) for seed in told} for of in (values, baseline)))
    if logs is None:
        return None
    low, high = (None if bound is None else math.exp(bound) for bound in (logs.low, logs.high))
    return Estimate(math.exp(logs.value), low, high, logs.n)


def t_test(found: Sequence[float]) -> float | None:
    """Return the two-sided p of Student's paired test that differences have mean 0; None for fewer than two.

    It agrees with the interval of `paired_difference`: below 5 % exactly where that leaves 0 out. Differences that are
    all equal tell no deviation, and accuracy comes in steps of one image, so that two or three are often equal by
    chance: p is then that of the `sign_flip_test`, which needs none.
    """
    from scipy import special

    data = np.asarray(found, dtype=float)
    if data.size < 2:
        return None
    if _are_equal(data):
        return sign_flip_test(found)
    error = float(data.std(ddof=1)) / math.sqrt(data.size)
    return float(2 * special.stdtr(data.size - 1, -abs(float(data.mean())) / error))


def _are_equal(found: Sequence[float] | Array) -> bool:
    """Whether differences are equal but for rounding."""
    return bool(np.ptp(found) <= RELATIVE * np.abs(found).max())


def sign_flip_test(found: Sequence[float]) -> float | None:
    """Return the two-sided p of Fisher's exact sign-flip (paired permutation) test; None for no difference.

    Were the two models alike, each difference would have had the other sign as likely: p is the share of the 2^n
    choices of signs whose sum is at least as far from 0. It needs no distribution, and cannot come under
    `least_sign_flip(n)`. For more than 13 seeds 2^13 choices are drawn, the one that was seen among them (Fisher 1935,
    The design of experiments, section 21; Phipson and Smyth 2010 on drawn permutations).
    """
    data = np.asarray(found, dtype=float)
    if data.size == 0:
        return None
    seen = abs(float(data.sum()))
    if data.size <= EXACT_MOST:
        signs = 1 - 2 * ((np.arange(2**data.size)[:, None] >> np.arange(data.size)) & 1)
        sums = np.abs(signs @ data)
    else:
        signs = np.random.default_rng(0).integers(0, 2, (2**EXACT_MOST - 1, data.size), dtype=np.int8) * 2 - 1
        sums = np.append(np.abs(signs @ data), seen)
    return float(np.mean(sums >= seen - RELATIVE * np.abs(data).sum()))


def least_sign_flip(n: int) -> float:
    """Return the least p that the sign-flip test of `n` seeds can come to: 0.25 for 3, and under 5 % from 6 on."""
    return 2.0 ** (1 - max(n, 1)) if n <= EXACT_MOST else 2.0**-EXACT_MOST


def fisher_test(share: float, baseline: float, n: int, baseline_n: int) -> float:
    """Return the two-sided p of Fisher's exact test that shares of `n` and `baseline_n` images have one truth."""
    from scipy import stats

    hits, others = round(share * n), round(baseline * baseline_n)
    return float(stats.fisher_exact(np.asarray([[hits, n - hits], [others, baseline_n - others]]))[1])


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for being several (Holm 1979): the chance of any false finding stays under 5 %.

    The k-th smallest of m is multiplied by m - k + 1, and is at least the one before. What is None stays so, and counts
    for nothing.
    """
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        corrected[place] = least
    return corrected
