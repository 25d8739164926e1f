"""The best models under conditions, each with whether it surely meets them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from archbench import stats
from archbench.conclusion_words import accuracy_words
from archbench.conclusions.points import points_of, points_table
from archbench.conditions import check_name, parse_condition
from archbench.errors import InputError
from archbench.exports import plain_rows
from archbench.units import grouped, micros, number, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from archbench.conditions import Kind, Range

NAMES: Mapping[str, Kind] = {
    "params": "count", "macs": "count", "accuracy": "share", "loss": "number", "step_us": "us", "infer_us": "us",
    "memory": "bytes", "budget": "count", "n": "number", "model": "text", "family": "text", "case": "text",
    "dataset": "text", "name": "text",
}  # fmt: skip
"""What may be asked for. Times are those of a training step and of an inference step; `n` is the number of runs."""
COLUMNS = {"memory": "memory_bytes"}
TYPES = {"budget": "Int64", "params": "Int64", "macs": "Int64", "memory_bytes": "Int64", "sure": "boolean"}
WITH_INTERVALS = ("accuracy", "loss")


def best(
    runs: pd.DataFrame, where: str = "", *, minimize: str | None = None, maximize: str | None = None
) -> pd.DataFrame:
    """Return the models that meet a condition in the mean, the best first, as rows of `Conclusions.points`.

    Two columns more: `sure`, whether the whole interval meets the condition (where runs do not differ, or there is but
    one, that of its images), and
    `place`, from 1 on within its data set. Equal ones are ordered by accuracy, then by parameters.

    Args:
        runs: a row a run (`archbench.frame.runs_frame`).
        where: a condition (`archbench.conditions`); by default all that have a run that is done.
        minimize: what is to be small, a name of `NAMES` that is a number.
        maximize: what is to be large; without either it is the accuracy.

    Raises:
        InputError: a condition or a name that is not accepted, or both directions.
    """
    import pandas as pd

    name, sign = _objective(minimize, maximize)
    condition = parse_condition(where, NAMES) if where.strip() else None
    found = []
    for row in points_table(points_of(runs)):
        if not row["n"] or row[COLUMNS.get(name, name)] is None:
            continue
        if condition is None or condition.of(partial(_value, row)):
            sure = None if condition is None else condition.of(partial(_range, row)) is True
            found.append(row | {"sure": sure})
    found.sort(key=lambda row: (sign * row[COLUMNS.get(name, name)], -(row["accuracy"] or 0.0), row["params"] or 0.0))
    places: dict[str, int] = {}
    for row in found:
        row["place"] = places[row["dataset"]] = places.get(row["dataset"], 0) + 1
    return pd.DataFrame(found).astype(TYPES) if found else pd.DataFrame()


def asked(runs: pd.DataFrame) -> int:
    """Return how many models, cases and budgets runs are of."""
    return len(points_of(runs))


def _objective(minimize: str | None, maximize: str | None) -> tuple[str, int]:
    if minimize is not None and maximize is not None:
        msg = "both --minimize and --maximize are given"
        raise InputError(msg, "Name one; the other belongs into --where.")
    name = minimize or maximize or "accuracy"
    if check_name(name, NAMES) == "text":
        msg = f"{name} is text, and has no smallest or largest"
        numbers = ", ".join(one for one, kind in NAMES.items() if kind != "text")
        raise InputError(msg, f"Name one of {numbers}.")
    return name, 1 if minimize is not None else -1


def _value(row: Mapping[str, Any], name: str) -> Range | str | None:
    """Return what a row has, without its doubt."""
    value = row[COLUMNS.get(name, name)]
    return value if value is None or isinstance(value, str) else (float(value), float(value))


def _range(row: Mapping[str, Any], name: str) -> Range | str | None:
    """Return the interval of what a row has; None where a mean has none."""
    if name not in WITH_INTERVALS:
        return _value(row, name)
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if low != high:
        return low, high
    # Runs that are equal, or one alone, say nothing of their spread: what is known is how few images there are.
    images = stats.proportion(row[name], row["test_images"] or 0) if name == "accuracy" else None
    return None if images is None or images.low is None or images.high is None else (images.low, images.high)


def best_words(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `best` as people read them, narrow enough for a terminal."""
    import pandas as pd

    several = len(set(found["dataset"])) > 1
    return pd.DataFrame([
        {
            **({"data": row["dataset"]} if several else {}), "model": row["name"],
            "params": "" if row["params"] is None else grouped(row["params"]),
            "MACs": "" if row["macs"] is None else short(row["macs"]),
            "accuracy, %": accuracy_words(row),
            "n": str(row["n"]), "step, µs": micros(row["step_us"]), "infer, µs": micros(row["infer_us"]),
            "meets it": {True: "surely", False: "in doubt", None: ""}[row["sure"]],
        }
        for row in plain_rows(found)
    ]).pipe(lambda words: words.loc[:, [name for name in words if (words[name] != "").any()]])  # fmt: skip


def best_sentence(found: pd.DataFrame, of: int) -> str:
    """Return the answer in a line: the first of `best`, and what it is worth.

    Args:
        found: the rows of `best`.
        of: how many models there are.
    """
    if not len(found):
        return f"None of {number(of, 'model')} meets it."
    firsts = [row for row in plain_rows(found) if row["place"] == 1]
    several = len(firsts) > 1
    meet = "meets" if len(found) == 1 else "meet"
    return "; ".join(
        f"{row['dataset'] + ': ' if several else ''}{row['name']}"
        + (", whose interval leaves in doubt whether it meets the condition" if row["sure"] is False else "")
        for row in firsts
    ) + f" ({len(found)} of {number(of, 'model')} {meet} it in the mean)."  # fmt: skip
