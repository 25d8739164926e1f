"""Two sweeps into one folder at once."""

from __future__ import annotations

import json
from functools import partial

import pytest
from processes import SWEEP, Running, attempts, linux, results, with_path

from archbench import pipeline
from archbench.manner import Manner
from archbench.store import Store
from archbench.study import make_study

STUDY = {"models": ["mlp", "linear"], "budgets": ["3k"], "epochs": 4, "seeds": 10}


CASES = [{"name": "good"}, {"name": "bad", "lr": 1e30, "optimizer": "sgd"}]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the folder of two sweeps at once, what each ended with and said, and by key which runs are good."""
    folder = tmp_path_factory.mktemp("both") / "out"
    running = [Running(folder, 2, json.dumps({**STUDY, "cases": CASES}), code=SWEEP) for _ in range(2)]
    said = [one.end() for one in running]
    with Store(folder) as store:
        good = {key: record.cell.recipe.lr < 1 for key, record in store.records().items()}
    return folder, said, good


@linux
def test_two_sweeps_into_one_folder(both, tmp_path):
    """Every run is run once, by either; both end with all of them, and neither meets a locked database."""
    folder, said, good = both
    for code, out, err in said:
        assert code == 0, err
        assert "locked" not in out + err
        assert "Traceback" not in out + err
    states = {key: tried for key, tried in attempts(folder).items() if good[key]}
    assert len(states) == 20
    assert set(map(tuple, states.values())) == {("done",)}
    pipeline.train_trials(make_study(**STUDY), tmp_path / "alone", manner=Manner(0))
    assert {key: found for key, found in results(folder).items() if good[key]} == results(tmp_path / "alone")
    with Store(folder) as store:
        assert len({attempt.owner for attempt in store.attempts()}) == 2, "one of the two did nothing"


@linux
def test_what_comes_to_nothing_is_not_run_twice_either(both):
    folder, said, good = both
    assert [code for code, *_ in said] == [0, 0]
    assert {tuple(tried) for key, tried in attempts(folder).items() if not good[key]} == {("diverged",)}


AT_LEISURE = """
import os, time
from torch import nn

class Slow(nn.Sequential):
    def forward(self, x):
        if self.training and "AT_LEISURE" in os.environ:
            time.sleep(0.5)
        return super().forward(x)

def slow(num_classes, width=8):
    return Slow(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes))
"""


@linux
def test_what_a_sweep_that_dies_had_begun_is_run_by_the_other(tmp_path):
    """The one that dies takes its time: what it had begun is far from its end when the other is at work."""
    (tmp_path / "slow_models.py").write_text(AT_LEISURE)
    settings = json.dumps({**STUDY, "models": ["slow_models:slow", "linear"]})
    start = partial(Running, tmp_path / "out", code=SWEEP, cwd=tmp_path, PYTHONPATH=with_path(tmp_path))
    one = start(2, settings, AT_LEISURE="1")
    one.wait_for("epoch")
    other = start(1, settings)
    other.wait_for("epoch")
    one.kill()
    code, out, err = other.end()
    assert code == 0, out + err
    states = attempts(tmp_path / "out")
    assert len(states) == 20
    assert all(tried[-1] == "done" and tried.count("done") == 1 for tried in states.values())
    assert any(tried[:-1] for tried in states.values()), "it had begun nothing"
