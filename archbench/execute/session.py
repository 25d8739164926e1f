"""Ray itself: a cluster that is joined, or a Ray of this machine alone that is started and stopped."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.environment import usable_cores
from archbench.errors import InputError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_BYTES = 100 * 2**20  # of Ray's shared memory: hardly anything is kept there
FOLDERS, PREFIX = "/tmp", "archbench-ray-"  # noqa: S108 - Ray's sockets have long names, and most of 107 characters
CLIENT = "ray://"
CONNECT_SECONDS = 10
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"  # a frame of HTTP/2 that has none; the fourth byte is the kind
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS
JOINING = (
    "This machine must be a node of it (`ray start --address=HOST:PORT`), and RAY_AUTH_MODE=token be set where it has "
    "a token."
)


def check_ray(address: str | None) -> None:
    """See that Ray is installed, and that there is something at the address that a driver on a node may have.

    Raises:
        InputError: it is not, or there is nothing.
    """
    if importlib.util.find_spec("ray") is None:
        msg = "--executor ray needs Ray, which is not installed"
        raise InputError(msg, "Install it with: pip install 'archbench[ray]'.")
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    if address is None or address == "auto":
        return
    if address.startswith(CLIENT):
        msg = f"{address} is the address of Ray's client, whose machine is no node of the cluster"
        raise InputError(msg, "Run archbench on a node of the cluster, with --ray-address auto: docs/scale.md.")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        msg = f"{address!r} is not the address of a cluster"
        raise InputError(msg, "Give auto, or host:port as `ray start` prints it.")
    try:
        _greet(host, int(port))
    except (OSError, OverflowError) as error:  # Ray itself would try for a quarter of an hour
        msg = f"there is no cluster at {address}: {getattr(error, 'strerror', None) or error}"
        raise InputError(msg, "Give the address that `ray start` printed; auto finds it on a node.") from error


def _greet(host: str, port: int) -> None:
    """See that what listens there speaks HTTP/2, as Ray's server does, which answers a greeting with its settings."""
    with socket.create_connection((host, port), CONNECT_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS") == "1":
            return  # it would not understand
        connection.sendall(GREETING)
        if connection.recv(len(SETTINGS))[3:4] != SETTINGS[3:4]:
            msg = "what listens there is no Ray"
            raise OSError(msg)


class Session:
    """A connection to Ray, for as long as it is open.

    Attributes:
        own: whether Ray was started for it, on this machine alone.
    """

    def __init__(self, address: str | None) -> None:
        """Join the cluster at an address, or start Ray on all cores that this process may use.

        Where this process is connected to Ray already, that connection is used, and stays.

        Raises:
            InputError: it cannot be joined or started, or this process is connected to another.
        """
        import ray

        self._found = ray.is_initialized()
        self.own = address is None and not self._found
        if self._found and address is not None:
            joined = ray.get_runtime_context().gcs_address
            if address != joined:
                msg = f"this process is already connected to the cluster at {joined}"
                raise InputError(msg, "Leave --ray-address out to use that one, or call ray.shutdown() before.")
        self._folder = ""
        self._lock: int | None = None
        self._set: set[str] = set()
        try:
            with _handlers_kept():
                self._connect(address)
        except Exception as error:
            self.close()
            msg = f"Ray cannot be {'started' if self.own else f'joined at {address}'}: {reason(error)}"
            raise InputError(msg, "" if self.own else JOINING) from error
        except BaseException as stop:
            self.close()
            if isinstance(stop, SystemExit) and stop.code == signal.SIGTERM:  # Ray's way of handling it
                raise KeyboardInterrupt(signal.SIGTERM) from None
            raise

    def _connect(self, address: str | None) -> None:
        import ray

        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._found:
            return
        if address is not None:
            ray.init(address=address, **quiet)
        else:
            variables = _variables()
            self._set = {*variables, "RAY_AUTH_MODE"} - os.environ.keys()  # the last is set by Ray
            os.environ.update({name: variables[name] for name in self._set & variables.keys()})
            remove_left()
            # A folder of its own: no other finds this Ray by it.
            self._folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=FOLDERS)
            self._lock = _locked(self._folder)
            ray.init(
                address="local", num_cpus=usable_cores(), include_dashboard=False, object_store_memory=STORE_BYTES,
                _temp_dir=self._folder, **quiet,
            )  # fmt: skip
        # What became of a process is told by archbench; Ray would print it where results are printed.
        ray._private.worker._worker_logs_enabled = False  # noqa: SLF001 - there is no other way

    def close(self) -> None:
        """Leave the cluster, whose processes for this driver end with it; stop a Ray that was started for it."""
        import ray

        if not self._found:
            ray.shutdown()
        for name in self._set:
            os.environ.pop(name, None)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_left() -> None:
    """Remove the folders that drivers which were killed have left, Ray's logs with them."""
    import psutil

    for folder in Path(FOLDERS).glob(f"{PREFIX}*-*"):
        driver = folder.name.removeprefix(PREFIX).partition("-")[0]
        # Where containers share the folder a driver that is not seen from here may live: it holds the lock.
        lock = _locked(folder) if driver.isdecimal() and not psutil.pid_exists(int(driver)) else None
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: str | Path) -> int | None:
    """Return a folder that is open and locked for as long as it is; None where another has it."""
    import fcntl

    try:
        file = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


@functools.cache  # Ray reads a token once
def _variables() -> dict[str, str]:
    """Return the variables of a Ray of this machine alone: it tells nobody that it is used, and lets nobody else in.

    Without a token of its own Ray writes one into the home folder, and asks for that in clusters from then on.
    """
    return {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Within: signals are handled as without, in the end; Ray takes SIGTERM for itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
