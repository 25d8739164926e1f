"""Where a session is timed: in fresh processes that take turns, or in this process."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from archbench.environment import module_path, worker_variables
from archbench.errors import ModelError
from archbench.timing.clock import clock_for
from archbench.timing.process import Side
from archbench.units import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.timing.clock import Clock
    from archbench.timing.process import Ready, Turn
    from archbench.timing.protocol import Protocol as Timing
    from archbench.timing.steps import Request

# Answers have a descriptor of their own, as anything may print; the module path is the parent's.
FRESH = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "  # Ctrl-C is the parent's
    "sys.path[:] = sys.argv[1:]; from archbench.timing.process import main; main({answers}, {cores})"
)

LAST_SECONDS = 5  # that a process has to end by itself, once it does not answer


class ProcessDied(ModelError):  # noqa: N818 - what happened, to one of several
    """A process of a session ended before it was asked to."""


class NoAnswer(ModelError):  # noqa: N818 - likewise
    """A process of a session hangs; others would, too, as all hold the same models."""


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
        return replace(self._side.turn(turn_us), cpu_s=0.0)  # this process is left out of what others took already

    def close(self) -> None:
        """Nothing to end."""


class Fresh:
    """As many fresh processes as the protocol says, held to as many cores as a step has threads."""

    def launch(self, request: Request, protocol: Timing) -> Sequence[Worker]:
        """Start all of them; they import side by side, on all cores, while none is timed yet."""
        cores = cores_for(request.threads) if request.device == "cpu" else ()
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
    """Return the cores that so many threads are held to: the last that this process may use, of different hardware.

    The first core serves most interrupts, and two hardware threads of one core share it: the second of them is taken
    only where no other is left. Empty where the system cannot hold a process to cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    usable = sorted(os.sched_getaffinity(0), reverse=True)
    shared = {core: _siblings(core) for core in usable}
    first = [core for place, core in enumerate(usable) if shared[core] not in [shared[one] for one in usable[:place]]]
    chosen = [*first, *(core for core in usable if core not in first)]
    return tuple(sorted(chosen[:threads]))


def _siblings(core: int) -> str:
    """Return which hardware threads a core consists of, in the system's words; its number where it does not tell."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return str(core)


class _Fresh:
    def __init__(self, request: Request, protocol: Timing, number: int, cores: Sequence[int]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        reading, writing = os.pipe()
        self._answers = os.fdopen(reading, "rb")
        code = FRESH.format(answers=writing, cores=tuple(cores))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                # -P: the folder it is started in holds no modules
                [sys.executable, "-P", "-c", code, *module_path()],
                stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, pass_fds=(writing,), env=worker_variables(),
                process_group=0,  # Ctrl-C in a terminal reaches the parent only
            )  # fmt: skip
        finally:
            os.close(writing)  # the child's end, so that its death is the end of what is read
        self._request = (request.plugins, (request, protocol, number))
        self._lost: ProcessDied | None = None
        self._patience_s = protocol.patience_s

    def wait(self) -> None:
        """Hand over the request and return once the process has imported all that it needs, or has died of it."""
        try:
            # Not before all are started, as it waits for a process that is still importing.
            self._send(*self._request)
            self._receive()
        except ProcessDied as error:
            self._lost = error

    def make_ready(self) -> Ready:
        if self._lost is not None:
            raise self._lost
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
        if self._patience_s and not select.select([self._answers], [], [], self._patience_s)[0]:
            msg = f"a timing process gave no answer for {seconds(self._patience_s)}: one of the models hangs"
            raise NoAnswer(msg, "Leave it out, or give --timeout more seconds.")
        try:
            return pickle.load(self._answers)  # noqa: S301 - from our own process
        except (EOFError, pickle.UnpicklingError):
            raise self._died() from None

    def _died(self) -> ProcessDied:
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_SECONDS)
            self._process.kill()  # it lives, and does not answer as it should
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        return ProcessDied(f"a timing process {how}{f': {last}' if last else ''}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._answers, self._log):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
