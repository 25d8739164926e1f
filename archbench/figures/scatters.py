"""The figure of a scatter: its panels, names, legend, caption, and what stands in its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.columns import TIMED
from archbench.figures.beside import Concluded, draw_beside
from archbench.figures.captions import captioned, data_words, lost_words, seeds_words, sentence, warnings_of
from archbench.figures.drawn import Drawn, Wanted, figure_of, most_columns, panels
from archbench.figures.labels import label, shared_legend
from archbench.figures.names import named, rows_of, value_words, values_of
from archbench.figures.points import EDGE, Y, draw_points, legend_entries, lines_of, points
from archbench.figures.quantities import column_of, number_column, words_of
from archbench.figures.style import styled
from archbench.markup import visible
from archbench.units import short_number, with_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HEIGHT = 0.6  # of a panel in its width
LEAST_NAME_IN = 0.2  # of height for each name, where there are many


def scatter_figure(frame: pd.DataFrame) -> Figure:
    """Return the scatter of parameters as a figure of its own, with a caption that says what it shows."""
    return draw_scatter(frame).figure


def draw_scatter(
    frame: pd.DataFrame,
    wanted: Wanted | None = None,
    *,
    published: pd.DataFrame | None = None,
    concluded: Concluded | None = None,
    note: str = "",
) -> Drawn:
    """Return the scatter of a frame.

    Args:
        frame: one row a run.
        wanted: `x`, by default `params`; `hue`, `facet`, `style` and `width`.
        published: `series`, `test_accuracy`, `source` and the column of x: points of others, drawn hollow.
        concluded: the front, crossovers and fits that are drawn beside the points.
        note: what else the caption says of the published points.

    Raises:
        InputError: a column that is not there, or has no numbers for x.
    """
    import pandas as pd

    wanted = wanted or Wanted()
    x = number_column(frame, wanted.x, "--x") if wanted.x else "params"
    hue, facet = (getattr(wanted, name) and column_of(named(frame), getattr(wanted, name), f"--{name}")
                  for name in ("hue", "facet"))  # fmt: skip
    frame = named(frame)
    with styled(wanted.style):
        count = len(values_of(frame, facet)) if facet else 1
        figure = figure_of(wanted, count, most=most_columns(wanted), panel_height=HEIGHT)
        names = frame["series"].nunique()
        figure.set_figheight(max(figure.get_figheight(), min(names, 60) * LEAST_NAME_IN * wanted.width_in / 9))
        found, drawn, said = [], [], []
        whole = points(frame, x, hue=hue, published=published)
        lines = lines_of(whole, x, hue, values_of(frame, hue or "series"))
        for ax, part in panels(figure, frame, facet, most=most_columns(wanted), share=False):
            data = points(part, x, hue=hue, published=_of(published, part))
            drawn.append((ax, draw_points(data, ax, x, lines, hue=hue)))
            found.append(data.assign(**{facet: part[facet].iloc[0]}) if facet and facet not in data else data)
            whole_set = facet in {None, "dataset"} and len(values_of(part, "dataset")) == 1
            if concluded is not None and whole_set:
                colors = {} if hue else {series: line.color for (series, _), line in lines.items()}
                said += draw_beside(ax, concluded, part["dataset"].iloc[0], x, colors)
        data = pd.concat(found, ignore_index=True)
        caption = captioned(figure, _caption(frame, data, x, note), sentence(*dict.fromkeys(said)), *warnings_of(frame))
        if hue:
            shared_legend(figure, *legend_entries(lines, hue), title=words_of(hue))
        placed = [label(ax, names) for ax, names in drawn]
        if not all(placed):
            for ax, _ in drawn:
                for text in list(ax.texts):
                    text.remove()
            if not hue:
                shared_legend(figure, *legend_entries(lines, None))
    name = "-".join(["scatter", *([_short(wanted.x)] if wanted.x and x != "params" else [])])
    return Drawn(name, figure, data, caption, tuple(_sentences(data, x, hue)), wanted.style)


def _of(published: pd.DataFrame | None, part: pd.DataFrame) -> pd.DataFrame | None:
    return None if published is None else published[published["series"].isin(part["series"])]


def _short(x: str | None) -> str:
    return (x or "").replace("_step_us", "_us")


def _caption(frame: pd.DataFrame, data: pd.DataFrame, x: str, note: str) -> str:
    done = frame[frame["status"] == "done"]
    without = int(done[x].isna().sum()) if x in done and x != "params" else 0
    cut = (data["low"] < -EDGE) | (data["high"] > 1 + EDGE)
    known = data[data["what"] == "published"]
    sources = "; ".join(dict.fromkeys(known["source"].dropna()))
    return sentence(
        data_words(frame),
        ", ".join(frame["device_name"].dropna().unique()) if TIMED.fullmatch(x) and len(frame) else "",
        seeds_words(data.loc[data["what"] == "mean", "n"].dropna().tolist()),
        lost_words(frame),
        "intervals are cut off at the frame" if cut.any() else "",
        f"{without} runs have no {x}" if without else "",
        f"hollow: published ({sources}){note}" if len(known) else "",
    )


def _sentences(data: pd.DataFrame, x: str, hue: str | None) -> list[str]:
    """Return a sentence a mean."""
    found = []
    for row in rows_of(data[data["what"] == "mean"]):
        half = None if row["high"] != row["high"] else 100 * (row["high"] - row[Y])
        group = f" ({value_words(hue, row[hue])})" if hue in data and hue else ""
        accuracy = with_interval(100 * row[Y], half)
        found.append(f"{visible(str(row['series']).strip())}{group} at {short_number(row[x])} {x}: {accuracy} %")
    return found
