"""Cells -> Outcomes: where the training runs, in this process or in workers of its own."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, TextIO

from archbench.budget import build_model
from archbench.errors import ModelError, reason
from archbench.files import write_file
from archbench.schema import Outcome
from archbench.timing.locks import training_on
from archbench.training import torch_threads, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from archbench.data import Dataset
    from archbench.schema import Cell, Epoch


WEIGHTS_FOLDER = "weights"  # inside a results folder


def train_cell(
    cell: Cell,
    dataset: Dataset,
    on_epoch: Callable[[Epoch], None],
    log: TextIO | None = None,
    weights: Path | None = None,
) -> Outcome:
    """Train one cell in this process; whatever its model raises becomes the reason of a failed outcome.

    Args:
        cell: what.
        dataset: on what.
        on_epoch: is told of each epoch.
        log: where the traceback of a failure goes; by default standard error, which is a worker's log.
        weights: a folder that the trained weights are written into, as `weights_file` names them.
    """
    if cell.sized is None or cell.problem is not None:
        return Outcome("failed", error=cell.problem)
    sized = cell.sized
    try:
        if dataset.sha256 != cell.data_sha256:
            msg = f"the files of {cell.dataset} changed while the comparison ran"
            raise ModelError(msg, "Run the command again.")
        with training_on(cell.device, lambda why: print(why, file=log or sys.stderr)), torch_threads(cell.threads):
            training = train(
                lambda: build_model(sized),
                dataset,
                cell.recipe,
                cell.device,
                on_epoch,
                tested=cell.tested,
                on_trained=lambda net: write_weights(net, weights_file(weights, cell)) if weights else None,
            )
    except MemoryError as error:
        return Outcome("oom", error=f"out of memory: {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything, and the other cells go on
        traceback.print_exc(file=log or sys.stderr)
        oom = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
        return Outcome("oom" if oom else "failed", error=reason(error))
    if training.diverged_epoch is not None:
        return Outcome("diverged", training, f"the loss is not finite in epoch {training.diverged_epoch}")
    return Outcome("done", training)


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
    write_file(file, lambda path: torch.save(state, path))
