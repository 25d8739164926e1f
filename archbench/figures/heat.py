"""A heat map: the accuracy over two factors of a study, a cell a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench import stats
from archbench.errors import InputError
from archbench.figures.captions import captioned, data_words, lost_words, seeds_words, sentence, warnings_of
from archbench.figures.drawn import Drawn, Wanted, figure_of, most_columns, panels
from archbench.figures.names import fitting, plain, rows_of, values_of
from archbench.figures.points import Y, new_axes
from archbench.figures.quantities import column_of, words_of
from archbench.figures.style import ink, luminance, styled, text_pt
from archbench.units import compact, with_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FACTORS = (
    "lr", "batch_size", "optimizer", "weight_decay", "momentum", "schedule", "lr_decay", "l2", "label_smoothing",
    "augment", "scaling", "precision", "epochs", "preprocess", "limit", "dataset", "model", "budget",
)  # fmt: skip
MAP = "cividis"  # even in lightness, and the same to colour-blind people
CELL_LINES = 3.2  # least height of a cell, in lines of text
HALF = 0.4  # luminance above which the figure in a cell is black


def heat(
    cells: pd.DataFrame,
    x: str,
    y: str,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
    of: pd.DataFrame | None = None,
) -> Axes:
    """Draw cells as a grid coloured by accuracy, each with its figure; what was not run stays empty.

    Args:
        cells: of `heat_cells`.
        x: the column of one factor.
        y: that of the other.
        ax: where; by default new axes.
        limits: accuracies of the ends of the colours; by default the least and the most of the cells.
        of: all cells, where these are those of one panel: the axes have the values of all.
    """
    import matplotlib as mpl
    import numpy as np

    ax = ax or new_axes()
    xs, ys = (values_of(cells if of is None else of, factor) for factor in (x, y))
    grid = np.full((len(ys), len(xs)), np.nan)
    rows = rows_of(cells)
    places = [(_index(ys, row[y]), _index(xs, row[x])) for row in rows]
    for place, row in zip(places, rows, strict=True):
        grid[place] = row[Y] if row["n"] else np.nan
    low, high = limits or (float(np.nanmin(grid)), float(np.nanmax(grid)))
    norm = mpl.colors.Normalize(low, high if high > low else low + 1e-6)
    colours = mpl.colormaps[MAP]
    ax.imshow(np.ma.masked_invalid(grid), cmap=colours, norm=norm, aspect="auto", origin="lower")
    for (at_y, at_x), row in zip(places, rows, strict=True):
        if row["n"]:
            dark = luminance(colours(norm(row[Y]))[:3]) < HALF
            half = None if row["high"] != row["high"] else 100 * (row["high"] - row[Y])
            words, color = with_interval(100 * row[Y], half).replace(" ± ", "\n± "), "white" if dark else "black"
        else:
            words, color = str(row["not_done"]), ink()
        ax.text(at_x, at_y, words, ha="center", va="center", fontsize=0.9 * text_pt(), color=color)
    ax.set_xticks(range(len(xs)), [_word(x, value) for value in xs])
    ax.set_yticks(range(len(ys)), [_word(y, value) for value in ys])
    if sum(len(_word(x, value)) for value in xs) > 40:
        ax.tick_params(axis="x", rotation=30)
    plain([*ax.get_xticklabels(), *ax.get_yticklabels()])
    ax.set(xlabel=words_of(x), ylabel=words_of(y))
    ax.grid(visible=False)
    return ax


def heat_cells(frame: pd.DataFrame, *factors: str) -> pd.DataFrame:
    """Return a row a setting of the factors: the mean accuracy of the runs there, its interval, what is not done."""
    import pandas as pd

    rows = []
    for setting, group in frame.groupby(list(factors), sort=False, dropna=False):
        values = group.loc[group["status"] == "done", Y].dropna().astype(float).tolist()
        mean = stats.mean(values)
        lost = group.loc[group["status"] != "done", "status"]
        rows.append({
            **dict(zip(factors, setting, strict=True)),
            Y: mean and mean.value, "low": mean and mean.low, "high": mean and mean.high,
            "n": len(values), "not_done": ", ".join(dict.fromkeys(lost)) or None,
        })  # fmt: skip
    cells = pd.DataFrame(rows, columns=[*factors, Y, "low", "high", "n", "not_done"])
    return cells.astype({**{factor: frame[factor].dtype for factor in factors}, Y: float, "low": float, "high": float})


def draw_heat(frame: pd.DataFrame, wanted: Wanted | None = None) -> Drawn:
    """Return the heat map of a frame over two factors, a panel a value of `facet`.

    Args:
        frame: one row a run.
        wanted: `x` and `y`, by default the two settings that differ between the runs; `facet`, `style`, `width`.

    Raises:
        InputError: a column that is not there, or not two factors: those that differ are named.
    """
    wanted = wanted or Wanted()
    x, y = _factors(frame, wanted)
    facet = column_of(frame, wanted.facet, "--facet") if wanted.facet else None
    _refuse_pooled(frame, {x, y, facet})
    cells = heat_cells(frame, *dict.fromkeys(column for column in (facet, x, y) if column))
    known = cells[Y].dropna()
    if not len(known):
        msg = "nothing to draw: no run is done"
        raise InputError(msg, "`archbench results list` says what became of them.")
    limits = (float(known.min()), float(known.max()))
    count = len(values_of(cells, facet)) if facet else 1
    with styled(wanted.style):
        columns = most_columns(wanted)
        figure = figure_of(wanted, count, most=columns, panel_height=0.3)
        rows = max(1, -(-count // columns))
        least = rows * (len(values_of(cells, y)) * CELL_LINES + 4) * text_pt() / 72
        figure.set_figheight(max(figure.get_figheight(), least))
        axes = [
            heat(part, x, y, ax, limits=limits, of=cells)
            for ax, part in panels(figure, cells, facet, most=columns)
        ]  # fmt: skip
        bar = figure.colorbar(axes[0].images[0], ax=axes, label="test accuracy", format=_percent())
        bar.outline.set_visible(False)
        counts = seeds_words(cells.loc[cells["n"] > 0, "n"].tolist())
        caption = captioned(figure, sentence(data_words(frame), counts, lost_words(frame)), *warnings_of(frame))
    lines = [
        f"{words_of(x)} {_word(x, row[x])}, {words_of(y)} {_word(y, row[y])}: {100 * row[Y]:.1f} %"
        for row in rows_of(cells) if row["n"]
    ]  # fmt: skip
    return Drawn("heatmap", figure, cells, caption, tuple(lines), wanted.style)


def _factors(frame: pd.DataFrame, wanted: Wanted) -> tuple[str, str]:
    """Return the two factors: those that are asked for, and of the others the first that differ."""
    x = column_of(frame, wanted.x, "--x") if wanted.x else None
    y = column_of(frame, wanted.y, "--y") if wanted.y else None
    taken = {x, y, wanted.facet}
    differ = [c for c in FACTORS if c in frame and c not in taken and len(values_of(frame, c)) > 1]
    free = iter(differ)
    x = x or next(free, None)
    y = y or next(free, None)
    if x is None or y is None or x == y:
        msg = "nothing to draw: a heat map has two factors, and " + (
            f"{differ[0]} alone differs between the runs" if differ else "no other differs between the runs"
        )
        raise InputError(msg, "Compare over a grid (`[factors]` of a study file), or name columns by --x and --y.")
    return x, y


def _refuse_pooled(frame: pd.DataFrame, shown: set[str | None]) -> None:
    """Refuse a map whose cells would be means over settings that it does not show."""
    keys = [str(column) for column in shown if column is not None]
    for column in FACTORS:
        hidden = column in frame and column not in keys
        if hidden and frame.groupby(keys, dropna=False)[column].nunique(dropna=False).max() > 1:
            msg = f"a cell would be a mean over different values of {column}"
            raise InputError(msg, f"Give --facet {column}, or it as --x or --y.")


def _index(values: list[Any], value: Any) -> int:
    import pandas as pd

    return values.index(None if pd.isna(value) else value)


def _word(column: str, value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return "none" if column != "budget" else "own size"
    if column == "budget":
        return compact(int(value))
    return fitting(f"{value:g}" if isinstance(value, float) else str(value))


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=None)
