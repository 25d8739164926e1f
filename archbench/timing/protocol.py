"""The order of a measurement in one process: blocks sized, warm-up, then rounds that hold every candidate once.

A machine that slows down for a while slows all candidates of a round alike, so their ratios stand.
"""

from __future__ import annotations

import gc
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from archbench.collection import uncollected
from archbench.errors import reason
from archbench.timing.clock import Elapsed
from archbench.timing.order import balanced_orders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archbench.timing.clock import Clock

    Step = Callable[[], None]
    Round = list[Elapsed]

T = TypeVar("T")
LOST = Elapsed(math.nan, math.nan)


@dataclass(frozen=True)
class Protocol:
    """How long and how often.

    Attributes:
        processes: fresh ones, that take turns; 0 times in this process.
        max_seconds: of a session; after it no new turn begins.
        ratio_goal, step_goal: the session ends when half the interval of every ratio, and of every step's own time, is
            at most this share of it.
        min_rounds: of each process, unless the time is up before.
        turn_us: how long a process measures before it is the next one's turn.
        block_us: each sample is the mean of as many steps as take at least this long.
        settled_blocks: so many blocks must agree within `settled_spread` to end a candidate's warm-up.
        warmup_us: after which it ends even if they do not; less where all warm-ups would outlast `max_seconds`.
        seed: of the order within the rounds.
        again: whether what has been timed already is timed once more; both sessions are kept.
        patience_s: that a process may take for an answer, 0 for as long as it likes; then the session is given up.
    """

    processes: int = 5
    max_seconds: float = 60
    ratio_goal: float = 0.01
    step_goal: float = 0.02
    min_rounds: int = 6
    turn_us: float = 1e6
    block_us: float = 20_000
    settled_blocks: int = 3
    settled_spread: float = 0.05
    warmup_us: float = 1e6
    seed: int = 0
    again: bool = False
    patience_s: float = 1800.0


class Bench:
    """Candidates that are timed side by side in this process.

    Attributes:
        steps: of each candidate's block.
        failed: by a candidate's place why it raised; it is not run again, and the others go on.
        untimed_us: that steps took so far that count for nothing: of the warm-up, and the first ones of a turn.
    """

    def __init__(self, candidates: Sequence[Step], clock: Clock, protocol: Protocol, process: int = 0) -> None:
        """Take candidates; nothing is run yet.

        Args:
            candidates: one step of work each.
            clock: measures a block of steps.
            protocol: how long and how often.
            process: its number, that the order of its rounds depends on.
        """
        self._candidates, self._clock, self._protocol = candidates, clock, protocol
        self._orders = balanced_orders(len(candidates), protocol.seed * 1_000 + process)
        self._warmup_us = min(
            protocol.warmup_us, 1e6 * protocol.max_seconds / (max(1, protocol.processes) * max(1, len(candidates)))
        )
        self.steps = [clock.least_steps] * len(candidates)
        self.failed: dict[int, str] = {}
        self.untimed_us = 0.0

    def warm_up(self) -> list[bool]:
        """Size every candidate's blocks and run them until they agree; return for each whether they did."""
        gc.collect()
        with uncollected():
            return [bool(self._guarded(index, self._warm_up)) for index in range(len(self._candidates))]

    def _guarded(self, index: int, work: Callable[[int], T]) -> T | None:
        """Return what `work` makes of a candidate; None where it has failed, now or before."""
        if index in self.failed:
            return None
        try:
            return work(index)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything
            self.failed[index] = reason(error)
            return None

    def _warm_up(self, index: int) -> bool:
        protocol, spent_us = self._protocol, 0.0
        last: deque[float] = deque(maxlen=protocol.settled_blocks)
        while True:
            step_us = self._block(index).us
            spent_us += step_us * self.steps[index]
            self.untimed_us += step_us * self.steps[index]
            last.append(step_us)
            # Again, as steps get shorter: the very first one allocates, and picks kernels.
            self._size(index, min(last))
            if len(last) == protocol.settled_blocks and max(last) <= (1 + protocol.settled_spread) * min(last):
                return True
            if len(last) == protocol.settled_blocks and spent_us >= self._warmup_us:
                return False

    def _size(self, index: int, step_us: float) -> None:
        needed = math.ceil(self._protocol.block_us / max(step_us, 1e-3))
        self.steps[index] = max(self._clock.least_steps, needed)

    def turn(self, turn_us: float) -> list[Round]:
        """Return rounds until so many microseconds are measured, one at least: for each candidate its time a step.

        A candidate that has failed has `LOST` instead.
        """
        rounds: list[Round] = []
        spent_us = 0.0
        with uncollected():
            # Another process had the caches: even a first step of 50 ms takes 4 to 5 % longer.
            for index in range(len(self._candidates)):
                self._guarded(index, self._step)
            while (not rounds or spent_us < turn_us) and len(self.failed) < len(self._candidates):
                taken = {index: self._guarded(index, self._block) or LOST for index in next(self._orders)}
                rounds.append([taken[index] for index in range(len(self._candidates))])
                spent_us += sum(one.us * self.steps[index] for index, one in taken.items() if one is not LOST)
        return rounds

    def _step(self, index: int) -> None:
        self.untimed_us += self._clock.elapsed(self._candidates[index]).us

    def _block(self, index: int) -> Elapsed:
        """Return the mean time of a step of one block."""
        step, steps = self._candidates[index], self.steps[index]

        def block() -> None:
            for _ in range(steps):
                step()

        elapsed = self._clock.elapsed(block)
        return elapsed._replace(us=elapsed.us / steps, cpu_us=elapsed.cpu_us / steps)
