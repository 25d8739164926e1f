"""A session: processes that hold all compared models take turns until the intervals are narrow or the time is up."""

from __future__ import annotations

import itertools
import math
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archbench.errors import ModelError
from archbench.schema import Conditions
from archbench.timing.estimate import by_process, geometric, hierarchical, relative_half_width
from archbench.timing.launch import ProcessDied
from archbench.timing.steps import Subject, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from archbench.timing.launch import Launcher, Worker
    from archbench.timing.noise import Look, NoiseReader
    from archbench.timing.process import Ready, Turn
    from archbench.timing.protocol import Protocol
    from archbench.timing.steps import Request, Shape

    Candidate = Subject | Shape


class Width(NamedTuple):
    """Where a session stands: the widest half interval of its ratios and of its steps as shares; the seconds spent."""

    ratio: float
    step: float
    seconds: float


@dataclass
class Series:
    """One candidate's samples in the order of time: microseconds a step, processor microseconds, the process."""

    us: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    process: list[int] = field(default_factory=list)

    def by_process(self) -> list[list[float]]:
        """Return the samples of each process."""
        return by_process(self.us, self.process)


@dataclass(frozen=True)
class Measured:
    """What a session measured: every series has the same rounds.

    Attributes:
        ready: of one of its processes, by number. settled: for each candidate, whether most processes warmed up.
        problems: what could not be timed, and why.
        session: its own name among all sessions.
    """

    series: Mapping[Candidate, Series]
    ready: Mapping[int, Ready]
    settled: Mapping[Candidate, bool]
    conditions: Conditions
    problems: Sequence[str]
    session: str = field(default_factory=lambda: uuid.uuid4().hex)


def measure(
    request: Request,
    protocol: Protocol,
    launcher: Launcher,
    noise: NoiseReader,
    *,
    against: Mapping[str, str],
    now: Callable[[], float] = time.monotonic,
    on_ready: Callable[[int, int], None] = lambda number, processes: None,
    on_width: Callable[[Width], None] = lambda width: None,
) -> Measured:
    """Time a request's candidates side by side.

    Each process's turn holds whole rounds, and only one process works at a time. A process that dies costs what it had
    not reported yet; the others go on.

    Args:
        request: what.
        protocol: how long and how often.
        launcher: starts the processes.
        noise: looks at the machine before and after every turn.
        against: by a model's key that of the model which its ratio is taken to.
        now: seconds, of which the protocol's limit is counted while turns are taken.
        on_ready: is told (number, of so many) as a process begins to build and warm up.
        on_width: is told after every turn of all processes.

    Raises:
        ModelError: every process died.
    """
    session = _Session(request, protocol, noise, against, now)
    workers = dict(enumerate(launcher.launch(request, protocol)))
    try:
        for number, worker in list(workers.items()):
            on_ready(number + 1, len(workers) + len(session.dead))
            session.make_ready(number, worker, workers)
        session.agree(workers)
        while workers and session.goes_on(workers, on_width):
            for number, worker in list(workers.items()):
                session.take_turn(number, worker, workers)
    finally:
        for worker in [*workers.values(), *session.dead]:
            worker.close()
    if session.dead and not any(one.us for one in session.series.values()):
        raise ModelError("; ".join(dict.fromkeys(session.problems)), "Time fewer models at once, or smaller batches.")
    return session.measured()


def candidates_of(ready: Ready) -> list[Candidate]:
    """Return a process's candidates in their order."""
    return [*ready.subjects, *ready.pipelines]


def _sound(ready: Ready) -> list[Candidate]:
    """Return a process's candidates that did not fail in its warm-up."""
    return [one for one in candidates_of(ready) if one not in ready.failed]


