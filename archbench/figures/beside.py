"""What is concluded from the points of a scatter, drawn beside them: the front, where the lead changes, the fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from archbench.columns import step_of
from archbench.figures.labels import BEHIND
from archbench.figures.names import rows_of
from archbench.figures.style import ink, text_pt
from archbench.units import short_number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_BANDS = 3  # more are not told apart
DECADE = 10.0  # a fit is drawn no further than this beyond what was measured


class Concluded(Protocol):
    """The tables of `archbench.conclusions.Conclusions` that a scatter draws."""

    @property
    def pareto(self) -> pd.DataFrame:
        """A row a point and pair of axes."""

    @property
    def crossovers(self) -> pd.DataFrame:
        """A row a crossing."""

    @property
    def fit_lines(self) -> pd.DataFrame:
        """A row a point of a fit."""


def draw_beside(ax: Axes, concluded: Concluded, dataset: str, x: str, colors: dict[str, Any]) -> list[str]:
    """Draw the Pareto front, the bands of crossovers and the fits of one data set; return what the caption says.

    Args:
        ax: with its points drawn.
        concluded: the conclusions.
        dataset: whose.
        x: the column of the scatter.
        colors: of the lines, by series.
    """
    step = step_of(x)
    axis = "step_us" if step and step["mode"] == "train" and not step["engine"] else x
    limits = ax.get_xlim()
    said = []
    front = _of(concluded.pareto, dataset)
    front = front[(front["axes"] == f"{axis}+accuracy") & front["on_front"].astype(bool)]
    if len(front) > 1:
        _front(ax, front.sort_values(axis), axis)
        said.append("grey steps: Pareto front")
    crossed = _of(concluded.crossovers, dataset)
    crossed = crossed[(crossed["x"] == axis) & crossed["value"].notna()]
    if len(crossed) > MOST_BANDS:
        said.append(f"{len(crossed)} crossings, which crossovers.csv has")
    for row in rows_of(crossed) if len(crossed) <= MOST_BANDS else ():
        _band(ax, row)
        resolved = not _none(row["low"])
        reach = f" [{short_number(row['low'])}, {short_number(row['high'])}]" if resolved else ", not resolved"
        said.append(f"dotted: {row['after']} overtakes {row['before']} at {short_number(row['value'])}{reach}")
    fits = _of(concluded.fit_lines, dataset)
    drawn = fits[fits["series"].isin(list(colors))] if x == "params" else fits.iloc[:0]
    for series, line in drawn.groupby("series", sort=False):
        _fit(ax, line, colors[str(series)])
    if len(drawn):
        said.append("thin: fit of error = a + b·params^-c, dashed beyond the data")
    ax.set_xlim(limits)
    return said


def _of(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    return table[table["dataset"] == dataset]


def _none(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _front(ax: Axes, front: pd.DataFrame, x: str) -> None:
    ax.step(
        front[x].astype(float), front["accuracy"].astype(float), where="post", color=ink(), alpha=0.3, zorder=1.5,
        linewidth=0.22 * text_pt(), solid_capstyle="round", gid=BEHIND,
    )  # fmt: skip


def _band(ax: Axes, row: dict[str, Any]) -> None:
    if not _none(row["low"]) and not _none(row["high"]):
        ax.axvspan(row["low"], row["high"], color=ink(), alpha=0.08, linewidth=0, zorder=0.5, gid=BEHIND)
    ax.axvline(row["value"], color=ink(), alpha=0.5, linewidth=0.1 * text_pt(), linestyle=":", gid=BEHIND)


def _fit(ax: Axes, line: pd.DataFrame, color: Any) -> None:
    """Draw the accuracy that a fit gives: solid where it was measured, dashed for at most a decade beyond."""
    beyond = line["extrapolated"].astype(bool)
    measured = line.loc[~beyond, "params"]
    within = line["params"].between(measured.min() / DECADE, measured.max() * DECADE)
    for part, style in ((line[~beyond], "-"), (line[beyond & within], "--")):
        below, above = part[part["params"] <= measured.min()], part[part["params"] > measured.min()]
        for side in (below, above) if style == "--" else (part,):
            ax.plot(
                side["params"].astype(float), 1 - side["error"].astype(float), style, color=color, alpha=0.7,
                linewidth=0.1 * text_pt(), gid=BEHIND,
            )  # fmt: skip
