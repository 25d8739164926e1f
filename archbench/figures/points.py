"""A scatter: what a model costs against its test accuracy, every seed and the mean with its interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archbench import stats
from archbench.columns import place_of
from archbench.figures.labels import Name, label, shared_legend
from archbench.figures.names import fitting, named, rows_where, value_words, values_of
from archbench.figures.quantities import log_ticks, scaled_axis, widen
from archbench.figures.style import looks, text_pt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Key = tuple[str, Any]  # of a line: its series and value of the hue; None where that is missing or there is no hue

DODGE_PT = 7.0  # between families that have the same size
WIDEST_PT = 28.0  # that all of them take
MOST_SHAPES = 5000  # points that are drawn one by one in an SVG; more become a picture in it
NEAR = 0.03  # share by which sizes differ that count as the same
Y = "test_accuracy"
EDGE = 0.03  # of accuracy, shown beyond 0 and 1
FAINT = 0.5  # of the single runs


class Line(NamedTuple):
    """What has one colour, one marker and one name in a scatter."""

    name: str
    color: Any
    marker: str
    aside_pt: float


def scatter(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    x: str = "params",
    *,
    hue: str | None = None,
    published: pd.DataFrame | None = None,
) -> Axes:
    """Draw a cost (log axis) against test accuracy: every seed, and the mean with its 95 % interval.

    Families at the same size are drawn a few points beside each other, so that no interval hides another. What costs
    nothing, as a model without parameters, is a line across.

    Args:
        frame: one row a run (`archbench.frame.runs_frame`); runs that are not done are left out.
        ax: where; by default new axes.
        x: a column of numbers of the frame: `params`, `macs`, `train_step_us_cpu`, ...
        hue: a column whose values have the colours; by default each line has its own.
        published: points of others, drawn hollow: `series`, `test_accuracy` and the column `x`.
    """
    ax = ax or new_axes()
    data = points(frame, x, hue=hue, published=published)
    lines = lines_of(data, x, hue, values_of(named(frame), hue or "series"))
    names = draw_points(data, ax, x, lines, hue=hue)
    if not label(ax, names):
        figure = ax.get_figure(root=True)
        assert figure is not None  # noqa: S101 - axes that are drawn on have one
        shared_legend(figure, *legend_entries(lines, hue))
    return ax


def points(
    frame: pd.DataFrame, x: str = "params", *, hue: str | None = None, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return what a scatter draws, a row a point: `what` it is (run, mean or published), `series`, x, accuracy.

    Each network and seed is there once: two budgets may come to the same size. A mean has the number `n` of its runs,
    its interval as `low` and `high`, and that of a measured time as `x_low` and `x_high`.
    """
    import pandas as pd

    frame = named(frame)
    by = [hue] if hue and hue not in {"series", x} else []
    kept = dict.fromkeys(["series", *by, "params", x, f"{x}_low", f"{x}_high", "seed", Y])
    done = frame.loc[frame["status"] == "done", [column for column in kept if column in frame]]
    done = done.dropna(subset=[column for column in (x, Y) if column in done]) if x in done else done.iloc[:0]
    done = done.drop_duplicates(["series", *by, "params", "seed"])
    group = done.groupby(["series", *by, "params"], sort=False, dropna=False).ngroup()
    runs = done[[column for column in ("series", *by, x, Y, "seed") if column in done]]
    runs = runs.astype({column: float for column in (x, Y) if column in runs})
    parts = [runs.assign(what="run", group=group), _means(done, group.to_numpy(), x, by)]
    if published is not None and len(published):
        shared = {column: done.drop_duplicates("series").set_index("series")[column] for column in by}
        own_values = {column: published["series"].map(values) for column, values in shared.items()}
        parts.append(published.assign(what="published", group=len(done), **own_values))
    columns = list(dict.fromkeys(
        ["what", "series", *by, x, "x_low", "x_high", Y, "low", "high", "n", "seed", "source"]
    ))  # fmt: skip
    filled = [part for part in parts if len(part)] or parts[:1]
    data = pd.concat(filled, ignore_index=True).sort_values("group", kind="stable", ignore_index=True)
    data = data.reindex(columns=columns).astype({"n": "Int64", "seed": "Int64"})
    whole = x in frame and pd.api.types.is_integer_dtype(frame[x]) and (data[x].astype(float) % 1 == 0).all()
    return data.astype({x: "Int64" if whole else float, Y: float, "low": float, "high": float})


