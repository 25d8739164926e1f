"""Lines over size: where they cross, and how their error falls."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import stats
from archbench.conclusions.points import bounds, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archbench.conclusions.points import Point

AXES = ("params", "macs", "step_us")
MOST = 8  # lines that are all held against each other; of more, each against the first
DRAWN = 40  # points of a fit that is drawn


def crossovers_table(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.crossovers` for the points of one data set."""
    return [row for x in AXES for first, second in _lines(points) for row in _crossed(first, second, x)]


def _lines(points: Sequence[Point]) -> Iterator[tuple[Sequence[Point], Sequence[Point]]]:
    """Yield the pairs of lines that have two sizes each."""
    lines = [line for line in lines_of(points).values() if sum(bool(point.accuracies) for point in line) > 1]
    pairs = itertools.combinations(lines, 2) if len(lines) <= MOST else ((lines[0], line) for line in lines[1:])
    yield from pairs


def curve_of(line: Sequence[Point], x: str) -> dict[float, list[float]]:
    """Return the accuracies of a line's runs by `params`, `macs` or `step_us`; what has none is left out."""
    found: dict[float, list[float]] = {}
    for point in line:
        at = point.size if x == "params" else getattr(point, x)
        if at and point.accuracies:
            found.setdefault(float(at), []).extend(point.accuracies.values())
    return found


def _crossed(first: Sequence[Point], second: Sequence[Point], x: str) -> Iterator[dict[str, Any]]:
    """Yield a row a crossing of two lines, or one that says that there is none; none where they share no range."""
    found = stats.crossings(curve_of(first, x), curve_of(second, x))
    if found.low is None or found.high is None or found.low == found.high:
        return
    names = first[0].series, second[0].series
    row = {"dataset": first[0].dataset, "x": x, "crossings": len(found.found)}
    where = {"from_x": found.low, "to_x": found.high}
    for crossing in found.found:
        before, after = names if crossing.falls else names[::-1]
        verdict = "not resolved" if crossing.at.low is None else "crossing"
        yield row | {"before": before, "after": after, **_at(crossing.at), **where, "verdict": verdict}
    if not found.found:
        before, after = names[::-1] if found.leads is False else names
        verdict = "equal" if found.leads is None else "none" if found.surely_none else "not resolved"
        yield row | {"before": before, "after": after, **where, "verdict": verdict}


def _at(estimate: stats.Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def fits_tables(points: Sequence[Point]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of `Conclusions.fits` and `Conclusions.fit_lines` for the points of one data set."""
    fits, drawn = [], []
    for series, line in lines_of(points).items():
        runs = [(x, 1 - y) for x, ys in curve_of(line, "params").items() for y in ys]
        if len({x for x, _ in runs}) < 2:
            continue
        xs, errors = zip(*runs, strict=True)
        fit = stats.fit_power_law(xs, errors)
        row = {
            "dataset": line[0].dataset, "series": series, "sizes": len(set(xs)), "runs": len(xs),
            "from_params": min(xs), "to_params": max(xs),
        }  # fmt: skip
        if isinstance(fit, str):
            fits.append(row | {"refused": fit})
            continue
        fits.append(row | {**bounds("a", fit.a), **bounds("b", fit.b), **bounds("c", fit.c)})
        drawn += [{"dataset": line[0].dataset, "series": series, **one} for one in _drawn(fit)]
    return fits, drawn


def _drawn(fit: stats.PowerLaw) -> Iterator[dict[str, Any]]:
    """Yield the points of a fit's curve: what was measured, and a decade behind it."""
    low, high = min(fit.xs), max(fit.xs)
    for x in [*np.geomspace(low, high, DRAWN), *np.geomspace(high, high * stats.REACH, DRAWN // 2)[1:]]:
        at = fit.at(min(float(x), high * stats.REACH))
        if at is not None:
            yield {
                "params": float(x), "error": at.value, "low": at.low, "high": at.high,
                "extrapolated": bool(x > high * (1 + 1e-9)),
            }  # fmt: skip
