"""What else the machine does while it is timed: other processes, slowed processors."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from archbench.schema import Device

CPU_THROTTLES = "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"
NVML_REASONS = {  # by NVML's names; a card that idles or was set to a clock by its owner is not throttled
    "SwPowerCap": "power cap", "HwSlowdown": "hardware slowdown", "SwThermalSlowdown": "software thermal slowdown",
    "HwThermalSlowdown": "hardware thermal slowdown", "HwPowerBrakeSlowdown": "power brake",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """The machine at one moment.

    Attributes:
        busy_s: core seconds that all processes have had since the machine started; None where it does not tell.
        throttles: times that the processors slowed down for their heat.
        throttled: reasons for which a CUDA device is slower than it could be now.
        clock_mhz, temperature_c: of a CUDA device.
    """

    busy_s: float | None = None
    throttles: int = 0
    throttled: tuple[str, ...] = ()
    clock_mhz: int | None = None
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

        times = psutil.cpu_times()
        # A guest's time is in its host's user time already; what a hypervisor gave to others is lost to us as well.
        idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)
        idle += getattr(times, "guest_nice", 0.0)
        look = Look(busy_s=sum(times) - idle, throttles=_cpu_throttles())
        return self._card.seen(look) if self._card else look


def _cpu_throttles() -> int:
    total = 0
    for file in Path("/").glob(CPU_THROTTLES.lstrip("/")):
        with contextlib.suppress(OSError, ValueError):
            total += int(file.read_text(encoding="ascii"))
    return total


class _Card:
    """The CUDA device that torch uses, through NVML; nothing on it is set."""

    def __init__(self) -> None:
        self._nvml: Any = None
        with contextlib.suppress(Exception):  # no library, no driver, no permission: the card is not looked at
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            self._nvml = pynvml

    def seen(self, look: Look) -> Look:
        """Return a look with the card added."""
        from dataclasses import replace

        if self._nvml is None:
            return look
        try:
            nvml, handle = self._nvml, self._handle
            bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
            reasons = tuple(
                word
                for name, word in NVML_REASONS.items()
                if bits & getattr(nvml, f"nvmlClocksThrottleReason{name}", 0)
            )
            return replace(
                look, throttled=reasons, clock_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
                temperature_c=int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            )  # fmt: skip
        except Exception:  # noqa: BLE001 - a card that stops telling does not end a measurement
            return look
