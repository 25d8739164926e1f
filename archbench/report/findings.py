"""Conclusions -> the words of a report: the answer, the tests behind it, and what must be known of each model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.exports import plain_rows
from archbench.report.view import Section, table_of
from archbench.units import compact, grouped, micros, number, percent, ratio, short, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archbench.conclusions import Conclusions

    Row = dict[str, Any]

SPOKEN = 3  # sentences of the answer that are said in one; of more the others are points
MOST_POINTS = 8
ACROSS = {"params": "parameters", "macs": "MACs", "step_us": "µs a training step"}
BY = {"seeds": "seeds, paired", "images": "images of one run"}


def answer_of(found: Conclusions) -> tuple[str, tuple[str, ...]]:
    """Return the answer, and a line each of what else is worth a place on top: what accuracy costs in time."""
    said = list(found.answer)
    first = said if len(said) <= SPOKEN else said[:1]
    prices = [
        f"{row['name']} against {row['baseline']}, {row['mode']} on {row['device'].upper()}: {row['sentence']}."
        for row in plain_rows(found.verdicts)
        if row["mode"] == "train"  # inference has its place in the table
    ]
    points = [*said[len(first) :], *(prices if len(prices) <= MOST_POINTS else _counted(found))]
    left = len(points) - MOST_POINTS
    return " ".join(first), (*points[:MOST_POINTS], *([f"And {left} more, in the tables below."] if left > 0 else []))


def _counted(found: Conclusions) -> list[str]:
    """Return how often each verdict was given, where there are too many to say each."""
    counts = found.verdicts["verdict"].value_counts(sort=False)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return [f"Time against accuracy, {number(len(found.verdicts), 'verdict')}: {told}."]


def notes_beside(found: Conclusions) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return by data set and name what must be known of a model beside its figures."""
    notes: dict[tuple[str, str], list[str]] = {}
    for row in plain_rows(found.diagnoses):
        notes.setdefault((row["dataset"], row["name"]), []).append(row["note"])
    for row in plain_rows(found.verdicts):
        text = f"{row['mode']} on {row['device'].upper()} against {row['baseline']}: {row['sentence']}"
        notes.setdefault((row["dataset"], row["name"]), []).append(text)
    return {name: tuple(lines) for name, lines in notes.items()}


def findings(found: Conclusions) -> Iterator[Section]:
    """Yield a section a kind of finding, where there is any."""
    yield _section(
        "pairs", "Paired tests", PAIRS, "A row two models of one size", map(_pair, plain_rows(found.pairs)),
        "There are no two models of one size to compare.",
    )  # fmt: skip
    made = [
        _section("verdicts", "Time against accuracy", VERDICTS, "A row a model, mode and device against its baseline",
                 map(_verdict, plain_rows(found.verdicts))),
        _section("crossings", "Crossings", CROSSINGS, "A row a crossing of two families",
                 map(_crossing, plain_rows(found.crossovers))),
        _section("fronts", "Pareto fronts", FRONTS, "A row a model that no other beats on both axes",
                 (_front(row) for row in plain_rows(found.pareto) if row["on_front"])),
        _section("learning", "How they learned", _settled(found), "A row a finding",
                 ({**_on(row), "model": row["name"], "finding": row["note"]} for row in plain_rows(found.diagnoses))),
    ]  # fmt: skip
    yield from (one for one in made if one.tables or (one.id == "learning" and len(found.enough)))


PAIRS = (
    "Difference of test accuracy in points, the first less the second, with its 95 % interval. Told apart are two "
    "whose p, corrected for all comparisons by Holm's method, is below 0.05. What so many seeds find is found four "
    "times out of five."
)
VERDICTS = (
    "Ratios of time with their 95 % interval, accuracy in points; what lies within the intervals is not resolved."
)
CROSSINGS = "Where one family falls behind another; the interval is that of curves as they may truly be."
FRONTS = "On the front no other model is at least as good on both axes; surely so where the lead is told apart."


