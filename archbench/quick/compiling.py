"""Loops over memory, compiled by numba for the processor that runs them.

Maps are flat arrays: float32, or bfloat16 as the bits that numpy has no type for. What was compiled is kept, and made
anew where the file of a function has changed; numba does not see what it calls, so whoever changes `at` or `put` has to
touch the files of the loops, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, types
from numba.extending import overload

if TYPE_CHECKING:
    from collections.abc import Callable

single, word, bits = np.float32, np.uint32, np.uint16
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "nogil": True}
NUMBER, VECTOR = types.float64, types.float32[::1]
KINDS = (types.float32[::1], types.uint16[::1])  # of maps


def compiled(maps: int, *further: types.Type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a function as its module is imported, for so many maps of either kind, and what else it is given.

    It is compiled once on a machine: other processes find it in a cache, beside its file or among the user's.
    """
    return compiled_for(*([kind] * maps + list(further) for kind in KINDS))


def compiled_for(*signatures: list[types.Type]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a function likewise, for arguments of these types."""
    whole = [types.void(*types_) for types_ in signatures]

    def compiling(function: Callable[..., None]) -> Callable[..., None]:
        try:
            kept: Callable[..., None] = njit(whole, cache=True, **OPTIONS)(function)
        except Exception:  # noqa: BLE001 - of the cache: no folder can be written, the disk is full, a file is damaged
            kept = njit(whole, **OPTIONS)(function)
        return kept

    return compiling


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function as it is first called by one that is compiled, and into that."""
    whole: Callable[..., Any] = njit(**OPTIONS)(function)
    return whole


def at(maps: Any, place: Any) -> Any:
    """Return a value of maps in single precision."""
    raise NotImplementedError


@overload(at)
def _at_kind(maps: Any, place: Any) -> Any:  # noqa: ARG001 - as what it stands for
    def widened(maps: Any, place: Any) -> Any:
        return word(word(maps[place]) << word(16)).view(single)

    def as_it_is(maps: Any, place: Any) -> Any:
        return maps[place]

    return widened if maps.dtype == types.uint16 else as_it_is


def put(maps: Any, place: Any, value: Any) -> None:
    """Put a value into maps, rounded to the nearest that there is."""
    raise NotImplementedError


@overload(put)
def _put_kind(maps: Any, place: Any, value: Any) -> Any:  # noqa: ARG001 - as what it stands for
    def to_nearest(maps: Any, place: Any, value: Any) -> None:
        whole = single(value).view(word)
        half = word(word(0x7FFF) + word(word(whole >> word(16)) & word(1)))  # ties go to the even one
        rounded = word(word(whole + half) >> word(16))
        maps[place] = bits(rounded if value == value else word(0x7FC0))  # noqa: PLR0124 - what is no number stays none

    def as_it_is(maps: Any, place: Any, value: Any) -> None:
        maps[place] = value

    return to_nearest if maps.dtype == types.uint16 else as_it_is
