"""The protocol on a clock that the test turns: exact, and without waiting."""

from __future__ import annotations

import gc
import math

import pytest

from archbench.timing.clock import CpuClock, Elapsed, clock_for
from archbench.timing.protocol import Bench, Protocol


class FakeClock:
    """Time passes only by the steps that are run, each as long as its list says next, the last for ever."""

    def __init__(self, least_steps=1):
        self.now_us = 0.0
        self.log = []
        self.least_steps = least_steps

    def step(self, name, *durations):
        rest = iter(durations)
        last = [0.0]

        def run():
            last[0] = next(rest, last[0])
            self.now_us += last[0]
            self.log.append(name)

        return run

    def elapsed(self, work):
        start = self.now_us
        work()
        return Elapsed(self.now_us - start, 2 * (self.now_us - start))


def bench(clock, *steps, process=0, **settings):
    return Bench(steps, clock, Protocol(**settings), process)


def test_samples_are_the_mean_step_of_each_block_for_both_clocks():
    clock = FakeClock()
    mine = bench(clock, clock.step("a", 100.0), clock.step("b", 300.0), block_us=1000)
    assert mine.warm_up() == [True, True]
    assert mine.steps == [10, 4]  # 10 x 100 µs fill a block, 3 x 300 µs do not
    rounds = mine.turn(10_000)
    assert all(one == [Elapsed(100.0, 200.0), Elapsed(300.0, 600.0)] for one in rounds)
    assert len(rounds) == 5  # of 2,200 µs each


def test_what_steps_took_that_do_not_count_is_kept():
    clock = FakeClock()
    mine = bench(clock, clock.step("a", 100.0), clock.step("b", 300.0), block_us=1000)
    mine.warm_up()
    assert mine.untimed_us == clock.now_us == 2 * 1000 + 100 + 2 * 1200 + 300  # three blocks, the first of one step
    before = clock.now_us
    rounds = mine.turn(10_000)
    taken = sum(steps * one.us for each in rounds for steps, one in zip(mine.steps, each, strict=True))
    assert mine.untimed_us == before + 400.0 == clock.now_us - taken


def test_the_first_steps_do_not_size_the_blocks():
    clock = FakeClock()
    mine = bench(clock, clock.step("a", 50_000.0, 100.0), block_us=1000)
    mine.warm_up()
    assert mine.steps == [10]


def test_blocks_grow_while_the_candidate_gets_faster():
    clock = FakeClock()
    mine = bench(clock, clock.step("a", *[1000.0] * 2, *[500.0] * 4, 100.0), block_us=1000)
    assert mine.warm_up() == [True]
    assert mine.steps == [10]


def test_the_warm_up_ends_when_three_blocks_agree():
    clock = FakeClock()
    slow = [1300.0, 1200.0, 1150.0, 1060.0, 1000.0, 1049.0, 1000.0, 9.0]
    assert bench(clock, clock.step("a", *slow), block_us=1).warm_up() == [True]
    # The fourth, 1,060, is more than 5 % above the fifth; from there on three agree.
    assert len(clock.log) == 7


def test_a_candidate_that_does_not_settle_is_given_up_on():
    clock = FakeClock()
    restless = bench(clock, clock.step("a", *[100.0, 200.0] * 50), block_us=1, warmup_us=2000)
    assert restless.warm_up() == [False]
    assert 12 <= len(clock.log) <= 18  # some 2,000 µs of 150 each
    slow = FakeClock()
    assert bench(slow, slow.step("a", *[1e6, 2e6] * 50), block_us=1, warmup_us=2000).warm_up() == [False]
    assert len(slow.log) == 3  # blocks that are too few to agree prove nothing


def test_warm_ups_do_not_outlast_the_session():
    clock = FakeClock()
    restless = [clock.step(name, *[100.0, 200.0] * 500) for name in "ab"]
    # 0.02 s for 5 processes of 2 candidates: 2,000 µs each.
    assert bench(clock, *restless, block_us=1, max_seconds=0.02).warm_up() == [False, False]
    assert len(clock.log) < 40


