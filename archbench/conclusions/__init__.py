"""Runs -> what can be concluded from them: pure data, which pages, figures and files are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.conclusions.answer import answer
from archbench.conclusions.curves import crossovers_table, fits_tables
from archbench.conclusions.fronts import check_axes, pareto_table
from archbench.conclusions.learning import curves_of, diagnoses_table, enough_table, gaps_table
from archbench.conclusions.nouns import COLUMNS, Conclusions
from archbench.conclusions.pairs import pairs_table
from archbench.conclusions.points import by_dataset, points_of, points_table
from archbench.conclusions.verdicts import verdicts_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from archbench.schema import Device, Mode

__all__ = ["COLUMNS", "Conclusions", "conclude", "pareto"]

INTEGERS = (
    "params", "macs", "memory_bytes", "budget", "n", "test_images", "seeds_needed", "sizes", "runs", "crossings",
    "epoch", "of_epochs", "models",
)  # fmt: skip
FLAGS = ("resolved", "on_front", "sure", "settled", "tie", "extrapolated")
WORDS = frozenset({
    "dataset", "name", "series", "model", "family", "case", "not_done", "first", "second", "by", "x", "before", "after",
    "verdict", "axes", "dominated_by", "refused", "diagnosis", "unit", "note", "baseline", "mode", "device", "sentence",
})  # fmt: skip


def conclude(
    runs: pd.DataFrame,
    epochs: pd.DataFrame | None = None,
    overhead: pd.DataFrame | None = None,
    resolutions: Mapping[tuple[Mode, Device], float] | None = None,
) -> Conclusions:
    """Return what can be said of runs, data set by data set.

    Args:
        runs: a row a run (`archbench.frame.runs_frame`); those that are not done are counted, and go into no figure.
        epochs: a row a run, epoch and split (`archbench.frame.epochs_frame`); without it nothing is diagnosed.
        overhead: ratios of times that were taken side by side (`archbench.tables.overhead`); without it there are no
            verdicts, as times of different sessions do not compare.
        resolutions: by mode and device the share by which two copies of one model differed
            (`archbench.timing.estimate.resolutions`): a ratio nearer to 1 is none.
    """
    points = points_of(runs)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    rows["points"] = points_table(points)
    sentences: list[str] = []
    if overhead is not None and not len(overhead):
        overhead = None
    baseline = None if overhead is None else next(iter(overhead.loc[overhead["is_baseline"], "model"]), None)
    groups = by_dataset(points)
    for dataset, group in groups.items():
        pairs, crossovers = pairs_table(group, baseline), crossovers_table(group)
        fits, drawn = fits_tables(group)
        curves = {} if epochs is None else curves_of(group, epochs)
        found = {
            "pairs": pairs, "crossovers": crossovers, "pareto": pareto_table(group), "fits": fits, "fit_lines": drawn,
            "diagnoses": diagnoses_table(group, curves), "gaps": gaps_table(group, curves),
            "enough": enough_table(group, curves),
        }  # fmt: skip
        for name, more in found.items():
            rows[name] += more
        said = answer(group, pairs, crossovers)
        sentences += [f"{dataset}: {sentence}" for sentence in said] if len(groups) > 1 else said
    if overhead is not None:
        rows["verdicts"] = verdicts_table(overhead, points, rows["pairs"], resolutions or {})
    tables = {name: _table(rows[name], columns) for name, columns in COLUMNS.items()}
    return Conclusions(answer=tuple(sentences) or ("Nothing has been run.",), **tables)


def pareto(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return `Conclusions.pareto` over other axes than its own.

    Args:
        runs: a row a run (`archbench.frame.runs_frame`).
        axes: two or three of `accuracy`, `params`, `macs`, `step_us` and `memory`.

    Raises:
        InputError: other axes.
    """
    check_axes(axes)
    rows = [row for group in by_dataset(points_of(runs)).values() for row in pareto_table(group, [axes])]
    return _table(rows, COLUMNS["pareto"])


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Return rows as a frame of these columns, typed alike whether it has rows or not."""
    import pandas as pd

    table = pd.DataFrame(list(rows), columns=list(columns))
    counts = INTEGERS if "extrapolated" not in columns else ()  # a curve is drawn between counts, too
    kinds = {
        name: "Int64" if name in counts else "boolean" if name in FLAGS else object if name in WORDS else float
        for name in columns
    }
    typed = table.astype(kinds)
    for name in WORDS.intersection(columns):
        typed[name] = typed[name].where(typed[name].notna(), None)
    return typed
