"""Figures -> files: the same bytes for the same data, fonts in them, and words for those who do not see them."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archbench.choices import choose
from archbench.figures.style import styled
from archbench.markup import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
DPI = 160


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats of a comma-separated list, each once.

    Raises:
        InputError: one that is none.
    """
    return tuple(dict.fromkeys(choose(word.strip().lower(), FORMATS, "format of figures") for word in text.split(",")))


def save(figure: Figure, path: Path, *, style: str = "paper", title: str = "", description: str = "") -> None:
    """Write a figure in the format of the path's suffix; the same figure gives the same bytes.

    Args:
        figure: which.
        path: its suffix is .png, .svg, .pdf, or another that matplotlib knows.
        style: that it was made in.
        title: kept in the file, with SVG as its <title>; by default what is written in the figure first.
        description: what it shows in words, for those who do not see it; with SVG its <desc>. By default all that is
            written in the figure, as its letters are outlines.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)  # noqa: S101 - as asked for
        if (legible := visible(text.get_text(), layout=True)) != text.get_text():
            text.set_text(legible)
    written = (text.get_text() for text in figure.findobj(Text, include_self=False) if isinstance(text, Text))
    lines = list(dict.fromkeys(filter(None, written)))
    title = visible(title or next(iter(lines), ""), layout=True)
    description = visible(description or "\n".join(lines), layout=True)
    with styled(style), missing_glyphs():
        figure.savefig(path, dpi=DPI, metadata=_metadata(path.suffix, title, description))
    if path.suffix == ".svg" and title:
        _describe(path, title, description)


@contextmanager
def missing_glyphs() -> Iterator[None]:
    """Within: a letter that the font lacks is drawn as a box, and no word lost about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _metadata(suffix: str, title: str, description: str) -> dict[str, Any] | None:
    """Return what a file says about itself: no date, as the same data gives the same bytes."""
    match suffix:
        case ".svg":
            return {"Date": None}
        case ".pdf":
            return {"CreationDate": None, "Title": title or None, "Subject": description or None}
        case ".png" if title:
            return {"Title": title, "Description": description}
    return None


def _describe(path: Path, title: str, description: str) -> None:
    """Give an SVG its title and description, and the role of one picture: they are read instead of its paths."""
    from xml.dom import minidom

    document = minidom.parse(str(path))  # noqa: S318 - matplotlib has written it a moment ago
    root = document.documentElement
    assert root is not None  # noqa: S101 - a document has one
    root.setAttribute("role", "img")
    ids = []
    first = root.firstChild
    for name, text in (("title", title), ("desc", description)):
        if text:
            element = document.createElementNS("http://www.w3.org/2000/svg", name)
            # Several figures may stand in one page, each with its own words.
            element.setAttribute("id", f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}")
            ids.append(element.getAttribute("id"))
            element.appendChild(document.createTextNode(text))
            root.insertBefore(element, first)
    root.setAttribute("aria-labelledby", " ".join(ids))
    path.write_bytes(document.toxml(encoding="utf-8") + b"\n")
