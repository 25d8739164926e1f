from __future__ import annotations

import pytest
from test_tables import RECORDS

from archbench.frame import runs_frame
from archbench.reporting.columns import axes_of, kind_of, label_of, word, worded

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


def test_axes_are_what_is_known_of_some_run():
    costs, scores = axes_of(FRAME)
    assert [axis.name for axis in costs][:2] == ["params", "macs"]
    assert {"train_step_us_cpu", "infer_step_us_cpu"} <= {axis.name for axis in costs}
    assert scores[0].name == "test_accuracy"
    assert {"test_loss", "test_topk"} <= {axis.name for axis in scores}
    without, _ = axes_of(FRAME.drop(columns=["macs"]))
    assert "macs" not in {axis.name for axis in without}