def _section(
    name: str, title: str, about: str, caption: str, rows: Iterator[dict[str, str]], without: str = ""
) -> Section:
    table, notes = table_of(f"{name}-table", caption, list(rows))
    return Section(name, title, (about if table else without or about,), (table,) if table else (), notes)


def _on(row: Row) -> dict[str, str]:
    return {"data": row["dataset"]}


def _pair(row: Row) -> dict[str, str]:
    return {
        **_on(row), "budget": "" if row["budget"] is None else compact(row["budget"]), "first": row["first"],
        "second": row["second"], "difference, points": _interval(row, "difference_points", "low_points", "high_points"),
        "n": str(row["n"]), "by": BY.get(row["by"] or "", ""), "p": _p(row["p"]), "p, exact": _p(row["p_exact"]),
        "p, Holm": _p(row["p_holm"]), "told apart": "yes" if row["resolved"] else "no",
        "found with these seeds, points": "" if row["detectable_points"] is None else f"{row['detectable_points']:.2g}",
        "seeds needed": "" if row["seeds_needed"] is None else grouped(row["seeds_needed"]),
    }  # fmt: skip


def _verdict(row: Row) -> dict[str, str]:
    return {
        **_on(row), "model": row["name"], "against": row["baseline"], "mode": row["mode"], "device": row["device"],
        "time": ratio(row["ratio"], row["ratio_low"], row["ratio_high"]),
        "accuracy, points": _interval(row, "points", "points_low", "points_high"), "verdict": row["verdict"],
    }  # fmt: skip


def _crossing(row: Row) -> dict[str, str]:
    write = micros if row["x"] == "step_us" else short
    at, low, high = ("" if row[name] is None else write(row[name]) for name in ("value", "low", "high"))
    return {
        **_on(row), "across": ACROSS.get(row["x"], row["x"]), "ahead below": row["before"],
        "ahead above": row["after"] if row["value"] is not None else "", "at": at,
        "95 % interval": f"{low} to {high}" if low and high else "",
        "measured": f"{write(row['from_x'])} to {write(row['to_x'])}" if row["from_x"] is not None else "",
        "verdict": row["verdict"],
    }  # fmt: skip


def _front(row: Row) -> dict[str, str]:
    sure = {True: "yes", False: "not resolved", None: ""}[row["sure"]]
    return {
        **_on(row), "axes": row["axes"].replace("+", " and ").replace("step_us", "µs/step").replace("_bytes", ""),
        "model": row["name"], "accuracy": percent(row["accuracy"]).lstrip("+"),
        "params": "" if row["params"] is None else grouped(row["params"]),
        "MACs": "" if row["macs"] is None else short(row["macs"]), "µs/step": micros(row["step_us"]), "surely": sure,
    }  # fmt: skip


def _settled(found: Conclusions) -> str:
    """Return from which epoch on the ranking was that of the end, of every data set that tells."""
    said = ["Read off the training and validation splits alone."]
    for dataset, rows in found.enough.groupby("dataset", sort=False):
        settled = rows.loc[rows["settled"].fillna(value=False), "epoch"]
        last = int(rows["of_epochs"].iloc[0])
        since = int(settled.iloc[0]) if len(settled) else last
        settled_at = f"is that of the end from epoch {since} of {last} on"
        how = settled_at if since < last else "still changed at the last epoch"
        said.append(f"On {dataset} the ranking of the models {how}.")
    return " ".join(said)


def _interval(row: Row, *names: str) -> str:
    value, low, high = (row[name] for name in names)
    if low is None or high is None:
        return with_interval(value, None, sign=True)
    return with_interval(value, (high - low) / 2, sign=True)


def _p(value: float | None) -> str:
    """Return a probability in two digits; what is smaller than anybody believes is said to be."""
    return "" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def names_of(found: Conclusions) -> Sequence[Row]:
    """Return a row a model, case and budget: its name, its line, its data set."""
    return plain_rows(found.points)
