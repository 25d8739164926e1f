from __future__ import annotations

import dataclasses

import pytest
from test_schema import CELL

import archbench
from archbench import knobs
from archbench.errors import ModelError
from archbench.knobs import Trial, find_knobs, steps_of, suited, worth
from archbench.schema import USUAL, Cost, Knobs
from archbench.timing.clock import Elapsed

CONTIGUOUS = Knobs("contiguous")
WINOGRAD = Knobs(winograd=True)
COMPILED = Knobs(compiled=True)


class Turns:
    """A clock on which steps take what they are said to."""

    least_steps = 1
    us = 0.0

    def elapsed(self, work):
        before = self.us
        work()
        return Elapsed(self.us - before, 0.0)


@pytest.fixture
def tried(monkeypatch, tmp_path):
    """Let every way take a given time; return a function that looks for the quickest, and the ways that were tried."""
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path))
    ways = []

    def find(steps=10**6, **step_us):
        clock = Turns()

        def step(cell, dataset, way):
            ways.append(way)
            name = "compiled" if way.compiled else "winograd" if way.winograd else way.memory_format
            if name not in step_us:
                msg = "it cannot be compiled"
                raise ModelError(msg)
            return lambda: setattr(clock, "us", clock.us + step_us[name]), 20.0

        monkeypatch.setattr(knobs, "_step", step)
        others = {"contiguous": CONTIGUOUS, "winograd": WINOGRAD}
        monkeypatch.setattr(knobs, "_ways", lambda cell: (USUAL, *(others[name] for name in others if name in step_us)))
        recipe = dataclasses.replace(CELL.recipe, batch_size=1, epochs=steps)
        return find_knobs(dataclasses.replace(CELL, recipe=recipe, images=(1, 1, 1)), None, clock)

    return find, ways


@pytest.mark.parametrize(("contiguous", "expected"), [(90.0, CONTIGUOUS), (94.0, USUAL), (200.0, USUAL)])
def test_another_order_of_memory_is_taken_where_it_is_clearly_quicker(tried, contiguous, expected):
    find, _ = tried
    assert find(100, channels_last=100.0, contiguous=contiguous) == expected


@pytest.mark.parametrize(
    ("contiguous", "winograd", "expected"),
    [(110.0, 90.0, WINOGRAD), (110.0, 94.0, USUAL), (80.0, 70.0, WINOGRAD), (70.0, 80.0, CONTIGUOUS)],
)
def test_convolutions_are_done_in_winograds_way_where_that_is_quickest(tried, contiguous, winograd, expected):
    find, _ = tried
    assert find(100, channels_last=100.0, contiguous=contiguous, winograd=winograd) == expected


def test_what_is_compiled_is_torchs_own_and_beside_the_quickest(tried):
    find, ways = tried
    times = {"channels_last": 100.0, "contiguous": 110.0, "winograd": 50.0}
    assert find(10**7, **times, compiled=49.0) == WINOGRAD
    assert COMPILED in ways
    ways.clear()
    assert find(10**7 + 1, **times, compiled=49.0) == WINOGRAD
    assert ways == []


@pytest.mark.parametrize(
    ("model", "other", "expected"),
    [
        ("cnn", {}, (USUAL, CONTIGUOUS, WINOGRAD)), ("cnn", {"threads": 3}, (USUAL, CONTIGUOUS)),
        ("cnn", {"device": "cuda"}, (USUAL, CONTIGUOUS)), ("linear", {}, (USUAL, CONTIGUOUS)),
    ],
)  # fmt: skip
def test_winograds_way_is_tried_of_what_has_such_convolutions(model, other, expected):
    sized = archbench.size(model, "10k", input="1x28x28", classes=10)
    assert knobs._ways(dataclasses.replace(CELL, sized=sized, **{"threads": 1, **other})) == expected


def test_what_was_found_is_kept_and_a_damaged_file_is_not_believed(tried, tmp_path):
    find, ways = tried
    assert find(100, channels_last=100.0, contiguous=50.0) == CONTIGUOUS
    assert find(100, channels_last=50.0, contiguous=100.0) == CONTIGUOUS
    assert len(ways) == 2
    (file,) = (tmp_path / "knobs").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert find(100, channels_last=50.0, contiguous=100.0) == USUAL


