"""Where a session is timed: in fresh processes that take turns, or in this process."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Protocol

from archbench.environment import worker_variables
from archbench.errors import ModelError
from archbench.timing.clock import clock_for
from archbench.timing.process import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.timing.clock import Clock
    from archbench.timing.process import Ready, Turn
    from archbench.timing.protocol import Protocol as Timing
    from archbench.timing.steps import Request

FRESH = "import os; {hold}from archbench.timing.process import main; main()"
HOLD = "os.sched_setaffinity(0, {cores}); "  # before torch is imported, as its threads inherit it


class ProcessDied(ModelError):  # noqa: N818 - what happened, to one of several
    """A process of a session ended before it was asked to."""


class Worker(Protocol):
    """One process of a session, as the session sees it."""

    def make_ready(self) -> Ready:
        """Build and warm up; nothing else of the session runs meanwhile."""

    def turn(self, turn_us: float) -> Turn:
        """Time rounds for so long, one at least."""

    def close(self) -> None:
        """End it."""


class Launcher(Protocol):
    """Starts the processes of a session."""

    def launch(self, request: Request, protocol: Timing) -> Sequence[Worker]:
        """Return the workers, each of which holds all compared models."""


class Here:
    """One worker, in this process: for models that exist only here, and for tests with a clock of their own."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Take a clock; by default the device's."""
        self._clock = clock

    def launch(self, request: Request, protocol: Timing) -> Sequence[Worker]:
        """Return one worker."""
        return [_Here(Side(request, protocol, 0, self._clock or clock_for(request.device)))]


class _Here:
    def __init__(self, side: Side) -> None:
        self._side = side

    def make_ready(self) -> Ready:
        return self._side.make_ready()

    def turn(self, turn_us: float) -> Turn:
        return self._side.turn(turn_us)

    def close(self) -> None:
        """Nothing to end."""


class Fresh:
    """As many fresh processes as the protocol says, held to as many cores as a step has threads."""

    def launch(self, request: Request, protocol: Timing) -> Sequence[Worker]:
        """Start all of them; they import while none is timed yet."""
        cores = cores_for(request.threads)
        workers: list[_Fresh] = []
        try:
            workers += (_Fresh(request, protocol, number, cores) for number in range(max(1, protocol.processes)))
            for worker in workers:
                worker.wait()
        except BaseException:
            for worker in workers:
                worker.close()
            raise
        return workers


def cores_for(threads: int) -> tuple[int, ...]:
    """Return the cores that so many threads are held to: the last that this process may use.

    The first core serves most interrupts. Empty where the system cannot hold a process to cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0))[-threads:])


class _Fresh:
    def __init__(self, request: Request, protocol: Timing, number: int, cores: Sequence[int]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        code = FRESH.format(hold=HOLD.format(cores=set(cores)) if cores else "")
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env=worker_variables(),
            process_group=0,  # Ctrl-C in a terminal reaches the parent only
        )  # fmt: skip
        self._first = (sys.path, request.plugins, (request, protocol, number))

    def wait(self) -> None:
        """Hand over the request and return once the process has imported all that it needs."""
        self._send(*self._first)  # not before all are started, as it waits for a process that is still importing
        self._receive()

    def make_ready(self) -> Ready:
        self._send(None)
        return self._receive()  # type: ignore[no-any-return]

    def turn(self, turn_us: float) -> Turn:
        self._send(turn_us)
        return self._receive()  # type: ignore[no-any-return]

    def _send(self, *messages: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            for message in messages:
                pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _receive(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            return pickle.load(self._process.stdout)  # noqa: S301 - from our own process
        except (EOFError, pickle.UnpicklingError):
            raise self._died() from None

    def _died(self) -> ProcessDied:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        return ProcessDied(f"a timing process {how}{f': {last}' if last else ''}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
