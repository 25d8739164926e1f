"""Which points nothing else beats in accuracy and cost, and what beats the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.conclusions.points import Point

COSTS = ("params", "macs", "step_us", "memory_bytes")
FRONTS = (("params",), ("macs",), ("step_us",), ("memory_bytes",), ("params", "step_us"))
"""What is set against accuracy, each a front of its own."""


def pareto_table(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.pareto` for the points of one data set."""
    return [row for costs in FRONTS for row in front(points, costs)]


def front(points: Sequence[Point], costs: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row a point that has all of its values: whether it is on the front, and what dominates it.

    Sizes that met one budget count as equal, as none is larger on purpose.

    Args:
        points: of one data set.
        costs: one or more of `COSTS`, of which less is better.
    """
    told = [point for point in points if point.accuracies and None not in {_cost(point, name) for name in costs}]
    if len(told) < 2:
        return []
    values = np.asarray([[-_accuracy(point), *(_cost(point, name) for name in costs)] for point in told], dtype=float)
    best = np.argsort(values[:, 0], kind="stable")
    rows = []
    for place, point in enumerate(told):
        beats = stats.dominating(values, place)
        dominant = next((told[other] for other in best if beats[other]), None) if beats.any() else None
        # On the front a point leads over all that cost no more; the most accurate of these shows soonest that not.
        no_dearer = np.flatnonzero((values[best, 1:] <= values[place, 1:]).all(axis=1))
        cheaper = [told[other] for other in best[no_dearer]]
        rivals = [dominant] if dominant else [other for other in cheaper if other is not point]
        rows.append({
            "dataset": point.dataset, "axes": "+".join((*costs, "accuracy")), "name": point.name,
            "series": point.series, "accuracy": _accuracy(point), **{name: getattr(point, name) for name in COSTS},
            "on_front": dominant is None, "dominated_by": dominant and dominant.name,
            "sure": all(_told_apart(point, other) for other in rivals) if rivals else None,
        })  # fmt: skip
    return rows


def _told_apart(point: Point, other: Point) -> bool:
    """Whether the accuracies of two points differ by more than their seeds' 95 % interval; of single runs, unknown."""
    found = stats.paired_difference(point.accuracies, other.accuracies)
    return found is not None and found.contains(0.0) is False


def _accuracy(point: Point) -> float:
    return float(np.mean(list(point.accuracies.values())))


def _cost(point: Point, name: str) -> float | None:
    value: float | None = point.size if name == "params" else getattr(point, name)
    return value
