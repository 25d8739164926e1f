"""Every two points of one size: the difference, whether it is one, and how many seeds would tell."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archbench.conclusions.points import Point

MOST = 12  # points of one size that are all compared with each other; of more, each with the baseline


def pairs_table(points: Sequence[Point], baseline: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.pairs` for the points of one data set.

    Of more than `MOST` points of one budget each is held against the baseline, and the `best_two` against each other.
    Tests of images are corrected among themselves and resolve nothing, as how runs differ is not in their p.

    Args:
        points: of one data set.
        baseline: a model; by default the first of each budget.
    """
    pairs = list(_pairs(points, baseline))
    tested = sum(len(first.accuracies.keys() & second.accuracies.keys()) > 1 for first, second in pairs)
    rows = [_compared(first, second, stats.LEVEL / max(tested, 1)) for first, second in pairs]
    for by in ("seeds", "images", None):
        family = [row for row in rows if row["by"] == by]
        for row, corrected in zip(family, stats.holm([row["p"] for row in family]), strict=True):
            row["p_holm"] = corrected
            row["resolved"] = by == "seeds" and corrected is not None and corrected < stats.LEVEL
    return rows


def best_two(group: Sequence[Point]) -> list[Point]:
    """Return the two points of one budget of which it is to be told which is more accurate, that in the mean first.

    Where all are compared these are the best on the test split, and the correction is for all pairs. Of more than
    `MOST` they are the best on the validation split: chosen by the test split they would look better than they are.
    """
    by_test = sorted(group, key=lambda point: float(np.mean(list(point.accuracies.values()))), reverse=True)
    if len(group) <= MOST or sum(bool(point.validations) for point in group) < 2:
        return by_test[:2]
    told = [point for point in group if point.validations]
    chosen = sorted(told, key=lambda point: float(np.mean(list(point.validations.values()))), reverse=True)[:2]
    return sorted(chosen, key=by_test.index)


def _pairs(points: Sequence[Point], baseline: str | None) -> Iterator[tuple[Point, Point]]:
    """Yield the pairs of one budget, and those of points without one, of which both have a run that is done."""
    sizes: dict[int | None, list[Point]] = {}
    for point in points:
        if point.accuracies:
            sizes.setdefault(point.budget, []).append(point)
    for group in sizes.values():
        if len(group) <= MOST:
            yield from itertools.combinations(group, 2)
            continue
        base = next((point for point in group if point.model == baseline), group[0])
        yield from ((base, point) for point in group if point is not base)
        first, second = best_two(group)
        if base is not first and base is not second:
            yield first, second


def _compared(first: Point, second: Point, level: float) -> dict[str, Any]:
    """Return a row without what Holm's correction adds.

    Args:
        first: of a pair.
        second: likewise.
        level: under which p surely stays under 5 % when it is corrected: what seeds can detect is told for that.
    """
    found = stats.differences(first.accuracies, second.accuracies)
    row: dict[str, Any] = {"dataset": first.dataset, "budget": first.budget, "first": first.name, "second": second.name}
    if len(found) == 1:
        return row | _of_images(first, second)
    estimate = stats.paired_difference(first.accuracies, second.accuracies)
    # Where there is no interval, as all differences are equal, no deviation is known.
    deviation = float(np.std(found, ddof=1)) if estimate is not None and estimate.low is not None else 0.0
    return row | {
        **points_of(estimate), "n": len(found), "by": "seeds" if found else None, "p": stats.t_test(found),
        "p_exact": stats.sign_flip_test(found), "p_exact_least": stats.least_sign_flip(len(found)) if found else None,
        "detectable_points": _scaled(stats.detectable(len(found), deviation, level)) if found else None,
        "seeds_needed": stats.seeds_needed(estimate.value, deviation, level) if estimate else None,
    }  # fmt: skip


def _of_images(first: Point, second: Point) -> dict[str, Any]:
    """Return what single runs tell: the difference of two shares of images, in which nothing is of how runs differ."""
    seed = next(iter(first.accuracies.keys() & second.accuracies.keys()))
    shares, images = (first.accuracies[seed], second.accuracies[seed]), (first.test_images, second.test_images)
    estimate = stats.difference_of_proportions(*shares, *images) or stats.mean([shares[0] - shares[1]])
    known = min(images) > 0
    return {
        **points_of(estimate), "n": 1, "by": "images" if known else None,
        "p": stats.fisher_test(*shares, *images) if known else None,
    }  # fmt: skip


def points_of(estimate: stats.Estimate | None) -> dict[str, float | None]:
    """Return a difference of shares as `difference_points`, `low_points` and `high_points`."""
    values = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return dict(zip(("difference_points", "low_points", "high_points"), map(_scaled, values), strict=True))


def _scaled(value: float | None) -> float | None:
    return None if value is None else 100 * value
