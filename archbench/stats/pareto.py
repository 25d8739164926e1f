"""The Pareto front: what nothing else beats in everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def dominance(costs: Sequence[Sequence[float]]) -> Any:
    """Return by whom each point is dominated, (points, points) of booleans: [i, j] where j dominates i.

    j dominates i where it is nowhere worse and somewhere better; equal points do not dominate each other, and what
    has a missing (NaN) value neither dominates nor is dominated.

    Args:
        costs: (points, axes), of which less is better: what is to be large has its sign turned.
    """
    values = np.asarray(costs, dtype=float)
    if not len(values):
        return np.zeros((0, 0), dtype=bool)
    mine, theirs = values[:, None, :], values[None, :, :]
    return (theirs <= mine).all(axis=2) & (theirs < mine).any(axis=2)


def pareto_front(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the places of the points that none dominates, of those with every value, in their order."""
    values = np.asarray(costs, dtype=float)
    if not len(values):
        return []
    beaten = dominance(costs).any(axis=1)
    return [int(place) for place in np.flatnonzero(~beaten & ~np.isnan(values).any(axis=1))]
