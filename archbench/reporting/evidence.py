"""Records -> the tables by which a reader can doubt them: counters, timings, environments, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.cost.reconcile import TWO, reconcile
from archbench.plan import label
from archbench.reference import shown
from archbench.reporting.view import MOST_ROWS, Section, table_of
from archbench.schema import fields
from archbench.timing.doubts import doubts, drift_of
from archbench.timing.estimate import resolution, step_us
from archbench.units import grouped, micros, number
from archbench.words import timing_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archbench.schema import Environment, Record, Timing

CAPTIONS = {
    "counters": "Figures of other counters, a row a network and counter", "timings": "A row a model, mode and device",
    "environment": "Where and with what", "failures": "A row a run that is not done",
}  # fmt: skip
LEFT_OUT = ("machine",)  # a report goes further than the network on which the machine has its name


def reconciliation(records: Sequence[Record]) -> Section:
    """Return how each counter's figure follows from our MACs, once for every network."""
    rows = [
        {"model": name, "counter": f"{one.count.counter} {one.count.version}".strip(),
         "unit": "MACs" if one.count.unit == "macs" else "FLOPs", "its figure": grouped(one.count.value or 0),
         "our MACs": grouped(one.macs), "what leads from ours to its figure": _parts(one.parts),
         "unexplained": f"{one.residual:+,}" if one.residual else "0"}
        for name, record in _networks(records) if record.cost is not None
        for one in reconcile(record.cost)
    ]  # fmt: skip
    failed = dict.fromkeys(
        f"{count.counter} failed on {name}: {count.error}"
        for name, record in _networks(records) if record.cost is not None
        for count in record.cost.counters if count.error
    )  # fmt: skip
    open_ones = sum(row["unexplained"] != "0" for row in rows)
    about = (
        "MACs are multiply-accumulates of one image in eval mode, counted by archbench on torch's dispatcher; a FLOPs "
        "counter counts two for each. "
        + (f"{number(open_ones, 'figure')} of {len(rows)} cannot be explained in full." if open_ones else
           f"All of the {number(len(rows), 'figure')} of other counters are explained to the last operation.")
    )  # fmt: skip
    return _section("counters", "Counters reconciled", about, rows, tuple(failed))


def stability(records: Sequence[Record], baseline: str | None) -> Section:
    """Return what each timing rests on, and each reason for doubt with its remedy."""
    rows = [
        {"model": name, "mode": one.mode + ("" if one.engine == "eager" else f" ({one.engine})"), "device": one.device,
         **_steadiness(one), "stable": "no" if doubts(one) else "yes"}
        for name, record in _networks(records, timed=True)
        for one in record.timings
    ]  # fmt: skip
    about = (
        "Models of one session are timed round by round, side by side, in fresh processes. A against A is how far a "
        "second copy of the same model differs from itself: what is less cannot be told."
    )
    return _section("timings", "Stability of timings", about, rows, tuple(timing_notes(records, baseline)))


def environments(records: Sequence[Record]) -> Section:
    """Return where and with what the runs were made: a column an environment, the host's name left out."""
    runs: dict[tuple[Any, ...], int] = {}
    for record in records:
        key = tuple(_facts_of(record.environment, record).items())
        runs[key] = runs.get(key, 0) + 1
    machines = len({record.environment.machine for record in records})
    columns = [dict(key) | {"runs": grouped(count)} for key, count in runs.items()]
    rows = [
        {"what": name, **{f"environment {place}" if len(columns) > 1 else "value": column.get(name, "")
                      for place, column in enumerate(columns, start=1)}}
        for name in (columns[0] if columns else ())
    ]  # fmt: skip
    about = "All runs come from one environment."
    if len(columns) > 1 or machines > 1:
        about = (
            f"The runs come from {number(len(columns), 'environment')} on {number(machines, 'machine')}: times of "
            "several machines are not pooled, and accuracies need not agree to the bit."
        )
    return _section("environment", "Environment", about, rows)


def failures(records: Sequence[Record], log_of: Callable[[Record], str]) -> Section:
    """Return every run that is not done, with its reason and its log."""
    rows = [
        {"model": shown(label(cell.model, cell.budget)), "case": cell.case, "seed": str(cell.recipe.seed),
         "state": record.status, "reason": record.error or cell.problem or _diverged(record), "log": log_of(record)}
        for record in records if record.status != "done"
        for cell in [record.cell]
    ]  # fmt: skip
    about = f"{number(len(rows), 'run')} of {len(records)} came to no result." if rows else "Every run is done."
    return _section("failures", "Runs that failed", about, rows)


def _section(name: str, title: str, about: str, rows: list[dict[str, str]], notes: tuple[str, ...] = ()) -> Section:
    import pandas as pd

    if not rows:
        return Section(name, title, (about if name == "failures" else "Nothing of it is stored.",), notes=notes)
    most = None if name == "failures" else MOST_ROWS
    table, more = table_of(f"{name}-table", CAPTIONS[name], pd.DataFrame(rows), most)
    return Section(name, title, (about,), (table,), (*notes, *more))


def _networks(records: Sequence[Record], *, timed: bool = False) -> Iterator[tuple[str, Record]]:
    """Yield a record of every network, by its name; of every network and session where they were timed."""
    seen = set()
    for record in records:
        sized = record.cell.sized
        key = (sized and sized.key, tuple(one.session for one in record.timings) if timed else ())
        if sized is not None and key not in seen:
            seen.add(key)
            case = record.cell.case if timed else ""
            yield shown(label(record.cell.model, record.cell.budget, case)), record


def _parts(parts: dict[str, int]) -> str:
    """Return what a counter adds and leaves out, in words."""
    return (
        "; ".join("twice ours" if name == TWO else f"{amount:+,} {name}" for name, amount in parts.items())
        or "the same"
    )


def _steadiness(timing: Timing) -> dict[str, str]:
    import numpy as np

    step, told, others = step_us(timing), resolution(timing), timing.conditions.others_cores
    lower, middle, upper = np.percentile(timing.samples_us, [25, 50, 75])
    wide = "" if step.low is None or step.high is None else f"{50 * (step.high - step.low) / step.value:.2f} %"
    return {
        "µs/step": micros(step.value), "95 % interval, ±": wide,
        "middle half, of median": f"{100 * (upper - lower) / middle:.1f} %",
        "drift": f"{100 * drift_of(timing):+.1f} %", "A against A": "" if told is None else f"{100 * told:.1f} %",
        "rounds": grouped(len(timing.samples_us)), "processes": str(len(set(timing.processes)) or 1),
        "others on its cores": "" if others is None else f"{100 * others:.1f} %",
    }  # fmt: skip


def _facts_of(environment: Environment, record: Record) -> dict[str, str]:
    from rich.filesize import decimal

    facts = {name: value for name, value in fields(environment).items() if name not in LEFT_OUT and value is not None}
    facts |= {"trained on": record.cell.device_name, "threads": record.cell.threads}
    if environment.memory_bytes is not None:
        facts["memory"] = decimal(environment.memory_bytes)
        del facts["memory_bytes"]
    if environment.dirty is not None:
        facts["commit"] = f"{environment.commit}{' with changes' if environment.dirty else ''}"
        del facts["dirty"]
    return {name: str(value) for name, value in facts.items()}


def _diverged(record: Record) -> str:
    epoch = record.training and record.training.diverged_epoch
    return f"the loss of epoch {epoch} is not finite" if epoch else ""
