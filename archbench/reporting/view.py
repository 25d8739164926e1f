"""The nouns of a report: what it says, in words, before anything of it is HTML or Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200  # of a table; what is stored has the others
LONGEST = 32  # letters of a number with its interval and a word
UNNAMED = "remark"  # a heading must say something
NUMBER = re.compile(r"[+-]?[\d,]*\.?\d")  # how a cell of a column of numbers begins


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        id: what it is called inside the page.
        caption: what it shows, in a line.
        head: the headings.
        rows: the cells, a tuple a row.
        groups: of each row the place of its model among the chart's; empty where rows are no models.
    """

    id: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str, caption: str, words: pd.DataFrame, groups: tuple[int, ...] = ()) -> Self:
        """Return a table of a frame of words; columns without any are left out."""
        kept = [place for place in range(words.shape[1]) if (words.iloc[:, place].fillna("") != "").any()]
        cells = words.iloc[:, kept].fillna("").astype(str)
        head = tuple(str(heading) or UNNAMED for heading in cells.columns)
        return cls(name, caption, head, tuple(cells.itertuples(index=False, name=None)), groups)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers, but for a word here and there: they stand at its right."""
        return tuple(_mostly_numbers([row[place] for row in self.rows]) for place in range(len(self.head)))


def _mostly_numbers(cells: list[str]) -> bool:
    known = [cell for cell in cells if cell]
    if max(map(len, known), default=0) > LONGEST:  # sentences that begin with a number
        return False
    return 2 * sum(bool(NUMBER.match(cell)) for cell in known) >= len(known) > 0


def table_of(
    name: str, caption: str, words: pd.DataFrame, most: int | None = MOST_ROWS
) -> tuple[Table, tuple[str, ...]]:
    """Return a table of words, and a note where there are more than it shows."""
    left = 0 if most is None else len(words) - most
    return Table.of(name, caption, words.head(most or len(words))), ((f"And {left:,} rows more.",) if left > 0 else ())


@dataclass(frozen=True)
class Section:
    """A part of the page: paragraphs, tables, and notes under them.

    Attributes:
        about: a paragraph each. code: lines of a shell. notes: a line each, such as doubts with their remedies.
    """

    id: str
    title: str
    about: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class Still:
    """A figure that stands still, for where no script runs and for paper.

    Attributes:
        name: of its file beside the report, and of that of its data, without a suffix.
        alt: what it shows, in words. svg: what is in its file. data: what is drawn, a row a mark.
    """

    name: str
    alt: str
    svg: str
    data: pd.DataFrame


@dataclass(frozen=True)
class Page:
    """All that a report says.

    Attributes:
        question: that the comparison asks. answer: in a sentence. points: what else was found, a line each.
        measured: on what, in a line. warnings: of the data, which everybody must know.
        chart: what the interactive figure draws: plain values for JSON.
        made: by whom and from what.
    """

    title: str
    question: str
    answer: str
    points: tuple[str, ...]
    measured: str
    warnings: tuple[str, ...]
    chart: dict[str, Any]
    stills: tuple[Still, ...]
    sections: tuple[Section, ...]
    made: str
