"""Records -> tidy DataFrame. Missing is an empty cell, never 0; fractions are fractions, microseconds microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.data import SPLITS
from archbench.data.preprocess import steps_text
from archbench.schema import SPLITS_OF_AN_EPOCH
from archbench.timing.doubts import instability
from archbench.timing.estimate import data_us, least_us, step_us
from archbench.timing.roofline import roofline
from archbench.units import options, shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from archbench.schema import Metrics, Record, Timing

INTEGERS = (
    "budget", "params", "classes", "seed", "batch_size", "epochs", "epochs_done", "k", "trainable_params",
    "params_keras", "buffers", "macs", "flops", "activations", "diverged_epoch", "train_images", "validation_images",
    "test_images", "limit", "train_macs", "size_bytes", "peak_memory_bytes", "estimated_memory_bytes",
)  # fmt: skip


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


def runs_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row a run.

    Columns: what was run (`model`, `budget`, `seed`, ...), its cost (`params`, `macs`, each counter's own figure as
    `macs_fvcore` or `flops_torch`), its times (`train_step_us_cpu` with `_low` and `_high`, `train_us_per_sample_cpu`,
    `infer_...`), its accuracy, `status`, `error`, and where it was run.
    """
    import pandas as pd

    frame = pd.DataFrame([_row(record) for record in records], columns=None if records else list(EMPTY))
    counts = [column for column in frame.columns if str(column).startswith(("macs_", "flops_"))]
    for column in frame.columns.intersection([*INTEGERS, *counts]):
        frame[column] = frame[column].astype("Int64")
    return frame


def _row(record: Record) -> dict[str, Any]:
    cell, sized, cost, training = record.cell, record.cell.sized, record.cost, record.training
    recipe, environment, memory = cell.recipe, record.environment, record.memory
    row: dict[str, Any] = {
        "model": cell.model,
        "family": sized.family if sized else None,
        "budget": cell.budget.target if cell.budget else None,
        "params": sized.params if sized else None,
        "rel_error": sized.rel_error if sized else None,
        "seed": recipe.seed,
        "case": cell.case,
        "status": record.status,
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
    row |= {
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
    }
    row |= {f"{count.unit}_{count.counter}": count.value for count in (cost.counters if cost else ())}
    for timing in record.timings:
        row |= _times(timing, record)
    epochs = training.epochs if training else ()
    last = epochs[-1] if epochs else None
    for split in SPLITS_OF_AN_EPOCH:
        row |= _metrics(split, getattr(last, split) if last else None)
    row |= _metrics("test", training.test if training else None)
    row |= {
        "k": training and training.k,
        "epochs_done": len(epochs) if training else None,
        "diverged_epoch": training and training.diverged_epoch,
        "cached_features": training and training.cached_features,
        "train_seconds": sum(epoch.train_seconds for epoch in epochs) if epochs else None,
        "error": record.error,
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
        "finished_at": record.finished_at,
        "key": cell.key,
    }
    return row


def _times(timing: Timing, record: Record) -> dict[str, Any]:
    """Return the columns of a timing; those of another engine than eager have its name in theirs."""
    mode = timing.mode if timing.engine == "eager" else f"{timing.mode}_{timing.engine}"
    step = step_us(timing)
    near = roofline(timing, record.cost, record.cell.sized.input_shape) if record.cell.sized else None
    columns = {
        "step_us": step.value, "us_per_sample": step.value / timing.batch_size, "least_us": least_us(timing),
        "unstable": instability(timing), "gflops": near and near.gflops_achieved, "roofline": near and near.fraction,
        "launch_bound": near and near.launch_bound,
    }  # fmt: skip
    row = {f"{mode}_{name}_{timing.device}": value for name, value in columns.items()}
    name = f"{mode}_step_us_{timing.device}"
    row |= {f"{name}_low": step.low, f"{name}_high": step.high}
    data = data_us(timing)
    if data is not None:
        row[f"data_us_{timing.device}"] = data.value
    if timing.compile_s is not None:
        row[f"{mode}_compile_s_{timing.device}"] = timing.compile_s
    return row


def _metrics(split: str, metrics: Metrics | None) -> dict[str, float | None]:
    return {f"{split}_{name}": value for name, value in values_of(metrics).items()}


def values_of(metrics: Metrics | None) -> dict[str, float | None]:
    """Return metrics by column name; where an image has several labels, also by position and for whole words."""
    if metrics is None:
        return dict.fromkeys(("loss", "accuracy", "topk"))
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
