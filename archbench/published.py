"""Published against measured: one row a figure, and a verdict on every claim."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from archbench import stats
from archbench.measures import BASELINE_RATIO, COUNTED, TIMED, is_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archbench.measures import Measures
    from archbench.study_schema import Published, StudyFile

Verdict = Literal["agrees", "differs", "not comparable", "not measured"]
OF_COUNTS = ("dataset", "only", "preprocess", "input")  # what changes the counts of one and the same model
PERCENT = 0.01
FEWEST = 3  # runs; the prediction interval of two reaches 16 of their standard deviations


@dataclass(frozen=True)
class Figure:
    """One published figure beside the measured one.

    Attributes:
        measured: the mean over seeds with its interval.
        low, high: where one more run of ours is expected (95 %); a published figure inside agrees.
        reason: why it is not comparable, or was not measured.
    """

    model: str
    case: str
    epoch: int | None
    metric: str
    published: float
    measured: stats.Estimate | None
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str
    source: str

    @property
    def difference(self) -> float | None:
        """Measured less published."""
        return None if self.measured is None else self.measured.value - self.published


def figures(file: StudyFile, measures: Measures, scale: str, baseline: str) -> list[Figure]:
    """Return every published figure of a study beside what was measured.

    A count agrees where it is equal, a ratio where its interval holds it. Anything else agrees where one more run is
    expected to give it: within the prediction interval of the runs that were made, or, of a single run, within what two
    samples of that many test images differ by; two runs can tell that it differs, not that it agrees. Half a unit of
    the last published digit is added. Times are compared as ratios alone, since no two machines take the same; what a
    quick scale trains less is not comparable, nor what depends on a batch size that was not published.
    """
    return list(_figures(file, measures, scale, baseline))


def _figures(file: StudyFile, measures: Measures, scale: str, baseline: str) -> Iterator[Figure]:
    for published in file.published:
        model = published.model or next((record.cell.model for record in measures.at(published)), "")
        for metric, value in published.values.items():
            estimate = _measured(published, metric, measures, baseline)
            low, high = _expected(published, metric, measures, estimate)
            verdict, reason = _verdict(published, metric, value, _less(file, scale, metric), estimate, low, high)
            runs, lost = measures.samples(published, metric), measures.lost(published)
            if verdict in {"agrees", "differs"} and metric not in COUNTED and lost:
                verdict, reason = "not comparable", lost
            if verdict == "agrees" and not _is_ratio(metric) and metric not in TIMED and 1 < len(runs) < FEWEST:
                verdict, reason = "not comparable", f"{len(runs)} runs are too few to say that it agrees"
            if verdict == "not measured":
                reason = measures.why_not(published, metric.removesuffix(BASELINE_RATIO)) or "not beside its baseline"
            yield Figure(
                model, published.case, published.epoch, metric, value, estimate, low, high, verdict, reason,
                published.source,
            )  # fmt: skip


def _measured(published: Published, metric: str, measures: Measures, baseline: str) -> stats.Estimate | None:
    if not _is_ratio(metric):
        return measures.estimate(published, metric)
    against = type(published)(model=baseline, values={}, source="", case=published.case, budget=published.budget)
    return measures.ratio(published, against, metric.removesuffix(BASELINE_RATIO))


def _expected(
    published: Published, metric: str, measures: Measures, estimate: stats.Estimate | None
) -> tuple[float | None, float | None]:
    """Return the interval in which one more run is expected."""
    if estimate is None:
        return None, None
    if metric in COUNTED or metric in TIMED or _is_ratio(metric):
        return estimate.low, estimate.high
    values = list(measures.samples(published, metric).values())
    interval = stats.predicted(values)
    if interval is not None:
        return (max(interval[0], 0.0), min(interval[1], 1.0)) if is_share(metric) else interval
    images = measures.images(published, metric)
    # Two samples of so many images differ as one of half as many does from the truth.
    half = stats.proportion(values[0], images // 2) if is_share(metric) else None
    return (half.low, half.high) if half is not None else (None, None)


def _verdict(
    published: Published,
    metric: str,
    value: float,
    less: str,
    estimate: stats.Estimate | None,
    low: float | None,
    high: float | None,
) -> tuple[Verdict, str]:
    reason = published.not_comparable
    time = "seconds" in metric or "_us" in metric
    if not reason and time and not _is_ratio(metric):
        reason = "other hardware: times are compared as ratios"
    if reason := reason or less:
        return "not comparable", reason
    if estimate is None:
        return "not measured", ""
    if low is None or high is None:
        return "not comparable", "one run has no interval"
    slack = 0.0 if metric in COUNTED else _half_unit(value)
    slack = min(slack, PERCENT / 2) if is_share(metric) else slack  # a TOML number has no trailing zeros
    return ("agrees" if low - slack <= value <= high + slack else "differs"), ""


def _less(file: StudyFile, scale: str, metric: str) -> str:
    """Return why a figure of a scale cannot be held against one of the full scale; empty where it can."""
    table = getattr(file.scales, scale, None)
    counted = metric.removesuffix(BASELINE_RATIO) in COUNTED
    if "batch_size" in file.assumed and not counted:
        return "its batch size is not published"
    if scale == "full" or table is None or "seconds" in metric or "_us" in metric:
        return ""
    if not counted:
        return f"the {scale} scale trains less than was published"
    own = [key for key in OF_COUNTS if getattr(table, key) is not UNSET]
    return f"the {scale} scale has its own {' and '.join(own)}" if own else ""


def _is_ratio(metric: str) -> bool:
    return metric.endswith(BASELINE_RATIO)


def _half_unit(value: float) -> float:
    """Return half a unit of the last digit that a number is written with."""
    if float(value).is_integer() and abs(value) > 1:  # 5 s is no 5.0 s; TOML's whole numbers come as floats
        return 0.5
    exponent = Decimal(str(value)).as_tuple().exponent
    return 0.5 * 10.0**exponent if isinstance(exponent, int) else 0.0  # a number that is not finite has letters
