from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from archbench import stats
from archbench.schema import Timing


def timing(samples, **changes):
    settings = {
        "sized_key": "a", "device": "cpu", "device_name": "x", "precision": "fp32", "mode": "train", "batch_size": 8,
        "threads": 1, "samples_us": tuple(samples), "steps_per_sample": 1, "session": "s", "optimizer": "adam",
        "torch": "2",
    }  # fmt: skip
    return Timing(**(settings | changes))


def test_the_mean_interval_is_scipys_t_interval():
    values = [0.91, 0.95, 0.93, 0.99]
    estimate = stats.mean(values)
    theirs = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((np.mean(values), theirs.low, theirs.high))
    assert estimate.n == 4


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert stats.mean([0.5]) == stats.Estimate(0.5, None, None, 1)
    assert stats.mean([0.5]).half_width is None
    assert stats.mean([]) is None
    assert stats.median([]) is None
    assert stats.median([1.0, 2.0, 3.0]).low is None
    assert stats.median([1.0, 2.0, 3.0]).value == 2.0


def test_equal_values_have_an_interval_of_no_width():
    assert stats.mean([0.5, 0.5, 0.5]).half_width == 0
    assert stats.median([2.0] * 10).half_width == 0


def test_the_median_interval_is_made_of_order_statistics():
    values = list(range(1, 26))
    estimate = stats.median(values)
    # For n = 25 the binomial table gives the 8th and the 18th value: P = 0.957.
    assert (estimate.value, estimate.low, estimate.high) == (13, 8, 18)


@pytest.mark.parametrize(
    ("estimator", "truth", "draw"),
    [
        ("mean", 2.0, lambda rng: rng.normal(2, 1, 4)),
        ("median", math.exp(1), lambda rng: rng.lognormal(1, 0.5, 25)),
    ],
)
def test_intervals_cover_the_truth_as_often_as_they_say(estimator, truth, draw):
    rng = np.random.default_rng(1)
    covered = np.mean([getattr(stats, estimator)(draw(rng)).contains(truth) for _ in range(2000)])
    assert 0.93 <= covered <= 0.975  # order statistics are discrete, and so a little wide


def test_differences_are_paired_by_seed():
    values, baseline = {0: 0.91, 1: 0.94, 2: 0.98, 7: 0.1}, {2: 0.95, 1: 0.92, 0: 0.90, 9: 0.9}
    estimate = stats.paired_difference(values, baseline)
    theirs = scipy_stats.ttest_rel([0.91, 0.94, 0.98], [0.90, 0.92, 0.95]).confidence_interval(0.95)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.02, theirs.low, theirs.high))
    assert stats.paired_difference({0: 1.0}, {1: 1.0}) is None


def test_a_ratio_is_paired_round_by_round():
    rng = np.random.default_rng(0)
    mood = rng.lognormal(0, 1, 25)  # the machine's, the same for both
    noise = rng.lognormal(0, 0.01, (2, 25))
    estimate = stats.step_ratio(timing(1.5 * mood * noise[0]), timing(mood * noise[1], sized_key="b"))
    assert estimate.contains(1.5)
    assert estimate.half_width < 0.02
    assert stats.step_ratio(timing([1.0] * 9), timing([1.0] * 9)).contains(1.0)


@pytest.mark.parametrize("change", [{"session": "other"}, {"mode": "infer"}, {"device": "cuda"}])
def test_there_is_no_ratio_of_what_was_not_timed_side_by_side(change):
    assert stats.step_ratio(timing([1.0] * 9), timing([1.0] * 9, **change)) is None


def test_a_wide_spread_is_named_with_a_remedy():
    assert stats.instability(timing([100.0] * 20)) is None
    assert stats.instability(timing([100.0 + i / 2 for i in range(20)])) is None
    doubt = stats.instability(timing([100.0, 130.0] * 10))
    assert "spreads over 26 %" in doubt
    assert "time again" in doubt
    assert stats.step_us(timing([1.0, 2.0, 3.0])).value == 2.0
