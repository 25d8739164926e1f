"""Records -> one figure: a metric of a model in a case, with its samples by seed and its interval."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench import stats
from archbench.frame import epochs_frame, runs_frame
from archbench.reference import canonical, parse_reference
from archbench.tables import MODES
from archbench.timing.estimate import step_ratio, step_us
from archbench.timing.sessions import eager
from archbench.tuning import TUNED
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from archbench.schema import Mode, Record, Timing
    from archbench.study_schema import Place, Published

    Where = Place | Published

COUNTED = frozenset({"params", "params_keras", "trainable_params", "frozen_params", "macs", "activations"})
SHARES = ("accuracy", "topk", "word")  # what is a share of images
DERIVED: dict[str, Callable[[pd.DataFrame], pd.Series[float]]] = {
    "epoch_seconds": lambda rows: rows["train_seconds"] / rows["epochs_done"],
    "generalisation_gap": lambda rows: rows["train_accuracy"] - rows["test_accuracy"],
}
SECONDS = ("train_seconds", "epoch_seconds")  # of a run, on the machine that it was on
TIMED: dict[str, Mode] = {  # times of steps, taken once for all seeds
    name: mode for mode in MODES for name in (f"{mode}_us", f"{mode}_step_us", f"{mode}_us_per_sample")
}
BASELINE_RATIO = "_ratio"  # ends the name of a metric that is a ratio to the study's baseline
PER_EPOCH = re.compile(r"(train|validation)_(loss|accuracy|topk|word|accuracy_[1-9]\d?)")
AFTER_ALL = re.compile(r"test_(loss|accuracy|topk|word|accuracy_[1-9]\d?)|train_seconds")


def metric_names() -> list[str]:
    """Return the names that a metric may have, for messages; positions are left out."""
    plain = [f"{split}_{name}" for split in ("train", "validation", "test") for name in ("loss", *SHARES)]
    return [*plain, "train_seconds", *DERIVED, *TIMED, *sorted(COUNTED)]


def is_metric(name: str) -> bool:
    """Whether there is a metric of a name."""
    known = name in COUNTED or name in DERIVED or name in TIMED
    return known or bool(PER_EPOCH.fullmatch(name) or AFTER_ALL.fullmatch(name))


@dataclass(frozen=True)
class Measures:
    """The records of a study, to be asked for figures."""

    records: Sequence[Record]
    runs: pd.DataFrame
    epochs: pd.DataFrame

    @classmethod
    def of(cls, records: Sequence[Record]) -> Measures:
        """Return the measures of records."""
        return cls(records, runs_frame(records), epochs_frame(records))

    @property
    def machines(self) -> int:
        """How many machines the runs were on."""
        return len({record.environment.machine for record in self.records})

    def at(self, where: Where) -> list[Record]:
        """Return the records of a model in a case, at a budget if one is named."""
        model, own = parse_reference(canonical(where.model)) if where.model else ("", None)
        budget = where.budget if own is None else own
        return [
            r for r in self.records
            if (model in {"", r.cell.model} or (where.case == TUNED and _searched(r.cell.model, model)))
            and r.cell.case == where.case
            and (budget is None or (r.cell.budget is not None and r.cell.budget.target == budget))
        ]  # fmt: skip

    def samples(self, where: Where, metric: str) -> dict[int, float]:
        """Return a metric's value by seed, of the runs that have one; a count stands at seed 0 alone."""
        records = self.at(where)
        if metric in COUNTED:
            counts = [count for r in records if (count := _count(r, metric)) is not None]
            return {0: float(counts[0])} if counts else {}
        keys = {r.cell.key for r in records if r.status == "done"}
        if not keys:
            return {}
        rows = self.runs[self.runs["key"].isin(keys)]
        if metric in SECONDS and self.machines > 1:
            return {}
        if metric in DERIVED:
            values = DERIVED[metric](rows)
        elif where.epoch is not None and metric.partition("_")[0] in {"train", "validation"}:
            return self._at_epoch(keys, where.epoch, metric)
        else:
            column = metric if metric in rows else f"{metric}_{records[0].cell.device}"
            if column not in rows:
                return {}
            values = rows[column]
        return _by_seed(rows["seed"], values)

    def _at_epoch(self, keys: set[str], epoch: int, metric: str) -> dict[int, float]:
        split, _, column = metric.partition("_")
        curve = self.epochs
        if column not in curve:
            return {}
        rows = curve[curve["key"].isin(keys) & (curve["epoch"] == epoch) & (curve["split"] == split)]
        return _by_seed(rows["seed"], rows[column])

    def estimate(self, where: Where, metric: str) -> stats.Estimate | None:
        """Return a metric's mean over seeds with its interval, or None where nothing was measured.

        A count is exact. A single run's share of images has the binomial interval of the images it was taken on.
        """
        if metric in TIMED:
            timing = self._timing(where, TIMED[metric])
            return None if timing is None else stats.scaled(step_us(timing), _per(timing, metric))
        values = list(self.samples(where, metric).values())
        if metric in COUNTED:
            return stats.exact(values[0]) if len(values) == 1 else None
        if len(values) == 1 and is_share(metric):
            return stats.proportion(values[0], self.images(where, metric)) or stats.mean(values)
        return stats.mean(values)

    def why_not(self, where: Where, metric: str) -> str:
        """Return why a place has no figure of its own; empty where it has."""
        records = self.at(where)
        if not records:
            return "not run at this scale"
        if not any(record.status == "done" for record in records):
            return "; ".join(dict.fromkeys(record.error or record.status for record in records))
        if self._timing(where, TIMED[metric]) if metric in TIMED else self.samples(where, metric):
            return ""
        if metric in SECONDS and self.machines > 1:
            return "the runs were on several machines, whose seconds do not compare"
        return f"no {metric}" + ("" if where.epoch is None else f" at epoch {where.epoch}")

    def lost(self, where: Where) -> str:
        """Say how many runs of a place did not come to an end, where others of it did; empty where none or all."""
        records = self.at(where)
        others = [record.status for record in records if record.status != "done"]
        if not others or len(others) == len(records):
            return ""
        return f"{len(others)} of {number(len(records), 'run')} {' or '.join(dict.fromkeys(others))}"

    def images(self, where: Where, metric: str) -> int:
        """Return how many images a share was taken on; 0 where nothing was run."""
        records = self.at(where)
        splits = ("train", "validation", "test")
        split = metric.partition("_")[0]
        return records[0].cell.images[splits.index(split)] if records and split in splits else 0

    def ratio(self, where: Where, against: Where, metric: str) -> stats.Estimate | None:
        """Return how many times as much; times only where they were taken side by side."""
        if metric in TIMED:
            mine, theirs = (self._timing(place, TIMED[metric]) for place in (where, against))
            if mine is None or theirs is None:
                return None
            ratio = step_ratio(mine, theirs)
            return ratio and stats.scaled(ratio, _per(mine, metric) / _per(theirs, metric))
        mine_, theirs_ = self.samples(where, metric), self.samples(against, metric)
        if metric in COUNTED:
            return stats.exact(mine_[0] / theirs_[0]) if mine_ and theirs_ and theirs_[0] else None
        return stats.paired_ratio(mine_, theirs_)

    def difference(self, where: Where, against: Where, metric: str) -> stats.Estimate | None:
        """Return the difference, paired by seed; of single runs that of two shares of images."""
        mine, theirs = self.samples(where, metric), self.samples(against, metric)
        if metric in COUNTED:
            return stats.exact(mine[0] - theirs[0]) if mine and theirs else None
        shared = mine.keys() & theirs.keys()
        if len(shared) == 1 and is_share(metric):
            seed = next(iter(shared))
            return stats.difference_of_proportions(
                mine[seed], theirs[seed], self.images(where, metric), self.images(against, metric)
            )
        return stats.paired_difference(mine, theirs)

    def _timing(self, where: Where, mode: Mode) -> Timing | None:
        records = self.at(where)
        device = records[0].cell.device if records else "cpu"
        return next((t for r in records if (t := eager(r).get((device, mode))) is not None), None)


def _searched(found: str, asked: str) -> bool:
    """Whether a model is the one that was asked for, with options that a search has added."""
    from zoo.grammar import split_options

    (name, options), (base, own) = split_options(found), split_options(asked)
    return name == base and own.items() <= options.items()


def _per(timing: Timing, metric: str) -> float:
    """Return what the time of a step is multiplied by."""
    return 1 / timing.batch_size if metric.endswith("_per_sample") else 1.0


def _by_seed(seeds: pd.Series[int], column: pd.Series[Any]) -> dict[int, float]:
    """Return the numbers of a column by seed; what is missing, or no number, is left out."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").astype(float)
    return {int(seed): float(value) for seed, value in zip(seeds, values, strict=True) if not math.isnan(value)}


def is_share(metric: str) -> bool:
    """Whether a metric is a share of images."""
    return any(name in metric for name in SHARES)


def _count(record: Record, metric: str) -> int | None:
    cost: Any = record.cost
    if cost is None:
        return record.cell.sized.params if metric == "params" and record.cell.sized else None
    if metric == "frozen_params":
        return int(cost.params_keras - cost.trainable_params)
    value = getattr(cost, metric)
    return None if value is None else int(value)
