"""Page -> Markdown for a repository, with its figures beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archbench.markup import markdown, markdown_table, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archbench.reporting.view import Page, Section, Table

MOST_ROWS = 100  # of a table; the page has all of them


def markdown_of(page: Page) -> str:
    """Return the report as GitHub-flavoured Markdown: the words of the page, and links to the figures beside it."""
    return "\n\n".join(_blocks(page)) + "\n"


def _blocks(page: Page) -> Iterator[str]:
    yield f"# {markdown(page.question)}"
    yield markdown(page.answer)
    if page.points:
        yield "\n".join(f"- {markdown(point)}" for point in page.points)
    yield from (f"**Warning: {markdown(warning)}.**" for warning in page.warnings)
    if page.measured:
        yield f"Measured on {markdown(page.measured)}"
    yield from (f"![{markdown(still.alt)}]({still.name}.svg)" for still in page.stills)
    for section in page.sections:
        yield from _section(section)
    yield markdown(page.made)


def _section(section: Section) -> Iterator[str]:
    yield f"## {markdown(section.title)}"
    yield from map(markdown, section.about)
    for table in section.tables:
        yield from _table(table)
    if section.notes:
        yield "\n".join(f"- {markdown(note)}" for note in section.notes)
    if section.code:
        fence = _fence("\n".join(section.code))
        yield "\n".join([f"{fence}sh", *map(visible, section.code), fence])


def _fence(text: str) -> str:
    """Return a fence that nothing inside closes: longer than every run of backticks there."""
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))


def _table(table: Table) -> Iterator[str]:
    import pandas as pd

    words = pd.DataFrame(list(table.rows), columns=list(table.head))
    yield markdown_table(words.head(MOST_ROWS))
    if len(words) > MOST_ROWS:
        yield f"And {len(words) - MOST_ROWS:,} rows more in report.html."