class _Session:
    """What is known so far."""

    def __init__(
        self,
        request: Request,
        protocol: Protocol,
        noise: NoiseReader,
        against: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        self._request, self._protocol, self._noise, self._against, self._now = request, protocol, noise, against, now
        self.ready: dict[int, Ready] = {}
        self.series: dict[Candidate, Series] = {}
        self.problems: list[str] = []
        self.dead: list[Worker] = []
        self._looks: list[tuple[Look, Look, float, float]] = []  # before, after, wall seconds, our processor seconds
        self._spent_s = self._untimed_s = 0.0

    def make_ready(self, number: int, worker: Worker, workers: dict[int, Worker]) -> None:
        """Have a process build and warm up; one that dies of it is left out."""
        try:
            self.ready[number] = worker.make_ready()
        except ProcessDied as error:
            self._lose(number, workers, error)
        else:
            self._untimed_s += self.ready[number].untimed_us / 1e6

    def _lose(self, number: int, workers: dict[int, Worker], error: ProcessDied) -> None:
        self.dead.append(workers.pop(number))
        self.problems.append(str(error))

    def agree(self, workers: dict[int, Worker]) -> None:
        """Keep the candidates that half of the processes have, or more; one that lacks one of them is left out."""
        held = {number: [*_sound(ready)] for number, ready in self.ready.items()}
        every = dict.fromkeys(itertools.chain.from_iterable(held.values()))
        kept = [one for one in every if 2 * sum(one in own for own in held.values()) >= len(held)]
        self.series = {one: Series() for one in kept}
        for number, ready in list(self.ready.items()):
            self.problems += [*ready.problems, *(self._problem(one, why) for one, why in ready.failed.items())]
            if any(one not in held[number] for one in kept):
                self.dead.append(workers.pop(number))
                del self.ready[number]
                self.problems.append(f"process {number + 1} could not hold all models, and was left out")

    def _problem(self, candidate: Candidate, why: str) -> str:
        if not isinstance(candidate, Subject):
            return f"the making of batches cannot be timed: {why}"
        sized = next(sized for sized in self._request.models if sized.key == candidate.sized_key)
        return problem_of(candidate, sized, self._request, why)

    def take_turn(self, number: int, worker: Worker, workers: dict[int, Worker]) -> None:
        """Have a process time some rounds."""
        before, start = self._noise.look(), self._now()
        try:
            turn = worker.turn(self._protocol.turn_us)
        except ProcessDied as error:
            self._lose(number, workers, error)
            return
        wall = self._now() - start
        self._looks.append((before, self._noise.look(), wall, turn.cpu_s))
        self._spent_s += wall
        self._untimed_s += turn.untimed_us / 1e6
        self._keep(number, turn)

    def _keep(self, number: int, turn: Turn) -> None:
        """Add what a turn measured; a candidate that failed in it is dropped for all."""
        ready = self.ready[number]
        for candidate, why in turn.failed.items():
            if self.series.pop(candidate, None) is not None:
                self.problems.append(self._problem(candidate, why))
        for place, candidate in enumerate(candidates_of(ready)):
            series = self.series.get(candidate)
            if series is not None:
                series.us += (one[place].us for one in turn.rounds)
                series.cpu_us += (one[place].cpu_us for one in turn.rounds)
                series.process += [number] * len(turn.rounds)

    def goes_on(self, living: Collection[int], on_width: Callable[[Width], None]) -> bool:
        """Whether another turn is needed: while there is time, for more rounds or narrower intervals."""
        if not any(isinstance(one, Subject) for one in self.series):
            return False
        some = next(iter(self.series.values()))
        if not some.us:
            return True
        width = Width(self._widest_ratio(), self._widest_step(), self._spent_s)
        on_width(width)
        if self._spent_s >= self._protocol.max_seconds:
            return False
        few = min(some.process.count(number) for number in living) < self._protocol.min_rounds
        narrow = width.ratio <= self._protocol.ratio_goal and width.step <= self._protocol.step_goal
        return few or not narrow

    def _widest_step(self) -> float:
        return max(
            relative_half_width(hierarchical(series.by_process()))
            for one, series in self.series.items() if isinstance(one, Subject)
        )  # fmt: skip

    def _widest_ratio(self) -> float:
        widest = 0.0
        for one, series in self.series.items():
            base = self.series.get(self._base(one)) if isinstance(one, Subject) else None
            if base is not None and base is not series:
                pairs = zip(series.by_process(), base.by_process(), strict=True)
                ratios = [np.divide(mine, theirs).tolist() for mine, theirs in pairs]
                widest = max(widest, relative_half_width(geometric(ratios)))
        return widest

    def _base(self, one: Subject) -> Subject:
        """Return what a subject's ratio is taken to: its model's first copy for a twin, else the baseline's."""
        return one._replace(twin=False, sized_key=one.sized_key if one.twin else self._against.get(one.sized_key, ""))

    def measured(self) -> Measured:
        """Return all of it."""
        settled = {}
        for candidate in self.series:
            votes = [ready.settled[candidates_of(ready).index(candidate)] for ready in self.ready.values()]
            settled[candidate] = 2 * sum(votes) >= len(votes)
        return Measured(self.series, self.ready, settled, self._conditions(), tuple(dict.fromkeys(self.problems)))

    def _conditions(self) -> Conditions:
        looks = [look for before, after, *_ in self._looks for look in (before, after)]
        wall = math.fsum(wall for *_, wall, _ in self._looks)
        busy = [
            after.busy_s - before.busy_s - own for before, after, _, own in self._looks
            if before.busy_s is not None and after.busy_s is not None
        ]  # fmt: skip
        throttled = dict.fromkeys(itertools.chain.from_iterable(look.throttled for look in looks))
        if any(after.throttles > before.throttles for before, after, *_ in self._looks):
            throttled["heat"] = None
        clocks = list(itertools.chain.from_iterable(look.clock_mhz for look in looks if look.clock_mhz is not None))
        return Conditions(
            others_cores=max(0.0, math.fsum(busy) / wall) if busy and wall > 0 else None,
            throttled=tuple(throttled),
            clock_mhz=(min(clocks), max(clocks)) if clocks else None,
            temperature_c=max((look.temperature_c for look in looks if look.temperature_c is not None), default=None),
            untimed_s=self._untimed_s,
        )
