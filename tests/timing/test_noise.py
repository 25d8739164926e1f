from __future__ import annotations

import sys
from types import SimpleNamespace

import psutil
import pytest

from archbench.timing import noise
from archbench.timing.noise import MachineNoise

Times = psutil.cpu_times().__class__


def test_busy_is_all_that_is_not_idle(monkeypatch):
    fields = {
        "user": 10.0, "nice": 1.0, "system": 4.0, "idle": 100.0, "iowait": 7.0, "irq": 0.5, "softirq": 0.5,
        "steal": 2.0, "guest": 3.0, "guest_nice": 1.0,
    }  # fmt: skip
    known = {name: fields[name] for name in Times._fields}
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(**known))
    monkeypatch.setattr("time.process_time", lambda: 2.5)
    assert MachineNoise("cpu").look().busy_s == pytest.approx(
        15.5
    )  # a guest is in user; waiting for disks is idle; ours is not others'


def test_throttles_of_all_processors_are_added(monkeypatch, tmp_path):
    for core, count in enumerate(("2", "5", "broken")):
        (tmp_path / f"cpu{core}").write_text(count)
    monkeypatch.setattr(noise, "CPU_THROTTLES", f"{tmp_path}/cpu*")
    assert MachineNoise("cpu").look().throttles == 7


class Nvml:
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0
    nvmlClocksThrottleReasonSwPowerCap, nvmlClocksThrottleReasonHwThermalSlowdown = 4, 64  # noqa: N815
    nvmlClocksThrottleReasonGpuIdle = 1  # noqa: N815

    def __init__(self, bits):
        self.bits = bits

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        assert uuid == "GPU-1234"
        return "card"

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):  # noqa: N802
        if self.bits is None:
            raise RuntimeError("gone")
        return self.bits

    def nvmlDeviceGetClockInfo(self, handle, kind):  # noqa: N802
        return 1980

    def nvmlDeviceGetTemperature(self, handle, kind):  # noqa: N802
        return 55


@pytest.fixture
def card(monkeypatch):
    """Return a card that is looked at only when it is told to."""
    import torch

    monkeypatch.setattr(noise._Card, "_watch", lambda self: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid="1234"))

    def made(bits):
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(bits))
        return noise._Card()

    return made


SLOWED = [(0, ()), (4, ("power cap",)), (68, ("hardware thermal slowdown", "power cap"))]


@pytest.mark.parametrize(("bits", "reasons"), SLOWED)
def test_a_card_tells_its_clock_its_heat_and_why_it_is_slowed(bits, reasons, card):
    mine = card(bits)
    mine.sample()
    mine._nvml.bits = 0
    mine.sample()
    look = mine.seen(noise.Look())
    assert (look.throttled, look.clock_mhz, look.temperature_c) == (reasons, (1980, 1980), 55)
    assert mine.seen(noise.Look()) == noise.Look()  # since the last look


def test_a_card_that_idles_or_does_not_tell_is_not_held_against_it(card):
    idle = card(1)
    idle.sample()
    assert idle.seen(noise.Look()).clock_mhz is None
    silent = card(None)
    silent.sample()
    assert silent.seen(noise.Look()).clock_mhz == (1980, 1980)
    assert silent.seen(noise.Look()).throttled == ()


def test_without_the_library_a_card_is_not_looked_at(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert MachineNoise("cuda").look().clock_mhz is None
