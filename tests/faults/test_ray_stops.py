"""`--executor ray` with a Ray of its own: whatever ends it, nothing is left running, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from processes import SWEEP, Running, attempts, linux, results, with_path
from test_stops import SLOW

from archbench import pipeline
from archbench.manner import Manner
from archbench.store import Store
from archbench.study import make_study

pytest.importorskip("ray", reason="needs Ray: pip install 'archbench[ray]'")

pytestmark = linux
ON_RAY = SWEEP.replace("Manner(workers)", "Manner(workers, executor='ray', tune=False)")


def waits_for_ray(process):
    """Whether it is one of Ray's own that give its server, which was killed too, a minute to come back."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0 ").endswith(b"Agent")
    except OSError:
        return True  # it has ended


def test_a_driver_that_is_killed_or_stopped_leaves_nothing_running_and_its_runs_go_on(tmp_path, monkeypatch):
    (tmp_path / "slow_models.py").write_text(SLOW)
    study = {"models": ["slow_models:slow"], "budgets": ["3k"], "seeds": 1, "epochs": 20}
    asked = (tmp_path / "out", 2, json.dumps(study))
    start = partial(Running, *asked, code=ON_RAY, cwd=tmp_path, PYTHONPATH=with_path(tmp_path))
    killed = start()
    killed.wait_for_epochs(tmp_path / "out")
    killed.process.kill()
    killed.process.communicate()
    limit = time.monotonic() + 120
    while not all(map(waits_for_ray, killed.left())):
        assert time.monotonic() < limit
        time.sleep(0.05)
    with Store(tmp_path / "out") as store:
        kept = sum(attempt.epochs for attempt in store.attempts())

    stopped = start()
    stopped.wait_for_epochs(tmp_path / "out", kept + 2)
    os.killpg(stopped.process.pid, signal.SIGINT)  # as a terminal does: the whole group
    code, out, err = stopped.end()
    assert code == 130
    assert "goes on behind epoch" in out
    assert "runs are finished and kept in" in err
    assert "Traceback" not in out + err
    stopped.all_end()
    assert {tried[-1] for tried in attempts(tmp_path / "out").values()} == {"interrupted"}

    monkeypatch.syspath_prepend(str(tmp_path))
    for folder in ("out", "whole"):
        pipeline.train_trials(make_study(**study), tmp_path / folder, manner=Manner(0, tune=False))
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    sys.modules.pop("slow_models")
    assert not list(Path("/tmp").glob(f"archbench-ray-{killed.process.pid}-*"))  # Ray's logs
