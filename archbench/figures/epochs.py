"""Curves: loss and accuracy by epoch, train and validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.figures.captions import captioned, sentence, warnings_of
from archbench.figures.drawn import Drawn, Wanted, heading
from archbench.figures.labels import shared_legend
from archbench.figures.names import named, plain, rows_of, rows_where, values_of
from archbench.figures.points import new_axes
from archbench.figures.quantities import column_of
from archbench.figures.style import looks, new_figure, styled, text_pt
from archbench.markup import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from archbench.figures.style import Look

COLUMNS = {"column": 2, "text": 3, "full": 4}  # panels beside each other
HEIGHT = 0.72  # of a panel in its width
METRICS = ("loss", "accuracy")


def curves(
    epochs: pd.DataFrame,
    metric: str = "accuracy",
    ax: Axes | None = None,
    models: Sequence[str] | None = None,
    hue: str = "series",
    own: Mapping[Any, Look] | None = None,
) -> Axes:
    """Draw a metric by epoch: the mean over seeds, train dashed and validation solid.

    Where each line has a colour of its own, it has the range of its seeds behind it; by another column several lines
    may have one colour.

    Args:
        epochs: one row a run, epoch and split (`archbench.frame.epochs_frame`).
        metric: `loss`, `accuracy` or `topk`.
        ax: where; by default new axes.
        models: all families in their order, where panels that lack some share a legend; by default those of `epochs`.
        hue: the column whose values have the colours.
        own: how each of these looks; by default as the first, the second, ...
    """
    import seaborn as sns
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    ax = ax or new_axes()
    epochs = named(epochs)
    models = list(models or values_of(epochs, hue))
    own = own or looks(models)
    alone = hue == "series"
    drawn = epochs if alone else _line_means(epochs, hue, metric)
    sns.lineplot(
        drawn, x="epoch", y=metric, hue=hue, style="split", hue_order=models,
        palette=[own[name].color for name in models], style_order=["validation", "train"], ax=ax,
        **({"errorbar": ("pi", 100)} if alone else {"units": "series", "estimator": None}),
    )  # fmt: skip
    if len(epochs) and epochs["epoch"].max() == 1:  # one point makes no line
        for line in ax.get_lines():
            line.set_marker("o")
    plain(legend.get_texts() if (legend := ax.get_legend()) else ())
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    if metric != "loss":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    return ax


def _line_means(epochs: pd.DataFrame, hue: str, metric: str) -> pd.DataFrame:
    """Return the mean over the seeds of each line: a row a line, epoch and split."""
    keys = ["series", hue, "split", "epoch"]
    return epochs.groupby(keys, sort=False, dropna=False)[metric].mean().reset_index()


def curves_figure(epochs: pd.DataFrame) -> Figure:
    """Return loss above accuracy by epoch, a column a budget; what learned in one call beside others has no curve."""
    return draw_curves(epochs).figure


def draw_curves(epochs: pd.DataFrame, wanted: Wanted | None = None, names: Sequence[Any] = ()) -> Drawn:
    """Return the curves of a frame: loss above accuracy, a column a budget, or a value of another column.

    Args:
        epochs: one row a run, epoch and split, with the columns that `wanted` names.
        wanted: `hue`, by default the line; `facet`, by default `budget`; `style` and `width`.
        names: all lines of the comparison, or values of the hue, so that they look as in its other figures.

    Raises:
        InputError: a column that is not there.
    """
    wanted = wanted or Wanted()
    epochs = _learned(named(epochs))
    facet = column_of(epochs, wanted.facet, "--facet") if wanted.facet else "budget"
    hue = column_of(epochs, wanted.hue, "--hue") if wanted.hue else "series"
    values = values_of(epochs, facet) if len(epochs) else []
    models = values_of(epochs, hue) if len(epochs) else []
    columns = max(1, min(len(values), COLUMNS[wanted.width]))
    rows = 2 * max(1, -(-len(values) // columns))
    with styled(wanted.style):
        height = rows * (wanted.width_in / max(columns, 2) * HEIGHT + 0.5 * text_pt() / 72)
        figure = new_figure(wanted.width_in, height)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
        entries, own_looks = None, looks([*names, *models])
        for index, value in enumerate(values):
            own = rows_where(epochs, facet, value)
            for offset, metric in enumerate(METRICS):
                ax = curves(own, metric, axes[2 * (index // columns) + offset, index % columns], models, hue, own_looks)
                entries = ax.get_legend_handles_labels()
                if (legend := ax.get_legend()) is not None:
                    legend.remove()
                ax.set_ylabel(metric if index % columns == 0 else "")
                lowest = offset == 1 and index + columns >= len(values)
                ax.set_xlabel("epoch" if lowest else "")
                ax.tick_params(axis="x", labelbottom=lowest)
                if offset == 0:
                    ax.set_title(heading(facet, value), parse_math=False)
        for ax in axes.flat:
            ax.set_visible(ax.has_data())
        caption = captioned(figure, _caption(epochs, facet, hue), *warnings_of(epochs))
        if entries is not None:
            handles, names = (_without_headings(part, len(models)) for part in entries)
            shared_legend(figure, handles, names)
    data = _data(epochs, facet, hue)
    return Drawn("curves", figure, data, caption, tuple(_sentences(data, facet, hue)), wanted.style)


def _without_headings(entries: list[Any], models: int) -> list[Any]:
    """Return the entries of seaborn's legend without those that say what follows: of the colours, of the dashes."""
    return [*entries[1 : 1 + models], *entries[2 + models :]]


