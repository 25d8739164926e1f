"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable


def write_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file of the same suffix, then put it in the place of `path` in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise OutputError(msg, "Name a folder of yours with --out, or free some space.") from error
    return path


def check_folder(folder: Path, remedy: str, what: str = "") -> None:
    """Make a folder where it is missing, and be sure that it can be written before work is done for it.

    Args:
        folder: which.
        remedy: what to do where it cannot be written.
        what: it is, in front of its name.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"{what}{folder} cannot be written: {error.strerror or error}"
        raise OutputError(msg, remedy) from error
