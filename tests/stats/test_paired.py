from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from archbench import stats

DIFFERENCES = [0.012, 0.004, -0.003, 0.009, 0.015, 0.001, 0.007]


def test_the_t_test_is_scipys_and_agrees_with_the_interval():
    assert stats.t_test(DIFFERENCES) == pytest.approx(scipy_stats.ttest_1samp(DIFFERENCES, 0).pvalue)
    rng = np.random.default_rng(0)
    for values in rng.normal(0.5, 1, (200, 4)):
        assert (stats.t_test(values) < 0.05) == (stats.mean(values).contains(0.0) is False)


def test_a_t_test_of_few_or_equal_differences():
    assert stats.t_test([]) is None
    assert stats.t_test([0.1]) is None
    assert stats.t_test([0.1, 0.1, 0.1]) == 0.25 == stats.sign_flip_test([0.1, 0.1, 0.1])
    assert stats.t_test([0.3 - 0.1, 0.2, 0.2]) == 0.25  # equal but for rounding
    assert stats.t_test([0.0, 0.0]) == 1


def test_equal_differences_have_no_interval():
    values, baseline = {0: 0.9, 1: 0.8}, {0: 0.8, 1: 0.7}  # 0.1 twice, but for rounding
    assert stats.paired_difference(values, baseline) == stats.Estimate(pytest.approx(0.1), None, None, 2)
    doubled = {seed: 2 * value for seed, value in values.items()}
    assert stats.paired_ratio(doubled, values) == stats.Estimate(pytest.approx(2), None, None, 2)


@pytest.mark.parametrize("n", [2, 3])
def test_steps_of_one_image_make_no_findings(n):
    """Two equal models on 400 images, whose runs differ by an image or two: equal differences are frequent."""
    rng = np.random.default_rng(n)
    found = rng.binomial(400, 0.995, (2000, n)) / 400 - rng.binomial(400, 0.995, (2000, n)) / 400
    assert np.mean([stats.t_test(values) < 0.05 for values in found]) < 0.05


def test_the_sign_flip_test_is_scipys_permutation_test():
    theirs = scipy_stats.permutation_test(
        (DIFFERENCES, np.zeros(7)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert stats.sign_flip_test(DIFFERENCES) == pytest.approx(theirs.pvalue)


def test_the_sign_flip_test_of_ranks_is_wilcoxons():
    ranks = [1.0, 2.0, -3.0, 4.0, 5.0, 6.0, -7.0, 8.0, 9.0]
    assert stats.sign_flip_test(ranks) == pytest.approx(scipy_stats.wilcoxon(ranks, method="exact").pvalue)


def test_darwins_plants_have_fishers_p():
    # Fisher 1935, The design of experiments, section 21: 1726 of 32768 choices of signs are at least as far out.
    plants = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert stats.sign_flip_test(plants) == pytest.approx(1726 / 32768, abs=0.006)  # 15 pairs: signs are drawn


@pytest.mark.parametrize(("n", "least"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_few_seeds_cannot_have_a_small_exact_p(n, least):
    values = np.linspace(1, 2, n)
    assert stats.sign_flip_test(values) == least == stats.least_sign_flip(n)


def test_many_seeds_have_a_drawn_p_that_is_never_0():
    values = np.linspace(1, 2, 40)
    assert stats.sign_flip_test(values) == stats.least_sign_flip(40) == 2**-13
    assert stats.sign_flip_test([]) is None
    assert stats.sign_flip_test([0.0, 0.0, 0.0]) == 1


def test_the_exact_test_finds_nothing_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [stats.sign_flip_test(values) <= 0.05 for values in rng.standard_t(2, (2000, 8))]
    assert 0.035 <= np.mean(found) <= 0.06


def test_holms_correction_is_the_published_one():
    # Holm's procedure by hand: 0.01 * 4, 0.02 * 3, then 0.03 * 2 and 0.04, none under the one before.
    assert stats.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert stats.holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert stats.holm([0.02]) == [0.02]
    assert stats.holm([]) == []


def test_holms_correction_keeps_false_findings_under_five_percent():
    rng = np.random.default_rng(2)
    families = rng.normal(0, 1, (2000, 6, 4))
    plain = np.asarray([[stats.t_test(values) for values in family] for family in families])
    corrected = np.asarray([stats.holm(family.tolist()) for family in plain])
    assert np.mean((plain < 0.05).any(axis=1)) > 0.2
    assert np.mean((corrected < 0.05).any(axis=1)) < 0.06


def test_fishers_exact_test_is_that_of_the_lady_who_tasted_tea():
    assert stats.fisher_test(3 / 4, 1 / 4, 4, 4) == pytest.approx(34 / 70)
