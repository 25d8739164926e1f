"""Frames of numbers: the summary and the time-overhead table, as they are written to CSV."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from archbench import stats
from archbench.plan import label
from archbench.timed import Named
from archbench.timing.doubts import doubts, ratio_doubts
from archbench.timing.estimate import step_ratio, step_us
from archbench.timing.roofline import roofline
from archbench.timing.sessions import eager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from archbench.schema import Device, Mode, Record, Timing

    Group = tuple[str, str, int | None]  # model, case, budget

TIMES = r"(_us|_unstable|_gflops|_roofline|_launch_bound|_compile_s)_"
MODES: tuple[Mode, ...] = ("train", "infer")
DEVICES: tuple[Device, ...] = ("cpu", "cuda")
SCORES = ("test_topk", "test_loss", "validation_accuracy", "train_accuracy", "train_seconds")  # means over seeds
CONSTANT = (
    "params", "rel_error", "trainable_params", "buffers", "macs", "flops", "activations", "options", "k",
)  # fmt: skip


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model, case and budget, from one row a run.

    `n` runs went into `test_accuracy` (mean over seeds with its 95 % t-interval as `_low` and `_high`, which one run
    does not have); `not_done` says how many others there are by status. Seconds of several machines are not pooled.
    """
    import pandas as pd

    if not len(frame):
        return pd.DataFrame()
    keys = ["model", "case", "budget"]
    times = [c for c in frame.columns if re.search(TIMES, c)]
    scores = [c for c in frame.columns if c in SCORES or re.fullmatch(r"test_(accuracy_\d+|word)", c)]
    group = frame.groupby(keys, sort=False, dropna=False).ngroup()
    first = frame.loc[~group.duplicated()].set_axis(group[~group.duplicated()])
    done = frame[frame["status"] == "done"]
    means = done[scores].apply(pd.to_numeric).groupby(group).mean().reindex(first.index)
    machines = done["machine"].groupby(group)
    means["train_seconds"] = means["train_seconds"].where(machines.min() == machines.max())  # of several there is none
    table = first[["model", "case", "family", "budget", *(name for name in CONSTANT if name in frame)]].copy()
    table["n"] = done.groupby(group).size().reindex(first.index, fill_value=0)
    others = _others(frame, group)
    table["not_done"] = [others.get(number) for number in first.index]
    accuracy = {number: stats.mean(values) for number, values in _accuracies(done, group).items()}
    estimates = [_estimate("test_accuracy", accuracy.get(number)) for number in first.index]
    columns = [table, pd.DataFrame(estimates, index=first.index), means, first[[*times, "warnings"]]]
    whole: pd.DataFrame = pd.concat(columns, axis=1).reset_index(drop=True)
    for name in whole.columns.intersection(["budget", "params", "macs", "flops"]):
        whole[name] = whole[name].astype("Int64")
    return whole


def _accuracies(done: pd.DataFrame, group: pd.Series[int]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    known = done["test_accuracy"].dropna()
    for number, value in zip(group[known.index].tolist(), known.tolist(), strict=True):
        found.setdefault(number, []).append(value)
    return found


def _others(frame: pd.DataFrame, group: pd.Series[int]) -> dict[int, str]:
    """Return by group how many of its runs are not done, by status; groups of which all are done are left out."""
    others = frame.loc[frame["status"] != "done", "status"]
    counts: dict[int, Counter[str]] = {}
    for number, status in zip(group[others.index].tolist(), others.tolist(), strict=True):
        counts.setdefault(number, Counter())[status] += 1
    return {
        number: ", ".join(f"{count} {status}" for status, count in of.most_common()) for number, of in counts.items()
    }


def overhead(records: Sequence[Record], baseline: str | None = None) -> pd.DataFrame:
    """Return one row a model, case and budget: what it costs as values and as ratios to the baseline.

    A model is set against the baseline of its own case and budget; where one of the two has a single size, against the
    baseline that is nearest in parameters; where its case has no baseline, against that of another case, on the same
    data set if there is one. The baseline's own cases are set against the first of them on their data set. Ratios of
    time are of models that were timed side by side, with their 95 % interval; accuracy differences are in points, on
    one data set, paired by seed, with their 95 % t-interval.
    """
    import pandas as pd

    rows = []
    for (model, case, budget), group, base in _paired(records, baseline):
        row = {"model": model, "case": case, "budget": budget, "baseline": name_of(base), "is_baseline": base is group}
        warned = dict.fromkeys(text for record in group for text in record.cell.warnings)
        rows.append({**row, **_compare(group, base), "warnings": "; ".join(warned) or None})
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(table.columns.intersection(["budget", "params", "macs"]), "Int64"))


