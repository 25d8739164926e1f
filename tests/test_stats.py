from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from archbench import stats


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


def test_equal_values_have_an_interval_of_no_width():
    assert stats.mean([0.5, 0.5, 0.5]).half_width == 0


@pytest.mark.parametrize(
    ("estimator", "truth", "draw"),
    [
        ("mean", 2.0, lambda rng: rng.normal(2, 1, 4)),
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


def test_a_count_has_no_doubt():
    estimate = stats.exact(30_000)
    assert (estimate.value, estimate.half_width, estimate.contains(30_000)) == (30_000, 0, True)


def test_one_more_value_is_expected_where_two_samples_of_a_t_test_would_not_tell():
    values = [0.91, 0.95, 0.93, 0.99]
    low, high = stats.predicted(values)
    # A new value lies in the interval where Student's test of it against the rest, at equal variances, has p > 5 %.
    for bound in (low, high):
        t = (bound - np.mean(values)) / np.sqrt(np.var(values, ddof=1) * (1 + 1 / 4))
        assert 2 * scipy_stats.t.sf(abs(t), 3) == pytest.approx(0.05)
    assert (low + high) / 2 == pytest.approx(np.mean(values))
    assert stats.predicted([0.9]) is None
    assert stats.predicted([]) is None
    assert stats.predicted([0.9, 0.9, 0.9]) == (0.9, 0.9)


def test_one_more_value_is_covered_as_often_as_it_says():
    rng = np.random.default_rng(2)
    draws = rng.normal(2, 1, (2000, 4))
    covered = [low <= draw[3] <= high for draw in draws for low, high in [stats.predicted(draw[:3])]]
    assert 0.94 <= np.mean(covered) <= 0.96


@pytest.mark.parametrize(
    ("hits", "images", "low", "high"),
    [  # Newcombe 1998 (Two-sided confidence intervals for the single proportion), table I, method 3
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    ],
)  # fmt: skip
def test_wilson_intervals_are_the_published_ones(hits, images, low, high):
    estimate = stats.proportion(hits / images, images)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)
    z = scipy_stats.norm.ppf(0.975)
    for bound in (estimate.low, estimate.high):  # where the score test has p = 5 %
        assert (hits / images - bound) ** 2 == pytest.approx(z**2 * bound * (1 - bound) / images, abs=1e-12)


def test_a_share_of_no_images_is_none():
    assert stats.proportion(0.5, 0) is None
    assert stats.difference_of_proportions(0.5, 0.5, 0) is None
    everything = stats.proportion(1.0, 50)
    assert (everything.value, everything.high) == (1.0, 1.0)
    assert 0.9 < everything.low < 1.0


@pytest.mark.parametrize(
    ("first", "second", "images", "low", "high"),
    [  # Newcombe 1998 (Interval estimation for the difference between independent proportions), table II, method 10
        (9, 3, 10, 0.1705, 0.8090), (6, 2, 7, 0.0582, 0.8062), (0, 0, 10, -0.2775, 0.2775), (10, 0, 10, 0.6075, 1.0),
    ],
)  # fmt: skip
def test_intervals_of_differences_are_the_published_ones(first, second, images, low, high):
    estimate = stats.difference_of_proportions(first / images, second / images, images)
    assert estimate.value == pytest.approx((first - second) / images)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)
    turned = stats.difference_of_proportions(second / images, first / images, images)
    assert (turned.low, turned.high) == pytest.approx((-high, -low), abs=6e-5)


def test_a_difference_of_shares_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = rng.binomial(400, (0.9, 0.85), (800, 2)) / 400
    covered = [stats.difference_of_proportions(a, b, 400).contains(0.05) for a, b in hits.tolist()]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_ratios_are_paired_on_the_logarithm():
    values, baseline = {0: 2.0, 1: 3.0, 2: 2.5, 5: 9.0}, {2: 1.0, 1: 1.1, 0: 1.2, 7: 1.0}
    estimate = stats.paired_ratio(values, baseline)
    theirs = scipy_stats.ttest_rel(np.log([2.0, 3.0, 2.5]), np.log([1.2, 1.1, 1.0]))
    interval = theirs.confidence_interval(0.95)
    mean = scipy_stats.gmean([2.0 / 1.2, 3.0 / 1.1, 2.5])
    expected = (mean, math.exp(interval.low), math.exp(interval.high))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(expected)
    assert estimate.n == 3
    swapped = stats.paired_ratio(baseline, values)
    assert (1 / swapped.value, 1 / swapped.high, 1 / swapped.low) == pytest.approx(expected)


def test_ratios_need_two_positive_values_of_one_seed():
    assert stats.paired_ratio({0: 3.0}, {0: 2.0}) == stats.Estimate(pytest.approx(1.5), None, None, 1)
    assert stats.paired_ratio({0: 3.0}, {1: 2.0}) is None
    assert stats.paired_ratio({0: 0.0, 1: 1.0}, {0: 2.0, 1: 0.0}) is None


# Crossovers.


def lines(slope, intercept, xs, noise=0.0, runs=3, seed=0):
    """Return the runs on a line in the logarithm of x."""
    rng = np.random.default_rng(seed)
    return {x: (intercept + slope * math.log(x) + noise * rng.standard_normal(runs)).tolist() for x in xs}


