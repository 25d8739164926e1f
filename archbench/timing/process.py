"""One process's side of a session: it builds all compared models, warms them up, and times rounds when it is asked to.

`archbench.timing.launch` starts it: on standard input come the plugins, the request and then the lengths of turns; what
is ready and the rounds of each turn go to a descriptor of their own, while what a model prints goes to a log. It ends
when its input does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.collection import uncollected
from archbench.environment import allocator
from archbench.timing.protocol import Bench

if TYPE_CHECKING:
    from archbench.schema import Allocator
    from archbench.timing.clock import Clock
    from archbench.timing.protocol import Protocol, Round
    from archbench.timing.steps import Request, Shape, Subject


@dataclass(frozen=True)
class Ready:
    """What a process is about to time, its candidates being the subjects and then the pipelines.

    Attributes:
        steps: in each candidate's block. settled: whether its warm-up ended in agreement.
        threads: torch's, read back. cores: what the process is held to; empty where it is not.
        allocator: what the process does with memory that it does not use.
        failed: why candidates could not be warmed up.
        compile_s: of the subjects that are compiled or captured.
        untimed_us: that the steps of the warm-up took.
    """

    subjects: tuple[Subject, ...]
    pipelines: tuple[Shape, ...]
    problems: tuple[str, ...]
    steps: tuple[int, ...]
    settled: tuple[bool, ...]
    threads: int
    cores: tuple[int, ...]
    compile_s: dict[Subject, float]
    allocator: Allocator = "system"
    failed: dict[Subject | Shape, str] = field(default_factory=dict)
    untimed_us: float = 0.0


@dataclass(frozen=True)
class Turn:
    """What a process measured in one go: rounds in the order of time, and the processor seconds that it took.

    Attributes:
        failed: why candidates could not be timed to the end, by what they are.
        untimed_us: that the steps before the rounds took.
    """

    rounds: list[Round]
    cpu_s: float
    failed: dict[Subject | Shape, str] = field(default_factory=dict)
    untimed_us: float = 0.0


class Side:
    """The models of a request in this process."""

    def __init__(self, request: Request, protocol: Protocol, process: int, clock: Clock) -> None:
        """Take a request; `make_ready` builds and warms up.

        Args:
            request: what is timed.
            protocol: how.
            process: its number.
            clock: of the request's device.
        """
        self._request, self._protocol, self._process, self._clock = request, protocol, process, clock
        self._bench: Bench | None = None

    def make_ready(self, cores: tuple[int, ...] = ()) -> Ready:
        """Build every candidate and warm it up; `cores` is what the process is held to."""
        import torch

        from archbench.forward import torch_threads
        from archbench.timing.steps import make_steps

        with torch_threads(self._request.threads):
            made = make_steps(self._request)
            candidates = [*made.subjects.values(), *made.pipelines.values()]
            self._bench = Bench(candidates, self._clock, self._protocol, self._process)
            settled = self._bench.warm_up()
            threads = torch.get_num_threads()
        self._places: list[Subject | Shape] = [*made.subjects, *made.pipelines]
        return Ready(
            tuple(made.subjects), tuple(made.pipelines), tuple(made.problems), tuple(self._bench.steps), tuple(settled),
            threads, cores, made.compile_s, allocator(), self._failed(), self._bench.untimed_us,
        )  # fmt: skip

    def _failed(self) -> dict[Subject | Shape, str]:
        assert self._bench is not None  # noqa: S101 - made ready before
        return {self._places[place]: why for place, why in self._bench.failed.items()}

    def turn(self, turn_us: float) -> Turn:
        """Time rounds for so long."""
        from archbench.forward import torch_threads

        assert self._bench is not None  # noqa: S101 - made ready before
        cpu, untimed_us = time.process_time(), self._bench.untimed_us
        with torch_threads(self._request.threads):
            rounds = self._bench.turn(turn_us)
        return Turn(rounds, time.process_time() - cpu, self._failed(), self._bench.untimed_us - untimed_us)


def main(output: int, cores: tuple[int, ...]) -> None:
    """Serve a parent until the input ends.

    Args:
        output: the descriptor that answers go to.
        cores: what the process is held to once it has imported all that it needs; none where it is not.
    """
    out = os.fdopen(output, "wb")
    source = sys.stdin.buffer

    def send(message: object) -> None:
        pickle.dump(message, out)
        out.flush()

    with uncollected():  # what is imported stays
        import torch._dynamo  # noqa: F401 - what an optimizer's first step imports, in more than a second

        import zoo
        from archbench.timing.clock import clock_for

    try:
        for plugin in pickle.load(source):  # noqa: S301 - from the process that started this one
            zoo.import_models(plugin)
        request, protocol, process = pickle.load(source)  # noqa: S301 - likewise
        side = Side(request, protocol, process, clock_for(request.device))
        held = hold_to(cores) if cores else ()
        send(None)  # it has imported all that it needs
        while True:
            try:
                turn_us = pickle.load(source)  # noqa: S301 - likewise
            except EOFError:
                os._exit(0)  # the parent is done, or dead
            send(side.make_ready(held) if turn_us is None else side.turn(turn_us))
    except BrokenPipeError:
        os._exit(0)  # likewise


def hold_to(cores: tuple[int, ...]) -> tuple[int, ...]:
    """Hold every thread of this process to these cores, and with it all that will be started; return what it is now."""
    for thread in Path("/proc/self/task").iterdir():  # libraries start some as they are imported
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)
    return tuple(sorted(os.sched_getaffinity(0)))
