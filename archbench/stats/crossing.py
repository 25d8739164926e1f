"""Where one curve passes another: interpolation between measured points, intervals by draws of what is true.

Between measured points accuracy is taken as linear in the logarithm of x, so that the lead of one curve over the other
is at every x a weighted sum of the points' means. The interval of a crossing is that of the crossings of `RESAMPLES`
leads as they may truly be: Student's t around what was measured, normal runs, each point with its own deviation, and
the degrees of freedom that Welch and Satterthwaite give the sum there (Welch 1947). One deviation for all of a curve
would be known better, but small models often deviate more than large ones, and it would then see crossings that are
none. A bootstrap of seeds would be drawn from two or three values a point, whose resamples are too narrow by a factor
of sqrt((n - 1) / n) and often have no width at all: tests/stats/test_crossing.py counts what each misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench.stats.intervals import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Curve = Mapping[float, Sequence[float]]
    Array = np.ndarray[Any, np.dtype[np.float64]]

RESAMPLES = 2000
EQUAL = 1e-12  # leads that are nearer to 0 come of rounding


@dataclass(frozen=True)
class Crossing:
    """One place where the lead changes.

    Attributes:
        at: where, in the unit of x, and its interval; none where fewer than 95 % of the draws cross there.
        falls: whether the first curve leads before it, and the second behind it.
        share: of the draws that cross there; None where nothing could be drawn, as no deviation is known.
    """

    at: Estimate
    falls: bool
    share: float | None


@dataclass(frozen=True)
class Crossings:
    """All crossings of two curves, in the order of x.

    Attributes:
        found: what the means cross.
        low, high: the range of x in which both were measured; None where there is none.
        leads: whether the first curve is ahead at `low`, or, where both are equal there, in what follows; None where
            both are equal throughout, or without a range.
        led: the share of the draws in which that curve is ahead everywhere; None where nothing could be drawn.
    """

    found: tuple[Crossing, ...]
    low: float | None = None
    high: float | None = None
    leads: bool | None = None
    led: float | None = None

    @property
    def surely_none(self) -> bool:
        """Whether one of the curves is surely ahead throughout: that it is in at least 95 % of the draws."""
        return not self.found and self.led is not None and self.led >= CONFIDENCE


def crossings(family: Curve, rival: Curve) -> Crossings:
    """Return every crossing of two curves, each with its interval.

    There are no intervals where no deviation is known: where all points of a curve are single runs, or no run of either
    differs from another of its point.

    Args:
        family: by x (such as parameters) the accuracies of the runs there.
        rival: likewise.
    """
    if not family or not rival or max(min(family), min(rival)) > min(max(family), max(rival)):
        return Crossings(())
    grid, weights = _grid(sorted(family), sorted(rival))
    lead = _lead(weights, family, rival)
    at, falls = (of[0] for of in _changes(grid, lead[None]))
    places = np.flatnonzero(~np.isnan(at)).tolist()
    leads = bool(lead[lead != 0][0] > 0) if lead.any() else None
    ends = (float(np.exp(grid[0])), float(np.exp(grid[-1])), leads)
    runs = min(len(y) for curve in (family, rival) for y in curve.values())
    noise = _noise(family, rival, weights)
    if noise is None:
        none = [Estimate(float(np.exp(at[place])), None, None, runs) for place in places]
        found = [Crossing(one, bool(falls[place]), None) for one, place in zip(none, places, strict=True)]
        return Crossings(tuple(found), *ends)
    drawn = lead + noise
    drawn_at, drawn_falls = _changes(grid, drawn)
    found = [
        _crossing(at, place, bool(falls[place]), np.where(drawn_falls == falls[place], drawn_at, np.nan), runs)
        for place in places
    ]
    led = None if leads is None else float(((drawn > 0) == leads).all(axis=1).mean())
    return Crossings(tuple(found), *ends, led)


def crossover(family: Curve, rival: Curve) -> Estimate | None:
    """Return where a family that leads first falls behind its rival, in the unit of x; None where it never does.

    There is no interval where more than 5 % of the draws do not cross so, or where `crossings` has none.
    """
    return next((crossing.at for crossing in crossings(family, rival).found if crossing.falls), None)


def surely_uncrossed(family: Curve, rival: Curve) -> bool:
    """Whether the family surely falls nowhere behind its rival: at most 5 % of the draws do."""
    grid, weights = _grid(sorted(family), sorted(rival))
    noise = _noise(family, rival, weights)
    if noise is None:
        return False
    at, falls = _changes(grid, _lead(weights, family, rival) + noise)
    return bool((falls & ~np.isnan(at)).any(axis=1).mean() <= 1 - CONFIDENCE)


def leads(family: Curve, rival: Curve) -> bool | None:
    """Whether the family is ahead from the smallest x on at which both can be told; None where they are equal."""
    return crossings(family, rival).leads


def _crossing(at: Array, place: int, falls: bool, drawn: Array, runs: int) -> Crossing:
    """Return one crossing of the means with the interval of those of the draws that are nearest to it.

    Args:
        at: the crossings of the means (grid intervals,), in log x; NaN where there is none.
        place: which of them.
        falls: whether the lead is lost there.
        drawn: the crossings of the draws in that direction (draws, grid intervals).
        runs: the least number of runs at a point.
    """
    value = float(at[place])
    # A draw's crossing that is nearer to another one of the means belongs to that: up to half way to its neighbours.
    before, behind = at[:place], at[place + 1 :]
    low = (np.nanmax(before) + value) / 2 if np.isfinite(before).any() else -np.inf
    high = (np.nanmin(behind) + value) / 2 if np.isfinite(behind).any() else np.inf
    mine = (drawn >= low - 1e-12) & (drawn <= high + 1e-12)
    distance = np.where(mine, np.abs(drawn - value), np.inf)
    nearest = np.take_along_axis(drawn, distance.argmin(axis=1)[:, None], axis=1)[:, 0]
    there = np.isfinite(distance).any(axis=1)
    share = float(there.mean())
    if share < CONFIDENCE:
        return Crossing(Estimate(float(np.exp(value)), None, None, runs), falls, share)
    tail = 100 * (1 - CONFIDENCE) / 2
    least, most = (float(bound) for bound in np.exp(np.percentile(nearest[there], [tail, 100 - tail])))
    return Crossing(Estimate(float(np.exp(value)), least, most, runs), falls, share)


def _grid(xs: Sequence[float], others: Sequence[float]) -> tuple[Array, Array]:
    """Return where both curves are told, as log x (grid,), and what makes the lead of the means of all points.

    That is (grid, points of both curves): the lead is linear between the places of the grid.
    """
    logs = [np.log(xs), np.log(others)]
    low, high = max(x[0] for x in logs), min(x[-1] for x in logs)
    grid = np.unique([x for x in np.concatenate(logs) if low <= x <= high])
    first, second = (np.stack([np.interp(grid, x, row) for row in np.eye(len(x))], axis=1) for x in logs)
    return grid, np.hstack([first, -second])


def _lead(weights: Array, family: Curve, rival: Curve) -> Array:
    """Return the lead of the means (grid,); what is equal but for rounding is 0."""
    lead: Array = weights @ np.asarray([np.mean(curve[x]) for curve in (family, rival) for x in sorted(curve)])
    return np.where(np.abs(lead) < EQUAL, 0.0, lead)


def _changes(grid: Array, lead: Array) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return where the lead changes (draws, grid - 1), as log x, NaN where it does not; and whether it is lost there.

    What is equal on the grid is no lead: who led before does so until another one does.
    """
    left, right = lead[:, :-1], lead[:, 1:]
    ahead = np.sign(lead)
    for place in range(1, ahead.shape[1]):
        ahead[:, place] = np.where(ahead[:, place] == 0, ahead[:, place - 1], ahead[:, place])
    with np.errstate(invalid="ignore", divide="ignore"):  # where both are equal there is no change
        share = left / (left - right)
    at = grid[:-1] + share * np.diff(grid)
    return np.where(ahead[:, :-1] * ahead[:, 1:] < 0, at, np.nan), ahead[:, :-1] > 0


