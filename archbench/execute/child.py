"""A job in a process of its own: it talks through its channel, prints into its log, and ends when its parent does."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

import msgspec

from archbench.errors import OutputError, reason
from archbench.execute.jobs import Job, Message
from archbench.execute.work import Hooks, Stopped, perform, print_failure
from archbench.schema import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from archbench.data import Dataset
    from archbench.execute.jobs import Channel, Setup

KEEP_UP_SECONDS = 0.5
JOBS = msgspec.json.Decoder(Job)  # made once for all processes that are forked
STOP, KEPT = b"stop", b"kept"  # what the parent says: end after the step; an epoch is committed


def committed(epoch: int) -> bytes:
    """Return what tells a job that an epoch is committed."""
    return b"%s %d" % (KEPT, epoch)


class Told:
    """What the parent has said."""

    def __init__(self, channel: Channel) -> None:
        """Listen in a thread of its own."""
        self._channel = channel
        self._changed = threading.Condition()
        self._kept = -1  # the last epoch that is committed; who has done none may be told of 0
        self.stop = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while (lines := self._channel.lines()) is not None:
            for line in lines:
                with self._changed:
                    word, _, number = line.partition(b" ")
                    if word == STOP:
                        self.on_stop()
                    self._kept = int(number) if word == KEPT else self._kept
                    self._changed.notify_all()
        with self._changed:
            self.on_end()
            self._changed.notify_all()

    def on_stop(self) -> None:
        """Note that it is to end after the step."""
        self.stop = True

    def on_end(self) -> None:
        """End: the parent is done with it, or dead."""
        os._exit(1)

    def wait_for(self, epoch: int) -> None:
        """Return once an epoch is committed."""
        with self._changed:
            self._changed.wait_for(lambda: self._kept >= epoch or self.stop)


def serve(channel: Channel, dataset: Dataset, setup: Setup) -> None:
    """Do the job that the channel brings, and end the process."""
    job = _first(channel)
    log = _redirect(job.log(setup.logs))
    if job.cores:
        os.sched_setaffinity(0, job.cores)
    try:
        perform(job, dataset, setup, _hooks(channel, Told(channel)), log)
    except OutputError as error:
        channel.send(Message(unwritable=(str(error), error.remedy)))
    except Stopped:
        channel.send(Message(error="stopped"))
    except BrokenPipeError:
        pass  # nobody listens any more
    except BaseException as error:  # noqa: BLE001 - a model may raise anything
        with contextlib.suppress(OSError):  # a log on a full disk
            print_failure(log)
        channel.send(Message(outcome=Outcome("failed", error=reason(error)), error=reason(error)))
    for output in (sys.stdout, log):
        with contextlib.suppress(OSError, ValueError):  # a model may have closed it
            output.flush()
    os._exit(0)


def _hooks(channel: Channel, told: Told) -> Hooks:
    process, last, behind = os.getpid(), time.monotonic(), 0

    def send(message: Message) -> None:
        nonlocal behind
        if os.getpid() != process:
            os._exit(0)  # a copy that a model forked has nothing to say
        behind = behind if message.resumed is None else message.resumed
        channel.send(message)

    def on_step() -> None:
        nonlocal last
        if told.stop:
            raise Stopped
        if time.monotonic() - last > KEEP_UP_SECONDS:
            last = time.monotonic()
            send(Message())

    def before_checkpoint(epoch: int) -> None:
        if epoch - 1 > behind:  # what an earlier attempt did is committed
            told.wait_for(epoch - 1)

    return Hooks(send, on_step, before_checkpoint)


def _first(channel: Channel) -> Job:
    while (lines := channel.lines()) is not None:
        for line in lines:
            return JOBS.decode(line)
    os._exit(1)  # the parent is gone


def say_failed(channel: Channel, why: str) -> None:
    """Say that a job could not begin."""
    with contextlib.suppress(OSError):
        channel.send(Message(outcome=Outcome("failed", error=why), error=why))


def _redirect(path: Path) -> TextIO:
    """Let all that is printed go to a file, by lines, as the process may be killed at any time."""
    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for output in (1, 2):
        os.dup2(file, output)
    os.close(file)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    return sys.stderr
