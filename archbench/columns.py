"""Columns of a frame of runs: what each is called, how its numbers are written, and where a mean of runs stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archbench import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMED = re.compile(
    r"(?P<mode>train|infer)(?:_(?P<engine>graph|compiled))?_"
    r"(?P<what>step_us|us_per_sample|least_us|unstable|gflops|roofline|launch_bound|compile_s)_(?P<device>cpu|cuda)"
)
SCORED = re.compile(r"(?P<split>train|validation|test)_(?P<what>loss|accuracy|topk|word)(?:_(?P<place>\d+))?")
COUNTED = re.compile(r"(?P<unit>macs|flops)_(?P<counter>\w+)")
OF_A_STEP = {
    "step_us": "{}, µs/step", "us_per_sample": "{}, µs/sample", "least_us": "{}, least µs/step",
    "unstable": "{}: in doubt", "gflops": "{}, GFLOP/s", "roofline": "{}, share of the roofline",
    "launch_bound": "{}: launch-bound", "compile_s": "{}: compiled in, s",
}  # fmt: skip
NAMES = {
    "params": "parameters", "macs": "MACs", "flops": "FLOPs", "train_macs": "MACs of a training step, per image",
    "rel_error": "off the budget", "trainable_params": "trained parameters", "params_keras": "parameters, Keras total",
    "size_bytes": "size", "peak_memory_bytes": "memory of a training step",
    "estimated_memory_bytes": "memory of a training step, estimated", "train_seconds": "trained for, s",
    "lr": "learning rate", "k": "k of top-k", "l2": "L2",
}  # fmt: skip


def label_of(column: str, k: int | None = None, *, unit_of_bytes: str = "MiB") -> str:
    """Return what a column is called, with its unit.

    Args:
        column: its name.
        k: that of top-k, where it is one for all.
        unit_of_bytes: in which sizes of memory are written.
    """
    if found := TIMED.fullmatch(column):
        mode = found["mode"] + (f" ({found['engine']})" if found["engine"] else "")
        return OF_A_STEP[found["what"]].format(f"{mode} on {found['device'].upper()}")
    if found := SCORED.fullmatch(column):
        what = {"topk": f"top-{k or 'k'} accuracy", "word": "accuracy of whole words"}.get(found["what"], found["what"])
        return f"{found['split']} {what}" + (f", position {found['place']}" if found["place"] else "")
    if column in NAMES:
        return NAMES[column] + (f", {unit_of_bytes}" if kind_of(column) == "bytes" else "")
    if found := COUNTED.fullmatch(column):
        return f"{'MACs' if found['unit'] == 'macs' else 'FLOPs'} by {found['counter']}"
    if column.startswith("data_us_"):
        return f"making a batch on {column.removeprefix('data_us_').upper()}, µs"
    return column.replace("_", " ")


def kind_of(column: str) -> str:
    """Return how a column's numbers are written: `bytes`, `micros`, `share` or `number`."""
    if column.endswith("_bytes"):
        return "bytes"
    timed = TIMED.fullmatch(column)
    if column.startswith("data_us_") or (timed and timed["what"] in {"step_us", "us_per_sample", "least_us"}):
        return "micros"
    scored = SCORED.fullmatch(column)
    if (timed and timed["what"] == "roofline") or column == "rel_error" or (scored and scored["what"] != "loss"):
        return "share"
    return "number"


def step_of(column: str) -> re.Match[str] | None:
    """Return `mode`, `engine` (None where op by op) and `device` of a column of times of a step."""
    found = TIMED.fullmatch(column)
    return found if found and found["what"] == "step_us" else None


def place_of(values: Sequence[float], low: float | None = None, high: float | None = None) -> stats.Estimate | None:
    """Return where the mean of runs stands along a cost: at what they share, or at the mean of theirs.

    Args:
        values: of the runs.
        low: the least of the interval of what they share, as a time has one; None or NaN where there is none.
        high: the most of it.
    """
    if len(set(values)) != 1:
        return stats.mean(values)
    known = low is not None and high is not None and low == low and high == high  # noqa: PLR0124 - not a number
    return stats.Estimate(values[0], low, high, 1) if known else stats.Estimate(values[0], None, None, 1)
