"""The columns that an axis can show: which they are, their scale, and the marks on it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from archbench.choices import nearest
from archbench.columns import kind_of, label_of
from archbench.errors import InputError
from archbench.units import short_number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LOGARITHMIC = {"params", "macs", "train_macs", "flops", "activations", "lr", "batch_size", "train_seconds"}
SHORT = {"train_us": "train_step_us", "infer_us": "infer_step_us"}  # of the first device that was timed
LEAST_SPAN = 2.0  # of a log axis, as a ratio
WIDE = 20.0  # a range of positive values this many times its least is drawn on a log scale


def words_of(column: str) -> str:
    """Return what an axis of a column says: its numbers are as they are in the frame."""
    return label_of(column, unit_of_bytes="bytes")


def column_of(frame: pd.DataFrame, name: str, option: str) -> str:
    """Return the column that a name stands for: `train_us` and `infer_us` are those of the first device.

    Args:
        frame: one row a run.
        name: as it was given.
        option: which option gave it.

    Raises:
        InputError: there is no such column.
    """
    if name in frame.columns:
        return name
    if name in SHORT:
        timed = [str(column) for column in frame.columns if re.fullmatch(rf"{SHORT[name]}_(cpu|cuda)", str(column))]
        if timed:
            return timed[0]
        msg = f"{option} {name}: no step was timed"
        raise InputError(msg, "Run the comparison again with --retime.")
    msg = f"{option}: there is no column {name!r}"
    known = [*map(str, frame.columns), *SHORT]
    raise InputError(msg, f"{nearest(name, known)} The columns are those of runs.csv.")


def number_column(frame: pd.DataFrame, name: str, option: str) -> str:
    """Return the column that a name stands for, if it holds numbers.

    Raises:
        InputError: there is no such column, or it holds words or nothing.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    column = column_of(frame, name, option)
    values = frame[column].dropna()
    if len(values) and is_numeric_dtype(values) and not is_bool_dtype(values):
        return column
    msg = f"{option} {name}: {'it holds no numbers' if len(values) else 'no run has one'}"
    raise InputError(msg, "Give a column of numbers, such as params, macs or train_us.")


def scaled_axis(ax: Axes, column: str, values: pd.Series[float]) -> None:
    """Name the x axis after a column, and set its scale: logarithmic for counts, times, and all that ranges widely."""
    known = values.dropna()
    positive = bool((known > 0).any()) and not bool((known < 0).any())
    positives = known[known > 0]
    counted = column in LOGARITHMIC or kind_of(column) in {"bytes", "micros"}
    if not len(known) or (positive and (counted or positives.max() > WIDE * positives.min())):
        ax.set_xscale("log")
    ax.set_xlabel(words_of(column))


def widen(ax: Axes) -> None:
    """Let a log axis reach a factor of two at least: sizes that all met one budget differ by nothing worth an axis."""
    low, high = ax.get_xlim()
    if ax.get_xscale() == "log" and high < LEAST_SPAN * low:
        middle = math.sqrt(low * high)
        ax.set_xlim(middle / math.sqrt(LEAST_SPAN), middle * math.sqrt(LEAST_SPAN))


def log_ticks(ax: Axes) -> None:
    """Label 1, 2 and 5 of each decade of a log axis; where that leaves fewer than two labels, the ends of the data.

    Where the labels would be too many for the width, 1 and 3 of each decade, or the decades alone.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    if ax.get_xscale() != "log":
        return
    low, high = ax.get_xlim()
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101 - axes that are drawn on have one
    room = ax.get_position().width * figure.get_figwidth() / 0.45  # inches of a label with the gap beside it
    locator: LogLocator | FixedLocator | None = None
    for subs in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        locator = LogLocator(10, subs=subs)
        shown = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
        if len(shown) <= max(2, room):
            break
    if len(shown) < 2:
        told = {short_number(value): value for value in (*ax.dataLim.intervalx, *shown)}  # each label once
        locator = FixedLocator(sorted(told.values()))
    assert locator is not None  # noqa: S101 - the last of the loop
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
