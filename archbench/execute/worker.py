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
from typing import Any

import msgspec

from archbench.schema import Cell, Epoch, Outcome


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first cell: the parent's module path, plugins and data."""

    path: list[str]
    plugins: tuple[str, ...]
    dataset: str
    data_root: str | None
    input_shape: tuple[int, int, int] | None = None


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
    dataset = None
    while True:
        cell = msgspec.json.decode(lines.get(), type=Cell)
        try:
            dataset = dataset or load_dataset(setup.dataset, setup.data_root, input_shape=setup.input_shape)
        except Exception as error:  # noqa: BLE001 - a source may raise anything
            send(outcome=Outcome("failed", error=reason(error)))
            continue
        send(outcome=train_cell(cell, dataset, lambda epoch: send(epoch=epoch)))


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
