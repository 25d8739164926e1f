"""The idx files of MNIST and its kin: one array each, packed with gzip or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import TYPE_CHECKING

from archbench.errors import DataError, reason

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

UBYTE = 8  # what idx calls the kind of array that all of these files hold


def find_idx(folder: Path, name: str) -> Path | None:
    """Return the file of a name, packed (`.gz`), whose checksum is known, or unpacked; or None."""
    return next((file for file in (folder / f"{name}.gz", folder / name) if file.is_file()), None)


def read_idx(file: Path) -> Tensor:
    """Return images, uint8 (N, H, W), or labels, int64 (N,), by the file's name; nothing is written beside it.

    Raises:
        DataError: the file is cut or holds something else.
    """
    import torch

    images = "images" in file.name
    try:
        content = file.read_bytes()
        array = _array(gzip.decompress(content) if file.suffix == ".gz" else content, 3 if images else 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        msg = f"{file} cannot be read: {reason(error)}"
        raise DataError(msg, "Fetch it again.") from error
    return torch.from_numpy(array) if images else torch.from_numpy(array).long()


def _array(content: bytes, dimensions: int) -> NDArray[np.uint8]:
    """Return what an idx file holds.

    Raises:
        ValueError: it is no such file, or not as long as its header says.
    """
    import numpy as np

    magic, start = bytes((0, 0, UBYTE, dimensions)), 4 + 4 * dimensions
    if content[:4] != magic or len(content) < start:
        msg = f"it begins with {content[:4].hex(' ') or 'nothing'}, not with {magic.hex(' ')} and {dimensions} sides"
        raise ValueError(msg)
    sides = struct.unpack(f">{dimensions}I", content[4:start])
    found, promised = len(content) - start, math.prod(sides)
    if found != promised or not found:
        msg = f"it holds {found:,} values, and its header says {promised:,}" if promised else "it holds no values"
        raise ValueError(msg)
    return np.frombuffer(bytearray(content), np.uint8, offset=start).reshape(sides)  # a copy that may be written
