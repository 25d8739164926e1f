"""`python -m archbench.execute.nursery CONTROL`: a warm process that a process for each job is forked from.

It has imported all that a job needs and holds the data, so that a process of its own costs a run some milliseconds
instead of seconds. It trains nothing and starts no pool of threads: what is forked from it is as good as new. It ends
when its parent does, and so does all that it forked.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import os
import select
import signal
import socket
import sys
import warnings
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from archbench.collection import uncollected
from archbench.execute.hugepages import gather
from archbench.execute.jobs import Channel, Order, Setup

if TYPE_CHECKING:
    from archbench.data import Dataset
    from archbench.schema import View

KEPT = 3  # data sets, as the cases of a study may take turns
MANY = 50  # orders, behind which the second that it takes to gather this process's memory pays
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(control: socket.socket) -> None:
    """Serve orders until the parent is gone: each comes with the end of a job's channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # Of Python 3.12 on: the threads are OpenBLAS's, which it ends before a fork by itself.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    with contextlib.suppress(Exception):  # what it is shows below, where there is a log to say it in
        _import()
    message, ends, _, _ = socket.recv_fds(control, 1 << 20, 1)
    if not message:  # the parent has nothing to do after all
        os._exit(0)
    for output in (1, 2):
        os.dup2(ends[0], output)
    os.close(ends[0])
    setup = msgspec.json.decode(message, type=Setup)
    sys.path[:] = setup.path
    dataset_of = _warm_up(setup)
    awoken, wake = os.pipe()
    for end in (awoken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    orders = 0
    while True:
        ready, _, _ = select.select([control.fileno(), awoken], [], [])
        if awoken in ready:
            os.read(awoken, 4096)
            _report_ended(control)
        if control.fileno() in ready:
            orders += 1
            if orders == MANY:
                gather()
            if not _serve(control, dataset_of, setup):
                os._exit(0)


@cache
@uncollected()  # what is imported stays
def _import() -> None:
    """Import all that any job needs."""
    import torch
    import torch._dynamo  # what an optimizer's first step imports, in more than a second

    from archbench import quick  # noqa: F401 - which a training imports
    from archbench.budget import size_model
    from archbench.cost import measure_cost
    from archbench.execute import child  # noqa: F401 - all that it needs

    torch.set_num_threads(1)  # a pool of threads would not outlive the fork
    # Both import more when they are first done.
    measure_cost(size_model("linear", None, (1, 8, 8), 2))
    torch.save({}, io.BytesIO())


def _warm_up(setup: Setup) -> partial[Dataset]:
    """Import what these jobs need beside that; return what loads data, and keeps them."""
    _import()
    import zoo
    from archbench.data import load_dataset

    for plugin in setup.plugins:
        try:
            zoo.import_models(plugin)
        except (zoo.ModelImportError, zoo.DuplicateModelError) as error:
            print(error, file=sys.stderr)  # noqa: T201 - the log; a cell that needs the plugin fails by name

    @lru_cache(maxsize=KEPT)
    def dataset_of(name: str, view: View) -> Dataset:
        return load_dataset(name, setup.data_root, view=view)

    return partial(dataset_of)


def _serve(control: socket.socket, dataset_of: partial[Dataset], setup: Setup) -> bool:
    """Fork a process for an order; return whether there was one."""
    message, ends, _, _ = socket.recv_fds(control, 1 << 20, 1)
    if not message:
        return False
    order = msgspec.json.decode(message, type=Order)
    channel = Channel(socket.socket(fileno=ends[0]))
    from archbench.errors import reason
    from archbench.execute.child import say_failed, serve
    from archbench.quick import load

    try:
        load(order.knobs)  # half a second, once for all that are forked from here
        dataset = dataset_of(order.dataset, order.view)
        gc.collect()
        gc.freeze()  # else each process looks through all that is here, and so copies it
        process = os.fork()
    except Exception as error:  # noqa: BLE001 - a source may raise anything
        say_failed(channel, reason(error))
        channel.connection.close()
        control.send(b"[0, 0]")
        return True
    if process == 0:
        try:
            control.close()
            _become_a_child()
            serve(channel, dataset, setup)
        finally:
            os._exit(70)  # not reached: a child ends by itself
    channel.connection.close()
    control.send(msgspec.json.encode((process, None)))
    return True


def _become_a_child() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)  # what a model starts ends with it
    parent = os.getppid()
    # The kernel ends it with its parent even in a call that holds the interpreter.
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")  # before the parent, if one has to go


def _report_ended(control: socket.socket) -> None:
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(ended.si_pid, signal.SIGKILL)  # what it started ends with it, before its number is another's
        process, status = os.waitpid(ended.si_pid, 0)
        control.send(msgspec.json.encode((process, os.waitstatus_to_exitcode(status))))


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
