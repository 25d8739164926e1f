"""Records -> tidy DataFrame. Missing is an empty cell, never 0; fractions are fractions, microseconds microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from archbench.data import SPLITS
from archbench.data.preprocess import steps_text
from archbench.schema import SPLITS_OF_AN_EPOCH
from archbench.timing.doubts import instability
from archbench.timing.estimate import data_us, least_us, step_us
from archbench.timing.roofline import roofline
from archbench.units import options, shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from archbench.schema import Cell, Cost, Environment, Epoch, Memory, Metrics, Record, Timing, Training

INTEGERS = (
    "budget", "params", "classes", "seed", "batch_size", "epochs", "epochs_done", "k", "trainable_params",
    "params_keras", "buffers", "macs", "flops", "activations", "diverged_epoch", "train_images", "validation_images",
    "test_images", "limit", "train_macs", "size_bytes", "peak_memory_bytes", "estimated_memory_bytes",
)  # fmt: skip


THREE = ("loss", "accuracy", "topk")
OWN = (
    "seed", "case", "status", *(f"{split}_{name}" for split in ("train", "validation", "test") for name in THREE), "k",
    "epochs_done", "diverged_epoch", "cached_features", "train_seconds", "memory_format", "compiled", "quick_norm",
    "quick_maps", "winograd", "cuda_graph", "error", "finished_at", "key",
)  # fmt: skip
"""Columns of which every run has a value of its own."""
FIRST = ("model", "family", "budget", "params", "rel_error", "seed", "case", "status", "options")
CAME = ("k", "epochs_done", "diverged_epoch", "cached_features", "train_seconds", "error")
HOW = (
    "optimizer", "lr", "schedule", "batch_size", "epochs", "weight_decay", "label_smoothing", "momentum", "lr_decay",
    "l2", "augment", "scaling", "position_loss", "precision", "memory_format", "compiled", "quick_norm", "quick_maps",
    "winograd", "cuda_graph", "device", "threads", "device_name", "machine", "cores", "python", "torch", "archbench",
    "commit", "dirty", "train_images", "validation_images", "test_images",
)  # fmt: skip
LAST = ("warnings", "finished_at", "key")
EMPTY = (
    "model",
    "case",
    "budget",
    "params",
    "seed",
    "status",
    "dataset",
    "test_accuracy",
    "warnings",
)  # columns where nothing was run


class Row(NamedTuple):
    """One run, as a row is made of it; what runs share may be the same object, and is then worked out once.

    Attributes:
        cell: what was run, whatever its seed and case are.
    """

    cell: Cell
    seed: int
    case: str
    key: str
    status: str
    environment: Environment
    cost: Cost | None
    memory: Memory | None
    training: Training | None
    timings: tuple[Timing, ...]
    error: str | None
    finished_at: str

    @classmethod
    def of(cls, record: Record) -> Row:
        """Return the row of a record."""
        cell = record.cell
        return cls(
            cell, cell.recipe.seed, cell.case, cell.key, record.status, record.environment, record.cost, record.memory,
            record.training, record.timings, record.error, record.finished_at,
        )  # fmt: skip


def runs_frame(records: Iterable[Record | Row]) -> pd.DataFrame:
    """Return one row a run.

    Columns: what was run (`model`, `budget`, `seed`, ...), its cost (`params`, `macs`, each counter's own figure as
    `macs_fvcore` or `flops_torch`), its times (`train_step_us_cpu` with `_low` and `_high`, `train_us_per_sample_cpu`,
    `infer_...`), its accuracy, `status`, `error`, and where it was run.
    """
    import pandas as pd

    # What runs have in common is worked out once for each that differs.
    places: dict[tuple[int, ...], int] = {}
    common: list[dict[str, Any]] = []
    kept: list[object] = []  # so that no other object comes by the same id
    of_run: list[int] = []
    own: list[tuple[Any, ...]] = []
    further: dict[int, dict[str, Any]] = {}
    for row in (record if isinstance(record, Row) else Row.of(record) for record in records):
        last = row.training.epochs[-1] if row.training and row.training.epochs else None
        shared = (row.cell, row.environment, row.cost, row.memory, row.timings)
        known = (*map(id, shared), last is not None and bool(last.train.positions))
        place = places.get(known)
        if place is None:
            place = places[known] = len(common)
            common.append({**_asked(row), **_cost(row), **_timed(row), **_recipe(row, last), **_where(row)})
            kept.append(shared)
        of_run.append(place)
        if known[-1] or (row.training and row.training.test and row.training.test.positions):
            further[len(own)] = _by_position(row, last)
        own.append(_own(row, last))
    if not own:
        return pd.DataFrame(columns=list(EMPTY))
    frame = pd.concat(
        [
            pd.DataFrame(common).take(of_run).reset_index(drop=True),
            pd.DataFrame(dict(zip(OWN, map(list, zip(*own, strict=True)), strict=True))),
            pd.DataFrame.from_dict(further, orient="index").reindex(range(len(own))),
        ],
        axis=1,
    )
    frame = frame[_in_order(frame.columns)]
    counts = [column for column in frame.columns if str(column).startswith(("macs_", "flops_"))]
    for column in frame.columns.intersection([*INTEGERS, *counts]):
        frame[column] = frame[column].astype("Int64")
    ends = [column for column in frame.columns if str(column).endswith(("_low", "_high"))]
    return frame.astype(dict.fromkeys(ends, float))  # of too few samples none has an interval


def _in_order(columns: Iterable[str]) -> list[str]:
    """Return columns so that what was run is followed by its cost, its times, what came of it, and how and where."""
    names = list(columns)
    first = [name for name in FIRST if name in names]
    last = [name for name in LAST if name in names]
    metrics = [name for name in names if name.startswith(("train_", "validation_", "test_")) and _is_metric(name)]
    came = [*metrics, *(name for name in CAME if name in names)]
    how = [name for name in HOW if name in names]
    taken = {*first, *last, *came, *how}
    return [*first, *(name for name in names if name not in taken), *came, *how, *last]


def _is_metric(name: str) -> bool:
    return name.partition("_")[2].partition("_")[0] in {"loss", "accuracy", "topk", "word"}


def _asked(row: Row) -> dict[str, Any]:
    cell, sized = row.cell, row.cell.sized
    return {
        "model": cell.model,
        "family": sized.family if sized else None,
        "budget": cell.budget.target if cell.budget else None,
        "params": sized.params if sized else None,
        "rel_error": sized.rel_error if sized else None,
        "options": options(sized.options) if sized else None,
        "dataset": cell.dataset,
        "preprocess": steps_text(cell.view.preprocess),
        "split": "/".join(map(str, cell.view.split)) if cell.view.split else None,
        "split_seed": cell.view.split_seed,
        "limit": cell.view.limit,
        "only": ", ".join(cell.view.only) or None,
        "exclude": "+".join(cell.view.exclude) or None,
        "input": shape(sized.input_shape) if sized else None,
        "classes": sized.classes if sized else None,
    }


def _cost(row: Row) -> dict[str, Any]:
    cost, memory = row.cost, row.memory
    return {
        "trainable_params": cost and cost.trainable_params,
        "params_keras": cost and cost.params_keras,
        "buffers": cost and cost.buffers,
        "macs": cost and cost.macs,
        "flops": cost and cost.macs and 2 * cost.macs,
        "activations": cost and cost.activations,
        "train_macs": cost and cost.train_macs,
        "size_bytes": cost and cost.size_bytes,
        "peak_memory_bytes": memory and memory.peak_memory_bytes,
        "estimated_memory_bytes": memory and memory.estimated_memory_bytes,
        **{f"{count.unit}_{count.counter}": count.value for count in (cost.counters if cost else ())},
    }


def _timed(row: Row) -> dict[str, Any]:
    return {name: value for timing in row.timings for name, value in _times(timing, row).items()}


def _own(row: Row, last: Epoch | None) -> tuple[Any, ...]:
    """Return the values of the columns `OWN`."""
    training = row.training
    test = training.test if training else None
    return (
        row.seed, row.case, row.status,
        *_three(last.train if last else None), *_three(last.validation if last else None), *_three(test),
        training and training.k,
        (last.epoch if last else 0) if training else None,
        training and training.diverged_epoch,
        training and training.cached_features,
        _seconds(training) if training and last else None,
        training and training.knobs and training.knobs.memory_format,
        training and training.knobs and training.knobs.compiled,
        training and training.knobs and training.knobs.quick_norm,
        training and training.knobs and training.knobs.quick_maps,
        training and training.knobs and training.knobs.winograd,
        training and training.knobs and training.knobs.cuda_graph,
        row.error, row.finished_at, row.key,
    )  # fmt: skip


def _seconds(training: Training) -> float:
    return training.train_seconds or sum(epoch.train_seconds for epoch in training.epochs)


def _three(metrics: Metrics | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if metrics is None else (metrics.loss, metrics.top1, metrics.topk)


def _by_position(row: Row, last: Epoch | None) -> dict[str, Any]:
    """Return the metrics of a run whose images have several labels, which others do not have."""
    found: dict[str, Any] = {}
    ends = (last.train, last.validation) if last else (None, None)
    for split, metrics in zip(SPLITS, (*ends, row.training and row.training.test), strict=True):
        if metrics is not None and metrics.positions:
            found |= {f"{split}_{name}": value for name, value in values_of(metrics).items() if name not in THREE}
    return found


def _recipe(row: Row, last: Epoch | None) -> dict[str, Any]:
    recipe = row.cell.recipe
    return {
        "optimizer": recipe.optimizer,
        "lr": recipe.lr,
        "schedule": recipe.schedule,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "weight_decay": recipe.weight_decay,
        "label_smoothing": recipe.label_smoothing,
        "momentum": recipe.momentum if recipe.optimizer == "sgd" else None,
        "lr_decay": recipe.lr_decay if recipe.schedule == "exponential" else None,
        "l2": recipe.l2,
        "augment": "+".join(recipe.augment),
        "scaling": recipe.scaling,
        "position_loss": recipe.position_loss if last is not None and last.train.positions else None,
        "precision": recipe.precision,
    }


def _where(row: Row) -> dict[str, Any]:
    cell, environment = row.cell, row.environment
    return {
        "device": cell.device,
        "threads": cell.threads,
        "device_name": cell.device_name,
        "machine": environment.machine,
        "cores": environment.cores,
        "python": environment.python,
        "torch": environment.torch,
        "archbench": environment.archbench,
        "commit": environment.commit,
        "dirty": environment.dirty,
        **{f"{split}_images": count or None for split, count in zip(SPLITS, cell.images, strict=True)},
        "warnings": "; ".join(cell.warnings) or None,
    }


def _times(timing: Timing, row: Row) -> dict[str, Any]:
    """Return the columns of a timing; those of another engine than eager have its name in theirs."""
    mode = timing.mode if timing.engine == "eager" else f"{timing.mode}_{timing.engine}"
    step = step_us(timing)
    near = roofline(timing, row.cost, row.cell.sized.input_shape) if row.cell.sized else None
    columns = {
        "step_us": step.value, "us_per_sample": step.value / timing.batch_size, "least_us": least_us(timing),
        "unstable": instability(timing), "gflops": near and near.gflops_achieved, "roofline": near and near.fraction,
        "launch_bound": near and near.launch_bound,
    }  # fmt: skip
    found = {f"{mode}_{name}_{timing.device}": value for name, value in columns.items()}
    name = f"{mode}_step_us_{timing.device}"
    found |= {f"{name}_low": step.low, f"{name}_high": step.high}
    data = data_us(timing)
    if data is not None:
        found[f"data_us_{timing.device}"] = data.value
    if timing.compile_s is not None:
        found[f"{mode}_compile_s_{timing.device}"] = timing.compile_s
    return found


def values_of(metrics: Metrics | None) -> dict[str, float | None]:
    """Return metrics by column name; where an image has several labels, also by position and for whole words."""
    if metrics is None:
        return dict.fromkeys(THREE)
    values = {"loss": metrics.loss, "accuracy": metrics.top1, "topk": metrics.topk}
    if metrics.positions:
        values |= {f"accuracy_{place}": value for place, value in enumerate(metrics.positions, start=1)}
        values |= {"word": metrics.word}
    return values


def epochs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return a row a run, epoch and split: what was run, `epoch`, `split`, `loss`, `accuracy`, `topk`, ..."""
    import pandas as pd

    columns = ["key", "model", "case", "budget", "seed", "epoch", "split", "loss", "accuracy", "topk", "warnings"]
    rows = [
        {
            "key": record.cell.key, "model": record.cell.model, "case": record.cell.case,
            "budget": record.cell.budget.target if record.cell.budget else None, "seed": record.cell.recipe.seed,
            "epoch": epoch.epoch, "split": split, **values_of(metrics),
            "warnings": "; ".join(record.cell.warnings) or None,
        }
        for record in records if record.training
        for epoch in record.training.epochs
        for split in SPLITS_OF_AN_EPOCH
        for metrics in [getattr(epoch, split)]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=None if rows else columns).astype({"budget": "Int64"})
