"""Comparison -> a report: one HTML page that needs nothing else, and the same in Markdown.

Comparison -> Page (words) -> report.html, report.md with its figures
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archbench.exports import write_csv
from archbench.files import write_bytes
from archbench.reporting.page import page_of
from archbench.reporting.render import html_of
from archbench.reporting.text import markdown_of

if TYPE_CHECKING:
    from archbench.comparison import Comparison

HTML, MARKDOWN = "report.html", "report.md"


def write_report(comparison: Comparison, folder: str | Path | None = None) -> list[Path]:
    """Write report.html, and report.md with the figures that it shows and their data, by default beside the store.

    The same results give the same bytes.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder or comparison.folder)
    page = page_of(comparison)
    texts = {HTML: html_of(page), MARKDOWN: markdown_of(page)}
    texts |= {f"{still.name}.svg": still.svg for still in page.stills}
    files = [write_bytes(folder / name, text.encode()) for name, text in texts.items()]
    return [*files, *(write_csv(still.data, folder / f"{still.name}.csv") for still in page.stills)]


__all__ = ["HTML", "MARKDOWN", "html_of", "markdown_of", "page_of", "write_report"]