def timed_against(records: Sequence[Record], baseline: str | None = None) -> list[Named]:
    """Return every timing with its model's name and the timing that its ratio is taken to, as in `overhead`."""
    return [
        Named(str(name_of(group)), timing, _timings(base[0] if base else None).get(place))
        for _, group, base in _paired(records, baseline)
        for place, timing in eager(group[0]).items()
    ]


def _paired(
    records: Sequence[Record], baseline: str | None
) -> Iterator[tuple[Group, list[Record], list[Record] | None]]:
    """Yield the records of each model, case and budget with those of the baseline that they are set against."""
    groups: dict[Group, list[Record]] = {}
    for record in records:
        budget = record.cell.budget.target if record.cell.budget else None
        groups.setdefault((record.cell.model, record.cell.case, budget), []).append(record)
    baseline = baseline or next((model for model, *_ in groups), "")
    bases = {key: group for key, group in groups.items() if key[0] == baseline and group[0].cell.sized is not None}
    for (model, case, budget), group in groups.items():
        data = group[0].cell.dataset
        here = {key: base for key, base in bases.items() if base[0].cell.dataset == data} or bases
        own = [base for key, base in here.items() if key[1] == case] or list(here.values())
        base = bases.get((baseline, case, budget)) or _nearest(group, own)
        if base is group:  # the cases of the baseline are set against the first of them
            base = _nearest(group, [other for key, other in here.items() if key[1] == next(iter(here))[1]])
        yield (model, case, budget), group, base


def _nearest(group: Sequence[Record], bases: Sequence[list[Record]]) -> list[Record] | None:
    """Return the baseline's records that are nearest in parameters, as a ratio."""
    sized = group[0].cell.sized
    if sized is None or not bases:
        return None

    def distance(base: Sequence[Record]) -> float:
        other = base[0].cell.sized
        return abs(math.log(max(1, other.params) / max(1, sized.params))) if other else math.inf

    return min(bases, key=distance)


def name_of(group: Sequence[Record] | None) -> str | None:
    """Return `cnn@30k` for the records of one model and budget, with their case if they have one; None for none."""
    if not group:
        return None
    cell = group[0].cell
    return label(cell.model, cell.budget, cell.case)


def _compare(group: Sequence[Record], base: Sequence[Record] | None) -> dict[str, Any]:
    first = group[0]
    other = base[0] if base else None
    row: dict[str, Any] = {}
    for name in ("params", "macs"):
        value = getattr(first.cost, name, None)
        reference = getattr(other.cost, name, None) if other else None
        row |= {name: value, f"{name}_ratio": value / reference if value and reference else None}
    mine, theirs = _timings(first), _timings(other)
    for device in DEVICES:
        for mode in MODES:
            timing, against = mine.get((device, mode)), theirs.get((device, mode))
            if timing is not None:
                row[f"{mode}_step_us_{device}"] = step_us(timing).value
                row |= _estimate(f"{mode}_ratio_{device}", step_ratio(timing, against) if against is not None else None)
                reasons = doubts(timing) if against is None else ratio_doubts(timing, against)
                near = first.cell.sized and roofline(timing, first.cost, first.cell.sized.input_shape)
                row |= {
                    f"{mode}_unstable_{device}": "; ".join(map(str, reasons)) or None,
                    f"{mode}_roofline_{device}": near and near.fraction,
                }
    accuracy, reference = _accuracy(group), _accuracy(base or ())
    row |= _estimate("test_accuracy", stats.mean(list(accuracy.values())))
    comparable = other is not None and group is not base and other.cell.dataset == first.cell.dataset
    difference = stats.paired_difference(accuracy, reference) if comparable else None
    row |= _estimate("accuracy_points", difference, scale=100)
    return row


def _timings(record: Record | None) -> Mapping[tuple[Device, Mode], Timing]:
    return {} if record is None else eager(record)


def _accuracy(group: Sequence[Record]) -> dict[int, float]:
    """Return test accuracy by seed, of the runs that are done."""
    return {
        r.cell.recipe.seed: r.training.test.top1
        for r in group
        if r.status == "done" and r.training and r.training.test and r.training.test.top1 is not None
    }


def _estimate(name: str, estimate: stats.Estimate | None, scale: float = 1.0) -> dict[str, float | None]:
    values = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return {
        f"{name}{suffix}": None if value is None else value * scale
        for suffix, value in zip(("", "_low", "_high"), values, strict=True)
    }
