from __future__ import annotations

import dataclasses

import pytest
from test_schema import CELL, SIZED

from archbench.closest import closest_words, differences, notes
from archbench.schema import RESULT_VERSION, Budget, Recipe


def with_recipe(**settings):
    return dataclasses.replace(CELL, recipe=Recipe(**settings))


def sized(**changes):
    return dataclasses.replace(CELL, sized=dataclasses.replace(SIZED, **changes))


def test_a_run_differs_from_itself_in_nothing():
    assert differences(CELL, CELL) == {}
    assert closest_words(CELL, [CELL]) == ""


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (with_recipe(lr=0.5), {"lr": (0.5, 3e-3)}),
        (with_recipe(augment=("flip",)), {"augment": (("flip",), ())}),
        (with_recipe(epochs=3, seed=4), {"epochs": (3, 15), "seed": (4, 0)}),
        (dataclasses.replace(CELL, threads=2), {"threads": (2, 1)}),
        (dataclasses.replace(CELL, torch="2.0"), {"torch": ("2.0", "2.14")}),
        (dataclasses.replace(CELL, device="cuda"), {"device": ("cuda", "cpu")}),
        (dataclasses.replace(CELL, device_name="another CPU"), {"processor": ("another CPU", "a CPU")}),
        (dataclasses.replace(CELL, dataset="mnist"), {"dataset": ("mnist", "digits")}),
        (dataclasses.replace(CELL, result_version=7), {"archbench's results": (7, RESULT_VERSION)}),
        (dataclasses.replace(CELL, data_sha256="e" * 64), {"data": ("e" * 64, "d" * 64)}),
        (sized(source_sha256="new"), {"source of the model": ("new", "abc")}),
        (sized(input_shape=(3, 8, 8)), {"input": ((3, 8, 8), (1, 8, 8))}),
    ],
)
def test_what_differs_is_named_with_both_values(other, found):
    assert differences(CELL, other) == found


def test_options_differ_as_people_write_them():
    (pair,) = differences(CELL, sized(options={"channels": (6, 15), "dense": 10})).values()
    assert "dense=10" in pair[0]
    assert "dense=9" in pair[1]


def test_what_is_no_part_of_a_key_is_no_difference():
    assert differences(CELL, dataclasses.replace(CELL, case="a", images=(1, 2, 3), warnings=("w",), problem="x")) == {}


def test_a_run_that_could_not_be_built_differs_in_what_it_has_not():
    none = dataclasses.replace(CELL, sized=None, problem="why")
    assert set(differences(CELL, none)) == {"source of the model", "options", "input"}


def test_the_words_say_what_was_and_what_is():
    other = dataclasses.replace(with_recipe(lr=0.5), device_name="another CPU")
    assert closest_words(CELL, [other]) == "processor (another CPU, now a CPU), lr (0.5, now 0.003)"


def test_hashes_are_no_words():
    words = closest_words(CELL, [dataclasses.replace(sized(source_sha256="new"), data_sha256="e" * 64)])
    assert words == "what the data are, the source of the model"


def test_the_closest_is_the_one_that_differs_in_least():
    far, near = with_recipe(lr=0.5, epochs=3, batch_size=8), with_recipe(epochs=3)
    assert closest_words(CELL, [far, near, far]) == "epochs (3, now 15)"


def test_of_another_seed_nothing_is_said():
    assert closest_words(CELL, [with_recipe(seed=9), with_recipe(lr=0.5)]) == ""


def test_a_seed_beside_another_difference_is_not_named():
    assert closest_words(CELL, [with_recipe(seed=9, lr=0.5)]) == "lr (0.5, now 0.003)"


def test_without_another_there_are_no_words():
    assert closest_words(CELL, []) == ""


@pytest.mark.parametrize("change", [{"model": "mlp"}, {"budget": Budget(10_000)}, {"budget": None}])
def test_other_models_and_budgets_are_not_close(change):
    assert notes([CELL], [dataclasses.replace(with_recipe(lr=0.5), **change)]) == []
    assert notes([dataclasses.replace(CELL, **change)], [with_recipe(lr=0.5)]) == []


def test_runs_that_differ_in_the_same_way_have_one_line():
    new = [with_recipe(seed=seed) for seed in range(3)]
    others = [with_recipe(lr=0.5, seed=seed) for seed in range(2)]
    mlp = dataclasses.replace(CELL, model="mlp")
    assert notes([*new, mlp], [*others, dataclasses.replace(mlp, threads=4)]) == [
        "3 runs to do: the closest stored differs in lr (0.5, now 0.003)",
        "1 run to do: the closest stored differs in threads (4, now 1)",
    ]


def test_runs_that_are_new_in_their_seed_have_no_line():
    assert notes([with_recipe(seed=3)], [with_recipe(seed=0)]) == notes([CELL], []) == notes([], [CELL]) == []


def test_whether_the_test_split_is_looked_at_is_no_difference():
    trial = dataclasses.replace(CELL, tested=False)  # of a search, which nobody is told to compare with
    assert trial.key != CELL.key
    assert differences(CELL, trial) == {}
    assert notes([CELL], [trial]) == []


def test_where_the_data_lie_is_no_difference():
    here, there = (dataclasses.replace(CELL, dataset=f"folder:{path}") for path in ("a/b", "/moved/b"))
    assert here.key == there.key
    assert differences(here, there) == {}