def test_compiling_is_tried_where_a_run_is_long_enough_to_pay_it_back(tried):
    find, ways = tried
    assert find(10**5, channels_last=100.0, contiguous=110.0, compiled=10.0) == USUAL  # 10 s of steps
    assert COMPILED not in ways
    assert find(10**6, channels_last=100.0, contiguous=110.0, compiled=10.0) == USUAL  # 100 s
    assert COMPILED not in ways
    assert find(10**7, channels_last=100.0, contiguous=110.0, compiled=10.0) == COMPILED  # 1,000 s
    ways.clear()
    assert find(10**5, channels_last=100.0, contiguous=110.0, compiled=10.0) == USUAL
    assert ways == []


def test_what_cannot_be_compiled_is_tried_once(tried):
    find, ways = tried
    assert find(10**7, channels_last=100.0, contiguous=110.0) == USUAL
    assert find(10**7, channels_last=100.0, contiguous=110.0) == USUAL
    assert ways.count(COMPILED) == 1


@pytest.mark.parametrize(
    ("steps", "compiled_s", "expected"),
    [(1000, 0.05, USUAL), (1000, 0.01, COMPILED), (200, 0.01, USUAL), (10**6, 0.099, USUAL), (10**6, None, USUAL)],
)
def test_compiled_is_best_where_its_steps_and_its_compiling_together_are(steps, compiled_s, expected):
    assert Trial(0.1, 0.2, None, compiled_s, 60.0, tried=True).best(steps) == expected


@pytest.mark.parametrize(
    ("other", "norm", "maps"),
    [
        ({}, True, True), ({"share": 0.9}, False, False), ({"threads": 2}, True, True), ({"threads": 3}, False, False),
        ({"way": CONTIGUOUS}, False, False), ({"way": COMPILED}, False, False), ({"way": WINOGRAD}, True, True),
        ({"statistics": 0}, False, True),
    ],
)  # fmt: skip
def test_layers_are_done_by_loops_of_our_own_where_a_training_is_long(other, norm, maps):
    given = {"way": USUAL, "share": 1.1, "threads": 1, "statistics": 14, **other}
    cell = dataclasses.replace(CELL, images=(50_000, 1, 1), threads=given["threads"])
    macs = 4.0 * 2e10 * given["threads"] / 2 / 50_000 / cell.recipe.epochs  # train MACs of an image whose run takes 4 s
    cost = Cost(1, 1, 0, 1, 1, statistics=given["statistics"], train_macs=round(given["share"] * macs))
    expected = dataclasses.replace(given["way"], quick_norm=norm, quick_maps=maps)
    assert suited(given["way"], cell, cost) == expected
    assert not suited(given["way"], cell, None).quick_norm
    assert not suited(given["way"], cell, None).quick_maps


@pytest.mark.parametrize(("way", "replayed"), [(USUAL, True), (CONTIGUOUS, True), (COMPILED, False)])
def test_on_cuda_steps_are_replayed_unless_they_are_compiled(way, replayed):
    cell = dataclasses.replace(CELL, device="cuda")
    heavy = Cost(1, 1, 0, 1, 1, statistics=14, train_macs=10**15)
    assert suited(way, cell, heavy) == suited(way, cell, None) == dataclasses.replace(way, cuda_graph=replayed)


def test_a_trial_is_worth_it_by_the_counts_alone():
    cell = dataclasses.replace(CELL, images=(50_000, 1, 1), threads=1)
    assert steps_of(cell) == -(-50_000 // cell.recipe.batch_size) * cell.recipe.epochs
    heavy = 20.0 * 2e10 / 2 / 50_000 / cell.recipe.epochs  # train MACs of an image whose run takes 20 s
    assert worth(cell, Cost(1, 1, 0, 1, 1, train_macs=round(1.1 * heavy)))
    assert not worth(cell, Cost(1, 1, 0, 1, 1, train_macs=round(0.9 * heavy)))
    assert not worth(cell, None)
