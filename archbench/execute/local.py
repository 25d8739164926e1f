"""Running cells on this machine: in worker processes, or here where the models exist only in this process."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from archbench.environment import worker_variables
from archbench.execute import train_cell
from archbench.execute.worker import Message, Setup
from archbench.schema import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from archbench.data import Dataset
    from archbench.schema import Cell, Epoch, Study


class Event(NamedTuple):
    """News of a cell: an epoch that ended, or its outcome."""

    cell: Cell
    epoch: Epoch | None = None
    outcome: Outcome | None = None


def run_here(
    cells: Sequence[Cell],
    dataset_of: Callable[[Cell], Dataset],
    log: Path,
    on_event: Callable[[Event], None],
    weights: Path | None = None,
) -> None:
    """Train the cells one after the other in this process; tracebacks of models that fail are added to the log."""
    with log.open("a", encoding="utf-8") as file:
        for cell in cells:

            def on_epoch(epoch: Epoch, cell: Cell = cell) -> None:
                on_event(Event(cell, epoch))

            on_event(Event(cell, outcome=train_cell(cell, dataset_of(cell), on_epoch, file, weights)))


def run_in_workers(
    cells: Sequence[Cell],
    study: Study,
    workers: int,
    log: Path,
    on_event: Callable[[Event], None],
    weights: Path | None = None,
) -> None:
    """Train the cells in processes of their own, so that one that dies costs one cell.

    Args:
        cells: what to train; the longest are best first.
        study: names the data root and the plugins.
        workers: processes at a time.
        log: a file that what the workers print is added to.
        on_event: is told of every epoch and outcome; what it raises ends the workers, as Ctrl-C does.
        weights: a folder that trained weights are written into.
    """
    waiting: queue.SimpleQueue[Cell] = queue.SimpleQueue()
    for cell in cells:
        waiting.put(cell)
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    pool = [_Worker(study, log, waiting, events, weights) for _ in range(min(workers, len(cells)))]
    running = len(pool)
    try:
        for worker in pool:
            worker.start()
        while running:
            event = events.get()
            if event is None:
                running -= 1
            else:
                on_event(event)
    finally:
        for worker in pool:
            worker.stop()


class _Worker(threading.Thread):
    """The parent's side of one worker process; a process that dies is replaced for the next cell."""

    def __init__(
        self,
        study: Study,
        log: Path,
        waiting: queue.SimpleQueue[Cell],
        events: queue.SimpleQueue[Event | None],
        weights: Path | None,
    ) -> None:
        super().__init__(daemon=True)
        setup = Setup(sys.path, study.plugins, study.data_root, str(weights.absolute()) if weights else None)
        self._setup = msgspec.json.encode(setup) + b"\n"
        self._log, self._waiting, self._events = log, waiting, events
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                cell = self._waiting.get_nowait()
                outcome = self._train(cell)
                if not self._stopped.is_set():
                    self._events.put(Event(cell, outcome=outcome))
        except queue.Empty:
            pass
        finally:
            self._events.put(None)

    def _train(self, cell: Cell) -> Outcome:
        try:
            process = self._process = self._process or self._launch()
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(msgspec.json.encode(cell) + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                message = msgspec.json.decode(line, type=Message)
                if message.outcome is not None:
                    return message.outcome
                self._events.put(Event(cell, message.epoch))
        except OSError:
            pass  # the pipe broke: the process is dead, and its exit status says how
        return self._post_mortem()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "archbench.execute.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=worker_variables(), process_group=0,  # Ctrl-C in a terminal reaches the parent only
            )  # fmt: skip
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.write(self._setup)
        return process

    def _post_mortem(self) -> Outcome:
        process, self._process = self._process, None
        how = "could not be started"
        if process is not None:
            code = process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
            _close(process)
        return Outcome("failed", error=f"its worker process {how}; see {self._log.name}")

    def stop(self) -> None:
        """End the process, in the middle of a cell if need be."""
        self._stopped.set()
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
            self.join()
            _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # what was not sent to the dead is lost with it
                pipe.close()
