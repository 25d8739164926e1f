"""The protocol on a clock that the test turns: exact, and without waiting."""

from __future__ import annotations

import gc
from itertools import pairwise

import pytest

from archbench.timing.clock import CpuClock, clock_for
from archbench.timing.protocol import Protocol, interleave


class FakeClock:
    """Time passes only by the steps that are run, each as long as its list says next."""

    def __init__(self):
        self.now_us = 0.0
        self.log = []

    def step(self, name, durations):
        rest = iter(durations)
        last = [0.0]

        def run():
            last[0] = next(rest, last[0])
            self.now_us += last[0]
            self.log.append(name)

        return run

    def elapsed_us(self, work):
        start = self.now_us
        work()
        return self.now_us - start


def test_samples_are_the_mean_step_of_each_block():
    clock = FakeClock()
    steps = {"a": clock.step("a", [100.0]), "b": clock.step("b", [300.0])}
    samples = interleave(steps, clock, Protocol(rounds=5, block_us=1000))
    assert samples["a"].values_us == (100.0,) * 5
    assert samples["b"].values_us == (300.0,) * 5
    assert samples["a"].steps == 10  # 10 x 100 µs fill a block
    assert samples["b"].steps == 4  # 3 x 300 µs do not


def test_the_first_step_does_not_size_the_blocks():
    clock = FakeClock()
    samples = interleave({"a": clock.step("a", [50_000.0, 100.0])}, clock, Protocol(rounds=2, block_us=1000))
    assert samples["a"].steps == 10
    assert samples["a"].values_us == (100.0, 100.0)


def test_blocks_are_sized_again_while_the_candidate_warms_up():
    clock = FakeClock()
    slow_start = [1000.0, 1000.0, 500.0] + [100.0] * 1000
    samples = interleave({"a": clock.step("a", slow_start)}, clock, Protocol(rounds=1, block_us=1000, warmup_blocks=3))
    assert samples["a"].steps == 10


def test_every_round_holds_every_candidate_once_in_a_new_order():
    clock = FakeClock()
    names = ["a", "b", "c"]
    protocol = Protocol(rounds=12, block_us=1, warmup_blocks=0)
    interleave({name: clock.step(name, [1.0]) for name in names}, clock, protocol)
    rounds = [tuple(clock.log[i : i + 3]) for i in range(len(clock.log) - 36, len(clock.log), 3)]
    assert all(sorted(order) == names for order in rounds)
    assert len(set(rounds)) > 3
    assert {order[0] for order in rounds} == set(names)


def test_a_slow_spell_falls_on_all_candidates_of_its_rounds():
    clock = FakeClock()

    class Slowing(FakeClock):
        def elapsed_us(self, work):
            factor = 3.0 if 40 < len(clock.log) < 80 else 1.0
            return factor * clock.elapsed_us(work)

    steps = {"a": clock.step("a", [10.0]), "b": clock.step("b", [20.0])}
    samples = interleave(steps, Slowing(), Protocol(rounds=40, block_us=1, warmup_blocks=0))
    ratios = [b / a for a, b in zip(samples["a"].values_us, samples["b"].values_us, strict=True)]
    assert max(samples["a"].values_us) == 30.0
    assert sum(ratio == 2.0 for ratio in ratios) >= 38  # but for the rounds in which the spell begins or ends


def test_the_time_limit_ends_after_a_whole_round_but_not_before_the_least():
    clock = FakeClock()
    steps = {"a": clock.step("a", [1e6]), "b": clock.step("b", [1e6])}
    short = interleave(steps, clock, Protocol(rounds=50, min_rounds=3, max_seconds=10))
    assert {len(s.values_us) for s in short.values()} == {5}
    clock = FakeClock()
    least = interleave({"a": clock.step("a", [1e6])}, clock, Protocol(rounds=50, min_rounds=3, max_seconds=0))
    assert len(least["a"].values_us) == 3


def test_progress_is_told_and_the_collector_is_left_as_it_was():
    clock, told = FakeClock(), []
    seen = []

    def step():
        seen.append(gc.isenabled())
        clock.now_us += 1

    interleave({"a": step}, clock, Protocol(rounds=4, block_us=1), lambda *args: told.append(args))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert seen[-1] is False
    assert gc.isenabled()

    def fail():
        if len(seen) > 20:
            raise RuntimeError("stop")
        seen.append(1)
        clock.now_us += 1

    with pytest.raises(RuntimeError, match="stop"):
        interleave({"a": fail}, clock, Protocol(rounds=100, block_us=1))
    assert gc.isenabled()


def test_the_cpu_clock_measures_work_in_microseconds(monkeypatch):
    ticks = iter([1_000_000, 1_250_000])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(ticks))
    done = []
    assert CpuClock().elapsed_us(lambda: done.append(1)) == 250.0
    assert done == [1]
    assert isinstance(clock_for("cpu"), CpuClock)


def test_time_runs_forward():
    clock = CpuClock()
    assert all(a >= 0 and b >= 0 for a, b in pairwise(clock.elapsed_us(lambda: None) for _ in range(5)))


@pytest.mark.gpu
def test_the_cuda_clock_waits_for_the_device():
    import torch

    a = torch.randn(4096, 4096, device="cuda")
    clock = clock_for("cuda")
    clock.elapsed_us(lambda: a @ a)

    def work(times):
        def run():
            for _ in range(times):
                a @ a

        return run

    assert clock.elapsed_us(work(50)) > 5 * clock.elapsed_us(work(1))
