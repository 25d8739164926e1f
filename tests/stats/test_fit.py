from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from archbench import stats

SIZES = np.repeat(np.geomspace(1e4, 1e6, 6), 3)
TRUTH = {"a": 0.03, "b": 2.0, "c": 0.4}


def errors(xs, noise=0.0, seed=0):
    draws = np.random.default_rng(seed).standard_normal(len(xs))
    return TRUTH["a"] + TRUTH["b"] * xs ** -TRUTH["c"] + noise * draws


def test_a_law_without_noise_is_found():
    fit = stats.fit_power_law(SIZES, errors(SIZES))
    for name, truth in TRUTH.items():
        assert getattr(fit, name).value == pytest.approx(truth, rel=1e-5)
        assert getattr(fit, name).high - getattr(fit, name).low < 1e-3 * truth
    assert fit.at(1e5).value == pytest.approx(errors(np.asarray([1e5]))[0])


def test_the_estimates_are_scipys_least_squares():
    ys = errors(SIZES, 0.002, seed=3)
    fit = stats.fit_power_law(SIZES, ys)
    theirs, _ = optimize.curve_fit(lambda x, a, b, c: a + b * x**-c, SIZES, ys, p0=list(TRUTH.values()), xtol=1e-13)
    assert (fit.a.value, fit.b.value, fit.c.value) == pytest.approx(tuple(theirs), rel=1e-4)


def test_an_interval_ends_where_the_best_fit_under_it_is_too_bad():
    from scipy import stats as scipy_stats

    ys = errors(SIZES, 0.002, seed=3)
    fit = stats.fit_power_law(SIZES, ys)
    best = np.sum((ys - fit.a.value - fit.b.value * SIZES**-fit.c.value) ** 2)
    limit = best * (1 + scipy_stats.f.ppf(0.95, 1, len(ys) - 3) / (len(ys) - 3))
    for bound in (fit.c.low, fit.c.high):  # for an exponent, numpy's least squares is the best there is
        rows = np.stack([np.ones_like(SIZES), SIZES**-bound], axis=1)
        assert np.linalg.lstsq(rows, ys)[1][0] == pytest.approx(limit, rel=1e-3)
    for bound in (fit.a.low, fit.a.high):

        def squares(c, rest=ys - bound):  # of the best b for an exponent
            return np.linalg.lstsq(SIZES[:, None] ** -c, rest)[1][0]

        assert optimize.minimize_scalar(squares, bounds=(0.05, 2.0), method="bounded").fun == pytest.approx(
            limit, rel=5e-3
        )


def test_every_interval_of_a_fit_covers_the_truth_as_often_as_it_says():
    covered = {name: [] for name in ("a", "b", "c", "within", "beyond")}
    places = {"within": 2e5, "beyond": 4e6}
    for seed in range(2000):
        fit = stats.fit_power_law(SIZES, errors(SIZES, 0.002, seed))
        for name, truth in TRUTH.items():
            covered[name].append(getattr(fit, name).contains(truth))
        for name, x in places.items():
            covered[name].append(fit.at(x).contains(TRUTH["a"] + TRUTH["b"] * x ** -TRUTH["c"]))
    for name, found in covered.items():
        assert None not in found
        assert 0.93 <= np.mean(found) <= 0.97, name


def test_a_fit_is_refused_that_the_data_does_not_carry():
    assert stats.fit_power_law([1e3, 1e4, 1e5] * 3, [0.3, 0.2, 0.1] * 3) == "a fit needs 4 sizes, and there are 3"
    assert stats.fit_power_law([1e3] * 5, [0.3] * 5) == "a fit needs 4 sizes, and there is 1"
    xs = np.repeat([1e3, 1e4, 1e5, 1e6], 2)
    assert "no power law" in stats.fit_power_law(xs, 0.1 + 0.05 * np.log10(xs))  # rises
    assert "no power law" in stats.fit_power_law(xs, np.where(xs < 5e3, 0.5, 0.1))  # a step


def test_nothing_is_foretold_beyond_a_decade():
    fit = stats.fit_power_law(SIZES, errors(SIZES, 0.002))
    assert fit.at(9.9e6) is not None
    assert fit.at(1.1e7) is None
    assert fit.at(0.9e3) is None
    assert fit.at(9e6).half_width > fit.at(1e5).half_width


def test_a_doubtful_exponent_has_no_limit_on_either_side():
    fits = [stats.fit_power_law(SIZES, errors(SIZES, 0.02, seed)) for seed in range(30)]
    open_ended = [fit for fit in fits if not isinstance(fit, str) and None in (fit.c.low, fit.c.high)]
    assert open_ended
    assert all(fit.a.low is None and fit.b.high is None for fit in open_ended)