def _means(done: pd.DataFrame, group: NDArray[Any], x: str, by: Sequence[str]) -> pd.DataFrame:
    """Return the mean of each group of runs, in the order of the groups' numbers."""
    import pandas as pd

    order = np.argsort(group, kind="stable")
    places = np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []
    values = {name: done[name].to_numpy(float) for name in (x, f"{x}_low", f"{x}_high", Y) if name in done}
    rows: list[dict[str, Any]] = []
    for where in places:
        first = where[0]
        mean = stats.mean(values[Y][where].tolist())
        # Of a measured time.
        ends = (float(values[name][first]) if name in values else math.nan for name in (f"{x}_low", f"{x}_high"))
        place = place_of(values[x][where].tolist(), *ends)
        if mean is not None and place is not None:
            rows.append({
                **{name: done[name].iloc[first] for name in ("series", *by)}, "what": "mean", x: place.value,
                "x_low": place.low, "x_high": place.high, Y: mean.value, "low": mean.low, "high": mean.high,
                "n": mean.n, "group": group[first],
            })  # fmt: skip
    return pd.DataFrame(rows)


def draw_points(
    data: pd.DataFrame, ax: Axes, x: str, lines: Mapping[Key, Line], *, hue: str | None = None
) -> list[Name]:
    """Draw the rows of `points`; return the names that are to be written beside them."""
    from matplotlib.ticker import PercentFormatter
    from matplotlib.transforms import offset_copy

    measured = data[data["what"] != "published"]
    positive = measured.groupby("series", sort=False)[x].min() > 0
    scaled_axis(ax, x, data[x].astype(float))
    ax.set_ylabel("test accuracy")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    names = []
    many = int((data["what"] == "run").sum()) > MOST_SHAPES
    for series in [*positive.index[positive], *positive.index[~positive]]:
        own = data[data["series"] == series]
        for value in values_of(own, hue) if hue else [None]:
            part = rows_where(own, hue, value) if hue else own
            line = lines[series, value]
            if not positive[series]:
                names += _draw_across(ax, part, x, line, float(data[x].max()))
                continue
            figure = ax.get_figure(root=True)
            aside = offset_copy(ax.transData, figure, x=line.aside_pt, units="points")
            names += _draw_line(ax, part, x, str(series), line, aside, many=many)
    ax.margins(x=0.12, y=0.08)
    ax.autoscale_view()
    widen(ax)
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -EDGE), min(high, 1 + EDGE))  # an interval may reach beyond what there is
    if names:
        _make_room(ax, names)
    log_ticks(ax)
    return names


def _draw_line(ax: Axes, part: pd.DataFrame, x: str, name: str, line: Line, aside: Any, *, many: bool) -> list[Name]:
    """Draw one line: its runs, its means with their intervals, and what was published of it, hollow."""
    size = float(text_pt())
    runs, means, known = (part[part["what"] == what] for what in ("run", "mean", "published"))
    ax.plot(
        runs[x], runs[Y], line.marker, color=line.color, markersize=0.45 * size, alpha=FAINT, markeredgewidth=0,
        transform=aside, rasterized=many,
    )  # fmt: skip
    means = means.sort_values(x, kind="stable")
    xs, ys = means[x].astype(float).to_numpy(), means[Y].astype(float).to_numpy()
    up = means["high"].astype(float).to_numpy() - ys
    along = [abs(means[f"x_{end}"].astype(float).to_numpy() - xs) for end in ("low", "high")]
    ax.errorbar(
        xs, ys, yerr=up, xerr=None if means["x_low"].isna().all() else along, color=line.color, marker=line.marker,
        elinewidth=0.12 * size, capsize=0.3 * size, capthick=0.12 * size, transform=aside,
    )  # fmt: skip
    if len(known):
        ax.plot(
            known[x], known[Y], line.marker, color=line.color, markerfacecolor="none", markersize=1.05 * size,
            markeredgewidth=0.14 * size, transform=aside,
        )  # fmt: skip
    # Shifted artists do not tell the axes how far they reach.
    reach = [part[[x, Y]], *(part[[x, end]].rename(columns={end: Y}) for end in ("low", "high"))]
    reach += [part[[end, Y]].rename(columns={end: x}) for end in ("x_low", "x_high")]
    for corners in reach:
        ax.update_datalim(corners.dropna().to_numpy(dtype=float))
    return [Name(fitting(name), float(xs[-1]), float(ys[-1]), line.color, line.aside_pt)] if len(xs) else []


