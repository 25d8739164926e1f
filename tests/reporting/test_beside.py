from __future__ import annotations

import pandas as pd
from made import CROSSING, KINDS, compared, data_of, html
from test_tables import BASE, record

from archbench.conclusions import conclude
from archbench.frame import runs_frame
from archbench.reporting.beside import beside_of

FRAME = runs_frame(CROSSING)
NAMES = ["cnn@1k", "cnn@5k", "net@1k", "net@5k"]


def beside(frame=FRAME, published=None):
    return beside_of(frame, conclude(frame), published, "")


def test_fronts_are_models_from_the_cheapest_to_the_most_accurate():
    fronts = beside()["fronts"]
    assert {x: [[NAMES[place] for place in front] for front in found] for x, found in fronts.items()} == {
        "params": [["net@1k", "cnn@5k"]], "macs": [["net@1k", "cnn@5k"]], "train_step_us_cpu": [],
    }  # fmt: skip


def test_a_crossing_says_who_leads_and_where_it_is_as_the_conclusions_do():
    (crossing,) = beside()["crossings"]["params"]
    table = conclude(FRAME).crossovers
    (row,) = table[table["x"] == "params"].to_dict(orient="records")
    assert [NAMES[crossing[side]].partition("@")[0] for side in ("before", "after")] == ["net", "cnn"]
    assert (row["before"], row["after"]) == ("net", "cnn")
    assert crossing["at"] == [float(f"{row[end]:.6g}") for end in ("value", "low", "high")]


def test_of_single_runs_a_crossing_has_no_interval():
    (crossing,) = beside(runs_frame([one for one in CROSSING if one.cell.recipe.seed == 0]))["crossings"]["params"]
    assert crossing["at"][0] is not None
    assert crossing["at"][1:] == [None, None]


def test_times_are_of_the_device_that_was_concluded_about():
    other = FRAME.assign(train_step_us_cuda=FRAME["train_step_us_cpu"] / 10)
    assert "train_step_us_cpu" in beside(other[[*reversed(other.columns)]])["fronts"]
    untimed = runs_frame([record("cnn", size, 0, 0.9) for size in (1000, 5000)])
    assert not any(name.startswith("train") for name in beside(untimed)["fronts"])


def test_each_data_set_has_its_own_front():
    frame = pd.concat([FRAME, FRAME.assign(dataset="another", case="another")], ignore_index=True)
    fronts = beside(frame)["fronts"]["params"]
    assert len(fronts) == 2
    assert not set(fronts[0]) & set(fronts[1])


def test_a_published_accuracy_is_beside_the_first_model_that_it_is_of():
    known = pd.DataFrame({"model": ["net"], "case": [""], "test_accuracy": [0.97], "source": ["a paper"]})
    assert beside(published=known)["published"] == [{"group": 2, "test_accuracy": 0.97, "source": "a paper"}]


def test_only_a_study_of_that_name_has_published_points():
    data = data_of(html("reproduced"))
    (point,) = data["beside"]["published"]
    assert (data["groups"][point["group"]]["name"], point["test_accuracy"]) == ("cnn@1k", 0.97)
    assert data["beside"]["note"].endswith("than at the scale quick")
    others = [data_of(html(kind))["beside"] for kind in KINDS if compared()[kind].study.name == ""]
    assert len(others) == len(KINDS) - 1
    assert not any(one["published"] for one in others)
    assert not any(one["note"] for one in others)


def test_lines_of_one_size_have_neither_front_nor_crossing():
    found = beside(runs_frame([record("cnn", 1000, 0, 0.9, BASE)]))
    assert not any(found["fronts"].values())
    assert not any(found["crossings"].values())
