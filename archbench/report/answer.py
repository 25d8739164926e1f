"""Comparison -> the answer in a sentence: who is told apart from the baseline, where, and at what price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench.exports import plain_rows
from archbench.reference import shown
from archbench.units import compact, number, ratio, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archbench.comparison import Comparison

    Row = dict[str, Any]

ALONE = 2  # models beside the baseline that the sentence itself speaks of; of more it gives the counts
MOST_POINTS = 20


@dataclass(frozen=True)
class Answer:
    """What was found: a sentence, and a line each of what supports it."""

    sentence: str
    points: tuple[str, ...] = ()


def answer_of(comparison: Comparison) -> Answer:
    """Return what a comparison found, as far as its intervals tell."""
    if not comparison.records:
        return Answer("Nothing has been run yet.")
    rows = plain_rows(comparison.overhead())
    if all(row["test_accuracy"] is None for row in rows):
        return Answer("Nothing can be said: no run came to a result. The reasons stand below.")
    others: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if not row["is_baseline"] and row["accuracy_points"] is not None:
            others.setdefault((row["model"], row["case"]), []).append(row)
    if not others:
        return Answer(_best(rows))
    lines = [_against(shown(model) + (f", {case}" if case else ""), own) for (model, case), own in others.items()]
    if len(others) <= ALONE:
        return Answer(" ".join(lines), (_best(rows),))
    told = {word: sum(any(_verdict(row) == word for row in own) for own in others.values()) for word in VERDICTS}
    sentence = f"Of {number(len(others), 'other')}, " + ", ".join(
        f"{count} {'is' if count == 1 else 'are'} {word} {base}"
        for word, count in told.items() if count
        for base in ["the baseline"]
    ) + (" at some size." if any(len(own) > 1 for own in others.values()) else ".")  # fmt: skip
    left = (f"And {len(lines) - MOST_POINTS} more; the table of overhead has all.",) if len(lines) > MOST_POINTS else ()
    return Answer(sentence, (_best(rows), *lines[:MOST_POINTS], *left))


VERDICTS = ("more accurate than", "less accurate than", "not told apart from")


def _verdict(row: Row) -> str:
    low, high = row["accuracy_points_low"], row["accuracy_points_high"]
    if low is None or high is None or low <= 0 <= high:
        return VERDICTS[2]
    return VERDICTS[0] if low > 0 else VERDICTS[1]


def _against(name: str, rows: Sequence[Row]) -> str:
    """Return a sentence on one model: where it is ahead, where behind, where that is open, and how long it takes."""
    base = next(row["baseline"] for row in rows)
    several = len(rows) > 1
    base = base.partition("@")[0] if several else base
    said = []
    for word in VERDICTS:
        own = [row for row in rows if _verdict(row) == word]
        if own:
            places = ", ".join(f"{_size(row)}({_points(row)})" for row in own)
            said.append(f"{word} {base} {'at ' if several else ''}{places}")
    price = "; ".join(_times(rows))
    return f"{name} is {', '.join(said)}{f'; {price}' if price else ''}."


def _size(row: Row) -> str:
    return f"{compact(row['budget'])} " if row["budget"] is not None else ""


def _points(row: Row) -> str:
    low, high = row["accuracy_points_low"], row["accuracy_points_high"]
    half = None if low is None or high is None else (high - low) / 2
    return f"{with_interval(row['accuracy_points'], half, sign=True)} points" + (
        "" if half is not None else ", one run"
    )


def _times(rows: Sequence[Row]) -> Iterator[str]:
    """Yield for training and inference how many times as long a step takes, from the least to the most."""
    for mode, what in (("train", "a training step"), ("infer", "inference")):
        for device in ("cpu", "cuda"):
            found = [row[name] for row in rows for name in [f"{mode}_ratio_{device}"] if row.get(name) is not None]
            if found:
                ends = dict.fromkeys([ratio(min(found)), ratio(max(found))])
                yield f"{what} on {device.upper()} takes {' to '.join(ends)} the time"


def _best(rows: Sequence[Row]) -> str:
    """Return which model has the highest mean, which is no proof that it is the best."""
    known = [row for row in rows if row["test_accuracy"] is not None]
    best = max(known, key=lambda row: row["test_accuracy"])
    low, high = best["test_accuracy_low"], best["test_accuracy_high"]
    half = None if low is None or high is None else 50 * (high - low)
    name = shown(best["model"]) + (f", {best['case']}" if best["case"] else "")
    at = f" at {compact(best['budget'])}" if best["budget"] is not None else ""
    return f"The highest mean test accuracy is {with_interval(100 * best['test_accuracy'], half)} %, of {name}{at}."
