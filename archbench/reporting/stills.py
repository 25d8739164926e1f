"""Runs -> the figures that stand still: for where no script runs, for paper, and for a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench import figures
from archbench.frame import epochs_frame
from archbench.inline import svg_of
from archbench.reporting.view import Still

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from archbench.schema import Record

MOST_CURVES = 200  # runs; of more, curves take longer to draw than all else, and are told apart no more


def stills_of(frame: pd.DataFrame, records: Sequence[Record]) -> tuple[Still, ...]:
    """Return the scatter and the curves as figures that stand still; none where nothing is done."""
    if not len(frame) or not (frame["status"] == "done").any():
        return ()
    models = ", ".join(dict.fromkeys(frame["model"]))
    scatter = svg_of(figures.scatter_figure(frame))
    drawn = [Still("scatter.svg", f"Parameters against test accuracy of {models}", scatter)]
    if len(frame) <= MOST_CURVES:
        curves = svg_of(figures.curves_figure(epochs_frame(records)))
        drawn.append(Still("curves.svg", f"Loss and accuracy by epoch of {models}", curves))
    return tuple(drawn)