def test_two_lines_cross_where_algebra_says():
    # 0.5 + 0.02 ln x = 0.2 + 0.05 ln x at ln x = 10; the two are not measured at the same sizes.
    family = lines(0.02, 0.5, [1e3, 1e4, 3e5, 1e6])
    rival = lines(0.05, 0.2, [2e3, 1e5, 2e6])
    estimate = stats.crossover(family, rival)
    assert estimate.value == pytest.approx(math.exp(10))
    assert (estimate.low, estimate.high) == pytest.approx((math.exp(10), math.exp(10)))
    assert estimate.n == 3


def test_the_interval_of_a_crossing_holds_it_and_narrows_with_the_noise():
    xs = np.geomspace(1e3, 1e6, 6).tolist()
    widths = []
    for noise in (0.02, 0.005):
        estimate = stats.crossover(lines(0.02, 0.5, xs, noise, 5, 1), lines(0.05, 0.2, xs, noise, 5, 2))
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.contains(math.exp(10))
        widths.append(math.log(estimate.high / estimate.low))
    assert widths[1] < widths[0] / 2


def test_the_interval_of_a_crossing_repeats():
    xs = [1e3, 1e5, 1e6]
    pair = lines(0.02, 0.5, xs, 0.01, 3, 1), lines(0.05, 0.2, xs, 0.01, 3, 2)
    assert stats.crossover(*pair) == stats.crossover(*pair)
    turned = [dict(reversed(curve.items())) for curve in pair]
    assert stats.crossover(*turned).value == stats.crossover(*pair).value


@pytest.mark.parametrize(
    ("family", "rival"),
    [
        ({1e3: [0.8] * 3, 1e6: [0.9] * 3}, {1e3: [0.7] * 3, 1e6: [0.8] * 3}),  # always ahead
        ({1e3: [0.7] * 3, 1e6: [0.8] * 3}, {1e3: [0.8] * 3, 1e6: [0.9] * 3}),  # never ahead
        ({1e3: [0.7] * 3, 1e6: [0.9] * 3}, {1e3: [0.8] * 3, 1e6: [0.8] * 3}),  # takes the lead, never loses it
        ({1e3: [0.8] * 3, 1e4: [0.8] * 3}, {1e5: [0.7] * 3, 1e6: [0.9] * 3}),  # no size in common
        ({1e3: [0.8] * 3}, {1e3: [0.7] * 3}),
    ],
)
def test_there_is_no_crossing_where_no_lead_ends(family, rival):
    assert stats.crossover(family, rival) is None


def test_a_lead_that_is_lost_twice_is_lost_the_first_time():
    flat = {x: [0.5, 0.5] for x in (1e2, 1e4, 1e6, 1e8)}
    zigzag = {1e2: [0.6, 0.6], 1e4: [0.4, 0.4], 1e6: [0.6, 0.6], 1e8: [0.4, 0.4]}
    assert stats.crossover(zigzag, flat).value == pytest.approx(1e3)
    assert stats.crossover(flat, zigzag).value == pytest.approx(1e5)


def test_a_crossing_of_single_runs_or_in_doubt_has_no_interval():
    family, rival = {1e3: [0.8], 1e5: [0.8]}, {1e3: [0.7, 0.7], 1e5: [0.9, 0.9]}
    assert stats.crossover(family, rival) == stats.Estimate(pytest.approx(1e4), None, None, 1)
    # At the larger size the two are a tenth of a deviation apart: many resamples do not cross.
    close = {1e3: [0.8] * 3, 1e5: [0.75, 0.80, 0.85]}
    near = stats.crossover(close, {1e3: [0.7] * 3, 1e5: [0.76, 0.81, 0.86]})
    assert near.value > 1e3
    assert (near.low, near.high, near.n) == (None, None, 3)


@pytest.mark.parametrize("runs", [2, 3])
def test_a_crossing_of_few_runs_covers_the_truth_as_often_as_it_says(runs, monkeypatch):
    monkeypatch.setattr(stats, "RESAMPLES", 200)
    generator = np.random.default_rng(0)
    family, rival = {1e4: 0.60, 1e5: 0.64, 1e6: 0.66}, {1e4: 0.55, 1e5: 0.65, 1e6: 0.70}
    truth = 10 ** (4 + 5 / 6)  # the lead goes from 0.05 to -0.01 over a decade

    def drawn(curve):
        return {x: list(y + 0.004 * generator.standard_normal(runs)) for x, y in curve.items()}

    found = [stats.crossover(drawn(family), drawn(rival)) for _ in range(300)]
    intervals = [estimate for estimate in found if estimate is not None and estimate.low is not None]
    assert len(intervals) > 250
    covered = sum(estimate.contains(truth) for estimate in intervals) / len(intervals)
    assert 0.92 < covered <= 0.99


def test_shares_of_different_numbers_of_images_have_each_its_own_interval():
    wide, narrow = (stats.difference_of_proportions(0.9, 0.8, n, 10_000) for n in (50, 10_000))
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)
    turned = stats.difference_of_proportions(0.8, 0.9, 10_000, 50)
    assert (turned.low, turned.high) == (pytest.approx(-wide.high), pytest.approx(-wide.low))
