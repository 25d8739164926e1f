"""Dropout as a loop over memory, compiled for the processor that runs it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numba import types

from archbench.quick.compiling import KINDS, at, compiled_for, put, single

place, whole = np.uint64, np.int32
_DRAWN = (types.uint8[::1], types.int16[::1])


@compiled_for(*([kind, drawn, kind, types.int32, types.float32] for kind, drawn in itertools.product(KINDS, _DRAWN)))
def drop(values: Any, drawn: Any, done: Any, least: Any, scale: Any) -> None:
    """Drop some values, and scale the others.

    Args:
        values: in any order.
        drawn: a number for each, in the same.
        done: (written) what is left of them.
        least: the number from which on a value is kept.
        scale: what it is multiplied by.
    """
    for spot in range(len(values)):
        value = at(values, place(spot)) * scale
        value = value if whole(drawn[place(spot)]) >= least else single(0)
        put(done, place(spot), value)
