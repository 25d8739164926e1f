"""The garbage collector, kept out of where it costs: steps that are timed, very many nouns, imports."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOCATIONS = 100_000  # between collections, instead of Python's 700


def collect_seldom() -> None:
    """Collect garbage seldom from now on: what is imported stays; to look through it takes a seventh of the time."""
    gc.set_threshold(ALLOCATIONS)


@contextmanager
def uncollected() -> Iterator[None]:
    """Within: the garbage collector is off; afterwards it is as it was."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
