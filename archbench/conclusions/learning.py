"""What curves tell: how a model learned, and from which epoch on the ranking was the one at the end.

All of it is read off the train and validation splits; the test split selects and diagnoses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from archbench import stats
from archbench.conclusions.points import KEYS
from archbench.units import with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from archbench.conclusions.points import Point

    Array = np.ndarray[Any, np.dtype[np.float64]]

LEARNT = 0.05  # of the way from guessing to all right, under which a model has not learned
RISE = 0.05  # of the lowest validation loss, by which one that rose again lies over it: overfitting
FALL = 0.02  # of the validation loss, by which it still fell in the last quarter of the epochs
GAP = 0.05  # between train and validation accuracy, from which it is worth a note
LEAST_EPOCHS = 4  # that have quarters
SETTLED = 0.9  # Kendall's tau from which a ranking counts as that of the end
LEAST_MODELS = 3  # two have a ranking of heads or tails


@dataclass(frozen=True)
class Curves:
    """The curves of a point's runs that are done.

    Attributes:
        seeds: (runs,). loss, accuracy: by split (runs, epochs), NaN where there is no figure.
    """

    seeds: tuple[int, ...]
    loss: Mapping[str, Array]
    accuracy: Mapping[str, Array]

    @property
    def epochs(self) -> int:
        """How many epochs all of the runs have."""
        return int(self.loss["train"].shape[1])


def curves_of(points: Sequence[Point], epochs: pd.DataFrame) -> dict[str, Curves]:
    """Return the curves by the name of the point, from a row a run, epoch and split (`epochs_frame`).

    Runs that are not done, and epochs that not all runs have, are left out.
    """
    if not len(epochs):
        return {}
    import pandas as pd

    places = {(point.model, point.case, point.budget): point for point in points}
    rows = epochs.drop_duplicates([*KEYS, "seed", "epoch", "split"])
    seeds, numbers, splits = (rows[name].to_numpy() for name in ("seed", "epoch", "split"))
    values = {
        metric: pd.to_numeric(rows[metric], errors="coerce").to_numpy(dtype=float) for metric in ("loss", "accuracy")
    }
    found = {}
    for name, here in rows.groupby(KEYS, sort=False, dropna=False).indices.items():
        model, case, budget = cast("tuple[str, str, Any]", name)
        point = places.get((model, case, None if _missing(budget) else int(budget)))
        if point is not None:
            own = here[np.isin(seeds[here], list(point.accuracies))]
            curves = _curves(seeds[own], numbers[own], splits[own], {name: all_[own] for name, all_ in values.items()})
            if curves is not None:
                found[point.name] = curves
    return found


def _curves(seeds: Any, epochs: Any, splits: Any, values: Mapping[str, Array]) -> Curves | None:
    """Return the curves of one point from the seed, the epoch, the split and the metrics of each of its rows."""
    (runs, run), (numbers, epoch) = (np.unique(one, return_inverse=True) for one in (seeds, epochs))
    of: dict[str, dict[str, Array]] = {metric: {} for metric in values}
    for split in ("train", "validation"):
        here = splits == split
        if not here.any():
            return None
        for metric, known in values.items():
            table = np.full((len(runs), len(numbers)), np.nan)
            table[run[here], epoch[here]] = known[here]
            of[metric][split] = table
    common = ~np.isnan(of["loss"]["train"]).any(axis=0)
    if not common.any():
        return None
    cut = {metric: {split: table[:, common] for split, table in tables.items()} for metric, tables in of.items()}
    return Curves(tuple(map(int, runs)), cut["loss"], cut["accuracy"])


def diagnoses_table(points: Sequence[Point], curves: Mapping[str, Curves]) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.diagnoses`."""
    rows = []
    for point in points:
        whose = {"dataset": point.dataset, "name": point.name, "series": point.series}
        if point.statuses.get("diverged"):
            diverged, runs = point.statuses["diverged"], sum(point.statuses.values())
            rows.append(whose | {
                "diagnosis": "diverged", "value": diverged / runs, "unit": "runs",
                "note": f"diverged: the loss of {diverged} of {runs} runs was no finite number",
            })  # fmt: skip
        if point.name in curves:
            rows += [whose | found for found in _diagnosed(point, curves[point.name])]
    return rows


def _diagnosed(point: Point, curves: Curves) -> Iterator[dict[str, Any]]:
    for found in (_not_learning(point, curves), _overfitting(curves), _improving(curves), _wide_gap(curves)):
        if found is not None:
            yield found
            if found["diagnosis"] == "not learning":
                return  # the other signs say nothing of a model that guesses


def _not_learning(point: Point, curves: Curves) -> dict[str, Any] | None:
    """Train accuracy after the last epoch under 5 % of the way from guessing to all right, in the mean over seeds."""
    estimate = _mean(curves.accuracy["train"][:, -1])
    if estimate is None or not point.classes:
        return None
    guess = 1 / point.classes
    if estimate.value >= guess + LEARNT * (1 - guess):
        return None
    return _finding(
        "not learning", estimate, "train accuracy",
        f"not learning: train accuracy {_percent(estimate)} after the last epoch, guessing has {100 * guess:.3g} %",
    )  # fmt: skip


