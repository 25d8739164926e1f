from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from made import compared, comparison
from test_tables import RECORDS

from archbench.columns import kind_of, label_of, place_of
from archbench.frame import runs_frame
from archbench.reporting import page_of
from archbench.reporting.columns import axes_of, word, worded

FRAME = runs_frame(RECORDS)


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("train_step_us_cpu", "train on CPU, µs/step"),
        ("infer_graph_us_per_sample_cuda", "infer (graph) on CUDA, µs/sample"),
        ("test_accuracy", "test accuracy"), ("test_topk", "test top-3 accuracy"),
        ("validation_accuracy_2", "validation accuracy, position 2"), ("test_word", "test accuracy of whole words"),
        ("flops_torch", "FLOPs by torch"), ("macs", "MACs"), ("data_us_cpu", "making a batch on CPU, µs"),
        ("label_smoothing", "label smoothing"),
    ],
)  # fmt: skip
def test_columns_have_names_with_units(column, label):
    assert label_of(column, 3) == label


@pytest.mark.parametrize(
    ("value", "column", "said"),
    [
        (0.98765, "test_accuracy", "98.77 %"), (0.12345, "test_loss", "0.1235"), (28775, "params", "28,775"),
        (6040.0, "train_step_us_cpu", "6,040"), (2**21, "peak_memory_bytes", "2.00"), (True, "launch_bound", "yes"),
        (None, "macs", ""), (float("nan"), "test_loss", ""), ("cosine", "schedule", "cosine"),
    ],
)  # fmt: skip
def test_values_are_written_in_their_units_and_missing_ones_are_empty(value, column, said):
    assert word(value, kind_of(column)) == said


def test_every_column_is_a_figure_or_a_fact_and_intervals_stand_with_their_value():
    figures, facts = worded(FRAME, figures=True), worded(FRAME, figures=False)
    assert not set(figures) & set(facts)
    assert figures["train on CPU, µs/step"][0].startswith("100 [")
    assert figures["test accuracy"][:3] == ["90.00 %", "91.00 %", "92.00 %"]
    assert figures["test accuracy"][6] == ""  # it failed
    assert {"optimizer", "torch", "threads", "seed"} <= set(facts)


@pytest.mark.parametrize(
    ("values", "interval", "place"),
    [
        ([7.0, 7.0], (), (7.0, None, None)),
        ([7.0, 7.0], (6.0, 8.0), (7.0, 6.0, 8.0)),
        ([7.0], (math.nan, math.nan), (7.0, None, None)),
        # 4.302653 is Student's t for two degrees of freedom, and 1 the standard deviation
        ([1.0, 2.0, 3.0], (), (2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5)),
    ],
)  # fmt: skip
def test_a_mean_stands_at_what_its_runs_share_or_at_their_mean(values, interval, place):
    found = place_of(values, *interval)
    ends = np.array([found.value, found.low, found.high], dtype=float)
    assert ends == pytest.approx(np.array(place, dtype=float), rel=1e-5, nan_ok=True)
    assert place_of([]) is None


def test_the_figure_and_the_page_have_each_mean_at_one_place():
    """Training takes each run its own time; a step takes all of them the same."""
    records = [
        dataclasses.replace(one, training=one.training and dataclasses.replace(
            one.training, train_seconds=2.0 + one.cell.recipe.seed ** 2)) for one in RECORDS
    ]  # fmt: skip
    made = comparison(records, compared()["usual"].folder)
    groups = page_of(made).chart["groups"]
    for x in ("train_seconds", "train_step_us_cpu"):
        (drawn,) = made.draw("scatter", x=x)
        means = drawn.data[drawn.data["what"] == "mean"]
        there = [group["at"][x] for group in groups if group["scores"]["test_accuracy"]]
        here = means[[x, "x_low", "x_high"]].astype(float).to_numpy()
        assert np.array(there, dtype=float) == pytest.approx(here, rel=1e-5, nan_ok=True)


def test_axes_are_what_is_known_of_some_run():
    costs, scores = axes_of(FRAME)
    assert [axis.name for axis in costs][:2] == ["params", "macs"]
    assert {"train_step_us_cpu", "infer_step_us_cpu"} <= {axis.name for axis in costs}
    assert scores[0].name == "test_accuracy"
    assert {"test_loss", "test_topk"} <= {axis.name for axis in scores}
    without, _ = axes_of(FRAME.drop(columns=["macs"]))
    assert "macs" not in {axis.name for axis in without}
