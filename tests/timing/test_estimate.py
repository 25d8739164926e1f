from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import timing_of as timing

from archbench.timing.doubts import doubts, drift_of, instability, ratio_doubts
from archbench.timing.estimate import (
    by_process,
    data_us,
    geometric,
    hierarchical,
    least_us,
    relative_half_width,
    resolution,
    step_ratio,
    step_us,
    twin_ratio,
)


def test_the_estimate_is_the_median_of_the_processes_medians():
    groups = [[1.0, 2.0, 9.0], [4.0, 5.0, 6.0], [100.0, 100.0, 100.0]]
    assert hierarchical(groups).value == 5.0
    assert hierarchical(groups).n == 9
    assert geometric([[1.0, 4.0]]).value == pytest.approx(2.0)
    assert hierarchical([]) is None
    assert hierarchical([[1.0, 2.0]]).low is None
    assert relative_half_width(hierarchical([[1.0, 2.0]])) == math.inf


def test_the_interval_is_that_of_a_bootstrap_done_the_long_way():
    """Drawing whole samples, and drawing the rank that their median falls on, come to the same interval."""
    rng = np.random.default_rng(3)
    groups = [rng.normal(10 + shift, 1, 25) for shift in rng.normal(0, 0.5, 5)]
    estimate = hierarchical(groups)
    medians = []
    for _ in range(8000):
        drawn = [groups[i] for i in rng.integers(5, size=5)]
        medians.append(np.median([np.median(rng.choice(group, 25)) for group in drawn]))
    low, high = np.percentile(medians, [2.5, 97.5])
    assert estimate.low == pytest.approx(low, abs=0.08)
    assert estimate.high == pytest.approx(high, abs=0.08)


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(spread):
    """Five processes, each with a level of its own. A median of five cannot be sure of more than 1 - 2 / 2^5 = 94 %."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        levels = rng.normal(0, spread, 5)
        groups = [np.exp(level + rng.normal(0, 0.03, 20)).tolist() for level in levels]
        covered += geometric(groups).contains(1.0)
    assert covered / 400 >= 0.88


def test_processes_that_disagree_widen_what_rounds_alone_would_narrow():
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.normal(level, 0.1, 40) for level in (98, 99, 100, 101, 102)])
    processes = tuple(np.repeat(range(5), 40).tolist())
    apart = step_us(timing(samples, processes=processes))
    pooled = step_us(timing(samples, processes=()))
    assert apart.half_width > 1.5
    assert apart.value == pytest.approx(100, abs=0.1)
    assert pooled.n == apart.n == 200
    assert by_process([1, 2, 3], (0, 1, 0)) == [[1, 3], [2]]


def test_a_ratio_is_paired_round_by_round():
    rng = np.random.default_rng(0)
    mood = rng.lognormal(0, 1, 25)  # the machine's, the same for both
    noise = rng.lognormal(0, 0.01, (2, 25))
    estimate = step_ratio(timing(1.5 * mood * noise[0]), timing(mood * noise[1], sized_key="b"))
    assert estimate.contains(1.5)
    assert estimate.half_width < 0.02
    assert step_ratio(timing([1.0] * 9), timing([1.0] * 9)).contains(1.0)


@pytest.mark.parametrize("change", [{"session": "other"}, {"mode": "infer"}, {"device": "cuda"}])
def test_there_is_no_ratio_of_what_was_not_timed_side_by_side(change):
    assert step_ratio(timing([1.0] * 9), timing([1.0] * 9, **change)) is None


def test_a_against_a_says_what_can_be_told():
    rng = np.random.default_rng(1)
    mine = timing(rng.normal(100, 1, 40), twin_us=tuple(rng.normal(100, 1, 40)))
    ratio = twin_ratio(mine)
    assert ratio.contains(1.0)
    assert resolution(mine) == pytest.approx(max(ratio.high, 1 / ratio.low) - 1)
    assert resolution(timing([1.0] * 9)) is None
    assert resolution(timing([100.0] * 9, twin_us=(102.0,) * 9)) == pytest.approx(0.02)
    assert resolution(timing([102.0] * 9, twin_us=(100.0,) * 9)) == pytest.approx(0.02)


def test_the_minimum_and_the_pipeline_are_figures_of_their_own():
    mine = timing([3.0, 1.0, 2.0, 2.0, 2.0, 2.0], data_us=(5.0,) * 6)
    assert least_us(mine) == 1.0
    assert data_us(mine).value == 5.0
    assert data_us(timing([1.0])) is None


def test_a_steady_timing_is_not_in_doubt():
    rng = np.random.default_rng(0)
    assert doubts(timing(rng.normal(100, 1, 50), cpu_us=tuple(rng.normal(100, 1, 50)))) == ()
    assert instability(timing([100.0] * 20)) is None


STEADY = [100.0] * 20
REASONS = [
    ({"processes": (0, 1) * 10}, "few processes", "2", "--processes 5"),
    ({"processes": ()}, "few processes", "1", "--processes 5"),
    ({"samples_us": tuple([100.0, 130.0] * 10)}, "spreads over more than 10 %", "26 %", "time again"),
    ({"samples_us": tuple([100.0] * 10 + [104.0] * 10)}, "off the first", "+4.0 %", "--max-seconds"),
    (
        {"samples_us": (100.0, 101.0), "processes": ()},
        "step's time is wider than ±2 %",
        "too few samples",
        "--max-seconds",
    ),
    (
        {"samples_us": (100.0,) * 20, "cpu_us": (90.0,) * 20},
        "waited for its core",
        "for 90 % of the time",
        "quiet the machine",
    ),
    ({"settled": False}, "still disagreed when the warm-up ended", "", "quiet the machine"),
]


@pytest.mark.parametrize(("change", "what", "much", "remedy"), REASONS)
def test_each_doubt_has_its_figure_and_a_remedy(change, what, much, remedy):
    found = [doubt for doubt in doubts(timing(**{"samples": STEADY, **change})) if what in doubt.what]
    assert len(found) == 1
    assert much in found[0].much
    assert remedy in found[0].remedy


def test_what_the_machine_did_is_a_doubt():
    from archbench.schema import Conditions

    busy = timing(STEADY, conditions=Conditions(others_cores=0.06))
    assert instability(busy) == "other processes took more than 5 % of a core (6 %): quiet the machine and time again"
    assert doubts(timing(STEADY, conditions=Conditions(others_cores=0.05))) == ()
    assert "slowed (heat)" in instability(timing(STEADY, conditions=Conditions(throttled=("heat",))))


def test_waiting_is_no_doubt_where_threads_share_the_work_or_the_device_does_it():
    waited = {"cpu_us": (50.0,) * 20}
    assert doubts(timing(STEADY, threads=2, **waited)) == ()
    assert doubts(timing(STEADY, device="cuda", **waited)) == ()


def test_drift_is_seen_within_processes_not_between_them():
    first, last = [100.0] * 10, [150.0] * 10  # a slower process that happens to come last
    assert drift_of(timing(first + last, processes=(0,) * 10 + (1,) * 10)) == 0
    assert drift_of(timing(first + last, processes=())) == pytest.approx(0.5)
    assert drift_of(timing([1.0, 9.0])) == 0


def test_a_ratio_is_in_doubt_for_its_width_and_for_either_of_its_two():
    rng = np.random.default_rng(0)
    wide, narrow = timing(rng.normal(100, 4, 30)), timing([100.0] * 30, sized_key="b")
    assert any("interval of the ratio" in doubt.what for doubt in ratio_doubts(wide, narrow))
    assert ratio_doubts(narrow, narrow) == ()
    shaky = timing([100.0, 140.0] * 15)
    assert set(doubts(shaky)) <= set(ratio_doubts(narrow, shaky))
