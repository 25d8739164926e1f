"""Files that are whole or not there, whatever stops the writing, and the names that they may have."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNFINISHED = ".archbench-"  # how the names of files begin that are being written
LONGEST_NAME = 100  # bytes of a file's name; a file system takes 255
_USUAL = re.compile(r"""[^\W_][\w.=@+\- ,:'"()\[\]]*""")
REMEDY = "Name a folder of yours with --out, or free some space."


def write_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file of the same suffix, then put it in the place of `path` in one step.

    When this returns, the file outlives a loss of power; when it does not, `path` is what it was before.

    Raises:
        OutputError: the file cannot be written.
    """
    with _told(path, REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of a long name the beginning: what is added must not make it too long.
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f"{UNFINISHED}{path.stem[:40]}-", suffix=path.suffix[:20]
        )
        temporary = Path(name)
        try:
            os.close(handle)
            write(temporary)
            temporary.chmod(0o644)
            _sync(temporary)
            os.replace(temporary, path)  # noqa: PTH105 - a system call by its name
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is what is told
                temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    """Put bytes in the place of `path` in one step, as `write_file` does.

    Raises:
        OutputError: the file cannot be written.
    """

    def write(temporary: Path) -> None:
        handle = os.open(temporary, os.O_WRONLY | os.O_CLOEXEC)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)

    return write_file(path, write)


def file_name(text: str, least: str = "unnamed") -> str:
    """Return a file's name for any text: letters, digits and `. = @ + -`, what is between them as one `_`.

    Where it is cut, or other than usual characters are lost, a hash of the text tells it from those that look alike.

    Args:
        text: a model's name, or whatever else a file is called after.
        least: the name of a text that has none of these characters.
    """
    name = re.sub(r"[^\w.=@+-]+", "_", text).strip("._") or least
    if not _USUAL.fullmatch(text) or len(name.encode()) > LONGEST_NAME:
        import hashlib  # which loads OpenSSL: most of what looks at files needs none

        start = name.encode()[: LONGEST_NAME - 9].decode(errors="ignore")
        name = f"{start}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return name


def check_folder(folder: Path, remedy: str, what: str = "") -> None:
    """Make a folder where it is missing, and be sure that it can be written before work is done for it.

    Args:
        folder: which.
        remedy: what to do where it cannot be written.
        what: it is, in front of its name.

    Raises:
        OutputError: it cannot be written.
    """
    with _told(folder, remedy, what):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def _sync(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on its disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a file system that has no such thing
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(path: Path, remedy: str, what: str = "") -> Iterator[None]:
    """Say of which place it is that the system refuses to write."""
    try:
        yield
    except OSError as error:
        msg = f"{what}{path} cannot be written: {error.strerror or error}"
        raise OutputError(msg, remedy) from error
