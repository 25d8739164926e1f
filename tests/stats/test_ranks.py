from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from archbench import stats


def test_the_same_ranking_agrees_and_the_reverse_does_not():
    last = [[0.1, 0.2, 0.3], [0.2, 0.3, 0.4]]
    assert stats.agreement(last, last) == stats.Estimate(1.0, 1.0, 1.0, 2)
    assert stats.agreement([row[::-1] for row in last], last).value == -1


def test_a_seed_counts_the_pairs_in_the_other_order():
    # Of the six pairs of four models two are in the other order: tau is (4 - 2) / 6.
    assert stats.agreement([[1, 3, 2, 0.5]], [[1, 2, 3, 0.6]]).value == pytest.approx((5 - 1) / 6)
    assert stats.agreement([[1, 1, 2]], [[1, 2, 3]]).value == pytest.approx(2 / np.sqrt(2 * 3))  # tau-b of a tie
    assert stats.agreement([[1, 1, 1]], [[1, 2, 3]]) is None
    assert stats.agreement([], []) is None


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    quality = np.linspace(0, 1, 8)

    def drawn(comparisons, seeds):
        shape = (comparisons, seeds, len(quality))
        return [quality + rng.normal(0, 0.35, shape) for _ in range(2)]

    early, late = drawn(1, 20_000)
    # Kendall's tau without ties: the mean over pairs of whether both have them in the same order.
    pairs = np.triu_indices(len(quality), 1)
    signs = [np.sign(one[..., pairs[0]] - one[..., pairs[1]]) for one in (early, late)]
    truth = np.mean(signs[0] * signs[1])
    assert scipy_stats.kendalltau(early[0, 0], late[0, 0]).statistic == pytest.approx(
        np.mean((signs[0] * signs[1])[0, 0])
    )
    early, late = drawn(2000, 3)
    covered = [stats.agreement(a, b).contains(truth) for a, b in zip(early, late, strict=True)]
    assert 0.93 <= np.mean(covered) <= 0.97
