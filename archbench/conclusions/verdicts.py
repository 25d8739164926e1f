"""What a model's time buys: its ratio to the baseline beside the difference in accuracy, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from archbench import stats
from archbench.plan import label
from archbench.schema import Budget
from archbench.units import percent, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from archbench.conclusions.points import Point
    from archbench.schema import Device, Mode

    Time = Literal["slower", "faster", "tie"]

DEVICES: tuple[Device, ...] = ("cpu", "cuda")
MODES: tuple[Mode, ...] = ("train", "infer")
MATTERS = 0.5
"""Points of accuracy: where the interval leaves room for less than this, a difference in time decides."""
NARROW = 1.1
"""High over low of a ratio of times: what may be 1 is a tie where its interval is narrower, else it is not told."""
DECIDED = {
    ("slower", True): "trade-off",
    ("slower", False): "worse",
    ("faster", True): "better",
    ("faster", False): "trade-off",
    ("tie", True): "worth it",
    ("tie", False): "not worth it",
}
"""Verdicts where both are told: by the time, and whether it is more accurate."""
SAID = {
    "better": "better in both on this data",
    "worse": "worse in both on this data",
    "trade-off": "a trade-off",
    "worth it": "worth it on this data",
    "not worth it": "not worth it on this data",
    "tie": "nothing is told apart",
    "not resolved": "whether it is worth it is not resolved",
}


def verdicts_table(
    overhead: pd.DataFrame,
    points: Sequence[Point],
    pairs: Sequence[Mapping[str, Any]],
    resolutions: Mapping[tuple[Mode, Device], float],
) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.verdicts`; what is set against a baseline on other data has none.

    Args:
        overhead: a row a model, case and budget (`archbench.tables.overhead`).
        points: of the same runs.
        pairs: rows of `Conclusions.pairs`: a difference that is not resolved, all comparisons being corrected for,
            decides nothing.
        resolutions: by mode and device the share by which A differed from A.
    """
    known = {(point.model, point.case, point.budget): point for point in points}
    named = {
        label(model, Budget(budget) if budget else None, case): point for (model, case, budget), point in known.items()
    }
    plain = overhead.astype(object).where(overhead.notna(), None)
    held = []
    for row in plain.to_dict(orient="records"):
        budget = row["budget"] if row["budget"] is None else int(row["budget"])
        point, base = known.get((row["model"], row["case"], budget)), named.get(row["baseline"])
        if point is not None and base is not None and not row["is_baseline"] and point.dataset == base.dataset:
            held.append((row, point, base))
    told = _told([(point, base) for _, point, base in held], pairs)
    return [
        {"dataset": point.dataset, "name": point.name, "baseline": base.name, **one}
        for (row, point, base), apart in zip(held, told, strict=True)
        for one in _judged(row, resolutions, told=apart)
    ]


def _told(held: Sequence[tuple[Point, Point]], pairs: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Return whether the accuracies of two points are told apart, where all comparisons are corrected for.

    What `Conclusions.pairs` does not compare, as the two are of different budgets, is tested here, and corrected among
    itself.
    """
    resolved = {(row["dataset"], frozenset((row["first"], row["second"]))): bool(row["resolved"]) for row in pairs}
    places = [(point.dataset, frozenset((point.name, base.name))) for point, base in held]
    p = [
        None if place in resolved else stats.t_test(stats.differences(point.accuracies, base.accuracies))
        for place, (point, base) in zip(places, held, strict=True)
    ]
    return [
        resolved.get(place, corrected is not None and corrected < stats.LEVEL)
        for place, corrected in zip(places, stats.holm(p), strict=True)
    ]


def _judged(
    row: Mapping[Any, Any], resolutions: Mapping[tuple[Mode, Device], float], *, told: bool
) -> Iterator[dict[str, Any]]:
    """Yield the verdict on every mode and device in which both were timed side by side."""
    points = tuple(row.get(f"accuracy_points{end}") for end in ("", "_low", "_high"))
    for device in DEVICES:
        for mode in MODES:
            ratio = tuple(row.get(f"{mode}_ratio_{device}{end}") for end in ("", "_low", "_high"))
            if ratio[0] is None:
                continue
            time = timed(ratio[1:], resolutions.get((mode, device), 0.0))
            verdict = judged(time, points[1:], told=told)
            yield {
                "mode": mode, "device": device, **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
                "tie": None if time is None else time == "tie",
                **dict(zip(("points", "points_low", "points_high"), points, strict=True)),
                "verdict": verdict, "sentence": _sentence(ratio[0], time, points, verdict),
            }  # fmt: skip


def timed(ratio: tuple[float | None, ...], resolution: float = 0.0) -> Time | None:
    """Return what an interval of a ratio of times comes to; None where it is missing or too wide to tell.

    Args:
        ratio: low and high, above 1 where it is slower than the baseline.
        resolution: the share by which two copies of one model differed beside it: what is nearer to 1 is a tie.
    """
    low, high = ratio
    if low is None or high is None:
        return None
    if low > 1 + resolution:
        return "slower"
    if high < 1 / (1 + resolution):
        return "faster"
    return "tie" if high < NARROW * low else None


def judged(time: Time | None, points: tuple[float | None, ...], *, told: bool = True) -> str:
    """Return the verdict on a time and an interval of a difference in accuracy, in points.

    Args:
        time: what the ratio to the baseline's comes to; None where that is not told.
        points: low and high, above 0 where it is more accurate.
        told: whether the two accuracies are told apart where several comparisons are corrected for.
    """
    low, high = points
    if time is None or low is None or high is None:
        return "not resolved"
    if not low <= 0 <= high:
        return DECIDED[time, low > 0] if told else "not resolved"
    if time == "tie":
        return "tie"
    if time == "slower":
        return "not worth it" if high < MATTERS else "not resolved"
    return "worth it" if low > -MATTERS else "not resolved"


def _sentence(ratio: float, time: Time | None, points: tuple[Any, ...], verdict: str) -> str:
    """Return `45 % slower for +0.0 ± 0.1 points: not worth it on this data`."""
    much = percent(abs(ratio - 1), 0 if abs(ratio - 1) >= 0.1 else 1).lstrip("+")
    speed = f"{much} {'faster' if ratio < 1 else 'slower'}"
    said = {"tie": "as fast, to what can be told,", None: f"{speed} or not, which is not told,"}.get(time, speed)
    half = None if points[1] is None else (points[2] - points[1]) / 2
    gain = f"for {with_interval(points[0], half, sign=True)} points" if points[0] is not None else "without an accuracy"
    return f"{said} {gain}: {SAID[verdict]}"
