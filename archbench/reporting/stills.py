"""Runs -> the figures that stand still: for where no script runs, for paper, and for a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.inline import svg_of
from archbench.reporting.view import Still

if TYPE_CHECKING:
    from archbench.comparison import Comparison

MOST_CURVES = 200  # runs; of more, curves take longer to draw than all else, and are told apart no more


def stills_of(comparison: Comparison) -> tuple[Still, ...]:
    """Return the scatter and the curves, as `archbench plot` draws them; none where nothing is done."""
    statuses = [record.status for record in comparison.records]
    if "done" not in statuses:
        return ()
    kinds = ("scatter", "curves") if len(statuses) <= MOST_CURVES else ("scatter",)
    drawn = [one for kind in kinds for one in comparison.draw(kind)]
    return tuple(Still(one.name, one.words, svg_of(one, one.description), one.data) for one in drawn)