def _learned(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the epochs of what learned epoch by epoch; of what learned in one call there is no curve beside others."""
    if not len(epochs):
        return epochs
    last = epochs.groupby("model")["epoch"].transform("max")
    learned: pd.DataFrame = epochs[(last > 1) | (last.max() == 1)]
    return learned


def _caption(epochs: pd.DataFrame, facet: str, hue: str) -> str:
    keys = [*dict.fromkeys(["series", hue, facet])]
    counts = epochs.groupby(keys, dropna=False)["seed"].nunique().tolist() if len(epochs) else [0]
    data = ", ".join(epochs["dataset"].unique()) if "dataset" in epochs else ""
    most = max(counts)
    seeds = f"{most}" if most == min(counts) else f"{min(counts)} to {most}"
    mean = f"mean of {seeds} seeds{' and their range' if hue == 'series' else ''}" if most > 1 else "one run a line"
    return sentence(data, mean, "solid: validation, dashed: train")


def _data(epochs: pd.DataFrame, facet: str, hue: str) -> pd.DataFrame:
    """Return what is drawn: mean, least and most of each metric, a row a line, epoch and split."""
    keys = [*dict.fromkeys(["series", hue, facet, "split", "epoch"])]
    if not len(epochs):
        return epochs.reindex(columns=[*keys, "n", *METRICS])
    grouped = epochs.groupby(keys, sort=False, dropna=False)
    data = grouped.size().rename("n").to_frame()
    for metric in METRICS:
        for name, how in (("", "mean"), ("_least", "min"), ("_most", "max")):
            data[f"{metric}{name}"] = grouped[metric].agg(how)
    return data.reset_index()


def _sentences(data: pd.DataFrame, facet: str, hue: str) -> list[str]:
    """Return a sentence a line: where its validation ends."""
    if not len(data):
        return []
    keys = [*dict.fromkeys(["series", hue, facet])]
    ends = data[data["split"] == "validation"].drop_duplicates(keys, keep="last")
    return [
        f"{visible(str(row['series']).strip())}, {heading(facet, row[facet])}: validation accuracy "
        f"{100 * row['accuracy']:.1f} %, loss {row['loss']:.3g} after epoch {row['epoch']}"
        for row in rows_of(ends) if row["accuracy"] == row["accuracy"]
    ]  # fmt: skip
