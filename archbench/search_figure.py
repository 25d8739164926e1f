"""The figure of a search: the best validation accuracy so far against trials, a line a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.figures import fitting, in_legend, looks, new_figure, styled, warnings_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def best_so_far(trials: pd.DataFrame, ax: Axes) -> Axes:
    """Draw every trial as a dot and the best so far as steps.

    Args:
        trials: one row a trial (`archbench.tuning.Tuning.frame`).
        ax: where.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    own = looks(trials["model"])
    for model, group in trials.groupby("model", sort=False):
        color, marker = own[model]
        ax.plot(group["trial"], group["validation_accuracy"], marker, color=color, markersize=4, alpha=0.4)
        ax.step(group["trial"], group["best_so_far"], where="post", color=color, label=in_legend(fitting(str(model))))
    ax.set(xlabel="trial", ylabel="validation accuracy")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    for text in ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1)).get_texts():
        text.set_parse_math(False)
    return ax


def search_figure(trials: pd.DataFrame) -> Figure:
    """Return the search as a figure of its own."""
    with styled():
        figure = new_figure(6.0, 3.8)
        ax = best_so_far(trials, figure.add_subplot())
        title = "best so far (line) and every trial (dots), on the validation split"
        ax.set_title("\n".join([title, *warnings_of(trials)]), fontsize=9, parse_math=False)
        return figure
