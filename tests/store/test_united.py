"""What several stores were asked for, as one study."""

from __future__ import annotations

import dataclasses
import random
from contextlib import ExitStack

import pytest
from conftest import small_study
from test_schema import DONE, SIZED

from archbench.plan import make_plan
from archbench.schema import Study
from archbench.store import Store
from archbench.store.merge import Source
from archbench.store.united import united


def asked(folder, study, cells):
    with Store(folder, create=True) as store:
        store.add_study(study, [(cell, cell.case) for cell in cells])
        for cell in cells[:1]:
            store.add(dataclasses.replace(DONE, cell=cell))
    return folder


def whole(*folders):
    """Return the study of several folders, its cells, and what stands apart."""
    with ExitStack() as stack:
        found, apart = united([stack.enter_context(Source(folder)) for folder in folders])
    return (None, [], apart) if found is None else (found.study, found.cells, apart)


@pytest.fixture(scope="module")
def plan():
    """Return the plan of a study with models of their own budgets and without any, and with cases."""
    study = small_study(
        ["mlp@10k", "linear", "mlp@3k", "knn"], ["5k", "3k"], seeds=[7, 0, 3], factors={"lr": [0.1, 0.01]}
    )
    return make_plan(study)


def test_the_cells_of_parts_stand_in_the_order_of_the_study(plan, tmp_path):
    chance = random.Random(0)
    cells = [dataclasses.replace(cell) for cell in plan.cells]
    chance.shuffle(cells)
    parts = [asked(tmp_path / str(number), plan.study, cells[number::3]) for number in range(3)]
    study, keys, apart = whole(*parts)
    assert study == plan.study
    assert keys == [(cell.key, cell.case) for cell in plan.cells]
    assert apart == []


def test_a_cell_of_several_is_there_once(plan, tmp_path):
    parts = [
        asked(tmp_path / name, plan.study, plan.cells[first:last]) for name, first, last in (("a", 0, 5), ("b", 3, 9))
    ]
    assert whole(*parts)[1] == [(cell.key, cell.case) for cell in plan.cells[:9]]


def test_how_data_came_here_makes_no_other_study(plan, tmp_path):
    one = asked(tmp_path / "a", plan.study, plan.cells[:2])
    two = asked(tmp_path / "b", dataclasses.replace(plan.study, download=True, data_root="there"), plan.cells[2:4])
    assert len(whole(one, two)[1]) == 4


def test_of_different_studies_the_first_stays_as_it_is(plan, tmp_path):
    with Store(tmp_path / "none", create=True):
        pass
    one = asked(tmp_path / "a", plan.study, plan.cells[:2])
    two = asked(tmp_path / "b", dataclasses.replace(plan.study, seeds=(1,)), plan.cells[2:4])
    three = asked(tmp_path / "c", plan.study, plan.cells[4:5])
    study, keys, apart = whole(tmp_path / "none", one, two, three)
    assert (study, len(keys), apart) == (plan.study, 3, [])
    assert whole(two, one)[0].seeds == (1,)
    assert whole(tmp_path / "none") == (None, [], [])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"device_name": "another CPU"}, "processor (another CPU, not {device_name})"),
        ({"torch": "9.9"}, "torch (9.9, not {torch})"),
        ({"result_version": 99}, "version of archbench's results"),
        ({"data_sha256": "e" * 64}, "data"),
        ({"sized": dataclasses.replace(SIZED, source_sha256="changed")}, "source of the model"),
    ],
)
def test_what_was_made_otherwise_is_not_put_beside_the_others(plan, tmp_path, changes, why):
    one = asked(tmp_path / "a", plan.study, plan.cells[:1])
    two = asked(tmp_path / "b", plan.study, [dataclasses.replace(cell, **changes) for cell in plan.cells[1:3]])
    _, keys, apart = whole(one, two)
    assert keys == [(plan.cells[0].key, plan.cells[0].case)]
    said = why.format(**vars(plan.cells[0]))
    assert [(found.folder, found.cells, found.why) for found in apart] == [(two, 2, said)]


def test_other_data_of_another_case_are_no_difference(plan, tmp_path):
    other = [cell for cell in plan.cells if cell.case != plan.cells[0].case][:2]
    one = asked(tmp_path / "a", plan.study, plan.cells[:1])
    two = asked(tmp_path / "b", plan.study, [dataclasses.replace(cell, data_sha256="e" * 64) for cell in other])
    assert len(whole(one, two)[1]) == 3


def test_what_a_study_does_not_name_any_more_stands_at_its_end(plan, tmp_path):
    strange = dataclasses.replace(plan.cells[0], model="renamed")
    study = Study(("linear",), seeds=(7, 0, 3))
    one = asked(tmp_path / "a", study, [strange])
    two = asked(tmp_path / "b", study, [dataclasses.replace(plan.cells[0], model="linear", budget=None, case="")])
    assert [key for key, _ in whole(one, two)[1]][-1] == strange.key
