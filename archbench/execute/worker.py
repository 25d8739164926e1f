"""A worker: `python -m archbench.execute.worker` trains the cells that come in on standard input, one JSON line each.

The first line is the setup. Each epoch and each outcome goes out as a line. What a model prints goes to standard error.
A worker whose input ends, because its parent is done or dead, ends at once.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.schema import Cell, Epoch, Outcome, View

if TYPE_CHECKING:
    from archbench.data import Dataset

KEPT = 3  # data sets, as the cases of a study may take turns


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first cell.

    Attributes:
        path: the parent's module path. plugins: modules that register models.
        data_root: the folder of data sets.
        weights: the folder that trained weights are written into.
    """

    path: list[str]
    plugins: tuple[str, ...]
    data_root: str | None
    weights: str | None = None


@dataclass(frozen=True)
class Message:
    """One line from a worker: an epoch of the current cell, or its outcome."""

    epoch: Epoch | None = None
    outcome: Outcome | None = None


def main() -> None:
    """Serve cells until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # By lines, as it may be killed at any time.
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    setup = msgspec.json.decode(lines.get(), type=Setup)
    sys.path[:] = setup.path

    import zoo
    from archbench.data import load_dataset
    from archbench.errors import reason
    from archbench.execute import train_cell

    def send(**content: Any) -> None:
        out.write(msgspec.json.encode(Message(**content)) + b"\n")

    for plugin in setup.plugins:
        try:
            zoo.import_models(plugin)
        except zoo.ModelImportError as error:
            print(error, file=sys.stderr)  # noqa: T201 - the log; a cell that needs the plugin fails by name

    @lru_cache(maxsize=KEPT)
    def dataset_of(name: str, view: View) -> Dataset:
        return load_dataset(name, setup.data_root, view=view)

    while True:
        cell = msgspec.json.decode(lines.get(), type=Cell)
        try:
            dataset = dataset_of(cell.dataset, cell.view)
        except Exception as error:  # noqa: BLE001 - a source may raise anything
            send(outcome=Outcome("failed", error=reason(error)))
            continue
        weights = Path(setup.weights) if setup.weights else None
        send(outcome=train_cell(cell, dataset, lambda epoch: send(epoch=epoch), weights=weights))


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
