"""Columns of a frame of runs -> their values as people read them, and which of them can be an axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from archbench.columns import SCORED, kind_of, label_of, step_of
from archbench.frame import HOW
from archbench.units import grouped, micros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

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
        *filter(step_of, known),
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