def test_a_candidate_that_raises_is_not_run_again_and_the_others_go_on():
    clock = FakeClock()

    def dying(steps):
        left = iter(range(steps))

        def step():
            if next(left, None) is None:
                raise ValueError("no more\nat all")
            clock.now_us += 1.0

        return step

    mine = bench(clock, dying(2), clock.step("a", 1.0), dying(6), block_us=1)
    assert mine.warm_up() == [False, True, True]
    assert mine.failed == {0: "ValueError: no more"}
    rounds = mine.turn(8)
    assert set(mine.failed) == {0, 2}
    assert [one[1].us for one in rounds] == [1.0] * len(rounds)
    assert all(math.isnan(one[0].us) for one in rounds)
    assert math.isnan(rounds[-1][2].us)
    assert bench(clock, dying(0)).turn(1e9) == []


def test_cuda_blocks_hold_at_least_twenty_steps():
    clock = FakeClock(least_steps=20)
    mine = bench(clock, clock.step("a", 1e6), block_us=20_000)
    mine.warm_up()
    assert mine.steps == [20]


def test_every_round_holds_every_candidate_once_in_a_balanced_order():
    clock = FakeClock()
    names = ["a", "b", "c", "d"]
    mine = bench(clock, *(clock.step(name, 1.0) for name in names), block_us=1)
    assert len(mine.turn(16 - 1e-9)) == 4
    assert clock.log[:4] == names  # untimed: what was in the caches is another process's
    rounds = [clock.log[i : i + 4] for i in range(4, 20, 4)]
    assert all(sorted(one) == names for one in rounds)
    assert all(sorted(column) == names for column in zip(*rounds, strict=True))


def test_processes_have_orders_of_their_own():
    logs = []
    for process in range(2):
        clock = FakeClock()
        mine = bench(clock, *(clock.step(name, 1.0) for name in "abcdef"), process=process, block_us=1)
        mine.turn(60)
        logs.append(clock.log)
    assert logs[0] != logs[1]


def test_a_slow_spell_falls_on_all_candidates_of_its_rounds():
    clock = FakeClock()

    class Slowing(FakeClock):
        def elapsed(self, work):
            factor = 3.0 if 40 < len(clock.log) < 80 else 1.0
            us, cpu = clock.elapsed(work)
            return Elapsed(factor * us, factor * cpu)

    mine = bench(Slowing(), clock.step("a", 10.0), clock.step("b", 20.0), block_us=1)
    rounds = mine.turn(40 * 30)
    ratios = [b.us / a.us for a, b in rounds]
    assert max(a.us for a, _ in rounds) == 30.0
    assert sum(ratio == 2.0 for ratio in ratios) >= len(ratios) - 2  # but for where the spell begins or ends


def test_a_turn_holds_one_round_at_least():
    clock = FakeClock()
    mine = bench(clock, clock.step("a", 1e9), block_us=1)
    assert len(mine.turn(0)) == 1


def test_the_collector_is_off_while_it_is_timed_and_left_as_it_was():
    clock, seen = FakeClock(), []

    def step():
        seen.append(gc.isenabled())
        clock.now_us += 1

    mine = bench(clock, step, block_us=1)
    mine.warm_up()
    mine.turn(3)
    assert not any(seen)
    assert gc.isenabled()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench(clock, stop).turn(1)
    assert gc.isenabled()


def test_the_cpu_clock_measures_work_in_microseconds(monkeypatch):
    wall, cpu = iter([1_000_000, 1_250_000]), iter([500_000, 700_000])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(wall))
    monkeypatch.setattr("time.process_time_ns", lambda: next(cpu))
    done = []
    assert CpuClock().elapsed(lambda: done.append(1)) == (250.0, 200.0)
    assert done == [1]
    assert isinstance(clock_for("cpu"), CpuClock)


@pytest.mark.gpu
def test_the_cuda_clock_waits_for_the_device():
    import torch

    a = torch.randn(4096, 4096, device="cuda")
    clock = clock_for("cuda")
    clock.elapsed(lambda: a @ a)

    def work(times):
        def run():
            for _ in range(times):
                a @ a

        return run

    assert clock.elapsed(work(50)).us > 5 * clock.elapsed(work(1)).us
