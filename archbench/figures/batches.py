"""Batch-size curves: the time of a sample by the size of its batch, a panel a mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.columns import step_of
from archbench.errors import InputError
from archbench.figures.captions import captioned
from archbench.figures.drawn import Drawn, Wanted
from archbench.figures.labels import shared_legend
from archbench.figures.names import in_legend, values_of
from archbench.figures.style import looks, new_figure, styled, text_pt
from archbench.units import THIN_SPACE, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HEIGHT = 0.75  # of a panel in its width
APART = ("optimizer", "precision")  # settings of which steps depend, beside the batch


def batch_figure(frame: pd.DataFrame, caption: str) -> Figure:
    """Return the curves of the frame of `archbench.timed.Timed`, both axes on a log scale, with 95 % intervals."""
    return draw_batches(frame, caption).figure


def draw_batches(frame: pd.DataFrame, caption: str = "", wanted: Wanted | None = None) -> Drawn:
    """Return the curves of a frame of timings.

    Args:
        frame: one row a session, mode, engine and model.
        caption: how and on what it was timed.
        wanted: `style` and `width`.
    """
    wanted = wanted or Wanted()
    panels = [one for one, _ in frame.groupby(["mode", "device", "threads"], sort=False)]
    said = []
    with styled(wanted.style):
        own = looks(zip(frame["model"], frame["engine"], strict=True))
        columns = 1 if wanted.width == "column" else len(panels)
        rows = -(-len(panels) // columns)
        height = rows * (wanted.width_in / max(columns, 1 if wanted.width == "column" else 2) * HEIGHT)
        figure = new_figure(wanted.width_in, height)
        axes = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
        for place, (ax, (mode, device, threads)) in enumerate(zip(axes, panels, strict=True)):
            mine = frame[(frame["mode"] == mode) & (frame["device"] == device) & (frame["threads"] == threads)]
            for (model, engine), line in mine.groupby(["model", "engine"], sort=False):
                line = line.sort_values("batch_size")  # noqa: PLW2901 - the same line in its order
                x, y = line["batch_size"], line["us_per_sample"]
                reach = [(line["step_us"] - line["step_us_low"]) / x, (line["step_us_high"] - line["step_us"]) / x]
                name = str(model) if engine == "eager" else f"{model} ({engine})"
                color, marker = own[model, engine]
                ax.errorbar(x, y, yerr=None if reach[0].isna().any() else reach, marker=marker, color=color,
                            capsize=0.3 * text_pt(), label=in_legend(name))  # fmt: skip
                first, last = (f"{y.iloc[end]:.3g}{THIN_SPACE}µs" for end in (0, -1))
                ends = f"{first} a sample in batches of {x.iloc[0]}, {last} of {x.iloc[-1]}"
                said.append(f"{name}, {mode} on {device}: {ends}")
            sizes = sorted(mine["batch_size"].unique())
            title = f"{mode}, {device}, {number(int(str(threads)), 'thread')}"
            ax.set(xscale="log", yscale="log", xlabel="batch size", title=title)
            ax.set_xticks(sizes, [str(size) for size in sizes])
            ax.minorticks_off()
            _decades(ax)
            if place % columns == 0:
                ax.set_ylabel("µs a sample")
        handles = {label: one for ax in axes for one, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        caption = captioned(figure, f"{caption}; 95 % intervals" if caption else "95 % intervals")
        shared_legend(figure, list(handles.values()), list(handles))
    return Drawn("batch", figure, frame, caption, tuple(said), wanted.style)


def batch_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the timings of a frame of runs as the frame of `archbench.timed.Timed` has them.

    Raises:
        InputError: they are of one batch size.
    """
    import pandas as pd

    differ = [column for column in APART if len(values_of(runs, column)) > 1]
    names = runs["model"].astype(str)
    for column in differ:
        names = names + ", " + runs[column].astype(str)
    if len(values_of(runs, "budget")) > 1:
        names = names + runs["budget"].map(lambda budget: "" if pd.isna(budget) else f"@{int(budget)}")
    found = [
        pd.DataFrame({
            "model": names, "mode": step["mode"], "engine": step["engine"] or "eager", "device": step["device"],
            "threads": runs["threads"], "batch_size": runs["batch_size"].astype(int), "step_us": runs[column],
            "step_us_low": runs[f"{column}_low"], "step_us_high": runs[f"{column}_high"],
        })
        for column in runs.columns if (step := step_of(str(column)))
    ]  # fmt: skip
    frame = pd.concat(found, ignore_index=True).dropna(subset=["step_us"]) if found else pd.DataFrame()
    if not len(frame) or frame["batch_size"].nunique() < 2:
        msg = "nothing to draw: no two batch sizes were timed"
        raise InputError(
            msg, "Make batch_size a factor of a study, or `archbench time MODEL --batch-sizes 1,32 -o FILE`."
        )
    frame = frame.drop_duplicates(["model", "mode", "engine", "device", "threads", "batch_size"])
    return frame.assign(us_per_sample=frame["step_us"] / frame["batch_size"]).reset_index(drop=True)


def _decades(ax: object) -> None:
    """Label 1, 2 and 5 of each decade of the y axis, plainly, where it is short."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter, LogLocator

    assert isinstance(ax, Axes)  # noqa: S101 - for the types
    low, high = ax.get_ylim()
    if high / low < 100:
        ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
