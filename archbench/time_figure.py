"""The curve of a batch-size sweep: the time of a sample by the size of its batch, a panel a mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.figures import fitting, in_legend, new_figure, styled
from archbench.units import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANEL = (5.0, 4.0)  # inches


def batch_figure(frame: pd.DataFrame, caption: str) -> Figure:
    """Return a figure of the frame of `archbench.timed.Timed`, both axes on a log scale, with 95 % intervals.

    Args:
        frame: one row a session, mode, engine and model.
        caption: how and on what it was timed.
    """
    panels = [one for one, _ in frame.groupby(["mode", "device", "threads"], sort=False)]
    lines = list(dict.fromkeys(zip(frame["model"], frame["engine"], strict=True)))
    with styled():
        figure = new_figure(PANEL[0] * len(panels), PANEL[1])
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for ax, (mode, device, threads) in zip(axes, panels, strict=True):
            mine = frame[(frame["mode"] == mode) & (frame["device"] == device) & (frame["threads"] == threads)]
            for (model, engine), line in mine.groupby(["model", "engine"], sort=False):
                line = line.sort_values("batch_size")  # noqa: PLW2901 - the same line in its order
                x, y = line["batch_size"], line["us_per_sample"]
                reach = [(line["step_us"] - line["step_us_low"]) / x, (line["step_us_high"] - line["step_us"]) / x]
                name = str(model) if engine == "eager" else f"{model} ({engine})"
                ax.errorbar(x, y, yerr=None if reach[0].isna().any() else reach, marker="o", capsize=3,
                            label=in_legend(name), color=f"C{lines.index((model, engine))}")  # fmt: skip
            sizes = sorted(mine["batch_size"].unique())
            title = f"{mode}, {device}, {number(int(str(threads)), 'thread')}"
            ax.set(xscale="log", yscale="log", xlabel="batch size", title=title)
            ax.set_xticks(sizes, [str(size) for size in sizes])
            ax.minorticks_off()
        axes[0].set_ylabel("µs a sample")
        handles = {label: one for ax in axes for one, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        names = [in_legend(fitting(name)) for name in handles]
        for text in axes[0].legend(handles.values(), names).get_texts():
            text.set_parse_math(False)
        figure.suptitle(caption, fontsize="small", wrap=True, parse_math=False)
    return figure
