"""Ctrl-C and SIGTERM: the first asks for an end after the step, the second for one at once."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_SECONDS = 5  # schedulers kill ten seconds or more after SIGTERM
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stops:
    """Counts what asks this process to stop, while it is open; in other threads than the main one nothing is heard.

    Attributes:
        level: 0 to go on, 1 to end after the step, 2 to end at once.
        signal: the last that was heard.
        raising: whether what asks for an end at once ends what this process is at, as nothing else could.
    """

    def __init__(self, on_first: Callable[[], None] = lambda: None) -> None:
        """Take who is told of the first."""
        self.level = 0
        self.signal: int | None = None
        self.raising = False
        self._on_first = on_first
        self._told = False
        self._first = 0.0
        self._before: dict[int, Any] = {}
        self.awoken, self._wake = socket.socketpair()
        for end in (self.awoken, self._wake):
            end.setblocking(False)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._wakeup = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
            for number in SIGNALS:
                # What was started with a signal ignored, as by nohup, goes on ignoring it.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._wakeup)
        self.close()

    def close(self) -> None:
        """Hear nothing more; where it was never entered, no signal was heard."""
        self.awoken.close()
        self._wake.close()

    def ask(self, level: int) -> None:
        """Ask for what a signal asks for, from any thread."""
        self.level = max(self.level, level)
        with contextlib.suppress(OSError):  # nobody waits any more
            self._wake.send(b"\0")

    def _heard(self, number: int, _: object) -> None:
        self.level += 1
        self.signal = number
        self._first = self._first or time.monotonic()
        if self.raising:
            self.drain()
            if self.level > 1 or number == signal.SIGTERM:
                raise KeyboardInterrupt(number)

    @property
    def overdue(self) -> bool:
        """Whether the system asked for an end so long ago that it will soon not ask any more."""
        return self.signal == signal.SIGTERM and time.monotonic() - self._first > GRACE_SECONDS

    def drain(self) -> None:
        """Take note of what woke the process up; tell of the first stop."""
        with contextlib.suppress(BlockingIOError):
            while self.awoken.recv(64):
                pass
        if self.level and not self._told:
            self._told = True
            self._on_first()
