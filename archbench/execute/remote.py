"""A job on a node of a cluster, in a process that Ray started there.

That process holds a warm one of its own, which jobs are forked from as on one machine: a job has the same surroundings,
and how it ends is seen in the same way. It is in touch with the driver through a connection, in the words of a job and
its parent, and ends the job at once where the driver is gone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import signal
import socket
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.environment import memory_bytes, usable_cores
from archbench.errors import OutputError, reason
from archbench.execute.checkpoints import FOLDER as CHECKPOINTS_FOLDER
from archbench.execute.checkpoints import folder_of, remove_checkpoints
from archbench.execute.child import Told
from archbench.execute.jobs import Channel, Ended, Job, Message, Setup
from archbench.execute.pool import Isolated, Work
from archbench.execute.stops import Stops
from archbench.schema import SETTLED
from archbench.timing.locks import core_groups, training_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archbench.schema import Device, Environment

# What decides how numbers are computed, and where archbench keeps its own: on every node as it is for the driver.
VARIABLES = (
    "ARCHBENCH_", "ATEN_", "CUBLAS_", "CUDNN_", "DNNL_", "GLIBC_TUNABLES", "GOMP_", "KMP_", "MALLOC_", "MKL_",
    "NUMBA_", "NVIDIA_TF32", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_", "TORCH",
)  # fmt: skip
CONNECT_SECONDS = 60
LAST_WORDS_SECONDS = 10.0  # that a job has to end once the driver is gone


@dataclass(frozen=True)
class Place:
    """What a node must know of the driver.

    Attributes:
        setup: what is common to all jobs. variables: of its environment.
        address: where it listens. witness: a file in its results folder, which tells who sees that folder.
        environment: that cells were planned in.
    """

    setup: Setup
    variables: Mapping[str, str]
    address: tuple[str, int]
    witness: str
    environment: Environment


@dataclass(frozen=True)
class Said:
    """A line to the driver: the first names the task and its node, others bring news of the job.

    Attributes:
        token: of the task. node: Ray's number of it.
        message: of the job, empty where it only goes on. ended: how its process ended. note: what is worth a line.
    """

    token: str | None = None
    node: str | None = None
    message: Message | None = None
    ended: Ended | None = None
    note: str | None = None


class _Gone(Exception):  # noqa: N818 - what happened
    """The driver does not listen any more."""


class _FromDriver(Told):
    """What the driver has said: a stop is passed on to the job, and its silence ends the job."""

    def __init__(self, channel: Channel, stops: Stops) -> None:
        self._stops, self._gone = stops, False
        self.done = threading.Event()
        super().__init__(channel)

    def _listen(self) -> None:
        super()._listen()
        if not self.done.wait(LAST_WORDS_SECONDS):
            os._exit(1)  # it hangs, whatever in

    def on_stop(self) -> None:
        self._stops.ask(1)  # who waits for a commit goes on waiting: the driver is there

    def on_end(self) -> None:
        self.stop = self._gone = True
        self._stops.ask(2)

    def wait_for(self, epoch: int) -> None:
        super().wait_for(epoch)
        if self._gone:
            raise _Gone


def do(job: Job, place: Place, token: str, timeout_s: float | None) -> None:
    """Do a job and tell the driver all that is to be told of it.

    Args:
        job: what is to be done.
        place: where, and for whom.
        token: what the driver knows this task by.
        timeout_s: without a sign of the job, after which it is ended; None for never.
    """
    surround(place)
    with socket.create_connection(place.address, CONNECT_SECONDS) as connection, contextlib.closing(Stops()) as stops:
        connection.settimeout(None)
        channel = Channel(connection)
        told = _FromDriver(channel, stops)
        try:
            channel.send(Said(token, _node_id()))
            told.wait_for(0)  # the driver still wants it
            if job.kind == "train":
                channel.send(Said(message=Message(environment=environment_here(place, job.cell.device))))
            _Task(job, setup_here(place), channel, told, stops).run(timeout_s)
        except OutputError as error:
            channel.send(Said(message=Message(unwritable=(f"on node {_node()}: {error}", error.remedy))))
        except (_Gone, OSError) as error:
            _cool_down()  # it may be in the midst of something
            asked = isinstance(error, _Gone)
            ended = Ended(None, signal.SIGKILL) if asked else Ended(lost=True, why=reason(error))
            with contextlib.suppress(OSError):  # who asked for an end at once hears of it
                channel.send(Said(ended=ended))
        finally:
            told.done.set()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # which ends the thread that listens


class _Task:
    """One job, from when this machine is free for it until it has ended."""

    def __init__(self, job: Job, setup: Setup, channel: Channel, told: _FromDriver, stops: Stops) -> None:
        self._job, self._setup, self._channel, self._told, self._stops = job, setup, channel, told, stops
        self._held = contextlib.ExitStack()
        self._begun = self._settled = False
        self._note = functools.cache(lambda why: channel.send(Said(note=f"node {_node()}: {why}")))

    def run(self, timeout_s: float | None) -> None:
        with self._held:
            _warm(self._setup).run(Work(
                self._next, lambda: not self._begun, self._heard, self._ended, self._stops,
                timeout=lambda _: timeout_s, on_sign=lambda _: self._channel.send(Said(message=Message())),
            ))  # fmt: skip

    def _next(self) -> Job | None:
        """Return the job, once, when no other archbench times on this machine, held to cores that no other has."""
        if self._begun:
            return None
        free = training_now(self._job.cell.device, self._note)
        if free is None:
            self._channel.send(Said(message=Message()))
            return None
        self._begun = True
        self._held.enter_context(free)
        cores = self._held.enter_context(core_groups(1, self._job.cell.threads))
        return replace(self._job, cores=cores[0] if cores else ())

    def _heard(self, _: Job, message: Message) -> None:
        """Pass news on; return once the epoch that they tell of is committed."""
        outcome = message.outcome
        if outcome is not None and message.error is not None:  # it could not begin: data are not there
            message = replace(message, outcome=replace(outcome, error=f"{outcome.error} (on node {_node()})"))
        self._settled = outcome is not None and outcome.status in SETTLED
        self._channel.send(Said(message=message))
        if message.epoch is not None:
            self._told.wait_for(message.epoch.epoch)

    def _ended(self, job: Job, ended: Ended) -> None:
        checkpoints = Path(self._setup.checkpoints)
        if self._settled and checkpoints.is_relative_to(_own_folder()):  # which the driver does not see
            remove_checkpoints(folder_of(checkpoints, job.cell.key))
        self._channel.send(Said(ended=ended))


def surround(place: Place) -> None:
    """Give this process the driver's variables, and where that imports from behind where this one does."""
    for name in [name for name in os.environ if name.startswith(VARIABLES)]:
        if name not in place.variables:
            del os.environ[name]
    os.environ.update(place.variables)
    sys.path += [entry for entry in place.setup.path if entry not in sys.path]


