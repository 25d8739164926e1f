"""A session whose processes, clock and machine are the test's: exact, and without waiting."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest
from conftest import Quiet

from archbench.errors import ModelError
from archbench.schema import Recipe
from archbench.timing.clock import Elapsed
from archbench.timing.launch import ProcessDied
from archbench.timing.measure import measure
from archbench.timing.noise import Look
from archbench.timing.process import Ready, Turn
from archbench.timing.protocol import Protocol
from archbench.timing.steps import Request, Subject

A, TWIN, B = Subject("a", "train"), Subject("a", "train", twin=True), Subject("b", "train")
SHAPE = (1, 8, 8)
REQUEST = Request((), "a", {}, Recipe(), "cpu", 1)


class World:
    """Time, and a launcher whose processes say what they are told to."""

    def __init__(self, times, processes=3, turn_s=1.0, cpu_s=1.0):
        self.seconds, self.times, self.processes = 0.0, times, processes
        self.turn_s, self.cpu_s = turn_s, cpu_s
        self.log, self.closed = [], []

    def now(self):
        return self.seconds

    def launch(self, request, protocol):
        return [Process(self, number) for number in range(self.processes)]

    def measure(self, noise=None, **settings):
        told = []
        protocol = Protocol(**{"min_rounds": 6, "max_seconds": 60, **settings})
        found = measure(
            REQUEST, protocol, self, noise or Quiet(), against={"a": "a", "b": "a"}, now=self.now,
            on_width=told.append,
        )  # fmt: skip
        return found, told


class Process:
    def __init__(self, world, number):
        self.world, self.number, self.turns = world, number, 0

    def candidates(self):
        return [A, TWIN, B]

    def make_ready(self):
        self.world.log.append(("ready", self.number))
        subjects = tuple(self.candidates())
        settled = tuple(one is not B or self.number == 0 for one in subjects)
        return Ready(subjects, (SHAPE,), (), (7,) * 4, (*settled, True), 1, (1,), {}, untimed_us=5e5)

    def turn(self, turn_us):
        self.world.log.append(("turn", self.number))
        self.world.seconds += self.world.turn_s
        self.turns += 1
        rounds = [
            [Elapsed(us, us / 2) for us in (*self.world.times(self.number, self.turns, place), 5.0)]
            for place in range(2)
        ]
        return Turn(rounds, self.world.cpu_s, untimed_us=2e5)

    def close(self):
        self.world.closed.append(self.number)


def test_a_session_without_doubt_ends_as_soon_as_it_has_its_rounds():
    world = World(lambda *_: (100.0, 100.0, 150.0))
    found, told = world.measure()
    assert [number for what, number in world.log if what == "turn"] == [0, 1, 2] * 3  # two rounds a turn make six
    assert found.series[B].us == [150.0] * 18
    assert found.series[B].cpu_us == [75.0] * 18
    assert found.series[B].process == [0, 0, 1, 1, 2, 2] * 3  # in the order of time
    assert found.series[SHAPE].us == [5.0] * 18
    assert told[-1] == (0.0, 0.0, 9.0)
    assert sorted(world.closed) == [0, 1, 2]
    assert found.settled == {A: True, TWIN: True, B: False, SHAPE: True}


def test_the_seconds_of_steps_that_do_not_count_are_those_of_all_processes():
    found, _ = World(lambda *_: (100.0, 100.0, 150.0)).measure()
    assert found.conditions.untimed_s == pytest.approx(3 * 0.5 + 9 * 0.2)  # three warm-ups and nine turns


def test_one_process_works_at_a_time_and_all_are_ready_before_the_first_turn():
    world = World(lambda *_: (100.0, 100.0, 150.0))
    world.measure()
    assert world.log[:3] == [("ready", 0), ("ready", 1), ("ready", 2)]


def test_wide_intervals_are_worked_on_until_the_time_is_up():
    world = World(lambda process, *_: (100.0, 100.0, 150.0 + 10 * process))
    found, told = world.measure(max_seconds=30)
    assert world.seconds == 30
    assert len(found.series[A].us) == 60
    assert told[-1].ratio > 0.01
    assert [width.seconds for width in told] == list(range(3, 31, 3))


def test_the_time_limit_wins_over_the_least_but_each_process_has_its_turn():
    world = World(lambda process, *_: (100.0, 100.0, 150.0 + 10 * process), turn_s=100.0)
    found, told = world.measure(max_seconds=1)
    assert [found.series[A].process.count(number) for number in range(3)] == [2, 2, 2]
    assert len(told) == 1


def test_it_is_told_which_process_warms_up():
    world, ready = World(lambda *_: (100.0, 100.0, 150.0)), []
    measure(REQUEST, Protocol(), world, Quiet(), against={}, now=world.now, on_ready=lambda *args: ready.append(args))
    assert ready == [(1, 3), (2, 3), (3, 3)]


def test_a_narrow_ratio_of_steps_that_swing_together_does_not_end_the_session():
    def swing(process, turn, place):
        level = 1.0 + 0.2 * (turn % 2)
        return (100.0 * level, 100.0 * level, 150.0 * level)

    world = World(swing)
    _, told = world.measure(max_seconds=24)
    assert told[-1].ratio == pytest.approx(0.0, abs=1e-9)
    assert told[-1].step > 0.02
    assert world.seconds == 24
    _, told = World(swing).measure(max_seconds=24, step_goal=1.0)
    assert told[-1].seconds == 9


def test_a_process_that_dies_costs_only_what_it_had_not_told():
    class Mortal(Process):
        def turn(self, turn_us):
            if self.number == 1 and self.turns == 1:
                raise ProcessDied("a timing process was killed by signal 9")
            return super().turn(turn_us)

    world = World(lambda *_: (100.0, 100.0, 150.0))
    world.launch = lambda *_: [Mortal(world, number) for number in range(3)]
    found, _ = world.measure()
    assert [found.series[A].process.count(number) for number in range(3)] == [6, 2, 6]
    assert found.problems == ("a timing process was killed by signal 9",)
    assert sorted(world.closed) == [0, 1, 2]


def test_where_all_die_after_a_turn_what_they_told_is_kept():
    class Mortal(Process):
        def turn(self, turn_us):
            if self.turns:
                raise ProcessDied("gone")
            return super().turn(turn_us)

    world = World(lambda *_: (100.0, 100.0, 150.0))
    world.launch = lambda *_: [Mortal(world, number) for number in range(2)]
    assert world.measure()[0].series[A].us == [100.0] * 4


def test_where_all_die_at_once_there_is_nothing():
    class Stillborn(Process):
        def make_ready(self):
            raise ProcessDied("a timing process ended with exit status 1: no memory")

    world = World(lambda *_: ())
    world.launch = lambda *_: [Stillborn(world, number) for number in range(2)]
    with pytest.raises(ModelError, match="exit status 1: no memory"):
        world.measure()
    assert sorted(world.closed) == [0, 1]


@pytest.mark.parametrize(("short", "kept", "left_out"), [({0}, {A, TWIN, B}, {0}), ({0, 1}, {A, B}, set())])
def test_what_most_processes_cannot_build_is_left_out_and_so_is_one_that_lacks_what_others_have(short, kept, left_out):
    class Short(Process):
        def candidates(self):
            return [A, B] if self.number in short else [A, TWIN, B]

    world = World(lambda process, *_: (100.0, 150.0) if process in short else (100.0, 100.0, 150.0))
    world.launch = lambda *_: [Short(world, number) for number in range(3)]
    found, _ = world.measure()
    assert set(found.series) == {*kept, SHAPE}
    assert set(found.series[B].us) == {150.0}
    assert set(found.series[B].process) == {0, 1, 2} - left_out
    assert sorted(world.closed) == [0, 1, 2]
    assert len(found.problems) == len(left_out)


def test_a_candidate_that_fails_later_is_dropped_and_the_others_go_on():
    class Failing(Process):
        def turn(self, turn_us):
            turn = super().turn(turn_us)
            return dataclasses.replace(turn, failed={B: "ValueError: step 60"} if self.turns > 1 else {})

    world = World(lambda *_: (100.0, 100.0, 150.0))
    world.launch = lambda *_: [Failing(world, number) for number in range(3)]
    request = dataclasses.replace(REQUEST, models=(SimpleNamespace(key="b", model="net"),))
    found = measure(request, Protocol(), world, Quiet(), against={"b": "a"}, now=world.now)
    assert set(found.series) == {A, TWIN, SHAPE}
    assert len(found.series[A].us) == 18
    assert found.problems == ("net cannot be timed (train, cpu): ValueError: step 60",)


def test_an_interruption_ends_the_processes():
    class Interrupting(Process):
        def turn(self, turn_us):
            raise KeyboardInterrupt

    world = World(lambda *_: ())
    world.launch = lambda *_: [Interrupting(world, number) for number in range(2)]
    with pytest.raises(KeyboardInterrupt):
        world.measure()
    assert sorted(world.closed) == [0, 1]


class Noisy:
    """Two cores: each second one is ours, and others take so much of the second."""

    def __init__(self, world, others, **look):
        self.world, self.others, self.look_ = world, others, look

    def look(self):
        return Look(busy_s=self.world.seconds * (1 + self.others), **self.look_)


def test_the_processor_time_that_was_not_ours_is_others():
    world = World(lambda *_: (100.0, 100.0, 150.0))
    found, _ = world.measure(Noisy(world, 0.25))
    assert found.conditions.others_cores == pytest.approx(0.25)
    world = World(lambda *_: (100.0, 100.0, 150.0), cpu_s=0.5)  # half of what ours could have, others had
    assert world.measure(Noisy(world, 0.0))[0].conditions.others_cores == pytest.approx(0.5)
    unknown = World(lambda *_: (100.0, 100.0, 150.0))

    class Silent:
        def look(self):
            return Look()

    assert unknown.measure(Silent())[0].conditions.others_cores is None


def test_a_card_is_described_by_its_extremes():
    world = World(lambda *_: (100.0, 100.0, 150.0))
    looks = iter([
        Look(clock_mhz=(1900, 1980), temperature_c=50, throttled=("power cap",)), Look(throttles=3),
        *[Look(clock_mhz=(1700, 1800), temperature_c=61, throttles=3)] * 99,
    ])  # fmt: skip

    class Card:
        def look(self):
            return next(looks)

    conditions = world.measure(Card())[0].conditions
    assert conditions.clock_mhz == (1700, 1980)
    assert conditions.temperature_c == 61
    assert conditions.throttled == ("power cap", "heat")
    assert math.isfinite(world.seconds)
