from __future__ import annotations

import json
import math

import numpy as np
import pytest
from test_tables import RECORDS

from archbench.conclusions import conclude
from archbench.frame import runs_frame
from archbench.reporting.chart import MOST_EPOCHS, chart_of, groups_of
from archbench.reporting.findings import names_of, notes_beside
from archbench.reporting.layers import layer_tables

FRAME = runs_frame(RECORDS)


@pytest.fixture(scope="module")
def chart():
    found = conclude(FRAME)
    return chart_of(FRAME, RECORDS, names_of(found), notes_beside(found))


def unpacked(packed, count):
    return [packed["of"][place] for place in packed["at"]] if "at" in packed else [packed["all"]] * count


def test_every_run_is_in_one_group(chart):
    assert sorted(place for group in groups_of(FRAME) for place in group) == list(range(len(FRAME)))
    assert [group["name"] for group in chart["groups"]] == ["cnn@1k", "net@1k", "net@5k", "fixed"]


def test_scores_are_means_with_t_intervals(chart):
    value, low, high = chart["groups"][0]["scores"]["test_accuracy"]
    values = np.array([0.90, 0.91, 0.92])
    half = 4.302653 * values.std(ddof=1) / np.sqrt(3)  # Student's t for two degrees of freedom, from a table
    assert (value, low, high) == pytest.approx((0.91, 0.91 - half, 0.91 + half), abs=1e-5)
    assert chart["groups"][2]["scores"]["test_accuracy"] is None  # it failed
    assert chart["groups"][3]["scores"]["test_accuracy"][1:] == [None, None]  # one run


def test_words_of_runs_come_back_from_their_packing(chart):
    accuracies = unpacked(chart["runs"]["figures"]["test accuracy"], len(RECORDS))
    assert accuracies == [f"{100 * value:.2f} %" if math.isfinite(value) else "" for value in FRAME["test_accuracy"]]
    assert unpacked(chart["runs"]["states"], len(RECORDS)) == FRAME["status"].tolist()


def test_times_have_the_interval_of_their_estimate(chart):
    value, low, high = chart["groups"][0]["at"]["train_step_us_cpu"]
    row = FRAME.iloc[0]
    assert (value, low, high) == pytest.approx(tuple(row[f"train_step_us_cpu{end}"] for end in ("", "_low", "_high")))


def test_curves_are_mean_and_range_and_thinned_where_there_are_many_epochs(filled):
    found = filled.conclusions()
    chart = chart_of(filled.frame(), filled.records, names_of(found), notes_beside(found))
    curve = chart["groups"][0]["curves"]
    own = [filled.records[place].training.epochs[0].train.loss for place in chart["groups"][0]["runs"]]
    assert curve["lines"]["train loss"][0] == pytest.approx([sum(own) / len(own), min(own), max(own)], rel=1e-3)
    assert len(curve["epochs"]) <= MOST_EPOCHS
    json.dumps(chart, allow_nan=False)


def test_layers_are_those_of_the_model_and_sum_up_to_its_parameters(filled):
    firsts = [filled.records[group[0]] for group in groups_of(filled.frame())]
    tables, of_model = layer_tables(firsts)
    for record, own in zip(firsts, of_model, strict=True):
        total = tables[own["layers"]]["rows"][-1]
        assert total[tables[own["layers"]]["head"].index("params")] == f"{record.cell.sized.params:,}"
        assert own["command"].startswith("archbench show ")


def test_no_module_is_imported_for_a_results_folder_of_somebody_else():
    tables, of_model = layer_tables([RECORDS[0].__class__(**{
        **{name: getattr(RECORDS[0], name) for name in RECORDS[0].__dataclass_fields__},
        "cell": _named(RECORDS[0].cell, "antigravity:fly"),
    })])  # fmt: skip
    assert tables == []
    assert "imports the module" in of_model[0]["why"]


def _named(cell, model):
    import dataclasses

    return dataclasses.replace(cell, model=model, sized=dataclasses.replace(cell.sized, model=model))
