"""Who is at work on runs: a lock that the kernel drops with its process, so that no clock has to tell the dead."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from typing import TYPE_CHECKING, Self

from archbench.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ".running"  # inside a results folder
TRIES = 100
_HELD: set[int] = set()


class Owner:
    """A process at work in a results folder, for as long as it is open.

    Attributes:
        token: what its runs are marked with.
    """

    def __init__(self, folder: Path) -> None:
        """Take a lock of one's own in a results folder.

        Raises:
            OutputError: nothing can be locked there.
        """
        self.token = uuid.uuid4().hex
        self._path = _file(folder, self.token)
        try:
            import fcntl

            self._file = _made(self._path)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (OSError, ImportError) as error:
            msg = f"{folder} cannot be locked: {getattr(error, 'strerror', None) or error}"
            raise OutputError(msg, "Name a folder on a disk of this machine with --out.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # a disk that went away
            self._path.unlink(missing_ok=True)
            self._path.parent.rmdir()  # where no other is at work
        _HELD.discard(self._file)
        os.close(self._file)


def _made(path: Path) -> int:
    """Return a new file that is open; another that ends may remove the folder at any moment."""
    for _ in range(TRIES):
        path.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            _HELD.add(file)
            return file
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _let_go() -> None:
    """A copy of this process that a model forked does not hold its lock: it may live on."""
    for file in _HELD:
        os.close(file)
    _HELD.clear()


def is_alive(folder: Path, token: str) -> bool:
    """Whether the process that marked its runs so is still at work in this folder."""
    import fcntl

    try:
        file = os.open(_file(folder, token), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def is_at_work(folder: Path) -> bool:
    """Whether any process is at work in a results folder."""
    return any(is_alive(folder, file.stem) for file in owner_files(folder))


def owner_files(folder: Path) -> list[Path]:
    """Return the locks of a results folder, of the living and of the dead."""
    return sorted((folder / FOLDER).glob("*.lock"))


def _file(folder: Path, token: str) -> Path:
    return folder / FOLDER / f"{token}.lock"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
