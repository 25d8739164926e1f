"""Runs -> points: a model in a case at a size, with its accuracy by seed; and the lines that points lie on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import stats
from archbench.plan import label
from archbench.reference import shown
from archbench.schema import Budget

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from archbench.stats import Estimate

DEVICES = ("cpu", "cuda")
MODES = ("train", "infer")
FACTS = (
    "family", "params", "macs", "peak_memory_bytes", "estimated_memory_bytes", "test_images", "classes", "device",
)  # fmt: skip
KEYS = ["model", "case", "budget"]
DATA = {
    "split": "split", "split_seed": "split seed", "limit": "limit", "only": "only", "exclude": "without",
    "classes": "classes", "test_images": "test images",
}  # fmt: skip
"""Columns that tell sets of test images of one name apart, and how they are called: models on two do not compare."""
COUNTED = ("classes", "test_images")  # missing where they were not noted, which is no difference
APART = 0.01  # sizes of one line that are nearer than a budget's tolerance are no two sizes


@dataclass(frozen=True)
class Point:
    """A model in a case at a size.

    Attributes:
        name: `cnn@30k`, with its case behind it where the data set has several.
        series: the line that it lies on.
        budget: parameters asked for; None where it has its own size.
        accuracies, losses: on the test split by seed, of the runs that are done.
        validations: likewise the accuracy on the validation split.
        statuses: how many runs came to what.
    """

    dataset: str
    name: str
    series: str
    model: str
    family: str
    case: str
    budget: int | None
    params: float | None
    macs: float | None
    step_us: float | None
    infer_us: float | None
    memory_bytes: float | None
    test_images: int
    accuracies: Mapping[int, float]
    losses: Mapping[int, float]
    statuses: Mapping[str, int]
    classes: int | None = None
    validations: Mapping[int, float] = field(default_factory=dict)

    @property
    def accuracy(self) -> Estimate | None:
        """The mean over seeds with its t-interval."""
        return stats.mean(list(self.accuracies.values()))

    @property
    def size(self) -> float | None:
        """The parameters that count in a comparison: those of the budget where it was met, else its own."""
        if self.params is None or self.budget is None:
            return self.params
        return float(self.budget) if abs(self.params / self.budget - 1) <= Budget.tolerance else self.params


def points_of(frame: pd.DataFrame) -> list[Point]:
    """Return the points of runs in their order, from one row a run (`archbench.frame.runs_frame`)."""
    if not len(frame):
        return []
    frame = frame.reset_index(drop=True).pipe(_on_data)
    groups = frame.groupby(["dataset", *KEYS], sort=False, dropna=False).indices
    told = frame.columns.intersection([*FACTS, *(f"{mode}_step_us_{device}" for mode in MODES for device in DEVICES)])
    facts = frame[told].iloc[[places[0] for places in groups.values()]].to_dict(orient="records")
    firsts: list[Any] = [(name, fact, places) for (name, places), fact in zip(groups.items(), facts, strict=True)]
    several = _with_several_cases(firsts)
    seeds, statuses = frame["seed"].to_numpy(), frame["status"].to_numpy(dtype=object)
    accuracies, losses, validations = (
        _numbers(frame, name) for name in ("test_accuracy", "test_loss", "validation_accuracy")
    )
    found = []
    for (dataset, model, own, budget), first, places in firsts:
        case, size = str(_plain(own) or ""), _whole(budget)
        done = [place for place in places if statuses[place] == "done"]
        name = label(shown(str(model)), Budget(size) if size else None, case if dataset in several else "")
        found.append(Point(
            str(dataset), name, "", str(model), str(_plain(first.get("family")) or model), case, size,
            _number(first, "params"), _number(first, "macs"), _time(first, "train"), _time(first, "infer"),
            _number(first, "peak_memory_bytes") or _number(first, "estimated_memory_bytes"),
            _whole(first.get("test_images")) or 0, _by_seed(seeds, accuracies, done), _by_seed(seeds, losses, done),
            Counter(statuses[places].tolist()), _whole(first.get("classes")), _by_seed(seeds, validations, done),
        ))  # fmt: skip
    return _in_series(found, several)


def _on_data(frame: pd.DataFrame) -> pd.DataFrame:
    """Return runs whose `dataset` says more than a name where one name stands for several sets of test images."""
    apart = [name for name in DATA if name in frame]
    named = frame["dataset"].astype(str).to_numpy(dtype=object)
    for dataset, places in frame.groupby("dataset", sort=False).indices.items():
        part = frame.iloc[places]
        known = {name: part[name].dropna() if name in COUNTED else part[name] for name in apart}
        varied = [name for name, values in known.items() if len(values.drop_duplicates()) > 1]
        if not varied:  # of no columns pandas before 3.1 has no rows
            continue
        for place, row in zip(places, part[varied].itertuples(index=False), strict=True):
            said = [f"{DATA[name]} {one}" for name, one in zip(varied, row, strict=True) if _plain(one) is not None]
            named[place] = f"{dataset} ({', '.join(said)})" if said else str(dataset)
    return frame.assign(dataset=named)


def points_table(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the rows of `Conclusions.points`."""
    rows = []
    for point in points:
        values = list(point.accuracies.values())
        images = stats.proportion(values[0], point.test_images) if len(values) == 1 else None
        others = [f"{count} {status}" for status, count in point.statuses.items() if status != "done"]
        rows.append({
            **{name: getattr(point, name) for name in (
                "dataset", "name", "series", "model", "family", "case", "budget", "params", "macs", "step_us",
                "infer_us", "memory_bytes",
            )},
            "n": len(values), "not_done": ", ".join(others) or None,
            **bounds("accuracy", point.accuracy),
            "accuracy_median": float(np.median(values)) if values else None,
            "accuracy_least": min(values, default=None), "accuracy_most": max(values, default=None),
            "test_images": point.test_images or None, "images_low": images and images.low,
            "images_high": images and images.high, **bounds("loss", stats.mean(list(point.losses.values()))),
        })  # fmt: skip
    return rows


