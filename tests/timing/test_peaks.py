from __future__ import annotations

import dataclasses

import pytest
import torch

from archbench.data.cache import CACHE_VARIABLE
from archbench.environment import capture
from archbench.schema import Peaks
from archbench.timing import peaks
from archbench.timing.clock import Elapsed


class Ticking:
    """The n-th piece of work takes so many microseconds; it need not be done."""

    least_steps = 1

    def __init__(self, *durations):
        self.durations = list(durations)

    def elapsed(self, work):
        work()
        us = self.durations.pop(0) if len(self.durations) > 1 else self.durations[0]
        return Elapsed(us, us)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(peaks.SIDES, "cpu", (16, 32))
    monkeypatch.setitem(peaks.COPIED_BYTES, "cpu", 1024)


def test_the_peak_is_that_of_the_best_product():
    # Three samples of each side: 2 x 16^3 in 2 µs is 4.096 GFLOP/s; 2 x 32^3 in 8 µs is 8.192.
    clock = Ticking(5.0, 2.0, 3.0, 9.0, 8.0, 10.0, 10.0)
    assert peaks.matmul_flops_per_s("cpu", "fp32", clock, seconds=0) == pytest.approx(8.192e9)


def test_a_copy_reads_and_writes():
    assert peaks.copy_bytes_per_s("cpu", Ticking(4.0, 2.0, 3.0, 3.0), seconds=0) == pytest.approx(1024e6)


def test_a_measurement_lasts_as_long_as_it_is_asked_to():
    clock = Ticking(*[1000.0] * 7, 1.0)
    peaks.copy_bytes_per_s("cpu", clock, seconds=0.0065)
    assert len(clock.durations) == 1


def test_it_is_measured_once_and_kept_under_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    asked = []
    monkeypatch.setattr(peaks, "matmul_flops_per_s", lambda *args: (asked.append(torch.get_num_threads()), 1e9)[1])
    monkeypatch.setattr(peaks, "copy_bytes_per_s", lambda *args: 2e9)
    here = capture()
    other = dataclasses.replace(here, torch="0.0")
    assert peaks.peaks_of("cpu", "fp32", 1, here) == peaks.peaks_of("cpu", "fp32", 1, here) == Peaks(1e9, 2e9)
    assert asked == [1]
    peaks.peaks_of("cpu", "fp32", 2, here)
    assert asked == [1, 2]
    peaks.peaks_of("cpu", "bf16", 1, here)
    peaks.peaks_of("cpu", "fp32", 1, other)
    peaks.peaks_of("cpu", "fp32", 1, here, refresh=True)
    assert asked == [1, 2, 1, 1, 1]
    for file in tmp_path.rglob("*.json"):
        file.write_text("{damaged")
    assert peaks.peaks_of("cpu", "fp32", 1, here) == Peaks(1e9, 2e9)
    assert len(asked) == 6


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert peaks.peaks_of("cpu", "fp32", 1, capture()).flops_per_s > 0


@pytest.mark.gpu
def test_a_card_is_faster_in_half_precision():
    assert peaks.matmul_flops_per_s("cuda", "bf16") > peaks.matmul_flops_per_s("cuda", "fp32")
