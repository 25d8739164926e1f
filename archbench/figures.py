"""Figures: each takes a frame and an axes and returns the axes, so that it can stand in a figure of the user's own."""

from __future__ import annotations

import itertools
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archbench import stats
from archbench.markup import visible
from archbench.reference import shown
from archbench.units import compact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
DODGE = 7.0  # points between families that have the same size
WIDEST = 28.0  # points that all of them take
LABEL_SIZE = 9.0  # points
LONGEST_LABEL = 30  # letters; longer names end in dots
LABEL_GAP = 1.3  # least distance of two labels, in their own height
MOST_SHAPES = 5000  # points that are drawn one by one in an SVG; more become a picture in it
DRAWN = ("series", "model", "case", "params", "seed", "test_accuracy")  # columns of a scatter
COLUMNS = 4  # panels side by side in the figure of curves


def scatter(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw parameters (actual, log axis) against test accuracy: every seed, and the mean with its 95 % interval.

    Families at the same size are drawn a few points beside each other, so that no interval hides another. What has no
    parameters is a line across.

    Args:
        frame: one row a run (`archbench.frame.runs_frame`); runs that are not done are left out.
        ax: where; by default new axes.
    """
    from matplotlib.ticker import PercentFormatter
    from matplotlib.transforms import offset_copy

    ax = ax or _new_axes()
    done = _distinct(frame)
    groups = [(name, group) for name, group in done.groupby("series", sort=False) if (group["params"] > 0).all()]
    without = [(name, group) for name, group in done.groupby("series", sort=False) if (group["params"] == 0).any()]
    dodge = min(DODGE, WIDEST / max(1, len(groups)))
    ax.set_xscale("log")
    ax.set(xlabel="parameters", ylabel="test accuracy")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    ends = []
    palette = colors(len(groups) + len(without))
    for index, ((name, group), color) in enumerate(zip(groups, palette, strict=False)):
        marker = MARKERS[index % len(MARKERS)]
        aside = offset_copy(
            ax.transData, ax.get_figure(root=True), x=dodge * (index - (len(groups) - 1) / 2), units="points"
        )
        ax.plot(
            group["params"], group["test_accuracy"], marker, color=color, markersize=4, alpha=0.5,
            markeredgewidth=0, transform=aside, rasterized=len(done) > MOST_SHAPES,
        )  # fmt: skip
        points = [
            (int(seeds["params"].iloc[0]), stats.mean(seeds["test_accuracy"].tolist()))
            for _, seeds in group.groupby("params")
        ]
        xs, ys = [params for params, _ in points], [mean.value for _, mean in points if mean]
        half = [float("nan") if mean.half_width is None else mean.half_width for _, mean in points if mean]
        ax.errorbar(
            xs, ys, yerr=half, color=color, marker=marker, markersize=7, linewidth=1.5, elinewidth=1.2, capsize=3,
            transform=aside,
        )  # fmt: skip
        ends.append((fitting(str(name)), xs[-1], ys[-1], color))
        # Shifted artists do not tell the axes how far they reach.
        bounds = [(x, bound) for x, mean in points if mean for bound in (mean.low, mean.high) if bound is not None]
        ax.update_datalim([*group[["params", "test_accuracy"]].to_numpy(dtype=float), *bounds])
    for (name, group), color in zip(without, palette[len(groups) :], strict=True):
        mean = group["test_accuracy"].mean()
        ax.axhline(mean, color=color, linestyle="--", linewidth=1.2)
        ends.append((f"{fitting(str(name))}, no parameters", done["params"].max() or 1, mean, color))
    ax.margins(x=0.1)
    ax.autoscale_view()
    _label_ends(ax, ends)
    _parameter_ticks(ax)
    return ax


def curves(
    epochs: pd.DataFrame, metric: str = "accuracy", ax: Axes | None = None, models: Sequence[str] | None = None
) -> Axes:
    """Draw a metric by epoch: the mean over seeds and the range of them, train dashed and validation solid.

    Args:
        epochs: one row a run, epoch and split (`archbench.frame.epochs_frame`).
        metric: `loss`, `accuracy` or `topk`.
        ax: where; by default new axes.
        models: all families in their order, where panels that lack some share a legend; by default those of `epochs`.
    """
    import seaborn as sns
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    ax = ax or _new_axes()
    epochs = _named(epochs)
    models = list(models or epochs["series"].unique())
    sns.lineplot(
        epochs, x="epoch", y=metric, hue="series", style="split", hue_order=models,
        palette=colors(len(models)), style_order=["validation", "train"],
        errorbar=("pi", 100), linewidth=1.3, ax=ax,
    )  # fmt: skip
    if len(epochs) and epochs["epoch"].max() == 1:  # one point makes no line
        for line in ax.get_lines():
            line.set_marker("o")
    for text in legend.get_texts() if (legend := ax.get_legend()) else ():
        text.set_parse_math(False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric != "loss":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    return ax


def scatter_figure(frame: pd.DataFrame) -> Figure:
    """Return the scatter as a figure of its own, with a caption that says what it shows."""
    with styled():
        figure = new_figure(7.0, 4.6)
        ax = scatter(frame, figure.add_subplot())
        done = _distinct(frame)
        lost = int((frame["status"] != "done").sum())
        runs = done.groupby(["series", "params"]).size()
        data = ", ".join(frame["dataset"].unique()) if len(frame) else ""
        interval = "one run a point, so no interval"
        if len(runs) and runs.max() > 1:
            seeds = f"{runs.max()}" if runs.min() == runs.max() else f"{runs.min()} to {runs.max()}"
            interval = f"mean of {seeds} seeds ± 95 % t-interval"
        caption = f"{data}; {interval}"
        title = caption + (f"; {lost} of {len(frame)} runs failed or diverged" if lost else "")
        ax.set_title("\n".join([title, *warnings_of(frame)]), fontsize=9, parse_math=False)
        return figure


def warnings_of(frame: pd.DataFrame) -> list[str]:
    """Return a line a warning of the data that a frame's rows were measured on."""
    found = dict.fromkeys(text for texts in frame["warnings"].dropna() for text in texts.split("; "))
    return [f"warning: {text}" for text in found]


def curves_figure(epochs: pd.DataFrame) -> Figure:
    """Return loss above accuracy by epoch, a column a budget; what learned in one call beside others has no curve."""
    if len(epochs):
        last = epochs.groupby("model")["epoch"].transform("max")
        epochs = epochs[(last > 1) | (last.max() == 1)]
    budgets = list(epochs["budget"].drop_duplicates().sort_values())
    epochs = _named(epochs)
    models = list(epochs["series"].unique())
    with styled():
        rows = 2 * max(1, -(-len(budgets) // COLUMNS))
        columns = max(1, min(len(budgets), COLUMNS))
        figure = new_figure(3.2 * columns + 1.6, 2.3 * rows)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=False)
        for index, budget in enumerate(budgets):
            own = epochs["budget"].isna() if _missing(budget) else epochs["budget"] == budget
            for offset, metric in enumerate(("loss", "accuracy")):
                ax = curves(epochs[own], metric, axes[2 * (index // COLUMNS) + offset, index % COLUMNS], models)
                handles, names = ax.get_legend_handles_labels()
                if (legend := ax.get_legend()) is not None:
                    legend.remove()
                ax.set_ylabel(metric if index % COLUMNS == 0 else "")
                if metric == "loss":
                    ax.set_title("own size" if _missing(budget) else f"{compact(int(budget))} parameters", fontsize=9)
        for ax in axes.flat:
            ax.set_visible(ax.has_data())
        if said := warnings_of(epochs):
            figure.suptitle("\n".join(said), fontsize=9, parse_math=False)
        if budgets:
            shared = figure.legend(
                handles, [fitting(name) for name in names], loc="outside right upper", fontsize=8, frameon=False
            )
            for text in shared.get_texts():
                text.set_parse_math(False)
        return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; the same figure gives the same bytes."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)  # noqa: S101 - as asked for
        if (legible := visible(text.get_text(), layout=True)) != text.get_text():
            text.set_text(legible)
    with styled(), _boxes():
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)


@contextmanager
def _boxes() -> Iterator[None]:
    """Within: a letter that the font lacks is drawn as a box, and no word lost about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _missing(budget: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(budget))


@contextmanager
def styled() -> Iterator[None]:
    """Within: figures look as archbench's do, with the font that matplotlib brings, so on all machines alike."""
    from matplotlib import style

    own = {"svg.hashsalt": "archbench", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}
    with style.context(["seaborn-v0_8-whitegrid", own]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return a figure (inches) of its own, outside pyplot's list of open ones."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _new_axes() -> Axes:
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _distinct(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that are done, each network and seed once: two budgets may come to the same size."""
    drawn = frame[[column for column in DRAWN if column in frame]]  # a wide frame is slow to group
    return _named(drawn[frame["status"] == "done"]).drop_duplicates(["series", "params", "seed"])


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with what tells its lines apart as `series`: the model, the case, or both."""
    if "series" in frame:  # named as a part of the whole
        return frame
    if not frame["case"].any():
        series = frame["model"]
    elif len(set(frame["model"])) == 1:
        series = frame["case"]
    else:
        series = frame["model"] + ", " + frame["case"]
    return frame.assign(series=series.map(in_legend))


def in_legend(name: str) -> str:
    """Return a name that a legend shows: one that begins with _ would be left out."""
    return f" {name}" if name.startswith("_") else name


def colors(count: int) -> list[Any]:
    """Return so many colours that colour-blind people tell apart (M. A. Petroff, arXiv:2107.02270); ten, then again."""
    import matplotlib as mpl

    return list(itertools.islice(itertools.cycle(mpl.color_sequences["petroff10"]), count))


def _parameter_ticks(ax: Axes) -> None:
    """Label 1, 2 and 5 of each decade; where that leaves fewer than two labels, the ends of the axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    low, high = ax.get_xlim()
    locator = LogLocator(10, subs=(1.0, 2.0, 5.0))
    shown = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
    ax.xaxis.set_major_locator(locator if len(shown) > 1 else FixedLocator(sorted({*shown, *ax.dataLim.intervalx})))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(round(float(f"{value:.3g}")))))


def _label_ends(ax: Axes, ends: Sequence[tuple[str, float, float, Any]]) -> None:
    """Write each family's name beside its last point, moved as the others need, and make room for the longest."""
    if not ends:
        return
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101 - axes that are drawn on have one
    with _boxes():
        figure.draw_without_rendering()  # so that positions on the page are final
    points_per_pixel = 72 / figure.dpi
    ends = sorted(ends, key=lambda end: end[2])
    at = [ax.transData.transform((x, y))[1] * points_per_pixel for _, x, y, _ in ends]
    box = ax.get_window_extent()
    bounds = (box.y0 * points_per_pixel, box.y1 * points_per_pixel)
    for (name, x, y, color), wanted, placed in zip(ends, at, _spread(at, *bounds), strict=True):
        ax.annotate(
            name, (x, y), xytext=(min(DODGE * len(ends), WIDEST) / 2 + 8, placed - wanted), va="center",
            textcoords="offset points", color=color, fontsize=LABEL_SIZE, fontweight="bold", parse_math=False,
        )  # fmt: skip
    low, high = ax.get_xlim()
    longest = max(len(name) for name, *_ in ends) * 0.7 * LABEL_SIZE  # points: a letter is 0.7 of its size
    width = box.width * points_per_pixel
    ax.set_xlim(low, high * (high / low) ** (longest / max(width - longest, width / 3)))


def fitting(name: str) -> str:
    """Return a name that fits into a figure, cut in its middle: a case stands at its end."""
    name = visible(shown(name))
    half = LONGEST_LABEL // 2
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - half - 1]}…{name[-half:]}"


def _spread(wanted: Sequence[float], bottom: float, top: float) -> list[float]:
    """Return heights near the wanted ones (ascending) that lie a label apart: pushed up, then back under the top."""
    gap = LABEL_GAP * LABEL_SIZE
    placed: list[float] = []
    for height in wanted:
        placed.append(max(height, placed[-1] + gap if placed else bottom + gap / 2))
    limit = top - gap / 2
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed
