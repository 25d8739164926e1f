"""One lock a device: whoever times holds a machine's device alone, whoever trains shares it with others that train.

The locks are the kernel's (flock), so that they end with the process that holds them, however it ends. A run that
wants to time is not starved by trainings that follow each other: while it waits at the gate, none begins.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archbench.schema import Device

FOLDER_VARIABLE = "ARCHBENCH_LOCKS"  # shared by all who use the machine; by default its folder for temporary files
UNLOCKED = "nothing in {folder} can be locked, so another archbench may disturb this one; name a folder by {variable}"
WAITING = "another archbench uses the {device} of this machine; waiting until it is free (Ctrl-C stops)"


@contextlib.contextmanager
def timing_on(device: Device, on_wait: Callable[[str], None] = lambda why: None) -> Iterator[None]:
    """Within: no other archbench times or trains on this device of the machine.

    Args:
        device: of this machine.
        on_wait: is told once why it takes a while, if it does.
    """
    tell = _once(on_wait)
    with _locked(f"{device}.gate", True, device, tell), _locked(device, True, device, tell):
        yield


@contextlib.contextmanager
def training_on(device: Device, on_wait: Callable[[str], None] = lambda why: None) -> Iterator[None]:
    """Within: no archbench times on this device of the machine; others may train.

    Args:
        device: of this machine.
        on_wait: is told once why it takes a while, if it does.
    """
    tell = _once(on_wait)
    with contextlib.ExitStack() as inside:
        with _locked(f"{device}.gate", False, device, tell):
            inside.enter_context(_locked(device, False, device, tell))
        yield


def training_now(device: Device, tell: Callable[[str], None]) -> contextlib.ExitStack | None:
    """Return what holds a device for training until it is closed; None where another times on it, or waits to.

    Args:
        device: of this machine.
        tell: is told why there is none.
    """
    inside = contextlib.ExitStack()
    try:
        with _locked(f"{device}.gate", False, device, _give_up):
            inside.enter_context(_locked(device, False, device, _give_up))
    except _Busy as busy:
        inside.close()
        tell(str(busy))
        return None
    return inside


@contextlib.contextmanager
def core_groups(groups: int, size: int) -> Iterator[list[tuple[int, ...]]]:
    """Within: groups of cores, each for a worker to be held to; none where not all can be had for these alone.

    A core that another archbench holds its workers to is left to it, so that two of them do not share one while others
    are free.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with contextlib.ExitStack() as held:
        free: list[int] = []
        for core in usable:
            if len(free) < groups * size:
                with contextlib.suppress(_Busy):
                    held.enter_context(_locked(f"core-{core}", True, "cpu", _give_up))
                    free.append(core)
        yield (
            [tuple(free[first : first + size]) for first in range(0, groups * size, size)]
            if (0 < groups * size <= len(free))
            else []
        )


class _Busy(Exception):  # noqa: N818 - no error: it is tried again
    """Another holds a lock."""


def _give_up(why: str) -> None:
    if why.startswith(WAITING[:20]):
        raise _Busy(why)


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return a listener that passes each text on once."""
    return functools.lru_cache(tell)


@contextlib.contextmanager
def _locked(name: str, alone: bool, device: Device, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock by name; where the folder cannot be used there is none, and the noise is seen all the same."""
    try:
        import fcntl
    except ImportError:  # a system without flock
        yield
        return
    path = Path(os.environ.get(FOLDER_VARIABLE) or tempfile.gettempdir()) / f"archbench-{name}.lock"
    file = _opened(path)
    if file is None:
        on_wait(UNLOCKED.format(folder=path.parent, variable=FOLDER_VARIABLE))
        yield
        return
    try:
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(WAITING.format(device="CPU" if device == "cpu" else "CUDA device"))
            fcntl.flock(file, how)
        except OSError:  # a file system without locks
            on_wait(UNLOCKED.format(folder=path.parent, variable=FOLDER_VARIABLE))
        yield
    finally:
        os.close(file)  # which gives the lock back


def _opened(path: Path) -> int | None:
    """Return a descriptor of a file that may be another user's; reading is enough to lock it."""
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(OSError):  # made by another a moment ago
            os.fchmod(file, 0o644)  # whatever the user's mask is: others lock it too
        return file
    return None
