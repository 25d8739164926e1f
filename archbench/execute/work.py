"""Doing a job, in whichever process; whatever a model raises becomes an outcome, and its traceback goes to a log."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from archbench.budget import build_model
from archbench.cost import measure_cost
from archbench.errors import InputError, ModelError, OutputError, reason
from archbench.execute.checkpoints import folder_of, read_checkpoint, write_checkpoint
from archbench.execute.jobs import Ended, Message, remove_if_empty
from archbench.files import write_bytes
from archbench.forward import torch_threads
from archbench.knobs import find_knobs
from archbench.schema import Outcome
from archbench.timing.memory import measure_memory
from archbench.training import train

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from archbench.data import Dataset
    from archbench.execute.jobs import Job, Setup
    from archbench.execute.pool import Work
    from archbench.schema import Cell, Epoch, Training
    from archbench.snapshots import State

LOOK_SECONDS = 0.5  # where others hold all that is left
WEIGHTS_FOLDER, LOGS_FOLDER = "weights", "logs"  # inside a results folder


class Stopped(BaseException):
    """The work is to end after the step that it is in."""


@dataclass(frozen=True)
class Hooks:
    """What a job's surroundings are told, and what they may stop.

    Attributes:
        send: is given news. on_step: is called after each step; it may raise `Stopped`.
        before_checkpoint: returns once the epoch before is committed.
    """

    send: Callable[[Message], None]
    on_step: Callable[[], None] = lambda: None
    before_checkpoint: Callable[[int], None] = lambda epoch: None


def perform(job: Job, dataset: Dataset, setup: Setup, hooks: Hooks, log: TextIO) -> None:
    """Do a job; the last message that is sent says what came of it.

    Raises:
        OutputError: the disk is full, or a place cannot be written: not the model's fault, and none can go on.
    """
    if job.kind == "train":
        hooks.send(Message(outcome=train_job(job, dataset, setup, hooks, log)))
        return
    cell = job.cell
    assert cell.sized is not None  # noqa: S101 - what could not be built has no job
    try:
        if job.kind == "cost":
            hooks.send(Message(cost=measure_cost(cell.sized)))
        elif job.kind == "knobs":
            hooks.send(Message(knobs=find_knobs(cell, dataset)))
        else:
            memory = measure_memory(cell.sized, dataset, cell.recipe, cell.device, cell.threads)
            hooks.send(Message(memory=memory))
    except (InputError, ModelError) as error:
        hooks.send(Message(error=str(error)))


def train_job(job: Job, dataset: Dataset, setup: Setup, hooks: Hooks, log: TextIO) -> Outcome:
    """Train a cell, behind the epochs that are done where their state can be read."""
    cell = job.cell
    if cell.sized is None or cell.problem is not None:
        return Outcome("failed", error=cell.problem)
    sized = cell.sized
    folder = folder_of(Path(setup.checkpoints), cell.key)
    weights = Path(setup.weights) if setup.weights else None
    checkpoint: list[str] = []

    def keep(state: State) -> None:
        hooks.before_checkpoint(state["epoch"])
        checkpoint[:] = [write_checkpoint(folder, state)]

    def on_epoch(epoch: Epoch) -> None:
        hooks.send(Message(epoch=epoch, checkpoint=checkpoint.pop() if checkpoint else None))

    try:
        if dataset.sha256 != cell.data_sha256:
            msg = f"the files of {cell.dataset} changed while the comparison ran"
            raise ModelError(msg, "Run the command again.")
        resume = _resumed(job, folder, hooks)
        with torch_threads(cell.threads):
            training = train(
                lambda: build_model(sized), dataset, cell.recipe, cell.device, on_epoch,
                tested=cell.tested, knobs=job.knobs, on_step=hooks.on_step, keep=keep, resume=resume,
                on_trained=lambda net: write_weights(net, weights_file(weights, cell)) if weights else None,
            )  # fmt: skip
    except OutputError:
        raise
    except MemoryError as error:
        return Outcome("oom", error=f"out of memory: {error}")
    except Stopped:
        return Outcome("interrupted", error="stopped")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything, and the other cells go on
        traceback.print_exc(file=log)
        return Outcome("oom" if out_of_memory(error) else "failed", error=reason(error))
    if training.diverged_epoch is not None:
        return Outcome("diverged", training, _how_diverged(training))
    return Outcome("done", training)


def _how_diverged(training: Training) -> str:
    last = training.epochs[-1] if training.epochs else None
    for split in ("train", "validation"):
        kind = getattr(last, split).loss_kind if last else "number"
        if kind != "number":
            return f"the loss is {kind} in epoch {training.diverged_epoch}"
    return "the loss on the test split is not finite"


def _resumed(job: Job, folder: Path, hooks: Hooks) -> tuple[State, tuple[Epoch, ...]] | None:
    """Return the state to go on from; what is damaged, and that nothing is left, is said."""
    state, notes = read_checkpoint(folder, job.kept, job.cell.device)
    for note in notes:
        hooks.send(Message(note=note))
    if state is None:
        if notes:
            hooks.send(Message(note="no checkpoint is left: the run begins again"))
        return None
    hooks.send(Message(resumed=state["epoch"]))
    return state, ()  # the epochs up to it are stored already


def out_of_memory(error: BaseException) -> bool:
    """Whether torch says that there is no memory left, on a card or on the host."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


class Here:
    """Jobs done one after the other in this process: for models that exist only here, and where it is asked for."""

    local = True

    def __init__(self, setup: Setup, dataset_of: Callable[[Cell], Dataset]) -> None:
        """Take what is common to all jobs, and where their data are."""
        self._setup, self._dataset_of = setup, dataset_of

    def run(self, work: Work) -> None:
        """Do all jobs of a piece of work."""
        work.stops.raising = True  # what is done here ends no other way
        while work.more() and not work.stops.level:
            job = work.next_job()
            if job is None:
                time.sleep(LOOK_SECONDS)  # another archbench is at what is left
            else:
                self._do(job, work)
            work.stops.drain()

    def _do(self, job: Job, work: Work) -> None:
        def send(message: Message) -> None:
            work.on_message(job, message)

        def on_step() -> None:
            if work.stops.level:
                work.stops.drain()
                raise Stopped

        path = job.log(self._setup.logs)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
            here = Path.cwd()
            try:
                perform(job, self._dataset_of(job.cell), self._setup, Hooks(send, on_step), log)
            finally:
                os.chdir(here)  # wherever a model went
        remove_if_empty(path)
        work.on_end(job, Ended(0))

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Hold nothing: nothing else is done here."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """Nothing to end."""


def weights_file(folder: Path, cell: Cell) -> Path:
    """Return where the weights of a cell are kept."""
    return folder / f"{cell.key[:16]}.pt"


def write_weights(net: nn.Module, file: Path) -> None:
    """Write a network's state as CPU tensors.

    Raises:
        OutputError: the file cannot be written.
    """
    import torch

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    buffer = io.BytesIO()  # torch does not tell why it could not write a file
    torch.save(state, buffer)
    write_bytes(file, buffer.getvalue())


def print_failure(log: TextIO | None = None) -> None:
    """Write the traceback of what was just raised."""
    traceback.print_exc(file=log or sys.stderr)
