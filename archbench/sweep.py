"""Cells -> attempts: each that is to be run is claimed, run and committed, whoever else is at work in the folder."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from archbench.building import find_spec
from archbench.errors import ArchbenchError
from archbench.execute import CHECKPOINTS_FOLDER, LOGS_FOLDER, Job, Stops, folder_of, remove_checkpoints
from archbench.execute.checkpoints import KEPT
from archbench.execute.pool import Work
from archbench.instruments import LOST_TIMES
from archbench.knobs import suited
from archbench.plan import label
from archbench.schema import SETTLED, USUAL, Outcome, Progress
from archbench.store import Begun
from archbench.timing.locks import core_groups, training_now
from archbench.timing.sessions import stepping

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from archbench.execute import Ended, Message, Runner
    from archbench.instruments import Memories, Ways
    from archbench.manner import Manner
    from archbench.plan import Plan, Report
    from archbench.schema import Cell, Cost, Epoch, Knobs, Memory, Status
    from archbench.store import Owner, Store

LOOK_SECONDS = 1.0  # between looks at what others are at


@dataclass
class _Going:
    """An attempt that is under way.

    Attributes:
        held: its share of the device. began: by a clock that nobody sets.
        done: the epochs of earlier attempts. behind: how many of these it went on behind.
    """

    held: contextlib.ExitStack
    began: float
    done: list[tuple[Epoch, str | None]]
    behind: int = 0
    outcome: Outcome | None = None


@dataclass
class Sweep:
    """The cells of a plan that are to be run.

    Attributes:
        waiting: to be begun, the dearest first so that no worker is left alone with one at the end.
        since: the last attempt when they were chosen; what others came to later stands.
        elsewhere: others in the folder are at work on them.
    """

    plan: Plan
    store: Store
    owner: Owner
    manner: Manner
    report: Report
    costs: Mapping[str, Cost]
    memories: Memories
    knobs: Ways
    waiting: list[Cell]
    since: int = 0
    elsewhere: dict[str, Cell] = field(default_factory=dict)
    _going: dict[int, _Going] = field(default_factory=dict)
    _lost: dict[str, int] = field(default_factory=dict)
    _cores: list[tuple[int, ...]] = field(default_factory=list)
    _looked: float = 0.0
    _told: set[str] = field(default_factory=set)
    _finished: int = 0
    _local: bool = True

    def __post_init__(self) -> None:
        # Work is weighed in MACs, so that the time left is not misled by the order.
        self._weight = {cell.key: self._macs(cell) for cell in self.waiting}
        self._share = dict.fromkeys(self._weight, 0.0)
        self.waiting.sort(key=lambda cell: self._weight[cell.key])  # taken from the end

    def _macs(self, cell: Cell) -> int:
        cost = self.costs.get(cell.sized.key) if cell.sized else None
        return (cost.macs if cost else None) or 1

    def run(self, runner: Runner, workers: int) -> None:
        """Run all of them, and wait for those that others are at.

        Raises:
            KeyboardInterrupt: it was told to stop; what was going on is kept.
            OutputError: a place cannot be written any more; what was committed is kept.
        """
        for cell in [cell for cell in self.waiting if cell.problem is not None]:
            self.waiting.remove(cell)
            self._refuse(cell)
        self.store.recover()
        self._local = runner.local
        cores = core_groups(workers if self._local else 0, self.plan.study.threads)
        with Stops(self._stopping) as stops, cores as self._cores:
            self._stops = stops
            try:
                runner.run(Work(
                    self._next, lambda: bool(self.waiting or self.elsewhere), self._heard, self._ended, stops,
                    max(1, workers), self._timeout,
                ))  # fmt: skip
            finally:
                self._let_go()
        if stops.level:
            raise KeyboardInterrupt(stops.signal)

    def _let_go(self) -> None:
        """Give up what is under way, which happens where the work was ended from without."""
        for going in self._going.values():
            going.held.close()
        with contextlib.suppress(ArchbenchError):  # on a full disk it is seen by the lock that it is not running
            for attempt, going in self._going.items():
                self.store.finish(attempt, Outcome("interrupted", error="stopped"), time.monotonic() - going.began)

    def _stopping(self) -> None:
        if self._stops.level == 1:
            self._say("stopping after the step; once more stops at once")

    def _timeout(self, job: Job) -> float | None:
        """Return how long a job may give no sign; a model that learns by `fit` gives none before it is done."""
        by_gradient = find_spec(job.cell.model).by_gradient
        return self.manner.timeout_s if self.manner.timeout_s and by_gradient else None

    def _next(self) -> Job | None:
        if not self.waiting:
            self._look_elsewhere()
        while self.waiting:
            held = training_now(self.plan.study.device, self._say_once) if self._local else contextlib.ExitStack()
            if held is None:
                return None
            cell = self.waiting.pop()
            begun = Begun(cell, self.plan.environment, *self._measured(cell))
            attempt = self.store.begin(begun, self.owner.token, self.since)
            if attempt is None:
                held.close()
                self.elsewhere[cell.key] = cell
                continue
            done = self.store.checkpoints(cell.key)
            self._going[attempt] = _Going(held, time.monotonic(), done)
            cores = self._cores.pop() if self._cores else ()
            kept = [(epoch.epoch, sha256) for epoch, sha256 in done if sha256 is not None]
            return Job("train", cell, attempt, tuple(kept[-KEPT:]), cores, self._knobs(cell))
        return None

    def _measured(self, cell: Cell) -> tuple[Cost | None, Memory | None]:
        if cell.sized is None:
            return None, None
        return self.costs.get(cell.sized.key), self.memories.get((cell.sized.key, stepping(cell.recipe)))

    def _knobs(self, cell: Cell) -> Knobs:
        if cell.sized is None or not self.manner.tune:
            return USUAL
        found = self.knobs.get((cell.sized.key, stepping(cell.recipe)), USUAL)
        return suited(found, cell, self.costs.get(cell.sized.key))

    def _look_elsewhere(self) -> None:
        """See what became of runs that others are at; those of a dead process come back."""
        if not self.elsewhere or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        states = {attempt.key: attempt.state for attempt in self.store.attempts(self.elsewhere)}
        for key, state in states.items():
            if state == "running":
                self._say_once(f"another archbench is at work in {self.store.folder}; waiting for its runs")
                continue
            cell = self.elsewhere.pop(key)
            if state == "interrupted":
                self.waiting.append(cell)
            else:
                self._progress(cell, f"another archbench ran it: {state}", finished=True)

    def _refuse(self, cell: Cell) -> None:
        """Commit that a cell cannot be run at all, with the traceback of why in its log."""
        attempt = self.store.begin(Begun(cell, self.plan.environment, *self._measured(cell)), self.owner.token)
        if attempt is None:
            return
        failure = self.plan.failures.get(cell.key)
        if failure:
            log = self._log(cell)
            log.parent.mkdir(exist_ok=True)
            log.write_text(failure, encoding="utf-8", errors="backslashreplace")
        self.store.finish(attempt, Outcome("failed", error=cell.problem), 0.0)
        self._progress(cell, cell.problem or "failed", finished=True)

    def _heard(self, job: Job, message: Message) -> None:
        cell = job.cell
        if message.environment is not None:
            self.store.made_in(job.attempt, message.environment)
        if message.resumed is not None:
            going = self._going[job.attempt]
            going.behind = message.resumed
            self.store.resumed(job.attempt, going.done[: going.behind])
            self._progress(cell, f"goes on behind epoch {message.resumed} of {cell.recipe.epochs}")
        if message.note is not None:
            self._say(f"{self._name(cell)}: {message.note}")
        if message.epoch is not None:
            self.store.add_epoch(job.attempt, message.epoch, message.checkpoint)
            self._share[cell.key] = message.epoch.epoch / cell.recipe.epochs
            done = f"{self._finished} of {len(self._weight)} runs done"
            self._progress(cell, f"epoch {message.epoch.epoch}/{cell.recipe.epochs}, {done}")
        if message.outcome is not None:
            self._going[job.attempt].outcome = message.outcome

    def _ended(self, job: Job, ended: Ended) -> None:
        cell = job.cell
        going = self._going.pop(job.attempt)
        outcome = _whole(going.outcome or self._post_mortem(job, ended), going)
        self.store.finish(job.attempt, outcome, time.monotonic() - going.began)
        going.held.close()
        if job.cores:
            self._cores.append(job.cores)
        if outcome.status in SETTLED:
            remove_checkpoints(folder_of(self.store.folder / CHECKPOINTS_FOLDER, cell.key))
        if outcome.status == "interrupted":
            if not self._stops.level:
                self.waiting.append(cell)
            return
        self._progress(cell, _words(outcome), finished=True)

    def _post_mortem(self, job: Job, ended: Ended) -> Outcome:
        """Return what became of a run whose process did not say."""

        def outcome(status: Status, why: str) -> Outcome:
            return Outcome(status, error=why, exit_code=ended.exit_code, signal=ended.signal)

        if self._stops.level:
            return outcome("interrupted", "stopped")
        if ended.lost:
            times = self._lost[job.cell.key] = self._lost.get(job.cell.key, 0) + 1
            if times < LOST_TIMES:
                return outcome("interrupted", ended.how(self.manner.timeout_s))
        return outcome("oom" if ended.by_kernel else "failed", ended.how(self.manner.timeout_s))

    def _log(self, cell: Cell) -> Path:
        return Job("train", cell).log(self.store.folder / LOGS_FOLDER)

    def _name(self, cell: Cell) -> str:
        return f"{label(cell.model, cell.budget, cell.case)} seed {cell.recipe.seed}"

    def _progress(self, cell: Cell, detail: str, *, finished: bool = False) -> None:
        if finished:
            self._finished += 1
            self._share[cell.key] = 1.0
        done = sum(self._weight[key] * share for key, share in self._share.items())
        total = sum(self._weight.values())
        self.report(
            Progress("train", self._name(cell), done, total, detail, finished=finished, part=self._share[cell.key])
        )

    def _say(self, words: str) -> None:
        self.report(Progress("train", "", 0, 1, words, note=True))

    def _say_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            self._say(words)


def _whole(outcome: Outcome, going: _Going) -> Outcome:
    """Return an outcome whose training has the epochs of earlier attempts that it went on behind."""
    if outcome.training is None or not going.behind:
        return outcome
    earlier = tuple(epoch for epoch, _ in going.done[: going.behind])
    epochs = (*earlier, *outcome.training.epochs)
    training = replace(
        outcome.training,
        epochs=epochs,
        seconds=outcome.training.seconds + sum(epoch.train_seconds + epoch.validation_seconds for epoch in earlier),
        train_seconds=sum(epoch.train_seconds for epoch in epochs),
    )
    return replace(outcome, training=training)


def _words(outcome: Outcome) -> str:
    test = outcome.training.test if outcome.training else None
    if outcome.error is not None or test is None or test.top1 is None:
        return outcome.error or outcome.status
    return f"test accuracy {test.top1:.4f}"
