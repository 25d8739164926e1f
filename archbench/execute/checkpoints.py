"""The state of a training on the disk: written whole after each epoch, two kept, believed only by its hash."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
from typing import TYPE_CHECKING

from archbench.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archbench.snapshots import State

FOLDER = "checkpoints"  # inside a results folder
KEPT = 2


def folder_of(folder: Path, key: str) -> Path:
    """Return where the checkpoints of a run lie."""
    return folder / key[:16]


def write_checkpoint(folder: Path, state: State) -> str:
    """Write a state whole and durably, remove all but it and the one before, and return its SHA-256.

    Raises:
        OutputError: it cannot be written.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_bytes(checkpoint_file(folder, state["epoch"]), content)
    kept = {checkpoint_file(folder, state["epoch"] - back) for back in range(KEPT)}
    for other in set(folder.glob("epoch-*.pt")) - kept:  # a later one is of an attempt that was begun again
        other.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def read_checkpoint(folder: Path, kept: Sequence[tuple[int, str]], device: str) -> tuple[State | None, list[str]]:
    """Return the last state whose file is as it was written, and what is to be said of those that are not.

    Args:
        folder: of the run's checkpoints.
        kept: the epochs whose states are kept, in their order, with the hashes of these.
        device: that tensors come to.
    """
    import torch

    notes = []
    for epoch, sha256 in reversed(kept):
        try:
            content = checkpoint_file(folder, epoch).read_bytes()
        except OSError as error:
            notes.append(f"the checkpoint of epoch {epoch} cannot be read ({error.strerror})")
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            notes.append(f"the checkpoint of epoch {epoch} is damaged")
            continue
        return torch.load(io.BytesIO(content), map_location=device, weights_only=True), notes
    return None, notes


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a run that is over."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # where none is left


def checkpoint_file(folder: Path, epoch: int) -> Path:
    """Return where the state after an epoch lies in the folder of its run."""
    return folder / f"epoch-{epoch:06}.pt"
