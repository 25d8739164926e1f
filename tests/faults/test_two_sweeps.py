"""Two sweeps into one folder at once."""

from __future__ import annotations

import json

from processes import SWEEP, Running, attempts, linux, results

from archbench import pipeline
from archbench.manner import Manner
from archbench.study import make_study

STUDY = {"models": ["mlp", "linear"], "budgets": ["3k"], "epochs": 4, "seeds": 10}


@linux
def test_two_sweeps_into_one_folder(tmp_path):
    """Every run is run once, by either; both end with all of them, and neither meets a locked database."""
    both = [Running(tmp_path / "out", 2, json.dumps(STUDY), code=SWEEP) for _ in range(2)]
    said = [one.end() for one in both]
    for code, out, err in said:
        assert code == 0, err
        assert "locked" not in out + err
        assert "Traceback" not in out + err
    states = attempts(tmp_path / "out")
    assert len(states) == 20
    assert set(map(tuple, states.values())) == {("done",)}
    pipeline.train_trials(make_study(**STUDY), tmp_path / "alone", manner=Manner(0))
    assert results(tmp_path / "out") == results(tmp_path / "alone")
    shares = [sum("test accuracy" in line or " done" in line for line in out.splitlines()) for _, out, _ in said]
    assert all(shares), "one of the two did nothing"


@linux
def test_what_comes_to_nothing_is_not_run_twice_either(tmp_path):
    settings = json.dumps({**STUDY, "lr": 1e30, "optimizer": "sgd", "seeds": 5})
    both = [Running(tmp_path / "out", 2, settings, code=SWEEP) for _ in range(2)]
    assert [one.end()[0] for one in both] == [0, 0]
    assert set(map(tuple, attempts(tmp_path / "out").values())) == {("diverged",)}


@linux
def test_what_a_sweep_that_dies_had_begun_is_run_by_the_other(tmp_path):
    one = Running(tmp_path / "out", 2, json.dumps({**STUDY, "epochs": 60}), code=SWEEP)
    one.wait_for("epoch")
    other = Running(tmp_path / "out", 1, json.dumps({**STUDY, "epochs": 60}), code=SWEEP)
    other.wait_for("epoch")
    one.kill()
    code, out, err = other.end()
    assert code == 0, out + err
    states = attempts(tmp_path / "out")
    assert len(states) == 20
    assert all(tried[-1] == "done" and tried.count("done") == 1 for tried in states.values())
