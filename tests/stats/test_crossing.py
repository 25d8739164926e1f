from __future__ import annotations

import math

import numpy as np
import pytest

from archbench import stats


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
    assert (estimate.low, estimate.high, estimate.n) == (None, None, 3)  # runs without any deviation tell none


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
    assert stats.crossover(*turned) == stats.crossover(*pair)


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


# Planted crossings.

FAMILY, RIVAL = {1e4: 0.60, 1e5: 0.64, 1e6: 0.66}, {1e4: 0.55, 1e5: 0.65, 1e6: 0.70}
PLANTED = 10 ** (4 + 5 / 6)  # the lead goes from 0.05 to -0.01 over a decade


def drawn(curve, generator, runs, *noises):
    """Return runs of a curve whose points deviate by the noises, from the smallest on, the last for all others."""
    return {
        x: y + noises[min(place, len(noises) - 1)] * generator.standard_normal(runs)
        for place, (x, y) in enumerate(curve.items())
    }


@pytest.mark.parametrize(
    ("runs", "noises"), [(2, (0.002, 0.002)), (3, (0.001, 0.004)), (5, (0.004, 0.004)), (3, (0.003, 0.001))]
)
def test_a_planted_crossing_is_covered_as_often_as_it_says(runs, noises):
    generator = np.random.default_rng(runs)
    covered = []
    for _ in range(1000):
        curves = [drawn(curve, generator, runs, noise) for curve, noise in zip((FAMILY, RIVAL), noises, strict=True)]
        covered.append(stats.crossover(*curves).contains(PLANTED))
    assert None not in covered
    # Two runs a point know their deviation too badly to be exact: the interval is then too wide, not too narrow.
    assert 0.93 <= np.mean(covered) <= (0.97 if runs > 2 else 1.0)
    assert runs > 2 or np.mean(covered) >= 0.95


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_curves_that_deviate_more_where_they_are_equal_seldom_cross_by_chance(runs):
    """The rival is ahead everywhere but at the smallest size, where both are equal and deviate three times as much."""
    family, rival = {1e4: 0.60, 1e5: 0.64, 1e6: 0.66}, {1e4: 0.60, 1e5: 0.68, 1e6: 0.72}
    generator = np.random.default_rng(17)
    declared = [
        any(crossing.at.low is not None for crossing in stats.crossings(*curves).found)
        for curves in (
            [drawn(curve, generator, runs, 0.012, 0.004) for curve in (family, rival)] for _ in range(2000)
        )
    ]  # fmt: skip
    assert np.mean(declared) < 0.06


def test_a_bootstrap_of_three_seeds_would_cover_too_little():
    """Why the interval is none: the same comparisons, their seeds drawn with replacement."""
    generator = np.random.default_rng(0)
    xs, covered = np.log([1e4, 1e5]), []
    for _ in range(2000):
        lead = []
        for place in (1e4, 1e5):
            mine, theirs = (curve[place] + 0.002 * generator.standard_normal(3) for curve in (FAMILY, RIVAL))
            chosen = generator.integers(3, size=(2, 200, 3))
            lead.append(mine[chosen[0]].mean(axis=1) - theirs[chosen[1]].mean(axis=1))
        at = xs[0] + lead[0] / (lead[0] - lead[1]) * (xs[1] - xs[0])
        low, high = np.percentile(at, [2.5, 97.5])
        covered.append(low <= math.log(PLANTED) <= high)
    assert np.mean(covered) < 0.90


def test_every_crossing_is_found_and_told_from_the_others():
    family = {1e2: [0.6, 0.61], 1e4: [0.4, 0.41], 1e6: [0.6, 0.61], 1e8: [0.4, 0.41]}
    rival = {1e2: [0.5, 0.51], 1e8: [0.5, 0.51]}
    found = stats.crossings(family, rival)
    assert [crossing.at.value for crossing in found.found] == pytest.approx([1e3, 1e5, 1e7])
    assert [crossing.falls for crossing in found.found] == [True, False, True]
    for crossing in found.found:
        assert crossing.share > 0.95
        assert crossing.at.value / 3 < crossing.at.low < crossing.at.value < crossing.at.high < 3 * crossing.at.value
    assert (found.low, found.high, found.leads) == (pytest.approx(1e2), pytest.approx(1e8), True)
    turned = stats.crossings(rival, family)
    assert [crossing.falls for crossing in turned.found] == [False, True, False]


