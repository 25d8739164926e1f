"""SizedModel + machine -> Knobs: the quickest way to take a model's steps, found by a short trial and kept.

All ways compute the same but for rounding, in the same precision. A trial costs seconds, so short trainings go the
usual way, and what was found is kept in the user's cache: the same machine takes the same way again.
"""

from __future__ import annotations

import contextlib
import platform
import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archbench.budget import build_model
from archbench.data.cache import recalled, remember
from archbench.environment import worker_allocator
from archbench.errors import ArchbenchError
from archbench.forward import torch_threads
from archbench.schema import USUAL, Knobs
from archbench.timing.clock import clock_for
from archbench.timing.sessions import stepping
from archbench.timing.steps import Request, make_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archbench.data import Dataset
    from archbench.schema import Cell, Cost, Device
    from archbench.timing.clock import Clock
    from archbench.timing.steps import Step

KIND = "knobs"  # of what is kept
CONTIGUOUS, WINOGRAD = Knobs("contiguous"), Knobs(winograd=True)
WORTH_S = 20.0  # of one training: what a trial of some seconds is worth it for
LOOPS_THREADS = 2  # with more of them torch's own layers are quicker: a loop of ours has one
LOOPS_WORTH_S = 4.0  # likewise what it is worth it for to load loops that were compiled, which takes a second
# A second, that a training is expected to reach before anything was measured; on the CPU on each thread.
FLOPS: Mapping[Device, float] = {"cpu": 2e10, "cuda": 1e13}
TRIED_S = 0.25  # of a block of steps
BLOCKS = 5  # of each way, in turns
# Another way than the usual one has to be so much quicker: a trial is off by some per cent, and whether one machine
# rounds as the next must not hang on that where little is gained.
GAIN = 1.08
# That compiling may be hoped to bring, and takes, before it was tried: against filters in channels-last order and an
# allocator that keeps its memory it brought nothing to a tenth on the nets that were measured, in 30 to 90 s.
COMPILED_GAIN = 1.15
COMPILE_S = 60.0


@dataclass(frozen=True)
class Trial:
    """What was found of one model on one machine.

    Attributes:
        usual_s, contiguous_s: a step, op by op, with either order of memory.
        winograd_s: a step of the usual order with convolutions in Winograd's way; None where there is none to be so.
        compiled_s: a step of the quicker order compiled; None where it was not tried, or cannot be.
        compile_s: until the first compiled step was done. tried: whether compiling was.
    """

    usual_s: float
    contiguous_s: float
    winograd_s: float | None = None
    compiled_s: float | None = None
    compile_s: float = 0.0
    tried: bool = False

    @property
    def eager(self) -> tuple[Knobs, float]:
        """The quickest way op by op, and the seconds of its step."""
        others = [(CONTIGUOUS, self.contiguous_s)]
        if self.winograd_s is not None:
            others.append((WINOGRAD, self.winograd_s))
        best = min(others, key=lambda way: way[1])
        return best if best[1] * GAIN < self.usual_s else (USUAL, self.usual_s)

    def best(self, steps: int) -> Knobs:
        """Return the way by which so many steps, with what has to be compiled before them, are done first."""
        knobs, eager_s = self.eager
        if self.compiled_s is not None and self.compile_s + steps * self.compiled_s * GAIN < steps * eager_s:
            return _compiled(knobs)
        return knobs


def _compiled(knobs: Knobs) -> Knobs:
    """Return the compiled way of an order of memory, in which no layer is ours."""
    return Knobs(knobs.memory_format, compiled=True)


