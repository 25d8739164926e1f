"""Where time comes from: a protocol that tests replace, and one clock for each kind of device."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from archbench.schema import Device


class Clock(Protocol):
    """Measures how long a piece of work takes on its device."""

    def elapsed_us(self, work: Callable[[], None]) -> float:
        """Run `work` and return the microseconds from its start until all of it is done."""


class CpuClock:
    """Wall time of the process."""

    def elapsed_us(self, work: Callable[[], None]) -> float:
        """Run `work` and return its wall time in microseconds."""
        start = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - start) / 1e3


class CudaClock:
    """CUDA events around the work on the current stream, with one synchronisation at its end."""

    def elapsed_us(self, work: Callable[[], None]) -> float:
        """Run `work` and return the device's time for it in microseconds."""
        import torch

        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) * 1e3


def clock_for(device: Device) -> Clock:
    """Return the clock of a kind of device."""
    return CudaClock() if device == "cuda" else CpuClock()
