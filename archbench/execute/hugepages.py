"""This process's memory, gathered into huge pages: a fork copies one entry for each then, where it copied 512."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HUGE = 2**21  # bytes, of x86-64 and of 64-bit Arm with pages of 4 KiB
COLLAPSE = 25  # MADV_COLLAPSE, of Linux 6.1 on
MAPS = Path("/proc/self/maps")


def gather() -> None:
    """Have the kernel put what this process allocated into huge pages, which takes some 4 ms each.

    Where the kernel has none, or lacks the memory for some, all stays as it is.
    """
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with contextlib.suppress(OSError):
        for start in _places(MAPS.read_text(encoding="utf-8")):
            advise(start, HUGE, COLLAPSE)


def _places(maps: str) -> Iterator[int]:
    """Return where huge pages fit into memory that is the process's own: heap and anonymous, to be written to.

    Args:
        maps: the mappings of a process, as `/proc/PID/maps` tells them.

    >>> [hex(place) for place in _places("1ff000-601000 rw-p 00000000 00:00 0 [heap]")]
    ['0x200000', '0x400000']
    """
    for line in maps.splitlines():
        bounds, permissions, _, _, _, *name = line.split(maxsplit=5)
        if permissions == "rw-p" and name in ([], ["[heap]"]):
            first, last = (int(bound, 16) for bound in bounds.split("-"))
            yield from range(-(-first // HUGE) * HUGE, last // HUGE * HUGE, HUGE)
