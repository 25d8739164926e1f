"""Text that others wrote, made inert: for terminals, Markdown and LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

# Controls (C0, DEL, C1) act on a terminal and are no XML, surrogates are no UTF-8, and the others turn text around.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNPRINTABLE_BUT_LAYOUT = re.compile(f"(?![\n\t]){_UNPRINTABLE.pattern}")

_IN_MARKDOWN = re.compile(
    r"""
    (?P<entity> [<>] | &(?=[#\w]) )
    | [\\`*|~$]
    | (?<![^\W_])_ | _(?![^\W_])    # one inside a word is only itself
    | \](?=[(\[])                   # else a bracket is no link
    """,
    re.VERBOSE,
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_IN_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",  # in front of a row it would be an argument
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip


def visible(text: str, *, layout: bool = False) -> str:
    r"""Return a text in which what cannot be printed stands as Python writes it, as in `\x1b` or `\n`.

    Args:
        text: any, lone surrogates included.
        layout: whether line breaks and tabs stay as they are.
    """
    pattern = _UNPRINTABLE_BUT_LAYOUT if layout else _UNPRINTABLE
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def encodable(text: str) -> str:
    """Return a text that UTF-8 can write: of what a system's names and messages hold, not all is."""
    return text.encode(errors="backslashreplace").decode()


def markdown(text: str) -> str:
    """Return a text for one line of Markdown, or a cell of a table: nothing in it is markup."""
    return _IN_MARKDOWN.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), visible(text))


def latex(text: str) -> str:
    """Return a text for LaTeX in which nothing is a command, a ligature or the argument of one."""
    return "".join(_IN_LATEX.get(character, character) for character in visible(text))


def markdown_table(words: pd.DataFrame) -> str:
    """Return a frame of words as a table in Markdown."""
    return _escaped(words, markdown).to_markdown(index=False, disable_numparse=True)


def latex_table(words: pd.DataFrame) -> str:
    r"""Return a frame of words as a `tabular` with the rules of the package booktabs."""
    from tabulate import tabulate

    escaped = _escaped(words, latex)
    text: str = tabulate(
        escaped.to_numpy().tolist(), list(escaped.columns), tablefmt="latex_raw", disable_numparse=True
    )
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        text = text.replace(r"\hline", rule, 1)
    return text


def _escaped(words: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """Return a frame of the same words, their headings included, made inert."""
    cells = words.map(lambda cell: "" if cell is None else escape(str(cell)))
    return cells.rename(columns=lambda heading: escape(str(heading)))
