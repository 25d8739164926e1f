"""The parent's side of processes: jobs are handed out, news comes back, and whatever happens to one costs one job."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from archbench.errors import OutputError
from archbench.execute.child import STOP, committed
from archbench.execute.jobs import Channel, Ended, Job, Message, Order, remove_if_empty
from archbench.execute.kills import kernel_kills
from archbench.execute.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from archbench.execute.jobs import Setup
    from archbench.execute.stops import Stops

LAST_WORDS_SECONDS = 2  # that what a dead process said has to arrive
LOOK_SECONDS = 0.5  # between looks for jobs that have to wait, and for processes that give no sign


@dataclass(frozen=True)
class Work:
    """Jobs to do, and who is told of them.

    Attributes:
        next_job: returns a job, or None while there is none to begin.
        more: whether there is or may come another.
        on_message: is told of news; the epoch that it tells of is committed when it returns.
        on_end: is told how a job's process ended, after its last message.
        stops: says when to end.
        workers: processes at a time.
        timeout: gives the seconds after which a job's process that gave no sign is ended; None for never.
        on_sign: is told that a job goes on, where there is no news of it.
    """

    next_job: Callable[[], Job | None]
    more: Callable[[], bool]
    on_message: Callable[[Job, Message], None]
    on_end: Callable[[Job, Ended], None]
    stops: Stops
    workers: int = 1
    timeout: Callable[[Job], float | None] = lambda job: None
    on_sign: Callable[[Job], None] = lambda job: None

    def heard(self, job: Job, message: Message, tell: Callable[[bytes], None]) -> None:
        """Pass news of a job on; `tell` tells it once the epoch that they tell of is committed.

        Raises:
            OutputError: a place cannot be written.
        """
        if message.unwritable is not None:
            raise OutputError(*message.unwritable)
        if message == Message():
            self.on_sign(job)
            return
        self.on_message(job, message)
        if message.epoch is not None:
            tell(committed(message.epoch.epoch))


class Runner(Protocol):
    """Does jobs.

    Attributes:
        local: whether all are done on this machine, whose device and cores are then held for them.
    """

    local: bool

    def run(self, work: Work) -> None:
        """Do all jobs of a piece of work, or end early where it is told to stop."""

    def alone(self) -> AbstractContextManager[None]:
        """Within: it lets no job of anybody run on this machine, as far as that is in its hands."""

    def close(self) -> None:
        """End what is left."""


@dataclass
class _Running:
    """A job's process.

    Attributes:
        last: when it gave the last sign.
        open: whether it may say more. confused: what it said made no sense. hung: it was ended for want of signs.
        over: the job is: its process said what came of it, and ends beside those of others.
        ended: how the process did.
    """

    job: Job
    channel: Channel
    last: float
    kills: int
    process: int | None = None
    ended: Ended | None = None
    hung: bool = False
    open: bool = True
    confused: bool = False
    over: bool = False


class Isolated:
    """Jobs in processes of their own, forked from a warm one; only this process writes to the store."""

    local = True

    def __init__(self, setup: Setup, warm: Warm | None = None) -> None:
        """Take what is common to all jobs.

        Args:
            setup: is told to the warm process.
            warm: where one has begun already, which is ended with this.
        """
        self._setup = setup
        self._starting: list[_Running] = []
        self._running: list[_Running] = []
        self._warm: Warm | None = warm or Warm()
        self._warm.prepare(setup)

    def run(self, work: Work) -> None:
        """Do all jobs of a piece of work, each in a process of its own."""
        with selectors.DefaultSelector() as selector:
            selector.register(work.stops.awoken, selectors.EVENT_READ)
            try:
                while self._running or (work.more() and not work.stops.level):
                    self._begin(work, selector)
                    self._hear(work, selector)
                    self._obey(work)
                    self._end_hung(work)
                    self._finish(work, selector)
            finally:
                self._kill_all()
                self._running.clear()
                self._starting.clear()

    def _begin(self, work: Work, selector: selectors.BaseSelector) -> None:
        while sum(not one.over for one in self._running) < work.workers and not work.stops.level:
            job = work.next_job()
            if job is None:
                return
            if self._warm is None:
                self._warm = Warm()
                self._warm.prepare(self._setup)
            control = self._warm.control
            if control not in selector.get_map():
                selector.register(control, selectors.EVENT_READ)
            ours, theirs = socket.socketpair()
            running = _Running(job, Channel(ours), time.monotonic(), kernel_kills())
            self._running.append(running)
            with theirs, contextlib.suppress(OSError):  # the warm process is dead, which is heard in a moment
                running.channel.send(job)
                ours.setblocking(False)
                order = Order(job.cell.dataset, job.cell.view, job.knobs)
                self._starting.append(running)
                socket.send_fds(control, [msgspec.json.encode(order)], [theirs.fileno()])
            selector.register(ours, selectors.EVENT_READ, running)

    def _hear(self, work: Work, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(LOOK_SECONDS):
            if key.fileobj is work.stops.awoken:
                work.stops.drain()
            elif self._warm is not None and key.fileobj is self._warm.control:
                self._hear_of_processes(self._warm, selector)
            else:
                self._hear_of_job(key.data, work, selector)

    def _hear_of_processes(self, warm: Warm, selector: selectors.BaseSelector) -> None:
        try:
            message = warm.control.recv(4096)
        except ConnectionError:
            message = b""
        if not message:
            selector.unregister(warm.control)
            self._lost_all()
            return
        process, code = msgspec.json.decode(message)
        if code is None:
            begun = self._starting.pop(0)
            begun.process, begun.last = process, time.monotonic()
        elif process == 0:
            refused = self._starting.pop(0)
            refused.ended, refused.last = Ended(1), time.monotonic()
        else:
            for running in self._running:
                if running.process == process and running.ended is None:
                    running.ended = Ended(code, None) if code >= 0 else Ended(None, -code)
                    running.last = time.monotonic()

    def _lost_all(self) -> None:
        """The warm process died, and with it all that came from it."""
        self.close()
        for running in self._running:
            running.ended = running.ended or Ended(None, signal.SIGKILL, lost=True)
        self._starting.clear()

    def _hear_of_job(self, running: _Running, work: Work, selector: selectors.BaseSelector) -> None:
        lines = running.channel.lines()
        running.last = time.monotonic()
        if lines is None:
            _hang_up(running, selector)
            return
        if running.over:  # what came of the job is settled, whoever still holds the other end
            return
        for line in lines:
            try:
                message = msgspec.json.decode(line, type=Message)
            except (msgspec.MsgspecError, UnicodeError):  # a model wrote where it had no business
                running.confused = True
                _kill(running)
                return
            work.heard(running.job, message, running.channel.tell)
            if message.final:
                running.over = True
                work.on_end(running.job, Ended(0))
                return

    def _obey(self, work: Work) -> None:
        at_once = work.stops.level > 1 or work.stops.overdue
        for running in self._running:
            if at_once and running.ended is None:
                _kill(running)
            elif work.stops.level and running.open:
                running.channel.tell(STOP)

    def _end_hung(self, work: Work) -> None:
        for running in self._running:
            if running.process is None and running.ended is None:
                work.on_sign(running.job)  # the warm process is there or ends: what it takes is not the job's
            timeout = work.timeout(running.job)
            at_work = running.process is not None and running.ended is None and not running.hung
            if at_work and timeout is not None and time.monotonic() - running.last > timeout:
                running.hung = True
                _kill(running)

    def _finish(self, work: Work, selector: selectors.BaseSelector) -> None:
        for running in list(self._running):
            ended = running.ended
            if ended is None or (running.open and time.monotonic() - running.last < LAST_WORDS_SECONDS):
                continue
            if running.open:  # something that it started holds the other end
                _kill(running)
                _hang_up(running, selector)
            by_kernel = (
                ended.signal == signal.SIGKILL
                and not (running.hung or running.confused)
                and kernel_kills() > running.kills
            )
            self._running.remove(running)
            remove_if_empty(running.job.log(self._setup.logs))
            if running.over:
                continue
            lost = ended.lost and not by_kernel
            work.on_end(
                running.job, Ended(ended.exit_code, ended.signal, running.hung, by_kernel, lost, running.confused)
            )

    def _kill_all(self) -> None:
        for running in self._running:
            if running.ended is None:
                _kill(running)
            running.channel.connection.close()

    def alone(self) -> AbstractContextManager[None]:
        """Hold nothing: it runs jobs only when it is told to."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """End the warm process."""
        if self._warm is not None:
            self._warm.close()
            self._warm = None


def _hang_up(running: _Running, selector: selectors.BaseSelector) -> None:
    """Hear no more of a process."""
    running.open = False
    selector.unregister(running.channel.connection)
    running.channel.connection.close()


def _kill(running: _Running) -> None:
    """End a process and all that it started."""
    if running.process is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process, signal.SIGKILL)