def bounds(name: str, estimate: Estimate | None, scale: float = 1.0) -> dict[str, float | None]:
    """Return an estimate as the columns `name`, `name_low` and `name_high`."""
    values = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return {
        f"{name}{suffix}": None if value is None else scale * value
        for suffix, value in zip(("", "_low", "_high"), values, strict=True)
    }


def by_dataset(points: Iterable[Point]) -> dict[str, list[Point]]:
    """Return points by data set, in their order."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.dataset, []).append(point)
    return found


def lines_of(points: Iterable[Point]) -> dict[str, list[Point]]:
    """Return points by the line that they lie on, in their order."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.series, []).append(point)
    return found


def _with_several_cases(firsts: Sequence[tuple[Any, Any, Any]]) -> set[str]:
    """Return the data sets that have several cases, so that a model's name does not say which."""
    cases: dict[str, set[str]] = {}
    for (dataset, _, case, _), _, _ in firsts:
        cases.setdefault(dataset, set()).add(str(_plain(case) or ""))
    return {dataset for dataset, names in cases.items() if len(names) > 1}


def _in_series(points: Sequence[Point], several: set[str]) -> list[Point]:
    """Return points with the line that each lies on.

    A model that was sized to budgets is a line over them. Models of fixed sizes are one where they share a family and a
    case, and no two of them a size; otherwise each stands for itself.
    """
    fixed: dict[tuple[str, str, str], list[Point]] = {}
    for point in points:
        if point.budget is None:
            fixed.setdefault((point.dataset, point.family, point.case), []).append(point)
    families = {place for place, group in fixed.items() if _are_sizes(group)}
    return [
        replace(
            point,
            series=label(
                point.family if point.budget is None and (point.dataset, point.family, point.case) in families
                else shown(point.model), None, point.case if point.dataset in several else "",
            ),
        )
        for point in points
    ]  # fmt: skip


def _are_sizes(group: Sequence[Point]) -> bool:
    sizes = sorted(point.params or 0.0 for point in group)
    return len(group) > 1 and sizes[0] > 0 and all(
        high > low * (1 + APART) for low, high in pairwise(sizes)
    )  # fmt: skip


def _time(first: Mapping[str, Any], mode: str) -> float | None:
    """Return the time of a step on the device of the run; where that was not timed, on another."""
    devices = dict.fromkeys([str(first.get("device")), *DEVICES])
    times = (_number(first, f"{mode}_step_us_{device}") for device in devices)
    return next((time for time in times if time is not None), None)


def _by_seed(seeds: Any, values: Any, places: Iterable[int]) -> dict[int, float]:
    return {int(seeds[place]): float(values[place]) for place in places if not np.isnan(values[place])}


def _numbers(frame: pd.DataFrame, name: str) -> Any:
    import pandas as pd

    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = _plain(row.get(name))
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    value = _plain(value)
    return None if value is None else int(value)


def _plain(value: Any) -> Any:
    """Return None for whatever stands for what is missing."""
    import pandas as pd

    return None if pd.isna(value) else value
