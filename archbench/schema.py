"""The nouns: frozen dataclasses with units in their names. Importing this imports no torch, pandas or scipy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import msgspec

RESULT_VERSION = 1
"""Raised whenever a change to archbench makes the same cell train to another result: part of every key."""

Status = Literal["done", "failed", "diverged", "oom", "interrupted"]
SETTLED: frozenset[Status] = frozenset({"done", "diverged"})  # runs that would come to the same again
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
Mode = Literal["train", "infer"]
Split = Literal["train", "validation", "test"]
SPLITS_OF_AN_EPOCH: tuple[Split, Split] = ("train", "validation")


@dataclass(frozen=True)
class Budget:
    """What a model may cost: `target` of a `quantity`, met when the relative error is at most `tolerance`."""

    target: int
    quantity: Literal["params"] = "params"
    tolerance: float = 0.01


@dataclass(frozen=True)
class SizedModel:
    """A model with every integer fixed: its options, its input and output, its exact number of parameters."""

    model: str
    family: str
    options: dict[str, Any]
    width: float | None
    input_shape: tuple[int, int, int]
    classes: int
    params: int
    source_sha256: str
    budget: Budget | None = None

    @property
    def rel_error(self) -> float | None:
        """How far `params` lies from the target, as a signed fraction of it."""
        return None if self.budget is None else self.params / self.budget.target - 1

    @property
    def within_budget(self) -> bool:
        """Whether the budget is met within its tolerance; true where there is none."""
        return self.rel_error is None or self.budget is None or abs(self.rel_error) <= self.budget.tolerance

    @cached_property
    def key(self) -> str:
        """Hash of all that makes the network what it is; the budget it was sized for is not part of it."""
        return digest(replace(self, budget=None, width=None))


@dataclass(frozen=True)
class Count:
    """One counter's own figure, by its own convention.

    Attributes:
        unit: `macs`, or `flops` where a multiply-accumulate counts as two.
        value: the count for one example in eval mode; None where the counter failed.
        uncounted: operations that it met and does not know.
        seconds: the time it took.
        error: why it failed.
    """

    counter: str
    version: str
    unit: Literal["macs", "flops"]
    value: int | None
    uncounted: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Cost:
    """What one model costs, for one example in eval mode.

    Attributes:
        params: all parameters.
        trainable_params: those that take a gradient.
        buffers: floating-point values in buffers.
        macs: multiply-accumulates of convolutions and linear layers, by torch's counter.
        activations: output values of those layers.
        counters: every counter's own figure.
        statistics: running means and variances of batch norms, which are buffers.
    """

    params: int
    trainable_params: int
    buffers: int
    macs: int | None
    activations: int
    counters: tuple[Count, ...] = ()
    statistics: int = 0

    @property
    def params_keras(self) -> int:
        """The parameters as Keras counts them: with the running statistics of batch norms."""
        return self.params + self.statistics


@dataclass(frozen=True)
class Timing:
    """The raw samples of one model in one mode on one device; statistics are derived by `archbench.stats`.

    Attributes:
        samples_us: the time of one step in each round, in microseconds, in the order of the rounds.
        steps_per_sample: steps that each sample is the mean of.
        session: models that share it were timed side by side, round by round, and may be compared as ratios.
    """

    sized_key: str
    device: Device
    device_name: str
    precision: Precision
    mode: Mode
    batch_size: int
    threads: int
    samples_us: tuple[float, ...]
    steps_per_sample: int
    session: str
    optimizer: str
    torch: str


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: the same for all that are compared."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 3e-3
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    batch_size: int = 64
    epochs: int = 15
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[Literal["flip", "shift"], ...] = ()
    precision: Precision = "fp32"
    seed: int = 0


@dataclass(frozen=True)
class Metrics:
    """Loss (mean cross-entropy), top-1 and top-k accuracy as fractions; None where they are not finite."""

    loss: float | None
    top1: float | None
    topk: float | None


@dataclass(frozen=True)
class Epoch:
    """One pass over the training data: metrics by split, and the seconds it took, evaluation apart."""

    epoch: int
    train: Metrics
    validation: Metrics
    train_seconds: float
    validation_seconds: float


@dataclass(frozen=True)
class Training:
    """What came of one training run.

    Attributes:
        k: the k of top-k.
        test: metrics on the test split after the last epoch; None where the run did not get there.
        diverged_epoch: the epoch (from 1) whose loss was not finite.
        weights_sha256: hash of the final state, to tell whether two runs are the same to the bit.
        cached_features: whether a frozen backbone saw each image once, its features being kept for the epochs.
    """

    epochs: tuple[Epoch, ...]
    k: int
    test: Metrics | None = None
    seconds: float = 0.0
    diverged_epoch: int | None = None
    weights_sha256: str | None = None
    cached_features: bool = False


@dataclass(frozen=True)
class Environment:
    """Where and with what a result was made."""

    machine: str
    os: str
    cpu: str
    cores: int
    memory_bytes: int | None
    gpu: str | None
    python: str
    torch: str
    archbench: str
    commit: str | None
    dirty: bool | None


@dataclass(frozen=True)
class Cell:
    """A run before it ran: model x budget x data set x recipe x seed, on a kind of device.

    Attributes:
        sized: the model at its size; None where it could not be built.
        problem: why it cannot be run at all, known before it is tried.
        data_sha256: fingerprint of the data: content and splits.
        device_name: the processor's model, as results need not agree to the bit between two of them.
    """

    model: str
    budget: Budget | None
    dataset: str
    data_sha256: str
    recipe: Recipe
    device: Device
    device_name: str
    threads: int
    torch: str
    sized: SizedModel | None = None
    problem: str | None = None
    result_version: int = RESULT_VERSION

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of everything that can change the result."""
        kind = self.dataset.partition(":")[0]  # where a folder lies changes nothing: its content is in `data_sha256`
        return digest({**fields(self), "dataset": kind, "sized": self.sized and self.sized.key, "problem": None})


