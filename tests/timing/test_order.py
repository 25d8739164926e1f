from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.timing.order import balanced_orders


@given(st.integers(1, 9), st.integers(0, 2**32), st.integers(1, 3))
def test_places_and_followers_are_balanced_in_every_set(candidates, seed, sets):
    size = candidates if candidates % 2 == 0 else 2 * candidates
    rows = list(islice(balanced_orders(candidates, seed), sets * size))
    assert all(sorted(row) == list(range(candidates)) for row in rows)
    places = Counter((place, one) for row in rows for place, one in enumerate(row))
    assert set(places.values()) == {sets * size // candidates}
    followers = Counter(pair for row in rows for pair in pairwise(row))
    if candidates > 1:
        assert len(followers) == candidates * (candidates - 1)
        assert len(set(followers.values())) == 1


def test_orders_repeat_by_seed_and_differ_between_seeds():
    one, same, other = (list(islice(balanced_orders(6, seed), 12)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("candidates", [2, 3, 6])
def test_later_sets_have_other_names(candidates):
    rows = list(islice(balanced_orders(candidates, 0), 40))
    assert len({tuple(row) for row in rows}) > 1
