from __future__ import annotations

import pytest
from conftest import timing_of as timing

from archbench.schema import Cost, Peaks
from archbench.timing.roofline import bytes_of_step, roofline

COST = Cost(params=1000, trainable_params=600, buffers=50, macs=2_000_000, activations=5000, train_macs=6_000_000,
            size_bytes=4200)  # fmt: skip
SHAPE = (1, 10, 10)


def test_the_bound_is_the_longer_of_operations_and_bytes():
    infer = timing([100.0] * 8, mode="infer", peaks=Peaks(1e12, 1e9))  # 32 MFLOP: 32 µs; 327,400 B: 327.4 µs
    assert bytes_of_step(infer, COST, SHAPE) == 4200 + 8 * 4 * (100 + 2 * 5000)
    memory = roofline(infer, COST, SHAPE)
    assert (memory.bound_by, memory.bound_us) == ("memory", pytest.approx(327.4))
    compute = roofline(timing([100.0] * 8, mode="infer", peaks=Peaks(1e12, 1e12)), COST, SHAPE)
    assert (compute.bound_by, compute.bound_us) == ("compute", pytest.approx(32.0))
    assert compute.fraction == pytest.approx(0.32)
    assert compute.gflops_achieved == pytest.approx(320)
    assert not compute.launch_bound


def test_a_training_step_counts_its_own_macs_and_passes_three_times():
    train = timing([1000.0] * 8, peaks=Peaks(1e12, 1e12))
    assert bytes_of_step(train, COST, SHAPE) == 3 * (4200 + 8 * 4 * (100 + 2 * 5000)) + 4 * 600
    found = roofline(train, COST, SHAPE)
    assert found.gflops_achieved == pytest.approx(2 * 6_000_000 * 8 / 1000 / 1e3)


def test_a_step_far_under_both_limits_waits_for_its_launches():
    assert roofline(timing([400.0] * 8, mode="infer", peaks=Peaks(1e12, 1e12)), COST, SHAPE).launch_bound
    assert not roofline(timing([300.0] * 8, mode="infer", peaks=Peaks(1e12, 1e12)), COST, SHAPE).launch_bound


def test_half_precision_moves_half_the_activations():
    whole, half = (timing([1.0] * 8, mode="infer", precision=precision) for precision in ("fp32", "bf16"))
    assert 2 * (bytes_of_step(half, COST, SHAPE) - 4200) == bytes_of_step(whole, COST, SHAPE) - 4200


def test_what_is_not_known_gives_no_roofline():
    assert roofline(timing([1.0] * 8), COST, SHAPE) is None
    known = timing([1.0] * 8, peaks=Peaks(1e12, 1e12))
    assert roofline(known, None, SHAPE) is None
    assert roofline(known, Cost(1, 1, 0, None, 0), SHAPE) is None
