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
    return f'<img style="max-width: 100%" src="{data_uri(svg)}" alt="{_escaped(alt)}">'


def table(words: pd.DataFrame) -> str:
    """Return a frame of words as a table in HTML in which nothing is markup."""
    head = "".join(f"<th>{_escaped(str(name))}</th>" for name in words.columns)
    rows = ["".join(f"<td>{_escaped(str(cell))}</td>" for cell in row) for row in words.head(MOST_ROWS).to_numpy()]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    left = len(words) - len(rows)
    more = f"<p>And {left:,} rows more: <code>summary()</code> has all.</p>" if left else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


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


def _escaped(text: str) -> str:
    return html.escape(visible(text))
