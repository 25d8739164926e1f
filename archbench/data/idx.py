"""The idx files of MNIST and its kin: one array each, packed with gzip or not."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from typing import TYPE_CHECKING

from archbench.errors import DataError, reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AssertionError, RuntimeError, zlib.error)


def find_idx(folder: Path, name: str) -> Path | None:
    """Return the file of a name, packed (`.gz`), whose checksum is known, or unpacked; or None."""
    return next((file for file in (folder / f"{name}.gz", folder / name) if file.is_file()), None)


def read_idx(file: Path) -> Tensor:
    """Return images, uint8 (N, H, W), or labels, int64 (N,), by the file's name; nothing is written beside it.

    Raises:
        DataError: the file is cut or holds something else.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file

    read: Callable[[str], Tensor] = read_image_file if "images" in file.name else read_label_file
    try:
        if file.suffix != ".gz":
            return read(str(file))
        with gzip.open(file) as packed, tempfile.NamedTemporaryFile() as unpacked:
            shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            return read(unpacked.name)
    except UNREADABLE as error:
        msg = f"{file} cannot be read: {reason(error)}"
        raise DataError(msg, "Fetch it again.") from error
