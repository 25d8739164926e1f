from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from archbench import stats


@pytest.mark.parametrize(
    ("effect", "seeds"),
    [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)],  # Cohen's sizes, 80 % at 5 %, two sides: as G*Power has them
)
def test_seeds_needed_are_the_published_ones(effect, seeds):
    assert stats.seeds_needed(effect, 1.0) == seeds
    assert stats.seeds_needed(-3 * effect, 3.0) == seeds


@pytest.mark.parametrize("level", [0.05, 0.05 / 28])
@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("effect", [0.0, 0.5, 2.0, 20.0])
def test_power_is_the_integral_over_deviations(n, effect, level):
    reach = scipy_stats.t.ppf(1 - level / 2, n - 1)
    shift = effect * np.sqrt(n)

    def found(deviation):  # given the deviation that is seen, the mean is normal
        tails = scipy_stats.norm.sf(reach * deviation - shift) + scipy_stats.norm.cdf(-reach * deviation - shift)
        return tails * scipy_stats.chi.pdf(deviation * np.sqrt(n - 1), n - 1) * np.sqrt(n - 1)

    assert stats.power(n, effect, level) == pytest.approx(
        integrate.quad(found, 0, 20, limit=500, points=[0.1, 1, 3])[0], abs=1e-5
    )


@pytest.mark.parametrize("level", [0.05, 0.05 / 66])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_detectable_difference_is_found_four_times_in_five(n, level):
    size = stats.detectable(n, 0.3, level)
    draws = np.random.default_rng(n).normal(size, 0.3, (10_000, n))
    p = scipy_stats.ttest_1samp(draws, 0, axis=1).pvalue
    assert np.mean(p < level) == pytest.approx(0.8, abs=0.015)
    assert stats.seeds_needed(1.0001 * size, 0.3, level) == n


def test_more_seeds_detect_less():
    sizes = [stats.detectable(n, 1.0) for n in (2, 3, 5, 10, 100, 3000)]
    assert sizes == sorted(sizes, reverse=True)
    assert stats.detectable(1, 1.0) is None
    assert stats.detectable(5, 0.0) is None


def test_no_number_of_seeds_finds_no_difference():
    assert stats.seeds_needed(0.0, 1.0) is None
    assert stats.seeds_needed(0.001, 1.0) is None  # eight million
    assert stats.seeds_needed(0.1, 0.0) is None
    assert stats.seeds_needed(0.0, 0.0) is None
