"""Columns of a frame of runs -> the words that people know them by, and which of them can be an axis."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from archbench.frame import HOW
from archbench.units import compact, grouped, micros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

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
    "size_bytes": "size, MiB", "peak_memory_bytes": "memory of a training step, MiB",
    "estimated_memory_bytes": "memory of a training step, estimated, MiB", "train_seconds": "trained for, s",
    "lr": "learning rate", "k": "k of top-k", "l2": "L2",
}  # fmt: skip
UNSAID = {"model", "case", "budget", "status", "error", "warnings", "machine", "commit", "dirty", "finished_at"}
"""Columns that are said elsewhere: in a point's name, in the tables of failures and environments, on top."""


ASKED = {
    "family", "options", "dataset", "preprocess", "split", "split_seed", "limit", "only", "exclude", "input", "classes",
    "seed", "k", "cached_features", "key",
}  # fmt: skip


class Axis(NamedTuple):
    """What a chart can be drawn along.

    Attributes:
        kind: how its numbers are written: `count`, `share`, `micros`, `bytes` or `number`.
        log: whether it begins as a logarithmic one.
    """

    name: str
    label: str
    kind: str
    log: bool = False


def label_of(column: str, k: int | None = None) -> str:
    """Return what a column is called, with its unit; `k` is that of top-k, where it is one for all."""
    if found := TIMED.fullmatch(column):
        mode = found["mode"] + (f" ({found['engine']})" if found["engine"] else "")
        return OF_A_STEP[found["what"]].format(f"{mode} on {found['device'].upper()}")
    if found := SCORED.fullmatch(column):
        what = {"topk": f"top-{k or 'k'} accuracy", "word": "accuracy of whole words"}.get(found["what"], found["what"])
        return f"{found['split']} {what}" + (f", position {found['place']}" if found["place"] else "")
    if column in NAMES:
        return NAMES[column]
    if found := COUNTED.fullmatch(column):
        return f"{'MACs' if found['unit'] == 'macs' else 'FLOPs'} by {found['counter']}"
    if column.startswith("data_us_"):
        return f"making a batch on {column.removeprefix('data_us_').upper()}, µs"
    return column.replace("_", " ")


def kind_of(column: str) -> str:
    """Return how a column's numbers are written."""
    if column.endswith("_bytes"):
        return "bytes"
    timed = TIMED.fullmatch(column)
    if column.startswith("data_us_") or (timed and timed["what"] in {"step_us", "us_per_sample", "least_us"}):
        return "micros"
    scored = SCORED.fullmatch(column)
    if (timed and timed["what"] == "roofline") or column == "rel_error" or (scored and scored["what"] != "loss"):
        return "share"
    return "number"


WORDS: dict[str, Callable[[float], str]] = {
    "bytes": lambda value: f"{value / 2**20:,.2f}",
    "micros": micros,
    "share": lambda value: f"{100 * value:.2f} %",
    "number": lambda value: grouped(value) if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}",
}


def word(value: Any, kind: str) -> str:
    """Return a value as people read it; what is missing is empty."""
    if value is None or value != value or value is _missing():  # noqa: PLR0124 - it is not a number
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return WORDS[kind](value) if math.isfinite(value) else ""


def _missing() -> Any:
    import pandas as pd

    return pd.NA


def is_figure(column: str) -> bool:
    """Whether a column holds what was counted or measured."""
    return column not in ASKED and column not in HOW


def worded(frame: pd.DataFrame, *, figures: bool) -> dict[str, list[str]]:
    """Return every column of a frame of runs that says something, in words, by what it is called.

    Args:
        frame: one row a run.
        figures: whether what was counted and measured, or what was asked for and where it was run.
    """
    ks = set(frame["k"].dropna()) if "k" in frame else set()
    k = int(ks.pop()) if len(ks) == 1 else None
    found = {}
    plain: Mapping[str, list[Any]] = {
        str(name): frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns
    }
    for name, values in plain.items():
        if name in UNSAID or name.endswith(("_low", "_high")) or is_figure(name) != figures:
            continue
        kind = kind_of(name)
        words = [word(getattr(value, "item", lambda v=value: v)(), kind) for value in values]
        if f"{name}_low" in plain:
            bounds = zip(words, plain[f"{name}_low"], plain[f"{name}_high"], strict=True)
            words = [f"{text} [{word(a, kind)}, {word(b, kind)}]" if a is not None else text for text, a, b in bounds]
        if any(words):
            found[label_of(name, k)] = words
    return found


def axes_of(frame: pd.DataFrame) -> tuple[list[Axis], list[Axis]]:
    """Return what the figure can be drawn along: costs, and scores; each only where something is known of it."""
    ks = set(frame["k"].dropna()) if "k" in frame else set()
    k = int(ks.pop()) if len(ks) == 1 else None
    known = [str(name) for name in frame.columns if frame[name].notna().any()]
    costs = [
        *(name for name in ("params", "macs", "train_macs") if name in known),
        *(name for name in known if (found := TIMED.fullmatch(name)) and found["what"] == "step_us"),
        *(n for n in ("peak_memory_bytes", "estimated_memory_bytes", "size_bytes", "train_seconds") if n in known),
    ]
    scores = [name for name in known if SCORED.fullmatch(name) and name != "train_seconds"]
    scores.sort(key=lambda name: ("test", "validation", "train").index(name.partition("_")[0]))
    scores.sort(key=lambda name: name != "test_accuracy")
    counts = {"params", "macs", "train_macs"}
    return (
        [
            Axis(
                n,
                label_of(n, k).capitalize() if n == "params" else label_of(n, k),
                "count" if n in counts else kind_of(n),
                log=True,
            )
            for n in costs
        ],
        [Axis(n, label_of(n, k), kind_of(n)) for n in scores],
    )


def budget_word(budget: Any) -> str:
    """Return a budget in its shortest form; empty where there is none."""
    return "" if budget is None or budget is _missing() else compact(int(budget))