def test_curves_far_apart_surely_do_not_cross_and_near_ones_perhaps():
    low, high = ({x: [y, y + 0.01, y - 0.01] for x in (1e3, 1e4, 1e5)} for y in (0.5, 0.9))
    assert stats.crossings(low, high).surely_none
    assert stats.crossings(high, low).surely_none
    assert stats.crossings(low, high).leads is False
    near = {x: [0.501, 0.511, 0.491] for x in (1e3, 1e4, 1e5)}
    assert not stats.crossings(near, low).found
    assert not stats.crossings(near, low).surely_none


def test_draws_that_do_not_cross_do_not_make_a_leader():
    """A rival that is badly known lies over or under a family as a whole, within the short range of that."""
    first = {x: [0.801, 0.802, 0.803] for x in (1e4, 1.1e4)}
    second = {x: [0.7, 0.8, 0.9] for x in (1e2, 1e6)}
    crossed = stats.crossings(first, second)
    assert (crossed.found, crossed.leads) == ((), True)
    assert 0.2 < crossed.led < 0.8
    assert not crossed.surely_none


@pytest.mark.parametrize(
    ("leads", "found"),
    [([0, 1, 1], True), ([0, -1, -1], False), ([0, 0, 1], True), ([1, 0, 1], True), ([-1, 0, -1], False),
     ([0, 0, 0], None)],
)  # fmt: skip
def test_what_is_equal_here_and_there_is_no_change_of_lead(leads, found):
    xs = (1e3, 1e4, 1e5)
    rival = {x: [0.79, 0.80, 0.81] for x in xs}
    family = {x: [y + lead / 100 for y in rival[x]] for x, lead in zip(xs, leads, strict=True)}
    crossed = stats.crossings(family, rival)
    assert (crossed.found, crossed.leads, crossed.surely_none) == ((), found, False)
    assert stats.leads(rival, family) is (None if found is None else not found)


def test_a_lead_changes_hands_over_a_stretch_of_equals():
    family = {1e3: [0.9], 1e4: [0.8], 1e5: [0.7]}
    rival = {1e3: [0.8], 1e4: [0.8], 1e5: [0.8]}
    (one,), (other,) = stats.crossings(family, rival).found, stats.crossings(rival, family).found
    assert (one.at.value, other.at.value) == pytest.approx((1e4, 1e4))
    assert (one.falls, other.falls) == (True, False)


def test_curves_without_a_common_range_are_not_compared():
    assert stats.crossings({}, {1e3: [0.5]}) == stats.Crossings(())
    assert stats.crossings({1e3: [0.5]}, {1e4: [0.5], 1e5: [0.6]}).low is None
    assert not stats.crossings({1e3: [0.5]}, {1e3: [0.6]}).surely_none


def test_runs_without_any_deviation_have_a_crossing_without_interval():
    alike = {1e3: [0.8] * 2, 1e5: [0.8] * 2}, {1e3: [0.7] * 2, 1e5: [0.9] * 2}
    found = stats.crossings(*alike)
    assert found.found == (stats.Crossing(stats.Estimate(pytest.approx(1e4), None, None, 2), True, None),)
    assert (found.led, stats.surely_uncrossed(*alike[::-1])) == (None, False)


@pytest.mark.parametrize("few", [[0.8], [0.8, 0.8]])
def test_a_point_that_tells_no_deviation_has_that_of_its_curve(few):
    rival = {1e3: [0.7, 0.7], 1e5: [0.9, 0.9]}
    wide, narrow = (
        stats.crossover({1e3: few, 1e5: [0.8 - spread, 0.8, 0.8 + spread]}, rival) for spread in (0.01, 0.001)
    )
    for estimate in (wide, narrow):
        assert estimate.low < estimate.value < estimate.high
    assert math.log(wide.high / wide.low) > 5 * math.log(narrow.high / narrow.low)


def test_intervals_do_not_depend_on_which_curve_is_named_first():
    xs = [1e3, 1e5, 1e6]
    pair = lines(0.02, 0.5, xs, 0.01, 3, 1), lines(0.05, 0.2, [2e3, 1e5], 0.02, 4, 2)
    (one,), (other,) = stats.crossings(*pair).found, stats.crossings(*pair[::-1]).found
    assert one.falls is not other.falls
    assert one.share == pytest.approx(other.share, abs=0.02)
    assert (one.at.low, one.at.high) == pytest.approx((other.at.low, other.at.high), rel=0.2)
