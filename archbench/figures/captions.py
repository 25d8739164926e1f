"""What a figure shows, in words: above it, and as its text for those who do not see it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from archbench.figures.style import text_pt
from archbench.markup import visible
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

LETTER = 0.56  # width of a letter of a caption, in its size: DejaVu Sans' mean in English with some room
NARROWER = 0.9  # the caption's size in that of the text
INTERVAL = "95 % t-interval"


def seeds_words(counts: Sequence[int]) -> str:
    """Return what a point is, for the numbers of runs that the points of a figure are the means of."""
    if not counts or max(counts) < 2:
        return "one run a point, so no interval"
    few, many = min(counts), max(counts)
    seeds = f"{many}" if few == many else f"{few} to {many}"
    return f"mean of {seeds} seeds ± {INTERVAL}"


def lost_words(frame: pd.DataFrame) -> str:
    """Return how many runs of a frame came to nothing, by status; empty where all are done."""
    lost = frame.loc[frame["status"] != "done", "status"].value_counts(sort=False)
    counts = " and ".join(f"{count} {status}" for status, count in lost.items())
    return f"not drawn: {counts} of {number(len(frame), 'run')}" if counts else ""


def data_words(frame: pd.DataFrame) -> str:
    """Return the names of the data sets of a frame."""
    return ", ".join(visible(name) for name in frame["dataset"].unique()) if len(frame) else ""


def warnings_of(frame: pd.DataFrame) -> list[str]:
    """Return a line a warning of the data that a frame's rows were measured on."""
    found = dict.fromkeys(text for texts in frame["warnings"].dropna() for text in texts.split("; "))
    return [f"warning: {text}" for text in found]


def sentence(*parts: str) -> str:
    """Return the parts of a caption that say something, joined."""
    return "; ".join(part for part in parts if part)


def captioned(figure: Figure, *lines: str) -> str:
    """Write a caption above a figure, in lines that its width holds; return it in one line a paragraph."""
    size = NARROWER * text_pt()
    letters = max(20, int(figure.get_figwidth() * 72 / (LETTER * size)))
    wrapped = [part for line in lines if line for part in textwrap.wrap(line, letters) or [""]]
    figure.suptitle("\n".join(wrapped), fontsize=size, x=0.01, ha="left", parse_math=False)
    return "\n".join(line for line in lines if line)
