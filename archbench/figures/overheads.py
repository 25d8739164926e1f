"""Overhead bars: how many times a baseline's MACs and time a model takes, with the intervals of the times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.errors import InputError
from archbench.figures.captions import captioned, sentence, warnings_of
from archbench.figures.drawn import Drawn, Wanted
from archbench.figures.names import fitting, plain, rows_of
from archbench.figures.points import new_axes
from archbench.figures.style import LINE_CONTRAST, ink, legible, looks, new_figure, styled, text_pt
from archbench.units import compact, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    Key = tuple[str, str]  # model and case

RATIOS = {
    "macs_ratio": "MACs", "train_ratio_cpu": "training step (cpu)", "infer_ratio_cpu": "inference step (cpu)",
    "train_ratio_cuda": "training step (cuda)", "infer_ratio_cuda": "inference step (cuda)",
}  # fmt: skip
HATCH = "////"  # of what is unstable
BAR_LINES = 1.75  # height of a bar with the gap to the next, in lines of text
ROOM = 1.35  # of the axis behind the longest bar, for its figure


def overhead_bars(
    overhead: pd.DataFrame, column: str, ax: Axes | None = None, series: Mapping[Key, str] | None = None
) -> Axes:
    """Draw a column of ratios as bars, a bar a model and budget, with its interval; hatched where it is unstable.

    Args:
        overhead: `archbench.tables.overhead`.
        column: `macs_ratio`, `train_ratio_cpu`, ...
        ax: where; by default new axes.
        series: by model and case the line of the other figures that has the same colour; by default the model.
    """
    ax = ax or new_axes()
    series = series or {_key(row): row["model"] for row in rows_of(overhead)}
    own = looks(series.values())
    highest = 1.0
    for place, row in enumerate(rows_of(overhead)):
        value, low, high = (_known(row.get(f"{column}{end}")) for end in ("", "_low", "_high"))
        if value is None:
            ax.text(0.02, place, "not measured", va="center", alpha=0.7, transform=ax.get_yaxis_transform())
            continue
        unstable = _known_text(row.get(column.replace("_ratio_", "_unstable_")))
        color = own[series[_key(row)]].color
        ax.barh(
            place, value, height=0.66, color=color, alpha=0.55 if row["is_baseline"] else 0.9,
            hatch=HATCH if unstable else None, edgecolor=legible(ink(), LINE_CONTRAST) if unstable else color,
        )  # fmt: skip
        reach = high if high is not None else value
        if low is not None and high is not None and high > low:
            ax.errorbar(value, place, xerr=[[value - low], [high - value]], color=ink(), capsize=0.3 * text_pt(),
                        elinewidth=0.12 * text_pt(), capthick=0.12 * text_pt())  # fmt: skip
        highest = max(highest, reach)
        ax.annotate(
            ratio(value), (reach, place), xytext=(0.5 * text_pt(), 0), textcoords="offset points", va="center",
            bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.08 * text_pt()},
        )  # fmt: skip
    ax.axvline(1.0, color=ink(), linewidth=0.1 * text_pt(), linestyle="--")
    ax.set_yticks(range(len(overhead)), [_name(row) for row in rows_of(overhead)])
    plain(ax.get_yticklabels())
    ax.set(xlim=(0, highest * ROOM), ylim=(len(overhead) - 0.4, -0.6), xlabel="times the baseline",
           title=RATIOS.get(column, column))  # fmt: skip
    ax.grid(visible=False, axis="y")
    return ax


def draw_overhead(
    overhead: pd.DataFrame,
    wanted: Wanted | None = None,
    caption: str = "",
    series: Mapping[Key, str] | None = None,
) -> Drawn:
    """Return the overhead of every model as bars, a panel a ratio.

    Args:
        overhead: `archbench.tables.overhead`.
        wanted: `style` and `width`.
        caption: what it was measured on.
        series: as for `overhead_bars`.

    Raises:
        InputError: nothing has a ratio.
    """
    wanted = wanted or Wanted()
    found = [column for column in RATIOS if column in overhead and overhead[column].notna().any()]
    if not found or not (~overhead["is_baseline"].astype(bool)).any():
        msg = "nothing to draw: no model is set against a baseline"
        raise InputError(msg, "Compare two models at least, and time them.")
    with styled(wanted.style):
        bars_in = len(overhead) * BAR_LINES * text_pt() / 72
        stacked = wanted.width == "column"
        rows, columns = (len(found), 1) if stacked else (1, len(found))
        figure = new_figure(wanted.width_in, rows * (bars_in + 5.5 * text_pt() / 72) + 2 * text_pt() / 72)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for column, ax in zip(found, axes.flat, strict=True):
            overhead_bars(overhead, column, ax, series)
            if not stacked:
                ax.label_outer()
        unstable = overhead.filter(like="_unstable_").notna().any(axis=None)
        bases = overhead.loc[overhead["is_baseline"].astype(bool), "model"].unique()
        caption = captioned(
            figure,
            sentence(
                caption, f"baseline: {', '.join(map(str, bases))} of the same size",
                "95 % intervals" if overhead.filter(like="_low").notna().any(axis=None) else "no intervals",
                "hatched: unstable, as overhead.md says" if unstable else "",
            ),
            *warnings_of(overhead),
        )  # fmt: skip
    return Drawn("overhead", figure, overhead, caption, tuple(_sentences(overhead, found)), wanted.style)


def _key(row: dict[str, Any]) -> Key:
    return row["model"], row.get("case") or ""


def _name(row: dict[str, Any]) -> str:
    budget = _known(row.get("budget"))
    name = str(row["model"]) if budget is None else f"{row['model']}@{compact(int(budget))}"
    return fitting(f"{name}, {row['case']}" if row.get("case") else name)


def _sentences(overhead: pd.DataFrame, columns: list[str]) -> list[str]:
    found = []
    for row in rows_of(overhead):
        if not row["is_baseline"]:
            values = [(RATIOS[c], [_known(row.get(f"{c}{end}")) for end in ("", "_low", "_high")]) for c in columns]
            said = ", ".join(f"{words} {ratio(*numbers)}" for words, numbers in values if numbers[0] is not None)
            found.append(f"{_name(row)}: {said}")
    return found


def _known(value: Any) -> float | None:
    import pandas as pd

    return None if value is None or pd.isna(value) else float(value)


def _known_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
