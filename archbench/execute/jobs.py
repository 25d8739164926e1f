"""What is asked of a process of its own, and what comes back: the nouns of isolated work, and their lines of JSON."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from archbench.schema import USUAL, Cell, Cost, Environment, Epoch, Knobs, Memory, Outcome, View
from archbench.units import seconds

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


@dataclass(frozen=True)
class Setup:
    """What is common to all work.

    Attributes:
        path: the module path. plugins: modules that register models and data.
        data_root: the folder of data sets.
        logs: the folder that what a run prints is written into, a file a run.
        checkpoints: the folder that the state of trainings is kept in. weights: that of trained weights, if any.
    """

    path: list[str]
    plugins: tuple[str, ...]
    data_root: str | None
    logs: str
    checkpoints: str
    weights: str | None = None


@dataclass(frozen=True)
class Job:
    """One piece of work on a cell.

    Attributes:
        kind: what is done with it.
        attempt: the attempt at a training; 0 otherwise.
        kept: the epochs that an earlier attempt kept a checkpoint of, the last ones, and the hashes of these.
        cores: what the process is held to; empty where it is not.
        knobs: how the steps of a training are taken.
    """

    kind: Literal["cost", "memory", "knobs", "train"]
    cell: Cell
    attempt: int = 0
    kept: tuple[tuple[int, str], ...] = ()
    cores: tuple[int, ...] = ()
    knobs: Knobs = USUAL

    def log(self, folder: str | Path) -> Path:
        """Return the file in the folder of logs that its process prints into."""
        return Path(folder) / f"{self.cell.key[:16]}.log"


@dataclass(frozen=True)
class Message:
    """News of a job; one without content says that it goes on.

    Attributes:
        environment: what it is done with, where that is not the parent's machine.
        epoch: of a training, that ended. checkpoint: the hash of the state after it.
        resumed: how many epochs of an earlier attempt it goes on behind.
        note: what is worth a line.
        cost, memory, knobs, outcome: what came of it. error: why nothing did.
        unwritable: what place cannot be written, and what to do about it: then no other job can go on either.
    """

    epoch: Epoch | None = None
    checkpoint: str | None = None
    resumed: int | None = None
    note: str | None = None
    cost: Cost | None = None
    memory: Memory | None = None
    knobs: Knobs | None = None
    outcome: Outcome | None = None
    error: str | None = None
    unwritable: tuple[str, str] | None = None
    environment: Environment | None = None

    @property
    def final(self) -> bool:
        """Whether it says what came of the job: behind it comes nothing but the end of its process."""
        return any(told is not None for told in (self.cost, self.memory, self.knobs, self.outcome, self.error))


@dataclass(frozen=True)
class Order:
    """What the warm process is told: to let a process begin, with the job's channel beside it, on these data.

    Attributes:
        knobs: how it takes its steps, so that what that needs is loaded once for all.
    """

    dataset: str
    view: View
    knobs: Knobs = USUAL


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        exit_code: or None where a signal ended it.
        hung: whether it was ended since it gave no sign. by_kernel: whether the system ended it for its memory.
        lost: whether it went with the process or the node that it came from, through no fault of its own.
        confused: whether it was ended since what came from it made no sense.
        why: in words, where more is known than the rest tells.
    """

    exit_code: int | None = None
    signal: int | None = None
    hung: bool = False
    by_kernel: bool = False
    lost: bool = False
    confused: bool = False
    why: str | None = None

    def how(self, timeout_s: float) -> str:
        """Return in words how a process ended that did not say what came of its job."""
        if self.why is not None or self.confused:
            return self.why or "it wrote where only archbench writes, and was ended"
        if self.hung:
            return f"it made no step for {seconds(timeout_s)} and was ended (--timeout)"
        if self.by_kernel:
            return "the system ended its process for want of memory"
        if self.lost and self.signal is None:
            return "it was lost with its node, or with Ray's process there"
        if self.signal is None:
            return f"its process ended with exit status {self.exit_code}"
        named = f" ({signal.Signals(self.signal).name})" if self.signal in set(signal.Signals) else ""
        return f"its process was killed by signal {self.signal}{named}"


def remove_if_empty(log: Path) -> None:
    """Remove a log that nothing was printed into, and its folder where it was the last."""
    with contextlib.suppress(OSError):
        if not log.stat().st_size:
            log.unlink()
            log.parent.rmdir()


class Channel:
    """One end of a connection that carries lines of JSON both ways."""

    def __init__(self, connection: socket.socket) -> None:
        """Take a connected stream socket."""
        self.connection = connection
        self._rest = b""

    def send(self, noun: object) -> None:
        """Send a noun as a line."""
        self.connection.sendall(msgspec.json.encode(noun) + b"\n")

    def tell(self, word: bytes) -> None:
        """Send a word to a job, or to none where it has ended already."""
        with contextlib.suppress(OSError):
            self.connection.sendall(word + b"\n")

    def lines(self) -> Iterator[bytes] | None:
        """Return the lines that have come, waiting for one where the connection blocks; None at its end."""
        try:
            received = self.connection.recv(1 << 16)
        except BlockingIOError:
            return iter(())
        except OSError:  # reset, or the network is gone
            received = b""
        if not received:
            return None
        *whole, self._rest = (self._rest + received).split(b"\n")
        return iter(whole)