def variables() -> dict[str, str]:
    """Return the variables of this process that every node is to have."""
    return {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}


def setup_here(place: Place) -> Setup:
    """Return the setup of jobs here: with folders of Ray's on this node where it does not see the driver's."""
    import ray

    of_ray = Path(ray.__file__).parent  # it brings libraries of its own, which a run on one machine does not see
    own = [entry for entry in sys.path if not Path(entry).is_relative_to(of_ray)]
    setup = replace(place.setup, path=own)
    if Path(place.witness).is_file():
        return setup
    folder = _own_folder()
    logs, checkpoints = folder / "logs" / "archbench", folder / CHECKPOINTS_FOLDER
    return replace(setup, logs=str(logs), checkpoints=str(checkpoints))


def environment_here(place: Place, device: Device) -> Environment:
    """Return what a run is made with here: what is the same on every node, on this machine."""
    return replace(
        place.environment, machine=platform.node(), os=platform.platform(), cores=usable_cores(),
        memory_bytes=memory_bytes(), gpu=place.environment.gpu if device == "cuda" else None,
    )  # fmt: skip


def _own_folder() -> Path:
    """Return Ray's folder on this node, whose logs lie in it."""
    import ray

    context = ray.get_runtime_context()
    return Path(str(context.get_temp_dir()), str(context.get_session_name()))


_WARM: list[tuple[object, Isolated]] = []  # one at most


def _warm(setup: Setup) -> Isolated:
    """Return what forks jobs from a warm process: that of the job before, where nothing else is asked for."""
    wanted = (setup, dict(os.environ))  # Ray tells by a variable which card is this task's
    if not _WARM or _WARM[0][0] != wanted:
        _cool_down()
        _WARM.append((wanted, Isolated(setup)))
    return _WARM[0][1]


def _cool_down() -> None:
    while _WARM:
        _WARM.pop()[1].close()


def node_name(host: str, node: str) -> str:
    """Return what a node is called: a machine may have several."""
    return f"{host} ({node[:8]})"


def _node_id() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _node() -> str:
    return node_name(platform.node(), _node_id())
