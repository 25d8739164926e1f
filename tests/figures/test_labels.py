from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.figures.labels import placed

BOUNDS = np.array([0.0, 0.0, 500.0, 300.0])
places = st.lists(st.tuples(st.floats(0, 500), st.floats(0, 300)), min_size=1, max_size=12)


def boxes(sizes, centres):
    return [(*(centre - size / 2), *(centre + size / 2)) for size, centre in zip(sizes, centres, strict=True)]


@given(places)
def test_labels_lie_apart_and_inside_wherever_their_points_are(points):
    anchors = np.array(points)
    sizes = np.tile([60.0, 12.0], (len(points), 1))
    found = placed(sizes, anchors, anchors, BOUNDS)
    if found is None:  # all in one spot may leave no room
        assert len(points) > 5
        return
    every = boxes(sizes, found)
    assert all(left >= 0 and bottom >= 0 and right <= 500 and top <= 300 for left, bottom, right, top in every)
    for one, (left, bottom, right, top) in enumerate(every):
        for other in every[:one]:
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom


def test_a_label_stands_right_of_its_point_where_nothing_is_in_the_way():
    (centre,) = placed(np.array([[60.0, 12.0]]), np.array([[250.0, 150.0]]), np.empty((0, 2)), BOUNDS)
    assert centre[1] == 150
    assert 250 < centre[0] - 30 < 262


def test_a_label_evades_marks_and_edges():
    marks = np.stack([np.arange(252.0, 320.0, 2), np.full(34, 150.0)], axis=1)
    (centre,) = placed(np.array([[60.0, 12.0]]), np.array([[250.0, 150.0]]), marks, BOUNDS)
    assert not ((np.abs(marks - centre) < (30, 6)).all(axis=1)).any()
    (centre,) = placed(np.array([[60.0, 12.0]]), np.array([[499.0, 150.0]]), marks, BOUNDS)
    assert centre[0] + 30 <= 500


def test_marks_that_are_nowhere_are_in_nobodys_way():
    label = np.array([[60.0, 12.0]]), np.array([[250.0, 150.0]])
    marks = np.array([[np.nan, 150.0], [260.0, np.inf], [300.0, 150.0]])
    assert np.array_equal(placed(*label, marks, BOUNDS), placed(*label, marks[2:], BOUNDS))
    assert not np.array_equal(placed(*label, marks, BOUNDS), placed(*label, marks[:2], BOUNDS))


def test_where_there_is_no_room_none_is_written():
    assert placed(np.array([[600.0, 12.0]]), np.array([[250.0, 150.0]]), np.empty((0, 2)), BOUNDS) is None
    assert placed(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2)), BOUNDS) == pytest.approx(np.empty((0, 2)))
