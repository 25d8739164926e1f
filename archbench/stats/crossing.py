"""Where one curve passes another: interpolation between measured points, intervals by draws of what is true.

Between measured points accuracy is taken as linear in the logarithm of x. The interval of a crossing is that of the
crossings of `RESAMPLES` pairs of curves as they may truly be: the points' means drawn from Student's t around what was
measured, normal runs with one deviation a curve, with the degrees of freedom that Welch gives the difference of the two
(Welch 1947; drawing each curve's own deviation from its posterior covers 98 % with two runs a point, not 95). A
bootstrap of seeds would be drawn from two or three values a point, whose resamples are too narrow by a factor of
sqrt((n - 1) / n) and often have no width at all: tests/stats/test_crossing.py counts how often it misses the truth.
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


@dataclass(frozen=True)
class Crossing:
    """One place where the lead changes.

    Attributes:
        at: where, in the unit of x, and its interval; none where fewer than 95 % of the draws cross there.
        falls: whether the first curve leads before it, and the second behind it.
        share: of the draws that cross there; None where nothing could be drawn, as every point has a single run.
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
        leads: whether the first curve is ahead at `low` (of equals neither is); None without a range.
        uncrossed: the share of the draws without any crossing; None where nothing could be drawn.
    """

    found: tuple[Crossing, ...]
    low: float | None = None
    high: float | None = None
    leads: bool | None = None
    uncrossed: float | None = None

    @property
    def surely_none(self) -> bool:
        """Whether at most 5 % of the pairs of curves as they may truly be cross."""
        return self.uncrossed is not None and self.uncrossed >= CONFIDENCE


def crossings(family: Curve, rival: Curve) -> Crossings:
    """Return every crossing of two curves, each with its interval.

    Args:
        family: by x (such as parameters) the accuracies of the runs there.
        rival: likewise.
    """
    if not family or not rival or max(min(family), min(rival)) > min(max(family), max(rival)):
        return Crossings(())
    grid, weights = _grid(sorted(family), sorted(rival))
    lead = _lead(weights, *(np.asarray([[np.mean(curve[x]) for x in sorted(curve)]]) for curve in (family, rival)))
    at, falls = _changes(grid, lead)
    ends = (float(np.exp(grid[0])), float(np.exp(grid[-1])), bool(lead[0, 0] > 0))
    runs = min(len(y) for curve in (family, rival) for y in curve.values())
    draws = _drawn(family, rival)
    if draws is None:
        found = [
            Crossing(Estimate(float(np.exp(at[0, place])), None, None, runs), bool(falls[0, place]), None)
            for place in np.flatnonzero(~np.isnan(at[0]))
        ]
        return Crossings(tuple(found), *ends)
    drawn_at, drawn_falls = _changes(grid, _lead(weights, *draws))
    uncrossed = float(np.isnan(drawn_at).all(axis=1).mean())
    places = np.flatnonzero(~np.isnan(at[0]))
    found = [
        _crossing(
            at[0], int(place), bool(falls[0, place]), np.where(drawn_falls == falls[0, place], drawn_at, np.nan), runs
        )
        for place in places
    ]
    return Crossings(tuple(found), *ends, uncrossed)


def crossover(family: Curve, rival: Curve) -> Estimate | None:
    """Return where a family that leads first falls behind its rival, in the unit of x; None where it never does.

    There is no interval where more than 5 % of the drawn pairs do not cross so, or where every point of a curve has a
    single run.
    """
    return next((crossing.at for crossing in crossings(family, rival).found if crossing.falls), None)


def surely_uncrossed(family: Curve, rival: Curve) -> bool:
    """Whether the family surely falls nowhere behind its rival: at most 5 % of the drawn pairs do."""
    draws = _drawn(family, rival)
    if draws is None:
        return False
    grid, weights = _grid(sorted(family), sorted(rival))
    at, falls = _changes(grid, _lead(weights, *draws))
    return bool((falls & ~np.isnan(at)).any(axis=1).mean() <= 1 - CONFIDENCE)


def leads(family: Curve, rival: Curve) -> bool:
    """Whether the family is ahead at the smallest x at which both were measured or can be told."""
    return bool(crossings(family, rival).leads)


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


def _grid(xs: Sequence[float], others: Sequence[float]) -> tuple[Array, tuple[Array, Array]]:
    """Return where both curves are told, as log x (grid,), and what interpolates each there (grid, its points)."""
    logs = [np.log(xs), np.log(others)]
    low, high = max(x[0] for x in logs), min(x[-1] for x in logs)
    grid = np.unique([x for x in np.concatenate(logs) if low <= x <= high])
    first, second = (np.stack([np.interp(grid, x, row) for row in np.eye(len(x))], axis=1) for x in logs)
    return grid, (first, second)


def _lead(weights: tuple[Array, Array], family: Array, rival: Array) -> Array:
    """Return the lead of curves (draws, their points) over others on the grid (draws, grid)."""
    lead: Array = family @ weights[0].T - rival @ weights[1].T
    return lead


def _changes(grid: Array, lead: Array) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return where the lead changes (draws, grid - 1), as log x, NaN where it does not; and whether it is lost there.

    What is equal on the grid is no lead: a curve that only touches another loses its lead there, and takes it again.
    """
    left, right = lead[:, :-1], lead[:, 1:]
    falls = (left > 0) & (right <= 0)
    rises = (left <= 0) & (right > 0)
    with np.errstate(invalid="ignore", divide="ignore"):  # where both are equal there is no change
        share = left / (left - right)
    at = grid[:-1] + share * np.diff(grid)
    return np.where(falls | rises, at, np.nan), falls


def _drawn(family: Curve, rival: Curve) -> tuple[Array, Array] | None:
    """Return `RESAMPLES` draws of the means of both curves' points by x; None where all of one are single runs.

    All points of a draw share one scale: the deviations are estimates, and are as far off in all of it.
    """
    spreads = [_spread(curve) for curve in (family, rival)]
    if 0 in {degrees for _, degrees in spreads}:
        return None
    # The variance of a difference of two points, and its degrees of freedom (Welch and Satterthwaite).
    parts = [
        variance * float(np.mean([1 / len(y) for y in curve.values()]))
        for (variance, _), curve in zip(spreads, (family, rival), strict=True)
    ]
    shares = sum(part**2 / degrees for part, (_, degrees) in zip(parts, spreads, strict=True))
    freedom = sum(parts) ** 2 / shares if shares else 1.0
    generator = np.random.default_rng(0)
    scale = np.sqrt(freedom / generator.chisquare(freedom, (RESAMPLES, 1)))
    first, second = (
        np.asarray([np.mean(curve[x]) for x in sorted(curve)])
        + scale * np.sqrt([variance / len(curve[x]) for x in sorted(curve)])
        * generator.standard_normal((RESAMPLES, len(curve)))
        for (variance, _), curve in zip(spreads, (family, rival), strict=True)
    )  # fmt: skip
    return first, second


def _spread(curve: Curve) -> tuple[float, int]:
    """Return the variance of a curve's runs around the means of their points, and its degrees of freedom."""
    points = [np.asarray(y, dtype=float) for y in curve.values()]
    degrees = sum(len(y) - 1 for y in points)
    squares = sum(float(((y - y.mean()) ** 2).sum()) for y in points)
    return (squares / degrees if degrees else 0.0), degrees
