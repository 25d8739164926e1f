from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archbench import stats

POINTS = st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 3), max_size=12)


@given(POINTS)
def test_the_front_is_what_a_plain_search_finds(points):
    def beats(one, other):
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    expected = [place for place, point in enumerate(points) if not any(beats(other, point) for other in points)]
    assert stats.pareto_front(points) == expected
    for place, point in enumerate(points):
        assert [beats(other, point) for other in points] == stats.dominating(points, place).tolist()


@given(POINTS.filter(bool))
def test_whatever_is_not_on_the_front_is_dominated_by_something_on_it(points):
    front = stats.pareto_front(points)
    assert front
    for place in set(range(len(points))) - set(front):
        assert stats.dominating(points, place)[front].any()


def test_a_front_of_two_axes_falls_along_the_other():
    rng = np.random.default_rng(0)
    points = rng.random((200, 2))
    front = points[stats.pareto_front(points.tolist())]
    ordered = front[front[:, 0].argsort()]
    assert (np.diff(ordered[:, 1]) < 0).all()


def test_what_is_missing_takes_no_part():
    points = [(1.0, math.nan), (2.0, 2.0), (3.0, 3.0)]
    assert stats.pareto_front(points) == [1]
    assert not stats.dominating(points, 0).any()
    assert not any(stats.dominating(points, place)[0] for place in range(3))