def _draw_across(ax: Axes, part: pd.DataFrame, x: str, line: Line, most: float) -> list[Name]:
    """Draw a line that costs nothing across the axes, named where they end: `most` is the highest cost of all."""
    accuracy = float(part.loc[part["what"] == "mean", Y].mean())
    ax.axhline(accuracy, color=line.color, linestyle="--")
    return [Name(f"{fitting(line.name)}, {_nothing(x)}", most if most > 0 else 1.0, accuracy, line.color)]


def lines_of(data: pd.DataFrame, x: str, hue: str | None, names: Sequence[Any]) -> dict[Key, Line]:
    """Return the lines of a scatter, coloured by series, or by the value of `hue`; `names` are all of these."""
    means = data[data["what"] == "mean"]
    series = [*dict.fromkeys(means["series"])]
    sized = means.groupby("series", sort=False)[x].min() > 0
    beside = [one for one in series if sized[one]]
    asides = _asides(data, x, beside)
    values = values_of(means, hue) if hue else [None]
    own = looks(names)
    return {
        (one, value): Line(str(one), *own[value if hue else one], asides.get(one, 0.0))
        for one in series for value in values
    }  # fmt: skip


def _asides(data: pd.DataFrame, x: str, names: Sequence[Any]) -> dict[Any, float]:
    """Return how far each line is drawn aside, in points: those alone that have a point where another has one."""
    means = data[data["what"] == "mean"]
    logs = {name: np.log(means.loc[means["series"] == name, x].to_numpy(dtype=float)) for name in names}
    crowds: list[list[Any]] = []
    for name in names:
        near = [crowd for crowd in crowds if any(_meet(logs[name], logs[other]) for other in crowd)]
        crowds = [crowd for crowd in crowds if crowd not in near] + [[one for crowd in near for one in crowd] + [name]]
    return {
        name: min(DODGE_PT, WIDEST_PT / len(crowd)) * (place - (len(crowd) - 1) / 2)
        for crowd in crowds
        for place, name in enumerate(sorted(crowd, key=list(names).index))
    }


def _meet(logs: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    return bool((np.abs(logs[:, None] - others[None]) < NEAR).any())


def _nothing(x: str) -> str:
    return "no parameters" if x == "params" else f"no {x}"


def _make_room(ax: Axes, names: Sequence[Name]) -> None:
    """Widen the axes to the right by the longest name, a third at most, as names like to stand behind their points."""
    longest_pt = max(len(name.text) for name in names) * 0.7 * text_pt()  # a letter is 0.7 of its size
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101 - axes that are drawn on have one
    width_pt = ax.get_position().width * figure.get_figwidth() * 72
    share = longest_pt / max(width_pt - longest_pt, 2 * width_pt)
    low, high = ax.get_xlim()
    ax.set_xlim(low, high * (high / low) ** share if ax.get_xscale() == "log" else high + share * (high - low))


def legend_entries(lines: Mapping[Key, Line], hue: str | None) -> tuple[list[Any], list[str]]:
    """Return what a legend shows of the lines of a scatter: a handle and a name for each colour."""
    from matplotlib.lines import Line2D

    entries: dict[Any, tuple[Any, str]] = {}
    for (series, value), line in lines.items():
        handle = Line2D([], [], color=line.color, marker=line.marker)
        entries.setdefault(value if hue else series, (handle, value_words(hue, value) if hue else series))
    return [handle for handle, _ in entries.values()], [name for _, name in entries.values()]


def new_axes() -> Axes:
    """Return axes of a figure of pyplot's."""
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]