def steps_of(cell: Cell) -> int:
    """Return the training steps of a run."""
    return -(-cell.images[0] // cell.recipe.batch_size) * cell.recipe.epochs


def worth(cell: Cell, cost: Cost | None) -> bool:
    """Whether a run may be expected to be so long that a trial pays."""
    return _expected_s(cell, cost) > WORTH_S


def suited(knobs: Knobs, cell: Cell, cost: Cost | None) -> Knobs:
    """Return a way with what pays on a cell's device.

    On CUDA it is replayed, unless it is compiled. On the CPU it has layers done by loops of our own, where a run may be
    expected to be so long that they pay.
    """
    if cell.device == "cuda":
        return replace(knobs, cuda_graph=not knobs.compiled)
    normalises = cost is not None and cost.statistics > 0
    pays = _takes_loops(knobs, cell) and _expected_s(cell, cost) > LOOPS_WORTH_S
    return replace(knobs, quick_norm=pays and normalises, quick_maps=pays)


def _takes_loops(knobs: Knobs, cell: Cell) -> bool:
    way = knobs.memory_format == "channels_last" and not knobs.compiled
    return way and cell.device == "cpu" and cell.threads <= LOOPS_THREADS


def _expected_s(cell: Cell, cost: Cost | None) -> float:
    """Return how long a run may take, from its counts alone."""
    macs = cost.train_macs or 0 if cost else 0
    flops = FLOPS[cell.device] * (cell.threads if cell.device == "cpu" else 1)
    return 2 * macs * cell.images[0] * cell.recipe.epochs / flops


def find_knobs(cell: Cell, dataset: Dataset, clock: Clock | None = None) -> Knobs:
    """Return the quickest way for a cell, from the cache or by a trial in this process; nobody else should be at work.

    Raises:
        ModelError: the model cannot be stepped at all.
    """
    key = _key(cell)
    trial = recalled(KIND, key, Trial)
    steps = steps_of(cell)
    if trial is None or (not trial.tried and _may_be_compiled(steps, trial)):
        trial = _try(cell, dataset, clock or clock_for(cell.device))
        remember(KIND, key, trial)
    return trial.best(steps)


def _key(cell: Cell) -> str:
    sized = cell.sized
    assert sized is not None  # noqa: S101 - what could not be built has no steps
    told = (
        "as trained, or in Winograd's way", platform.node(), cell.device_name, cell.torch, cell.threads,
        worker_allocator(), sized.key, stepping(cell.recipe),
    )  # fmt: skip
    return repr(told)


def _may_be_compiled(steps: int, trial: Trial) -> bool:
    """Whether so many steps take so long that compiling may pay, before it was tried."""
    return (1 - 1 / COMPILED_GAIN) * steps * trial.eager[1] > COMPILE_S


def _try(cell: Cell, dataset: Dataset, clock: Clock) -> Trial:
    with torch_threads(cell.threads):
        eager = {knobs: _step(cell, dataset, knobs)[0] for knobs in _ways(cell)}
        seconds = _seconds(eager, clock)
        trial = Trial(seconds[USUAL], seconds[CONTIGUOUS], seconds.get(WINOGRAD))
        if not _may_be_compiled(steps_of(cell), trial):
            return trial
        trial = replace(trial, tried=True)
        knobs, eager_s = trial.eager
        with contextlib.suppress(ArchbenchError):  # not every model can be compiled
            compiled, compile_s = _step(cell, dataset, _compiled(knobs))
            both = _seconds({knobs: eager[knobs], _compiled(knobs): compiled}, clock)
            # Compared with its neighbour in time, and told on the scale of the others.
            scale = eager_s / both[knobs]
            return replace(trial, compiled_s=both[_compiled(knobs)] * scale, compile_s=compile_s)
        return trial


def _ways(cell: Cell) -> tuple[Knobs, ...]:
    """Return the ways op by op that differ for a model on its device."""
    from archbench.quick import takes_winograd

    assert cell.sized is not None  # noqa: S101 - as above
    by_winograd = _takes_loops(WINOGRAD, cell) and takes_winograd(build_model(cell.sized))
    return (USUAL, CONTIGUOUS, WINOGRAD) if by_winograd else (USUAL, CONTIGUOUS)


def _step(cell: Cell, dataset: Dataset, knobs: Knobs) -> tuple[Step, float]:
    """Return a training step as these knobs have it, taken once, and how long that took to make, in seconds.

    Raises:
        ArchbenchError: it cannot be taken so.
    """
    assert cell.sized is not None  # noqa: S101 - as above
    request = Request(
        (cell.sized,), None, {cell.sized.input_shape: dataset}, cell.recipe, cell.device, cell.threads,
        modes=("train",), engines=("compiled" if knobs.compiled else "graph" if cell.device == "cuda" else "eager",),
        knobs=replace(knobs, quick_norm=_takes_loops(knobs, cell), quick_maps=_takes_loops(knobs, cell)),
    )  # fmt: skip
    begun = time.perf_counter()
    made = make_steps(request)
    if made.problems:
        raise ArchbenchError(made.problems[0])
    return next(iter(made.subjects.values())), time.perf_counter() - begun


def _seconds(ways: Mapping[Knobs, Step], clock: Clock) -> dict[Knobs, float]:
    """Return the seconds of a step of each way: the median of blocks that they take in turns."""

    def block(step: Step, steps: int) -> float:
        def work() -> None:
            for _ in range(steps):
                step()

        return clock.elapsed(work).us / 1e6 / steps

    steps = {
        knobs: max(clock.least_steps, round(TRIED_S / max(1e-9, block(step, clock.least_steps))))
        for knobs, step in ways.items()
    }
    blocks: dict[Knobs, list[float]] = {knobs: [] for knobs in ways}
    for _ in range(BLOCKS):
        for knobs, step in ways.items():
            blocks[knobs].append(block(step, steps[knobs]))
    return {knobs: statistics.median(found) for knobs, found in blocks.items()}
