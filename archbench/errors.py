"""One root for all that can go wrong in a way a user can mend; each child carries its exit code."""

from __future__ import annotations

from typing import ClassVar

from archbench.markup import encodable


def reason(error: BaseException) -> str:
    """Return what a foreign exception says in one line: its type and the first line of its message."""
    if isinstance(error, ArchbenchError):
        return str(error)
    first = encodable(str(error)).strip().partition("\n")[0][:500]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


class ArchbenchError(Exception):
    """What was wrong, and what to do about it.

    Attributes:
        remedy: one line that says what is accepted or what to do; may be empty.
        exit_code: what the command line exits with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class InputError(ArchbenchError):
    """A name, number or option that is not accepted."""

    exit_code = 2


class ModelError(ArchbenchError):
    """A model that could not be imported, built, sized or run."""

    exit_code = 3


class StoreError(ArchbenchError):
    """A results store that cannot be read as one."""

    exit_code = 4


class DataError(ArchbenchError):
    """Data that is missing, cut or malformed."""

    exit_code = 5


class OutputError(ArchbenchError):
    """A place that cannot be written to."""

    exit_code = 6


class Interrupted(ArchbenchError):  # noqa: N818 - not an error, an ending
    """The user stopped the work; the message says what was kept, the remedy is the command to go on."""

    exit_code = 130


class Terminated(Interrupted):
    """The system, or a scheduler, asked for an end by SIGTERM."""

    exit_code = 143
