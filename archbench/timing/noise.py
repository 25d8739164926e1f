"""What else the machine does while it is timed: other processes, slowed processors."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from archbench.schema import Device

CPU_THROTTLES = "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"
SAMPLE_S = 0.2
NVML_REASONS = {  # by NVML's names; a card that idles or was set to a clock by its owner is not throttled
    "SwPowerCap": "power cap", "HwSlowdown": "hardware slowdown", "SwThermalSlowdown": "software thermal slowdown",
    "HwThermalSlowdown": "hardware thermal slowdown", "HwPowerBrakeSlowdown": "power brake",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """The machine at one moment.

    Attributes:
        busy_s: core seconds that all processes but this one have had; None where the machine does not tell.
        throttles: times that the processors slowed down for their heat.
        throttled: reasons for which a CUDA device is slower than it could be now.
        clock_mhz: the lowest and the highest of a CUDA device while it worked, since the last look.
        temperature_c: the highest of a CUDA device, likewise.
    """

    busy_s: float | None = None
    throttles: int = 0
    throttled: tuple[str, ...] = ()
    clock_mhz: tuple[int, int] | None = None
    temperature_c: int | None = None


class NoiseReader(Protocol):
    """Looks at the machine."""

    def look(self) -> Look:
        """Return what the machine says now."""


class MachineNoise:
    """The operating system's own accounts, and NVML's where a CUDA device is timed and nvidia-ml-py is installed."""

    def __init__(self, device: Device) -> None:
        """Open what there is for a kind of device."""
        self._card = _Card() if device == "cuda" else None

    def look(self) -> Look:
        """Return what the machine says now."""
        import psutil

        throttles = _cpu_throttles()
        own = time.process_time()  # what this process shows and reads meanwhile is no disturbance from outside
        times = psutil.cpu_times()
        # A guest's time is in its host's user time already; what a hypervisor gave to others is lost to us as well.
        idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)
        idle += getattr(times, "guest_nice", 0.0)
        look = Look(busy_s=sum(times) - idle - own, throttles=throttles)
        return self._card.seen(look) if self._card else look


def _cpu_throttles() -> int:
    total = 0
    for file in Path("/").glob(CPU_THROTTLES.lstrip("/")):
        with contextlib.suppress(OSError, ValueError):
            total += int(file.read_text(encoding="ascii"))
    return total


class _Card:
    """The CUDA device that torch uses, seen through NVML several times a second; nothing on it is set."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._clocks: list[int] = []
        self._temperatures: list[int] = []
        with contextlib.suppress(Exception):  # no library, no driver, no permission: the card is not looked at
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
            self._nvml, self._handle = pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid)
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.sample()
            time.sleep(SAMPLE_S)

    def sample(self) -> None:
        """Note what the card says now, unless it idles; what a driver does not tell is left out."""
        nvml, handle = self._nvml, self._handle
        with contextlib.suppress(Exception):
            bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
            if bits & nvml.nvmlClocksThrottleReasonGpuIdle:
                return
            masks = {word: getattr(nvml, f"nvmlClocksThrottleReason{name}", 0) for name, word in NVML_REASONS.items()}
            self._reasons |= {word for word, mask in masks.items() if bits & mask}
        with contextlib.suppress(Exception):
            self._clocks.append(int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)))
        with contextlib.suppress(Exception):
            self._temperatures.append(int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)))

    def seen(self, look: Look) -> Look:
        """Return a look with what was seen of the card since the last one."""
        reasons, self._reasons = self._reasons, set()
        clocks, self._clocks = self._clocks, []
        temperatures, self._temperatures = self._temperatures, []
        return replace(
            look, throttled=tuple(sorted(reasons)), clock_mhz=(min(clocks), max(clocks)) if clocks else None,
            temperature_c=max(temperatures, default=None),
        )  # fmt: skip
