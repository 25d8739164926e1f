"""Runs -> what the interactive figure draws, as plain values for JSON: points, their words, curves and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import stats
from archbench.columns import TIMED, place_of
from archbench.figures.names import named
from archbench.reporting.columns import Axis, axes_of, worded
from archbench.schema import SPLITS_OF_AN_EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from archbench.reporting.layers import Layers
    from archbench.schema import Record

    Row = dict[str, Any]
    Place = tuple[str, str, int | None]
    Group = list[int]  # places of its runs

DIGITS = 6  # of a number that is drawn; words are made of the whole one
MOST_EPOCHS = 60  # points of a curve; of more, as many that lie evenly


def groups_of(frame: pd.DataFrame) -> list[Group]:
    """Return the places of the runs of every model, case and budget, in the order of the summary's rows."""
    found: dict[Place, Group] = {}
    for place, key in enumerate(places_of(frame)):
        found.setdefault(key, []).append(place)
    return list(found.values())


def places_of(frame: pd.DataFrame) -> list[Place]:
    """Return of every row of a frame of runs, or of a summary, which model, case and budget it is of."""
    budgets = [None if budget != budget else int(budget) for budget in frame["budget"].astype(float)]  # noqa: PLR0124 - NaN
    return list(zip(frame["model"], frame["case"], budgets, strict=True))


def firsts_of(records: Sequence[Record]) -> list[Record]:
    """Return a run of every group, in the order of `groups_of`."""
    firsts: dict[Place, Record] = {}
    for record in records:
        firsts.setdefault(_place(record), record)
    return list(firsts.values())


def chart_of(
    frame: pd.DataFrame,
    records: Sequence[Record],
    points: Sequence[Row],
    notes: Mapping[tuple[str, str], Sequence[str]],
    layers: Layers,
) -> dict[str, Any]:
    """Return all that the figure draws and tells of the runs; what it draws beside them has a file of its own.

    Args:
        frame: one row a run (`archbench.frame.runs_frame`).
        records: the same runs.
        points: a row a model, case and budget: its name, and the line that it lies on (`archbench.conclusions`).
        notes: by data set and name, what must be known of a model beside its figures.
        layers: waits for the layer tables (`archbench.reporting.layers`).
    """
    groups = groups_of(frame)
    costs, scores = axes_of(frame)
    values = {axis.name: _numbers(frame, axis) for axis in (*costs, *scores)}
    done = (frame["status"] == "done").tolist()
    tables, of_group = layers()
    named = _named(points)
    of_groups = [named[_place(records[group[0]])] for group in groups]
    several = len({point["dataset"] for point in of_groups}) > 1
    series = [f"{point['series']} on {point['dataset']}" if several else point["series"] for point in of_groups]
    return {
        "x": [axis._asdict() for axis in costs],
        "y": [axis._asdict() for axis in scores],
        "series": list(dict.fromkeys(series)),
        "looks": _looks(frame, [group[0] for group in groups], series),
        "runs": {
            "figures": {name: _packed(words) for name, words in worded(frame, figures=True).items()},
            "facts": {name: _packed(words) for name, words in worded(frame, figures=False).items()},
            "values": values,
            "states": _packed(frame["status"].tolist()),
            "seeds": frame["seed"].tolist(),
        },
        "groups": [
            {
                "series": series[number],
                "name": point["name"] + (f" on {point['dataset']}" if several else ""),
                "runs": group,
                "at": {axis.name: _spread(frame, axis.name, values[axis.name], group, done) for axis in costs},
                "scores": {
                    axis.name: _mean([value for place in group if done[place] for value in [values[axis.name][place]]])
                    for axis in scores
                },
                "curves": _curves([records[place] for place in group]),
                "notes": list(notes.get((point["dataset"], point["name"]), ())),
                **layers,
            }
            for number, (group, point, layers) in enumerate(zip(groups, of_groups, of_group, strict=True))
        ],
        "layers": tables,
    }  # fmt: skip


