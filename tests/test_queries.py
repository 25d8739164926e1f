from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from test_tables import BASE, SLOW, record

import archbench
from archbench import queries
from archbench.comparison import Comparison
from archbench.errors import InputError, StoreError
from archbench.frame import runs_frame
from archbench.queries import best, best_sentence, best_words
from archbench.schema import Study


def with_images(record, test_images):
    return dataclasses.replace(record, cell=dataclasses.replace(record.cell, images=(10, 10, test_images)))


RECORDS = [
    with_images(one, 1000)
    for one in [
        *(record("cnn", 1000, seed, 0.90 + seed / 100, BASE) for seed in range(3)),
        *(record("net", 1000, seed, 0.94 + seed / 1000, SLOW, params=1005) for seed in range(3)),
        *(record("net", 5000, seed, 0.95 + seed / 50, SLOW) for seed in range(3)),
        record("lost", 5000, 0, 0.0, SLOW, status="failed"),
        record("one", None, 0, 0.96, BASE, params=3000),
    ]
]
RUNS = runs_frame(RECORDS)


def names(*words, **objective):
    return best(RUNS, *words, **objective).get("name", pd.Series(dtype=object)).tolist()


def test_the_best_of_those_that_meet_a_condition():
    assert names() == ["net@5k", "one", "net@1k", "cnn@1k"]
    assert names("params < 4k", maximize="accuracy") == ["one", "net@1k", "cnn@1k"]
    assert names("accuracy > 93 %", minimize="params") == ["net@1k", "one", "net@5k"]
    assert names("model == net and step_us > 100us", minimize="accuracy") == ["net@1k", "net@5k"]
    assert names("step_us < 120", minimize="step_us") == ["one", "cnn@1k"]  # equally fast: the more accurate first
    assert names("params > 1M") == []
    assert names("not n > 1") == ["one"]


def test_whether_it_is_surely_so_follows_the_interval():
    found = best(RUNS, "accuracy > 0.90 or params < 1").set_index("name")
    # 0.97 has a standard deviation of 0.02 over three seeds: half the interval is 0.0497.
    assert found["sure"].to_dict() == {"net@5k": True, "one": True, "net@1k": True, "cnn@1k": False}
    assert best(RUNS)["sure"].isna().all()
    assert best(RUNS, "loss < 3")["sure"].tolist().count(True) == 3  # of one run there is no interval of the loss
    assert best(RUNS, "n > 0")["sure"].all()


def test_equal_runs_leave_the_doubt_of_their_images():
    equal = runs_frame([with_images(record("cnn", 1000, seed, 0.9, BASE), 100) for seed in range(3)])
    # Wilson's interval of 90 in 100 is [0.8256, 0.9448].
    assert best(equal, "accuracy > 0.83")["sure"].tolist() == [False]
    assert best(equal, "accuracy > 0.82")["sure"].tolist() == [True]


def test_a_count_stays_whole():
    found = best(RUNS)
    assert {str(found[name].dtype) for name in ("params", "macs", "budget")} == {"Int64"}


@pytest.mark.parametrize(
    ("objective", "wanted"),
    [
        ({"minimize": "params", "maximize": "accuracy"}, "both"), ({"minimize": "model"}, "is text"),
        ({"maximize": "acuracy"}, "there is no 'acuracy'"),
    ],
)  # fmt: skip
def test_what_is_to_be_small_or_large_is_a_number(objective, wanted):
    with pytest.raises(InputError, match=wanted):
        best(RUNS, **objective)


def test_words_say_what_is_in_doubt():
    found = best(RUNS, "accuracy > 0.90")
    words = best_words(found)
    assert words["meets it"].tolist() == ["surely", "surely", "surely", "in doubt"]
    assert words["accuracy, %"].tolist()[1:3] == ["96.0 [94.6, 97.0]", "94.10 ± 0.25"]
    assert "meets it" not in best_words(best(RUNS))
    assert best_sentence(found, 5) == "net@5k (4 of 5 models meet it in the mean)."
    assert "in doubt" in best_sentence(best(RUNS, "accuracy > 0.90 and params == 1000"), 5)
    assert best_sentence(best(RUNS, "params > 1M"), 5) == "None of 5 models meets it."


def test_without_runs_there_is_nothing():
    assert not len(best(runs_frame([]), "params < 1M"))
    assert queries.asked(runs_frame([])) == 0


def test_from_python_a_comparison_or_its_folder(filled, tmp_path):
    found = archbench.best(filled, "params < 10k", minimize="macs")
    assert found["place"].tolist() == [1, 2]
    pd.testing.assert_frame_equal(archbench.best(filled.folder, "params < 10k", minimize="macs"), found)
    assert len(archbench.best(Comparison(Study(()), (), tmp_path))) == 0
    with pytest.raises(StoreError):
        archbench.best(tmp_path)
