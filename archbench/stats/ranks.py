"""How much of a ranking was there before: rank correlation, seed by seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from archbench.stats.intervals import Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Sequence


def agreement(rankings: Sequence[Sequence[float]], last: Sequence[Sequence[float]]) -> Estimate | None:
    """Return Kendall's tau-b of models' scores with their scores at the end: the mean over seeds, and its t-interval.

    1 is the same ranking, -1 the reverse. The interval ends at these. A seed in which all models are equal has no tau
    and is left out; None where no seed has one.

    Args:
        rankings: (seeds, models) scores at one time.
        last: (seeds, models) scores at the end, of the same seeds and models.
    """
    from scipy import stats

    taus = [float(stats.kendalltau(now, then).statistic) for now, then in zip(rankings, last, strict=True)]
    found = mean([tau for tau in taus if not math.isnan(tau)])
    if found is None or found.low is None or found.high is None:
        return found
    return Estimate(found.value, max(-1.0, found.low), min(1.0, found.high), found.n)
