"""In which order the candidates of a round are timed: shuffled, and balanced over the rounds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def balanced_orders(candidates: int, seed: int) -> Iterator[list[int]]:
    """Yield orders of 0 .. n-1 without end.

    Each set of n of them (2n where n is odd) is a Williams design (Williams 1949, Australian Journal of Scientific
    Research A 2) with its names and its rows shuffled anew: every candidate takes every place equally often, and
    follows every other one equally often, so that what it leaves behind in the caches falls on all alike.
    """
    shuffle = random.Random(seed).shuffle  # noqa: S311 - an order, not a secret
    zigzag = [place // 2 if place % 2 == 0 else candidates - 1 - place // 2 for place in range(candidates)]
    rows = [[(place + shift) % candidates for place in zigzag] for shift in range(candidates)]
    if candidates % 2:
        rows += [row[::-1] for row in rows]
    while True:
        names = list(range(candidates))
        shuffle(names)
        shuffle(rows)
        yield from ([names[place] for place in row] for row in rows)
