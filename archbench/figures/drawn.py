"""A figure with all that belongs to it: the data that is drawn, the caption, its words for those who do not see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.figures.names import rows_where, value_words, values_of
from archbench.figures.style import new_figure, text_pt, width_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 12  # sentences of a description: what one listens to


@dataclass(frozen=True)
class Wanted:
    """How figures are asked for; None is what a kind does by itself.

    Attributes:
        x, y: columns of the frame. hue: the column whose values have the colours. facet: that has a panel a value.
        style: `paper`, `slides` or `dark`. width: `column`, `text` or `full`.
    """

    x: str | None = None
    y: str | None = None
    hue: str | None = None
    facet: str | None = None
    style: str = "paper"
    width: str = "full"

    @property
    def width_in(self) -> float:
        """The width in inches."""
        return width_in(self.style, self.width)


@dataclass(frozen=True)
class Drawn:
    """A figure, and what goes with it.

    Attributes:
        name: of its files, without a suffix.
        data: what is drawn, a row a mark; without columns where it is kept elsewhere.
        caption: what it shows, a line a paragraph.
        lines: its data in sentences, the first of them first.
        style: that it was made in.
    """

    name: str
    figure: Figure
    data: pd.DataFrame
    caption: str
    lines: tuple[str, ...] = ()
    style: str = "paper"

    @property
    def title(self) -> str:
        """The first line of the caption."""
        return f"{self.name}: {self.caption.partition(chr(10))[0]}"

    @property
    def words(self) -> str:
        """What it shows, for those who do not see it: the caption, and what the data says, in one paragraph."""
        more = (f"and {len(self.lines) - FEW} more",) if len(self.lines) > FEW else ()
        said = "; ".join((*self.lines[:FEW], *more))
        return " ".join(f"{part}." for part in (self.caption.replace("\n", ". "), said) if part)

    @property
    def description(self) -> str:
        """The same for its files, and where all of the data is."""
        return f"{self.words} The data is in {self.name}.csv." if len(self.data.columns) else self.words


def panels(
    figure: Figure, frame: pd.DataFrame, facet: str | None, *, most: int, share: bool = True
) -> Iterator[tuple[Axes, pd.DataFrame]]:
    """Yield axes with the rows that they are for, a panel a value of `facet`, or one for all.

    Args:
        figure: that they are put in.
        frame: what is drawn.
        facet: a column.
        most: panels beside each other.
        share: whether all have the same axes; else each has its own, as limits that are set for one hold for all that
            share it.
    """
    values = values_of(frame, facet) if facet else []
    columns = max(1, min(len(values), most))
    rows = max(1, -(-len(values) // columns))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    for place, ax in enumerate(axes.flat):
        if facet is None or not values:
            yield ax, frame
        elif place < len(values):
            ax.set_title(heading(facet, values[place]), parse_math=False)
            yield ax, rows_where(frame, facet, values[place])
            if place % columns:
                ax.set_ylabel("")
                ax.tick_params(axis="y", labelleft=not share)
            below = place + columns
            if below >= len(values):  # nothing stands under it
                ax.tick_params(axis="x", labelbottom=True)
            else:
                ax.set_xlabel("")
                ax.tick_params(axis="x", labelbottom=not share)
        else:
            ax.set_visible(False)


def heading(facet: str, value: object) -> str:
    """Return what stands above the panel of a value."""
    words = value_words(facet, value)
    return words if facet in {"budget", "params", "dataset", "model", "case", "series"} else f"{facet} {words}"


def figure_of(wanted: Wanted, panel_count: int, *, most: int, panel_height: float) -> Figure:
    """Return a figure for so many panels.

    Args:
        wanted: how wide.
        panel_count: how many.
        most: beside each other.
        panel_height: of each, in its width.
    """
    columns = max(1, min(panel_count, most))
    rows = max(1, -(-panel_count // columns))
    height = rows * (wanted.width_in / columns * panel_height + 2.5 * text_pt() / 72)
    return new_figure(wanted.width_in, height)


def most_columns(wanted: Wanted) -> int:
    """Return how many panels stand beside each other: one in a column, three over the whole width."""
    return {"column": 1, "text": 2}.get(wanted.width, 3)
