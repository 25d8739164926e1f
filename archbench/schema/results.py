"""The nouns of what is measured: trainings, and the record of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

from archbench.schema.asked import Device, Recipe, View
from archbench.schema.keys import changed, digest
from archbench.schema.models import Budget, Cost, SizedModel  # noqa: TC001 - msgspec reads annotations
from archbench.schema.timings import Memory, Timing  # noqa: TC001 - likewise

RESULT_VERSION = 2
"""Raised whenever a change to archbench makes the same cell train to another result: part of every key."""

Status = Literal["done", "failed", "diverged", "oom", "interrupted"]
SETTLED: frozenset[Status] = frozenset({"done", "diverged"})  # runs that would come to the same again
State = Literal["pending", "running", "done", "failed", "diverged", "oom", "interrupted"]
Kind = Literal["number", "nan", "+inf", "-inf", "unknown"]
Split = Literal["train", "validation", "test"]
Place = tuple[str, str, int | None, int]  # case, model, budget, seed
SPLITS_OF_AN_EPOCH: tuple[Split, Split] = ("train", "validation")


@dataclass(frozen=True)
class Metrics:
    """Loss (mean cross-entropy), top-1 and top-k accuracy as fractions; None where they are not finite.

    Attributes:
        loss_kind: what the loss is where it is None, as neither JSON nor SQLite can hold it.
        positions: top-1 by position where an image has several labels; `top1` is their mean.
        word: the share of images with all of their positions right; None where there is one.
    """

    loss: float | None
    top1: float | None
    topk: float | None
    positions: tuple[float, ...] = ()
    word: float | None = None
    loss_kind: Kind = "number"


@dataclass(frozen=True)
class Epoch:
    """One pass over the training data: metrics by split, and the seconds it took, evaluation apart."""

    epoch: int
    train: Metrics
    validation: Metrics
    train_seconds: float
    validation_seconds: float


MemoryFormat = Literal["channels_last", "contiguous"]


@dataclass(frozen=True)
class Knobs:
    """The way in which the steps of a training are taken: it decides how long they take, and their rounding.

    Attributes:
        memory_format: the order of filters and maps in memory; a net that does not take channels-last stays contiguous.
        compiled: whether full batches go through a compiled network, or op by op.
        quick_norm: whether batch normalisations, and what is behind them, are done by loops of our own.
        quick_maps: likewise max-poolings and dropouts.
        winograd: whether convolutions of three by three pixels are done in Winograd's way, where that pays.
        cuda_graph: whether steps of a size that comes often are captured once and replayed.
    """

    memory_format: MemoryFormat = "channels_last"
    compiled: bool = False
    quick_norm: bool = False
    quick_maps: bool = False
    winograd: bool = False
    cuda_graph: bool = False


USUAL = Knobs()


@dataclass(frozen=True)
class Training:
    """What came of one training run.

    Attributes:
        epochs: all of them, or the last alone where a store was asked for no curves.
        k: the k of top-k.
        test: metrics on the test split after the last epoch; None where the run did not get there.
        diverged_epoch: the epoch (from 1) whose loss was not finite.
        weights_sha256: hash of the final state, to tell whether two runs are the same to the bit.
        cached_features: whether a frozen backbone saw each image once, its features being kept for the epochs.
        train_seconds: of all epochs, their evaluation apart.
        knobs: the way in which its steps were taken; None where that was not noted.
    """

    epochs: tuple[Epoch, ...]
    k: int
    test: Metrics | None = None
    seconds: float = 0.0
    diverged_epoch: int | None = None
    weights_sha256: str | None = None
    cached_features: bool = False
    train_seconds: float = 0.0
    knobs: Knobs | None = None


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
        data_sha256: fingerprint of the data: content, splits and what was done to the images.
        device_name: the processor's model, as results need not agree to the bit between two of them.
        sized: the model at its size; None where it could not be built.
        problem: why it cannot be run at all, known before it is tried.
        tested: whether the test split is looked at; a trial of a search does not.
        view: how the data set was seen; what came of it is in `data_sha256`.
        case: the case of the study.
        images: in train, validation and test.
        warnings: what everybody who reads the result must know of the data.
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
    tested: bool = True
    view: View = View()  # noqa: RUF009 - frozen, as all nouns are
    case: str = ""
    images: tuple[int, int, int] = (0, 0, 0)
    warnings: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of everything that can change the result."""
        return digest({
            **changed(replace(self, problem=None, view=View(), case="", images=(0, 0, 0), warnings=())),
            "dataset": self.dataset.partition(":")[0],  # where a folder lies changes nothing
            "sized": self.sized and self.sized.key,
            "recipe": changed(self.recipe),
            "result_version": self.result_version,
        })  # fmt: skip

    @property
    def place(self) -> Place:
        """Where it stands in its study, whatever machine it is run on."""
        return self.case, self.model, self.budget.target if self.budget else None, self.recipe.seed

    def keyed(self, key: str) -> Self:
        """Return the cell with a key that is known, which is then not computed."""
        self.__dict__["key"] = key
        return self

    def in_case(self, case: str) -> Cell:
        """Return the cell as it stands in a case of a study, which is no part of its key."""
        return replace(self, case=case).keyed(self.key)


@dataclass(frozen=True)
class Outcome:
    """What became of one cell's training.

    Attributes:
        exit_code, signal: how its process ended, where that is what became of it.
    """

    status: Status
    training: Training | None = None
    error: str | None = None
    exit_code: int | None = None
    signal: int | None = None


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
    memory: Memory | None = None


@dataclass(frozen=True)
class Attempt:
    """One time that a run was tried.

    Attributes:
        state: `running` only while the process that began it lives.
        owner: marks the process that began it. host, boot_id, pid: which that was.
        seconds: from a clock that nobody sets. epochs: that were finished.
    """

    id: int
    key: str
    state: State
    owner: str
    host: str
    boot_id: str | None
    pid: int | None
    started_at: str
    ended_at: str | None
    seconds: float | None
    exit_code: int | None
    signal: int | None
    error: str | None
    epochs: int


@dataclass(frozen=True)
class Progress:
    """One step of the work, for whoever wants to show it.

    Attributes:
        stage: `size`, `count`, `time` or `train`.
        label: what is worked on.
        done: steps done of the stage's `total`.
        detail: what is worth a line; empty where nothing is.
        finished: this was the last that is heard of `label`.
        part: what is done of `label` itself, from 0 to 1, where others are under way beside it.
        note: `detail` is to be seen whatever else is shown; nothing moved.
    """

    stage: Literal["size", "count", "time", "train"]
    label: str
    done: float
    total: float
    detail: str = ""
    finished: bool = False
    note: bool = False
    part: float | None = None