def _noise(family: Curve, rival: Curve, weights: Array) -> Array | None:
    """Return how far `RESAMPLES` draws of the lead are from what was measured (draws, grid); None where none is known.

    At a place all draws of points share one scale: the deviations are estimates, and are as far off in all of it.
    """
    spreads = [_spread(curve) for curve in (family, rival)]
    variances, degrees = (np.concatenate(part) for part in zip(*spreads, strict=True))
    if np.isnan(variances).any():
        return None
    parts = weights**2 * variances  # of the variance of the lead, that of every point (grid, points)
    if not parts.sum(axis=1).all():
        return None
    freedom = parts.sum(axis=1) ** 2 / (parts**2 / degrees).sum(axis=1)
    generator = np.random.default_rng(0)
    scale = np.sqrt(freedom / generator.chisquare(freedom, (RESAMPLES, len(freedom))))
    drawn: Array = scale * ((np.sqrt(variances) * generator.standard_normal((RESAMPLES, len(variances)))) @ weights.T)
    return drawn


def _spread(curve: Curve) -> tuple[Array, Array]:
    """Return the variance of the mean of each point (points,), by x, and its degrees of freedom; NaN if unknown.

    A single run tells no deviation, and runs that are all equal none to be relied on, as accuracy comes in steps of one
    image: such a point has that of all points of its curve.
    """
    points = [np.asarray(curve[x], dtype=float) - curve[x][0] for x in sorted(curve)]  # what is equal is exactly 0
    counts = np.asarray([len(y) for y in points])
    squares = np.asarray([((y - y.mean()) ** 2).sum() for y in points])
    own, pooled = np.maximum(counts - 1, 1), max(int((counts - 1).sum()), 1)
    known = squares.sum() / pooled if counts.max() > 1 else np.nan
    variances = np.where(squares > 0, squares / own, known)
    return variances / counts, np.where(squares > 0, own, pooled)
