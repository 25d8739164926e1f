from __future__ import annotations

import dataclasses
import errno
import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_tables import RECORDS

from archbench.conclusions import conclude
from archbench.frame import runs_frame
from archbench.reporting import layers
from archbench.reporting.chart import MOST_EPOCHS, chart_of, firsts_of, groups_of
from archbench.reporting.findings import names_of, notes_beside
from archbench.reporting.layers import layers_ahead

FRAME = runs_frame(RECORDS)


@pytest.fixture(scope="module")
def chart():
    found = conclude(FRAME)
    with layers_ahead(firsts_of(RECORDS)) as waiting:
        return chart_of(FRAME, RECORDS, names_of(found), notes_beside(found), waiting)


def layers_of(firsts):
    with layers_ahead(firsts) as waiting:
        return waiting()


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
    with layers_ahead(firsts_of(filled.records)) as waiting:
        chart = chart_of(filled.frame(), filled.records, names_of(found), notes_beside(found), waiting)
    curve = chart["groups"][0]["curves"]
    own = [filled.records[place].training.epochs[0].train.loss for place in chart["groups"][0]["runs"]]
    assert curve["lines"]["train loss"][0] == pytest.approx([sum(own) / len(own), min(own), max(own)], rel=1e-3)
    assert len(curve["epochs"]) <= MOST_EPOCHS
    json.dumps(chart, allow_nan=False)


def test_layers_are_those_of_the_model_and_sum_up_to_its_parameters(filled):
    firsts = firsts_of(filled.records)
    assert firsts == [filled.records[group[0]] for group in groups_of(filled.frame())]
    tables, of_model = layers_of(firsts)
    for record, own in zip(firsts, of_model, strict=True):
        total = tables[own["layers"]]["rows"][-1]
        assert total[tables[own["layers"]]["head"].index("params")] == f"{record.cell.sized.params:,}"
        assert own["command"].startswith("archbench show ")


def test_a_process_of_its_own_comes_to_the_same_layers(filled, monkeypatch):
    firsts = firsts_of(filled.records)
    here = layers_of(firsts)
    monkeypatch.delitem(sys.modules, "torch")  # as in a process that has not imported it
    with layers_ahead(firsts) as waiting:
        monkeypatch.undo()
        monkeypatch.setattr(layers, "tables_of", None)  # this process makes none
        assert waiting() == here


def unstartable(*_, **__):
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")  # as at a limit of processes


class Ended(subprocess.Popen):
    """A process that has ended before anything is written to it."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.wait()


@pytest.mark.parametrize("popen", [subprocess.Popen, Ended, unstartable])
def test_where_that_process_fails_this_one_does_it(filled, monkeypatch, popen):
    firsts = firsts_of(filled.records)
    here = layers_of(firsts)
    monkeypatch.setattr(layers, "PROGRAM", "raise SystemExit(1)")
    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.delitem(sys.modules, "torch")
    with layers_ahead(firsts) as waiting:
        monkeypatch.undo()
        assert waiting() == here


def test_no_process_outlives_a_page_that_fails(filled, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(layers, "PROGRAM", "import sys, time; sys.stdin.buffer.read(); time.sleep(600)")
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(ZeroDivisionError), layers_ahead(firsts_of(filled.records)):
        1 / 0  # noqa: B018
    (process,) = started
    assert process.returncode == -signal.SIGKILL
    assert process.stdout.closed


def test_no_module_is_imported_for_a_results_folder_of_somebody_else():
    foreign = dataclasses.replace(RECORDS[0], cell=_named(RECORDS[0].cell, "antigravity:fly"))
    tables, of_model = layers_of([foreign])
    assert tables == []
    assert "imports the module" in of_model[0]["why"]


def _named(cell, model):
    return dataclasses.replace(cell, model=model, sized=dataclasses.replace(cell.sized, model=model))
