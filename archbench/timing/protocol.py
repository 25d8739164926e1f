"""The order of a measurement: warm-up, calibration, then rounds in which every candidate is timed once.

A machine that slows down for a while slows all candidates of a round alike, so their ratios stand.
"""

from __future__ import annotations

import gc
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from archbench.timing.clock import Clock

K = TypeVar("K", bound="Hashable")


@dataclass(frozen=True)
class Protocol:
    """How long and how often.

    Attributes:
        rounds: samples of each candidate, unless `max_seconds` ends the measurement first.
        min_rounds: samples of each candidate in any case.
        block_us: each sample is the mean of as many steps as take at least this long.
        warmup_blocks: blocks of each candidate that are thrown away first.
        max_seconds: after this long no new round begins.
        seed: of the order within the rounds.
    """

    rounds: int = 25
    min_rounds: int = 8
    block_us: float = 20_000
    warmup_blocks: int = 2
    max_seconds: float = 60
    seed: int = 0


@dataclass(frozen=True)
class Samples:
    """Microseconds a step, one value a round; each is the mean of `steps` steps."""

    values_us: tuple[float, ...]
    steps: int


def interleave(
    candidates: Mapping[K, Callable[[], None]],
    clock: Clock,
    protocol: Protocol,
    on_round: Callable[[int, int], None] = lambda done, total: None,
) -> dict[K, Samples]:
    """Time every candidate side by side.

    Args:
        candidates: one step of work each.
        clock: measures a block of steps.
        protocol: how long and how often.
        on_round: is told (rounds done, rounds planned).

    Returns:
        The raw samples of each candidate, all of the same length, in the order of the rounds.
    """
    order = list(candidates)
    shuffle = random.Random(protocol.seed).shuffle  # noqa: S311 - an order, not a secret
    steps: dict[K, int] = {}
    values: dict[K, list[float]] = {key: [] for key in order}
    spent_us = 0.0
    for key, step in candidates.items():
        first_us = min(clock.elapsed_us(step) for _ in range(2))  # the very first step allocates and picks kernels
        steps[key] = max(1, math.ceil(protocol.block_us / max(first_us, 1e-3)))
        for _ in range(protocol.warmup_blocks):
            # The block is sized again as the candidate warms up and its steps get shorter.
            block_us = clock.elapsed_us(_repeat(step, steps[key]))
            steps[key] = max(1, math.ceil(protocol.block_us * steps[key] / max(block_us, 1e-3)))
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for done in range(protocol.rounds):
            if done >= protocol.min_rounds and spent_us >= protocol.max_seconds * 1e6:
                break
            shuffle(order)
            for key in order:
                block_us = clock.elapsed_us(_repeat(candidates[key], steps[key]))
                values[key].append(block_us / steps[key])
                spent_us += block_us
            on_round(done + 1, protocol.rounds)
    finally:
        if collecting:
            gc.enable()
    return {key: Samples(tuple(values[key]), steps[key]) for key in candidates}


def _repeat(step: Callable[[], None], times: int) -> Callable[[], None]:
    def block() -> None:
        for _ in range(times):
            step()

    return block
