"""Conclusions -> the words of a report: the answer, the tests behind it, and what must be known of each model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from archbench.conclusion_words import sections
from archbench.exports import plain_rows
from archbench.reporting.view import Section, table_of
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archbench.conclusions import Conclusions

    Row = dict[str, Any]

SPOKEN = 3  # sentences of the answer that are said in one; of more the others are points
MOST_POINTS = 8
TITLES = {"Differences": "Paired tests"}


def answer_of(found: Conclusions) -> tuple[str, tuple[str, ...]]:
    """Return the answer, and a line each of what else is worth a place on top: what accuracy costs in time."""
    said = list(found.answer)
    first = said if len(said) <= SPOKEN else said[:1]
    prices = [
        f"{row['name']} against {row['baseline']}, training on {row['device'].upper()}: {row['sentence']}."
        for row in plain_rows(found.verdicts)
        if row["mode"] == "train"  # inference has its place in the table
    ]
    points = [*said[len(first) :], *(prices if len(prices) <= MOST_POINTS else _counted(found))]
    left = len(points) - MOST_POINTS
    return " ".join(first), (*points[:MOST_POINTS], *([f"And {left} more, in the tables below."] if left > 0 else []))


def _counted(found: Conclusions) -> list[str]:
    """Return how often each verdict was given, where there are too many to say each."""
    counts = found.verdicts["verdict"].value_counts(sort=False)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return [f"Time against accuracy, {number(len(found.verdicts), 'verdict')}: {told}."]


def notes_beside(found: Conclusions) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return by data set and name what must be known of a model beside its figures."""
    notes: dict[tuple[str, str], list[str]] = {}
    for row in plain_rows(found.diagnoses):
        notes.setdefault((row["dataset"], row["name"]), []).append(row["note"])
    for row in plain_rows(found.verdicts):
        text = f"{row['mode']} on {row['device'].upper()} against {row['baseline']}: {row['sentence']}"
        notes.setdefault((row["dataset"], row["name"]), []).append(text)
    return {name: tuple(lines) for name, lines in notes.items()}


def findings(found: Conclusions) -> Iterator[Section]:
    """Yield a section a kind of finding, where there is any."""
    for heading, words, note in sections(found):
        title = TITLES.get(heading, heading)
        name = re.sub(r"\W+", "-", title.lower())
        table, more = table_of(f"{name}-table", f"{title}, row by row", words)
        yield Section(name, title, (note,), (table,), more)


def names_of(found: Conclusions) -> Sequence[Row]:
    """Return a row a model, case and budget: its name, its line, its data set."""
    return plain_rows(found.points)
