"""The driver's side of a Ray cluster: a job is a task, whose process tells this one all that comes of it.

No task is ever cancelled: Ray (2.60) ends the driver where a task that it cancels is just done. A process that hears
nothing more from the driver ends by itself.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import selectors
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.execute.child import STOP, committed
from archbench.execute.jobs import Channel, Ended, remove_if_empty
from archbench.execute.nodes import Nodes, selector
from archbench.execute.pool import LAST_WORDS_SECONDS, LOOK_SECONDS
from archbench.execute.remote import Place, Said, do, variables
from archbench.execute.session import Session
from archbench.execute.tasks import KILLED, Task, how
from archbench.execute.warm import LOG
from archbench.files import UNFINISHED, write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archbench.execute.jobs import Setup
    from archbench.execute.pool import Work
    from archbench.schema import Cell, Environment

PATIENCE_SECONDS = 60.0  # beyond --timeout, that the process on a node has to end a job that hangs, and say so


class Cluster:
    """Jobs on the nodes of a Ray cluster; only this process writes to the store, and each epoch waits until it has."""

    local = False

    def __init__(
        self,
        setup: Setup,
        cells: Sequence[Cell],
        environment: Environment,
        address: str | None,
        say: Callable[[str], None],
    ) -> None:
        """Take what is to be done where; Ray is joined or started when there is something to do.

        Args:
            setup: what is common to all jobs.
            cells: all that may be run.
            environment: that they were planned in.
            address: of the cluster; None to start Ray on this machine.
            say: is told what is worth a line.
        """
        self._setup, self._cells, self._environment, self._address = setup, cells, environment, address
        self._say, self._say_once = say, functools.cache(say)
        self._tasks: dict[str, Task] = {}  # by their tokens
        self._opened: contextlib.ExitStack | None = None

    def join(self) -> None:
        """Join or start Ray, listen, and see which nodes are as this one.

        Raises:
            InputError: there is no Ray, or no node that is as this one.
            OutputError: the results folder cannot be written.
        """
        if self._opened is not None:
            return
        with contextlib.ExitStack() as opened:
            session = opened.enter_context(contextlib.closing(Session(self._address)))
            import ray

            self._listener = opened.enter_context(socket.create_server((ray.util.get_node_ip_address(), 0)))
            self._listener.setblocking(False)
            self._heard = opened.enter_context(selectors.DefaultSelector())
            self._heard.register(self._listener, selectors.EVENT_READ)
            witness = write_bytes(Path(self._setup.logs).with_name(f"{UNFINISHED}{secrets.token_hex(16)}"), b"")
            opened.callback(witness.unlink, missing_ok=True)
            address = self._listener.getsockname()[:2]
            self._place = Place(self._setup, variables(), address, str(witness), self._environment)
            self._nodes = Nodes(self._cells, self._place, self._say, own=session.own)
            self._do = ray.remote(max_retries=0)(do)
            self._opened = opened.pop_all()

    def run(self, work: Work) -> None:
        """Do all jobs of a piece of work, each on a node that has room for it.

        Raises:
            InputError, OutputError: see `join`.
        """
        if not work.more():
            return
        work.stops.raising = True  # nothing is begun yet that would have to end well
        self.join()
        work.stops.raising = False
        self._heard.register(work.stops.awoken, selectors.EVENT_READ)
        try:
            while self._tasks or (work.more() and not work.stops.level):
                self._nodes.look()
                self._begin(work)
                self._hear(work)
                self._obey(work)
                self._finish(work)
        finally:
            self._heard.unregister(work.stops.awoken)
            self._end_all()

    def _begin(self, work: Work) -> None:
        while len(self._tasks) < min(work.workers, self._nodes.room) and not work.stops.level:
            job = work.next_job()
            if job is None:
                return
            token, nodes = secrets.token_hex(16), frozenset(self._nodes.fit)
            result = self._do.options(
                num_cpus=job.cell.threads, num_gpus=int(job.cell.device == "cuda"), label_selector=selector(nodes),
                name=f"archbench {job.kind} {job.cell.key[:16]}",
            ).remote(job, self._place, token, work.timeout(job))  # fmt: skip
            self._tasks[token] = Task(job, result, nodes, time.monotonic())

    def _hear(self, work: Work) -> None:
        for key, _ in self._heard.select(LOOK_SECONDS):
            if key.fileobj is work.stops.awoken:
                work.stops.drain()
            elif key.fileobj is self._listener:
                with contextlib.suppress(OSError):  # it has gone again
                    connection, _ = self._listener.accept()
                    connection.setblocking(False)
                    self._heard.register(connection, selectors.EVENT_READ, Channel(connection))
            else:
                self._hear_on(key.data, work)

    def _hear_on(self, channel: Channel, work: Work) -> None:
        lines = channel.lines()
        for line in lines or ():
            task, said = self._told_by(channel, line)
            if task is None or said is None:
                lines = None
                break
            self._take(task, said, work)
        if lines is None:
            self._hang_up(channel)

    def _told_by(self, channel: Channel, line: bytes) -> tuple[Task | None, Said | None]:
        """Return who says what; nothing of somebody who is none of ours: the first line names the task."""
        try:
            said = msgspec.json.decode(line, type=Said)
        except (msgspec.MsgspecError, UnicodeError):
            return None, None
        if said.token is None:
            return next((task for task in self._tasks.values() if task.channel is channel), None), said
        task = self._tasks.get(said.token)
        if task is not None:
            task.channel, task.node = channel, said.node
            task.tell(committed(0))  # now it may begin
        return task, said

    def _hang_up(self, channel: Channel) -> None:
        self._heard.unregister(channel.connection)
        channel.connection.close()
        for task in self._tasks.values():
            if task.channel is channel:
                task.channel = None

    def _take(self, task: Task, said: Said, work: Work) -> None:
        """Take what a task said; it is told once an epoch is committed."""
        task.last = time.monotonic()
        task.ended = said.ended or task.ended
        if said.note is not None:
            self._say_once(said.note)
        if said.message is not None:
            work.heard(task.job, said.message, task.tell)

    def _obey(self, work: Work) -> None:
        """Pass a stop on; a process that does not end its job at once is given up: it hears nothing more, and ends."""
        level = 2 if work.stops.level > 1 or work.stops.overdue else work.stops.level
        for task in self._tasks.values():
            if task.told < level:
                task.told, task.since = level, time.monotonic()
                if task.channel is None:
                    task.ended = task.ended or KILLED  # it has not begun, and will find nobody
                elif level == 1:
                    task.tell(STOP)
                else:
                    with contextlib.suppress(OSError):
                        task.channel.connection.shutdown(socket.SHUT_WR)
            elif level > 1 and time.monotonic() - task.since > LAST_WORDS_SECONDS:
                task.ended = task.ended or KILLED

    def _finish(self, work: Work) -> None:
        over = self._over()
        for token, task in list(self._tasks.items()):
            ended = task.ended or self._hung(task, work) or self._lost(task, over)
            if ended is not None:
                self._look_into(task, ended)
                if task.channel is not None:
                    self._hang_up(task.channel)
                del self._tasks[token]
                work.on_end(task.job, ended)

    def _over(self) -> set[Any]:
        """Return Ray's results that are there, asked for all at once."""
        import ray

        results = [task.result for task in self._tasks.values()]
        return set(ray.wait(results, num_returns=len(results), timeout=0)[0]) if results else set()

    def _look_into(self, task: Task, ended: Ended) -> None:
        """Say what went wrong outside of a run, and ask its node again what it is before more is begun there."""
        if ended.lost and task.node is not None:
            self._nodes.doubt(task.node)
        if ended.why and not task.told:
            why = f"a run was lost ({ended.why}); it is begun again where there is room" if ended.lost else ended.why
            self._say(f"node {self._nodes.name(task.node)}: {why}")

    def _hung(self, task: Task, work: Work) -> Ended | None:
        """Give up a task whose process did not even say that its job hangs."""
        timeout = work.timeout(task.job)
        if task.node is None or timeout is None or time.monotonic() - task.last < timeout + PATIENCE_SECONDS:
            return None
        self._nodes.doubt(task.node)
        return replace(KILLED, hung=True)

    def _lost(self, task: Task, over: set[Any]) -> Ended | None:
        """Return how a task ended whose process did not say; None while it may go on, or its words be on their way."""
        if task.result not in over:
            # Ray waits for nodes that never come back.
            there = self._nodes.any_there(frozenset({task.node}) if task.node else task.nodes)
            return None if there else Ended(lost=True)
        task.over = task.over or time.monotonic()
        if task.channel is not None and time.monotonic() - task.over < LAST_WORDS_SECONDS:
            return None
        return how(task.result)

    def _end_all(self) -> None:
        """Let what is under way end: a process that hears nothing more ends its job at once."""
        import ray

        left = list(self._tasks.values())
        for task in left:
            if task.channel is not None:
                self._hang_up(task.channel)
        self._tasks.clear()
        if left:
            ray.wait([task.result for task in left], num_returns=len(left), timeout=LAST_WORDS_SECONDS)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Within: all of this machine's node is held, so that Ray begins nothing there."""
        self.join()
        with self._nodes.alone():
            yield

    def close(self) -> None:
        """Leave the cluster, or stop the Ray that was started."""
        if self._opened is not None:
            self._opened.close()
            remove_if_empty(Path(self._setup.logs) / LOG)
