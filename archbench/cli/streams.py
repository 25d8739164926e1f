"""Standard streams that outlive their readers: `archbench compare ... | head -1` works on to its end."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from archbench.errors import OutputError

if TYPE_CHECKING:
    from typing_extensions import Buffer

STANDARD = {"stdout": 1, "stderr": 2}


def last() -> None:
    """Let this process's standard streams last: a write that fails sends what follows to nowhere.

    That nobody reads on is no failure; of a full disk under standard output the command line says so when it is done.
    Streams that are closed from the start lead nowhere, too, so that no other file is opened in their place.
    """
    for name, number in STANDARD.items():
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue  # somebody's own, such as a test's
        try:
            os.fstat(number)
        except OSError:
            _send_nowhere(number)
        lasting = io.TextIOWrapper(
            io.BufferedWriter(_Lasting(number, "w", closefd=False)),
            encoding=stream.encoding if stream else "utf-8",
            errors="backslashreplace",
            line_buffering=name == "stderr" or os.isatty(number),
        )
        setattr(sys, name, lasting)


class _Lasting(io.FileIO):
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            _send_nowhere(self.fileno())
            if isinstance(error, BrokenPipeError) or self.fileno() == STANDARD["stderr"]:
                return super().write(data)
            msg = f"standard output cannot be written: {error.strerror}"
            raise OutputError(msg, "Free some space.") from error


def _send_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:  # which it is where that was the first number free
        os.dup2(nowhere, number)
        os.close(nowhere)
