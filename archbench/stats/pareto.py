"""The Pareto front: what nothing else beats in everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[np.float64]]


def dominating(costs: Sequence[Sequence[float]] | Array, place: int) -> Any:
    """Return which points dominate the one at a place (points,): those nowhere worse and somewhere better.

    Equal points do not dominate each other, and what has a missing (NaN) value neither dominates nor is dominated.

    Args:
        costs: (points, axes), of which less is better: what is to be large has its sign turned.
        place: of the point.
    """
    values = np.asarray(costs, dtype=float)
    return (values <= values[place]).all(axis=1) & (values < values[place]).any(axis=1)


def pareto_front(costs: Sequence[Sequence[float]] | Array) -> list[int]:
    """Return the places of the points that none dominates, of those with every value, in their order."""
    values = np.asarray(costs, dtype=float)
    known = [place for place, row in enumerate(values) if not np.isnan(row).any()]
    return [place for place in known if not dominating(values, place).any()]
