"""Conclusions as people read them: what is said under a table is true of its rows."""

from __future__ import annotations

from test_conclusions import CROSSED, frame_of, rows, runs_of

from archbench.conclusion_words import crossovers_words, sections
from archbench.conclusions import conclude


def note_of(frame):
    return {heading: note for heading, _, note in sections(conclude(frame))}["Differences"]


def test_a_correction_is_told_where_there_is_one():
    assert "4 comparisons by seeds are corrected by Holm's method" in note_of(CROSSED)  # a pair at each budget
    one = note_of(CROSSED[CROSSED["budget"] == 10_000])
    assert "paired t-test" in one
    assert "Holm" not in one


def test_single_runs_are_told_of_alone():
    single = note_of(CROSSED[CROSSED["seed"] == 0])
    assert "of the images alone" in single
    assert "paired" not in single


def test_measured_sizes_are_told_as_budgets_or_in_three_digits():
    first, second = (runs_of(model, accuracies) for model, accuracies in (("a", (0.8, 0.9)), ("b", (0.7, 0.95))))
    for row in [*first, *second]:
        row["params"] = row["budget"] = {10_000: 28_743, 100_000: 200_000}[row["budget"]]
    told = rows(crossovers_words(conclude(frame_of(first, second)).crossovers))[0]
    assert (told["over"], told["measured"]) == ("params", "28.7k to 200k")
