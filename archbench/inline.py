"""What stands inside a page: figures as addresses of their own, tables of words, and results in a notebook."""

from __future__ import annotations

import base64
import html
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.markup import visible

if TYPE_CHECKING:
    import pandas as pd

    from archbench.figures import Drawn

MOST_ROWS = 60  # of a table in a notebook


def svg_of(drawn: Drawn, description: str) -> str:
    """Return a figure as SVG with a description inside; the same figure gives the same text."""
    from archbench import figures

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.svg"
        figures.save(drawn.figure, path, style=drawn.style, title=drawn.title, description=description)
        return path.read_text(encoding="utf-8")


def data_uri(svg: str) -> str:
    """Return a picture as an address of its own: its styles and names meet neither a page's policy nor each other."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def picture(svg: str, alt: str) -> str:
    """Return the HTML of a picture with what it shows in words."""
    return f'<img style="max-width: 100%" src="{data_uri(svg)}" alt="{html.escape(visible(alt))}">'


def table(words: pd.DataFrame) -> str:
    """Return a frame of words as a table in HTML in which nothing is markup."""
    import pandas as pd

    shown = words.head(MOST_ROWS).map(lambda cell: visible(str(cell))).rename(columns=lambda name: visible(str(name)))
    with pd.option_context("display.max_colwidth", None):  # a cell is shown whole
        body = shown.to_html(index=False, border=0, justify="left")
    left = len(words) - len(shown)
    return body + (f"<p>And {left:,} rows more: <code>summary()</code> has all.</p>" if left else "")


def results(frame: pd.DataFrame, summary: pd.DataFrame) -> str:
    """Return a comparison as a notebook shows it: its summary, and the scatter of what is done."""
    from archbench import figures
    from archbench.words import summary_words

    if not len(frame):
        return "<p>Nothing has been run yet.</p>"
    shown = table(summary_words(summary))
    if not (frame["status"] == "done").any():
        return f"{shown}<p>No run is done.</p>"
    scatter = figures.draw_scatter(frame)
    return f"{shown}{picture(svg_of(scatter, scatter.words), scatter.words)}"
