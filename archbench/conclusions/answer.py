"""The answer in a sentence or two: who is ahead where, and what is not resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.conclusions.pairs import MOST as COMPARED
from archbench.conclusions.pairs import best_two
from archbench.conclusions.points import lines_of
from archbench.units import THIN_SPACE, briefest, compact, micros, number, short, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archbench.conclusions.points import Point

    Rows = Sequence[Mapping[str, Any]]
    Pairs = Mapping[tuple[str, str], Mapping[str, Any]]

NAMED = 3  # models that are surely behind, by name; of more their number is enough
MOST = 8  # places that a sentence lists
UNITS = {"params": " parameters", "macs": " MACs", "step_us": f"{THIN_SPACE}µs a step"}


def answer(points: Sequence[Point], pairs: Rows, crossovers: Rows) -> list[str]:
    """Return the sentences for the points of one data set, the most important first.

    Two lines over size are told by where they cross in parameters; more of them, and points, by who leads at each size.
    """
    done = [point for point in points if point.accuracies]
    if not done:
        return ["No run is done: nothing can be concluded."]
    lines = lines_of(done)
    if len(done) == 1 or len(lines) == 1:
        named = "; ".join(f"{point.name} {_accuracy(point)}" for point in done)
        return [f"There is one model, and nothing to compare it with: {named}."]
    crossed = [row for row in crossovers if row["x"] == "params"]
    of_two = len({frozenset((row["before"], row["after"])) for row in crossed}) == 1
    said = crossing_sentences(crossed, _seeds(done)) if of_two else []
    return said + _leaders(done, {(row["first"], row["second"]): row for row in pairs})


def crossing_sentences(rows: Rows, seeds: str) -> list[str]:
    """Return what rows of `Conclusions.crossovers`, of two lines and one x, come to."""
    first = rows[0]
    unit = UNITS[first["x"]]
    write = micros if first["x"] == "step_us" else briefest
    between = f"between {write(first['from_x'])} and {write(first['to_x'])}{unit}"
    ahead = first["before"]
    if first.get("value") is None:
        told = {
            "equal": f"The two are equal {between}.",
            "none": f"No crossing {between}: {ahead} is ahead throughout.",
        }
        doubt = f"No crossing is seen {between}, where {ahead} is ahead in the mean; not resolved with {seeds}."
        return [told.get(first["verdict"], doubt)]
    if len(rows) == 1:
        where = f"about {_at(first['x'], first['value'])}{unit}{_interval(first)}"
        if first["verdict"] == "crossing":
            return [f"{ahead} is ahead below {where}, {first['after']} above it."]
        doubt = f"whether they truly do is not resolved with {seeds}"
        return [f"The means cross at {where}, {ahead} being ahead below it; {doubt}."]
    places = [f"{_at(row['x'], row['value'])}{_interval(row) or ' (not resolved)'}" for row in rows]
    order = ", then ".join([ahead, *(row["after"] for row in rows)])
    times = f"cross {number(len(rows), 'time')} {between}, at {_joined(places)}"
    if all(row["verdict"] == "crossing" for row in rows):
        return [f"The two {times}: ahead is {order}."]
    return [f"The means {times}; ahead in the mean is {order}."]


def _leaders(points: Sequence[Point], pairs: Pairs) -> list[str]:
    """Return who leads at each budget, and among the models without one."""
    budgets = dict.fromkeys(point.budget for point in points)
    told: dict[str, list[str]] = {}
    open_: list[str] = []
    behind_: list[str] = []
    alone: list[str] = []
    for budget in budgets:
        group = [point for point in points if point.budget == budget]
        where = "" if budget is None else compact(budget)
        if len(group) < 2:
            alone.append(f"{group[0].name} with {_accuracy(group[0])}")
            continue
        best, second = best_two(group)
        row, sign = _between(pairs, best.name, second.name)
        doubt = _doubt(row) + (f"; by validation the best two of {len(group)}" if len(group) > COMPARED else "")
        difference = f"{_points(row, sign)} over {_short(second)}{doubt}"
        if row is not None and row["resolved"]:
            told.setdefault(_short(best), []).append(f"{where} ({difference})" if where else f"({difference})")
        else:
            at = f"at {where} " if where else ""
            others = [point for point in group if point is not best and point is not second]
            behind = [_short(other) for other in others if _is_behind(pairs, other, best)]
            if behind:
                named = _joined(behind) if len(behind) <= NAMED else f"{len(behind)} of the other {len(others)}"
                behind_.append(f"{at}{named} behind {_short(best)}")
            open_.append(f"{at}{_short(best)} and {_short(second)} ({_points(row, sign)}{doubt})")
    sentences = [
        f"Most accurate: {leader}{' at ' if where[0][:1] != '(' else ' '}{_joined(where)}."
        for leader, where in told.items()
    ]
    tested = sum(row["by"] == "seeds" for row in pairs.values())
    corrected = f", {number(tested, 'comparison')} being corrected for," if tested > 1 else ""
    if open_:
        sentences.append(
            f"Not resolved with {_seeds(points)}{corrected} which of the best two is more accurate: {_joined(open_)}."
        )
    if behind_:
        sentences.append(f"Resolved is {_joined(behind_)}.")
    if alone:
        sentences.append(f"Alone at its size: {_joined(alone)}.")
    return sentences


def _between(pairs: Pairs, first: str, second: str) -> tuple[Mapping[str, Any] | None, int]:
    """Return the row of two points, and the sign that makes its difference that of the first to the second."""
    if (first, second) in pairs:
        return pairs[first, second], 1
    return pairs.get((second, first)), -1


def _is_behind(pairs: Pairs, point: Point, best: Point) -> bool:
    """Whether a point is told from the best, and is less accurate."""
    row, sign = _between(pairs, best.name, point.name)
    return row is not None and bool(row["resolved"]) and sign * row["difference_points"] > 0


def _points(row: Mapping[str, Any] | None, sign: int) -> str:
    if row is None or row["difference_points"] is None:
        return "not compared: of so many, each is held against the baseline alone"
    half = None if row["low_points"] is None else (row["high_points"] - row["low_points"]) / 2
    return f"{with_interval(sign * row['difference_points'], half, sign=True)} points"


def _doubt(row: Mapping[str, Any] | None) -> str:
    """Return that nothing of how runs differ is in a difference, where that is so."""
    return ", single runs" if row is not None and row["by"] == "images" else ""


def _seeds(points: Iterable[Point]) -> str:
    counts = sorted({len(point.accuracies) for point in points})
    return number(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def _accuracy(point: Point) -> str:
    estimate = point.accuracy
    if estimate is None:
        return "no accuracy"
    half = estimate.half_width
    return f"{with_interval(100 * estimate.value, None if half is None else 100 * half)} %"


def _short(point: Point) -> str:
    """Return a point's name without its budget, which the sentence says."""
    return point.name if point.budget is None else point.series


def _at(x: str, value: float) -> str:
    return micros(value) if x == "step_us" else short(value)


def _interval(row: Mapping[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    return f" ({_at(row['x'], row['low'])} to {_at(row['x'], row['high'])})"


def _joined(items: Sequence[str]) -> str:
    """Return `a, b and c`; of very many the first, and how many more there are: the tables have all."""
    if len(items) > MOST:
        items = [*items[: MOST - 1], f"{len(items) - MOST + 1} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