def _overfitting(curves: Curves) -> dict[str, Any] | None:
    """Validation loss at least 5 % over its lowest since, while train loss fell on, in every seed.

    The epoch is the one at which the mean validation loss over seeds is lowest.
    """
    train, validation = curves.loss["train"], curves.loss["validation"]
    mean = validation.mean(axis=0)
    if np.isnan(mean).any():
        return None
    best = int(mean.argmin())
    with np.errstate(divide="ignore", invalid="ignore"):
        rises = validation[:, -1] / validation[:, best] - 1
    if not ((rises >= RISE) & (train[:, -1] < train[:, best])).all():
        return None
    estimate = _mean(rises)
    return _finding(
        "overfitting", estimate, "validation loss",
        f"overfitting since epoch {best + 1}: validation loss rose {_percent(estimate)} from its lowest, while that "
        "of train fell on",
        best + 1,
    )  # fmt: skip


def _improving(curves: Curves) -> dict[str, Any] | None:
    """Validation loss lowest at the last epoch and at least 2 % under that at three quarters, in every seed."""
    validation = curves.loss["validation"]
    if curves.epochs < LEAST_EPOCHS:
        return None
    before = validation[:, -1 - curves.epochs // 4]
    with np.errstate(divide="ignore", invalid="ignore"):
        falls = 1 - validation[:, -1] / before
    if not ((falls >= FALL) & (validation[:, -1] <= validation.min(axis=1))).all():
        return None
    estimate = _mean(falls)
    return _finding(
        "still improving", estimate, "validation loss",
        f"still improving: validation loss fell {_percent(estimate)} in the last {curves.epochs // 4} of "
        f"{curves.epochs} epochs",
    )  # fmt: skip


def _wide_gap(curves: Curves) -> dict[str, Any] | None:
    """Train accuracy more than 5 points over validation accuracy, with an interval that leaves out 0."""
    estimate = _gap(curves)
    if estimate is None or estimate.value < GAP or estimate.contains(0.0):
        return None
    return _finding(
        "generalisation gap", estimate, "accuracy",
        f"generalisation gap: train accuracy is {_percent(estimate).removesuffix(' %')} points over that of "
        "validation",
    )  # fmt: skip


def gaps_table(points: Sequence[Point], curves: Mapping[str, Curves]) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.gaps`."""
    rows = []
    for point in points:
        estimate = _gap(curves[point.name]) if point.name in curves else None
        if estimate is not None:
            points_ = stats.scaled(estimate, 100)
            rows.append({
                "dataset": point.dataset, "name": point.name, "series": point.series, "gap_points": points_.value,
                "low": points_.low, "high": points_.high, "n": points_.n,
            })  # fmt: skip
    return rows


def _gap(curves: Curves) -> stats.Estimate | None:
    return _mean(curves.accuracy["train"][:, -1] - curves.accuracy["validation"][:, -1])


def enough_table(points: Sequence[Point], curves: Mapping[str, Curves]) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.enough` for the points of one data set: those of as many epochs, and all seeds.

    Of points with other numbers of epochs the most frequent number counts, as epochs of one are not those of another.
    """
    known = [curves[point.name] for point in points if point.name in curves]
    lengths = [one.epochs for one in known]
    of_epochs = max(lengths, key=lengths.count, default=0)
    known = [one for one in known if one.epochs == of_epochs]
    seeds = sorted(set.intersection(*(set(one.seeds) for one in known))) if known else []
    if of_epochs < 2 or len(known) < LEAST_MODELS or not seeds:
        return []
    scores = np.stack(  # of seeds, models, epochs
        [one.accuracy["validation"][[one.seeds.index(seed) for seed in seeds]] for one in known], axis=1
    )
    last = scores[:, :, -1].tolist()
    taus = [stats.agreement(scores[:, :, epoch].tolist(), last) for epoch in range(of_epochs)]
    settled = True
    rows: list[dict[str, Any]] = []
    for epoch in reversed(range(of_epochs)):
        tau = taus[epoch]
        settled = settled and tau is not None and tau.value >= SETTLED
        rows.insert(0, {
            "dataset": points[0].dataset, "epoch": epoch + 1, "of_epochs": of_epochs, "models": len(known),
            "tau": tau and tau.value, "low": tau and tau.low, "high": tau and tau.high, "n": tau.n if tau else 0,
            "settled": settled,
        })  # fmt: skip
    return rows


def _finding(
    diagnosis: str, estimate: stats.Estimate | None, unit: str, note: str, epoch: int | None = None
) -> dict[str, Any]:
    found = estimate or stats.Estimate(float("nan"), None, None, 0)
    return {
        "diagnosis": diagnosis, "epoch": epoch, "value": found.value, "low": found.low, "high": found.high,
        "unit": unit, "note": note,
    }  # fmt: skip


def _mean(values: Array) -> stats.Estimate | None:
    return None if np.isnan(values).any() else stats.mean(values.tolist())


def _percent(estimate: stats.Estimate | None) -> str:
    if estimate is None:
        return ""
    half = estimate.half_width
    return with_interval(100 * estimate.value, None if half is None else 100 * half) + " %"


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))
