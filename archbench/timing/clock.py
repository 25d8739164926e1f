"""Where time comes from: a protocol that tests replace, and one clock for each kind of device."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from archbench.schema import Device

CUDA_STEPS = 20  # fewer would be lost in the events' own resolution of half a microsecond


class Elapsed(NamedTuple):
    """Microseconds that work took: on the device's clock, and of the processor for all threads of the process."""

    us: float
    cpu_us: float


class Clock(Protocol):
    """Measures how long a piece of work takes on its device.

    Attributes:
        least_steps: what a block of steps must hold at least.
    """

    least_steps: int

    def elapsed(self, work: Callable[[], None]) -> Elapsed:
        """Run `work` and return the time from its start until all of it is done."""


class CpuClock:
    """Wall time and processor time of the process."""

    least_steps = 1

    def elapsed(self, work: Callable[[], None]) -> Elapsed:
        """Run `work` and return its time."""
        start, cpu = time.perf_counter_ns(), time.process_time_ns()
        work()
        cpu = time.process_time_ns() - cpu
        return Elapsed((time.perf_counter_ns() - start) / 1e3, cpu / 1e3)


class CudaClock:
    """CUDA events around the work on the current stream, with one synchronisation at its end."""

    least_steps = CUDA_STEPS

    def elapsed(self, work: Callable[[], None]) -> Elapsed:
        """Run `work` and return the device's time for it."""
        import torch

        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        cpu = time.process_time_ns()
        start.record()
        work()
        end.record()
        end.synchronize()
        return Elapsed(float(start.elapsed_time(end)) * 1e3, (time.process_time_ns() - cpu) / 1e3)


def clock_for(device: Device) -> Clock:
    """Return the clock of a kind of device."""
    return CudaClock() if device == "cuda" else CpuClock()
