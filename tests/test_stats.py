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


def coverage(estimates, truth):
    found = [estimate.contains(truth) for estimate in estimates]
    assert len(found) == 2000
    return np.mean(found)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_means_differences_and_ratios_cover_the_truth_as_often_as_they_say(seeds):
    rng = np.random.default_rng(seeds)
    shared = rng.normal(0, 1, (2000, seeds))  # what a seed does to both
    first, second = (2 + shared + rng.normal(effect, 0.5, shared.shape) for effect in (0.3, 0.0))
    assert 0.93 <= coverage(map(stats.mean, first), 2.3) <= 0.97
    pairs = [[dict(enumerate(values.tolist())) for values in pair] for pair in zip(first, second, strict=True)]
    assert 0.93 <= coverage((stats.paired_difference(a, b) for a, b in pairs), 0.3) <= 0.97
    ratios = [[{seed: math.exp(value) for seed, value in one.items()} for one in pair] for pair in pairs]
    assert 0.93 <= coverage((stats.paired_ratio(a, b) for a, b in ratios), math.exp(0.3)) <= 0.97


def test_a_share_of_images_covers_the_truth_as_often_as_it_says():
    hits = np.random.default_rng(4).binomial(359, 0.95, 2000)
    assert 0.93 <= coverage((stats.proportion(hit / 359, 359) for hit in hits.tolist()), 0.95) <= 0.97


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
    assert 0.93 <= np.mean(covered) <= 0.97


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
    hits = rng.binomial(400, (0.9, 0.85), (2000, 2)) / 400
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


def test_shares_of_different_numbers_of_images_have_each_its_own_interval():
    wide, narrow = (stats.difference_of_proportions(0.9, 0.8, n, 10_000) for n in (50, 10_000))
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)
    turned = stats.difference_of_proportions(0.8, 0.9, 10_000, 50)
    assert (turned.low, turned.high) == (pytest.approx(-wide.high), pytest.approx(-wide.low))
