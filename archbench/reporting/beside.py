"""Conclusions and published figures -> what the interactive figure draws beside its runs, as plain values for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.columns import step_of
from archbench.exports import plain_rows
from archbench.reporting.chart import places_of, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from archbench.conclusions import Conclusions

    Row = dict[str, Any]


def beside_of(frame: pd.DataFrame, found: Conclusions, published: pd.DataFrame | None, note: str) -> dict[str, Any]:
    """Return the fronts and crossings by the column that they are over, and the published points.

    Models and lines are told by places of the chart's groups: a line by that of any model on it.

    Args:
        frame: one row a run (`archbench.frame.runs_frame`).
        found: what was concluded of them.
        published: points of others: `model`, `case`, `test_accuracy`, `source` (`archbench.drawing.published_points`).
        note: what else must be said of these.
    """
    points, order = plain_rows(found.points), list(dict.fromkeys(places_of(frame)))
    place_of = {key: place for place, key in enumerate(order)}
    groups = [place_of[point["model"], point["case"], point["budget"]] for point in points]
    models = {(point["dataset"], point["name"]): place for point, place in zip(points, groups, strict=True)}
    lines = {(point["dataset"], point["series"]): place for point, place in zip(points, groups, strict=True)}
    columns = {"params": "params", "macs": "macs", "step_us": _steps(frame, points)}
    drawn = [(name, column) for name, column in columns.items() if column]
    return {
        "fronts": {column: _fronts(found.pareto, name, models) for name, column in drawn},
        "crossings": {column: _crossings(found.crossovers, name, lines) for name, column in drawn},
        "published": [] if published is None else _published(published, order),
        "note": note,
    }


def _steps(frame: pd.DataFrame, points: Sequence[Row]) -> str | None:
    """Return the column of the times that conclusions are about: of several devices, that of the runs."""
    times = {(point["model"], point["case"], point["budget"]): point["step_us"] for point in points}
    wanted = [times[key] for key in places_of(frame)]
    for name in map(str, frame.columns):
        step = step_of(name)
        if step and step["mode"] == "train" and not step["engine"]:
            known = zip(wanted, frame[name].astype(float), strict=True)
            if all(time is None or time == own for time, own in known):
                return name
    return None


def _fronts(pareto: pd.DataFrame, name: str, models: dict[tuple[str, str], int]) -> list[list[int]]:
    """Return the models on the front of each data set, the cheapest first."""
    front = pareto[(pareto["axes"] == f"{name}+accuracy") & pareto["on_front"].fillna(False).astype(bool)]
    fronts: dict[str, list[int]] = {}
    for row in plain_rows(front.sort_values(name, kind="stable")):
        fronts.setdefault(row["dataset"], []).append(models[row["dataset"], row["name"]])
    return [front for front in fronts.values() if len(front) > 1]


def _crossings(crossovers: pd.DataFrame, name: str, lines: dict[tuple[str, str], int]) -> list[Row]:
    """Return which line leads before and after each crossing, and where it is, with its interval if it is resolved."""
    return [
        {
            **{side: lines[row["dataset"], row[side]] for side in ("before", "after")},
            "at": [None if row[end] is None else rounded(row[end]) for end in ("value", "low", "high")],
        }
        for row in plain_rows(crossovers[(crossovers["x"] == name) & crossovers["value"].notna()])
    ]


def _published(published: pd.DataFrame, order: Sequence[tuple[str, str, int | None]]) -> list[Row]:
    """Return each published accuracy beside the first model that it is of."""
    firsts: dict[tuple[str, str], int] = {}
    for place, (model, case, _) in enumerate(order):
        firsts.setdefault((model, case), place)
    return [
        {"group": firsts[row["model"], row["case"]], "test_accuracy": row["test_accuracy"], "source": row["source"]}
        for row in plain_rows(published)
    ]