@dataclass(frozen=True)
class Outcome:
    """What became of one cell's training."""

    status: Status
    training: Training | None = None
    error: str | None = None


@dataclass(frozen=True)
class Record:
    """A cell and what became of it; a failed one keeps its reason in `error`."""

    cell: Cell
    status: Status
    environment: Environment
    cost: Cost | None = None
    training: Training | None = None
    timings: tuple[Timing, ...] = ()
    error: str | None = None
    finished_at: str = ""


@dataclass(frozen=True)
class Progress:
    """One step of the work, for whoever wants to show it.

    Attributes:
        stage: `size`, `count`, `time` or `train`.
        label: what is worked on.
        done: steps done of the stage's `total`.
        detail: what is worth a line; empty where nothing is.
        finished: this was the last that is heard of `label`.
    """

    stage: Literal["size", "count", "time", "train"]
    label: str
    done: float
    total: float
    detail: str = ""
    finished: bool = False


@dataclass(frozen=True)
class Study:
    """What a user asks for: models x budgets x seeds on one data set with one recipe.

    Attributes:
        models: names of the zoo or `module:attribute`, in the one spelling that `archbench.reference` gives them; one
            with a budget of its own ends in it, as in `cnn@73k`.
        budgets: parameters; a fixed model has its one size beside them, and all models have theirs where none is given.
        seeds: one training run each.
        input_shape: (C, H, W) that the images are brought to; None for their own.
        device: where to train. timing_devices: where to time.
        baseline: the model that overheads are relative to; the first by default.
    """

    models: tuple[str, ...]
    budgets: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    dataset: str = "digits"
    data_root: str | None = None
    download: bool = False
    input_shape: tuple[int, int, int] | None = None
    recipe: Recipe = field(default_factory=Recipe)
    device: Device = "cpu"
    timing_devices: tuple[Device, ...] = ("cpu",)
    threads: int = 1
    baseline: str | None = None
    plugins: tuple[str, ...] = ()


def fields(noun: Any) -> dict[str, Any]:
    """Return a noun's fields by name, one level deep."""
    return {name: getattr(noun, name) for name in noun.__dataclass_fields__}


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys) of a noun or of plain values."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
