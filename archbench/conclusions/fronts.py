"""Which points nothing else beats in accuracy and cost, and what beats the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import stats
from archbench.choices import choose
from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.conclusions.points import Point

COSTS = ("params", "macs", "step_us", "memory_bytes")
AXES = {"accuracy": "accuracy", "params": "params", "macs": "macs", "step_us": "step_us", "memory": "memory_bytes"}
"""What a front may be over, by the name that it is asked for by."""
FRONTS = (
    ("params", "accuracy"), ("macs", "accuracy"), ("step_us", "accuracy"), ("memory", "accuracy"),
    ("params", "step_us", "accuracy"),
)  # fmt: skip
"""The fronts that are told unless others are asked for."""


def check_axes(axes: Sequence[str]) -> None:
    """Refuse axes that no front is over.

    Raises:
        InputError: a name that is none, one given twice, or neither two nor three of them.
    """
    for name in axes:
        choose(name, AXES, "axis of a front")
    if len(set(axes)) != len(axes) or not 2 <= len(axes) <= 3:  # more than three nobody sees through
        msg = f"a front over {', '.join(axes)} is not accepted"
        raise InputError(msg, f"Give two or three of {', '.join(AXES)}, each once.")


def pareto_table(points: Sequence[Point], fronts: Sequence[Sequence[str]] = FRONTS) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.pareto` for the points of one data set.

    Args:
        points: of one data set.
        fronts: two or three names of `AXES` each.
    """
    return [row for axes in fronts for row in front(points, [AXES[name] for name in axes])]


def front(points: Sequence[Point], axes: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row a point that has all of its values: whether it is on the front, and what dominates it.

    Sizes that met one budget count as equal, as none is larger on purpose.

    Args:
        points: of one data set.
        axes: two or more of `accuracy`, of which more is better, and `COSTS`, of which less is.
    """
    told = [point for point in points if point.accuracies and None not in {_cost(point, name) for name in axes}]
    if len(told) < 2:
        return []
    values = np.asarray([[_cost(point, name) for name in axes] for point in told], dtype=float)
    costs = values[:, [place for place, name in enumerate(axes) if name != "accuracy"]]
    judged = "accuracy" in axes  # of counts there is no doubt, and of times none is told
    best = np.argsort([-_accuracy(point) for point in told], kind="stable")
    rows = []
    for place, point in enumerate(told):
        beats = stats.dominating(values, place)
        dominant = next((told[other] for other in best if beats[other]), None) if beats.any() else None
        # On the front a point leads over all that cost no more; the most accurate of these shows soonest that not.
        no_dearer = np.flatnonzero((costs[best] <= costs[place]).all(axis=1))
        cheaper = [told[other] for other in best[no_dearer]]
        rivals = [dominant] if dominant else [other for other in cheaper if other is not point]
        rows.append({
            "dataset": point.dataset, "axes": "+".join(axes), "name": point.name,
            "series": point.series, "accuracy": _accuracy(point), **{name: getattr(point, name) for name in COSTS},
            "on_front": dominant is None, "dominated_by": dominant and dominant.name,
            "sure": all(_told_apart(point, other) for other in rivals) if rivals and judged else None,
        })  # fmt: skip
    return rows


def _told_apart(point: Point, other: Point) -> bool:
    """Whether the accuracies of two points differ by more than their seeds' 95 % interval; of single runs, unknown."""
    found = stats.paired_difference(point.accuracies, other.accuracies)
    return found is not None and found.contains(0.0) is False


def _accuracy(point: Point) -> float:
    return float(np.mean(list(point.accuracies.values())))


def _cost(point: Point, name: str) -> float | None:
    """Return what is to be small of a point."""
    if name == "accuracy":
        return -_accuracy(point)
    value: float | None = point.size if name == "params" else getattr(point, name)
    return value