def _looks(frame: pd.DataFrame, firsts: Sequence[int], series: Sequence[str]) -> list[int]:
    """Return the place of each line's look among those of the figures that stand still.

    Args:
        frame: one row a run.
        firsts: the first run of each group.
        series: the line of each group.
    """
    lines = named(frame)["series"].tolist()
    places = {name: place for place, name in enumerate(dict.fromkeys(lines))}
    found: dict[str, int] = {}
    for first, name in zip(firsts, series, strict=True):
        found.setdefault(name, places[lines[first]])
    # Two lines of one model, as of its sizes and of its family, would look alike.
    return list(found.values()) if len(set(found.values())) == len(found) else list(range(len(found)))


def _named(points: Sequence[Row]) -> dict[Place, Row]:
    """Return the rows of points by what they are points of."""
    return {(row["model"], row["case"], row["budget"]): row for row in points}


def _place(record: Record) -> Place:
    cell = record.cell
    return cell.model, cell.case, cell.budget.target if cell.budget else None


def _numbers(frame: pd.DataFrame, axis: Axis) -> list[float | None]:
    return [rounded(value) for value in frame[axis.name].astype(float).tolist()]


def rounded(value: float) -> float | None:
    """Return a number with the digits that a figure can show; None where it is not finite."""
    if not np.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else short


def _mean(values: Sequence[float | None]) -> list[float | None] | None:
    """Return the mean of those that are known, and the ends of its interval."""
    return _three(stats.mean([value for value in values if value is not None]))


def _three(found: stats.Estimate | None) -> list[float | None] | None:
    return None if found is None else [None if v is None else rounded(v) for v in (found.value, found.low, found.high)]


def _spread(
    frame: pd.DataFrame, name: str, values: Sequence[float | None], group: Group, done: Sequence[bool]
) -> list[float | None] | None:
    """Return where a model stands along a cost: that of its runs, with the interval of a time."""
    own = [value for place in group if (done[place] or TIMED.fullmatch(name)) and (value := values[place]) is not None]
    ends = (frame[f"{name}_{end}"].iloc[group[0]] for end in ("low", "high")) if f"{name}_low" in frame else ()
    return _three(place_of(own, *ends))


def _packed(words: Sequence[str]) -> dict[str, Any]:
    """Return words with each different one once: what runs share is most of a page."""
    different = list(dict.fromkeys(words))
    if len(different) == 1:
        return {"all": different[0]}
    places = {word: place for place, word in enumerate(different)}
    return {"of": different, "at": [places[word] for word in words]}


def _curves(records: Sequence[Record]) -> dict[str, Any] | None:
    """Return loss and accuracy by epoch and split: the mean over the runs with the least and the most of them."""
    trainings = [record.training for record in records if record.training and record.training.epochs]
    last = max((training.epochs[-1].epoch for training in trainings), default=0)
    if not trainings or (last > 1 and all(len(training.epochs) == 1 for training in trainings)):
        return None  # a store that was asked for no curves gives the last epoch alone
    shown_epochs = sorted({round(epoch) for epoch in np.linspace(1, last, min(last, MOST_EPOCHS))})
    lines = {}
    for split in SPLITS_OF_AN_EPOCH:
        for metric, name in (("loss", "loss"), ("top1", "accuracy")):
            drawn: list[list[float | None]] = []
            for epoch in shown_epochs:
                values = [
                    value for training in trainings if epoch <= len(training.epochs)
                    if (value := getattr(getattr(training.epochs[epoch - 1], split), metric)) is not None
                ]  # fmt: skip
                ends = (sum(values) / len(values), min(values), max(values)) if values else ()
                drawn.append([float(f"{value:.4g}") for value in ends])
            if any(drawn):
                lines[f"{split} {name}"] = drawn
    return {"epochs": shown_epochs, "runs": len(trainings), "lines": lines}
