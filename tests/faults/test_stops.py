"""Ctrl-C once and twice, and SIGTERM: what is kept, what is said, what is left running, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest
from conftest import QUICK
from processes import BRIEFLY, MARK, SWEEP, TIMES, Running, attempts, done_rows, linux, results, with_path
from test_cli import invoke

from archbench import loading, pipeline
from archbench.manner import Manner
from archbench.store import Store
from archbench.store.database import is_made

pytestmark = linux
ENDINGS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)][: 1 if TIMES < 10 else 2]  # the short form takes one

SLOW = f"""
import os, time
from torch import nn

class Slow(nn.Sequential):
    def forward(self, x):
        if self.training and {MARK!r} in os.environ:
            time.sleep(0.02)
        return super().forward(x)

def slow(num_classes, width=8):
    return Slow(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes))
"""
"""Takes its time where it is to be disturbed, and none in the test's own process."""

SOON = "from archbench.execute import stops; stops.GRACE_SECONDS = 1"  # instead of five


def slow(folder, *words):
    """Start a comparison of a model that takes its time."""
    (folder / "slow_models.py").write_text(SLOW)
    asked = (
        "compare",
        "slow_models:slow",
        "--budgets",
        "3k",
        "--seeds",
        "3",
        *BRIEFLY,
        "--out",
        folder / "out",
        *words,
    )
    return Running(*asked, cwd=folder), "archbench " + " ".join(map(str, asked))


def test_ctrl_c_once_stops_after_the_step_and_all_is_kept(tmp_path):
    running, command = slow(tmp_path, "--epochs", "500")
    running.wait_for_epochs(tmp_path / "out", 3)
    os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does: the whole group
    code, out, err = running.end()
    assert code == 130
    assert out == ""
    assert "stopping after the step" in err
    assert "runs are finished and kept in" in err
    assert err.rstrip().endswith(command)
    assert "Traceback" not in err
    running.all_end()
    assert {tried[-1] for tried in attempts(tmp_path / "out").values()} == {"interrupted"}
    with Store(tmp_path / "out") as store:
        stopped = store.attempts()
        assert all(attempt.error == "stopped" for attempt in stopped)
        assert sum(attempt.epochs for attempt in stopped) >= 3


@pytest.mark.parametrize(("signal_", "code"), ENDINGS)
def test_sigterm_and_ctrl_c_go_on_to_the_same_bits(tmp_path, monkeypatch, capsys, signal_, code):
    running, _ = slow(tmp_path, "--epochs", "4")
    running.wait_for_epochs(tmp_path / "out")
    running.process.send_signal(signal_)
    ended, out, err = running.end()
    assert ended == code
    assert "The same command goes on from there" in err
    assert "Traceback" not in out + err
    running.all_end()
    before = done_rows(tmp_path / "out")
    monkeypatch.syspath_prepend(str(tmp_path))
    again = invoke(monkeypatch, capsys, "resume", tmp_path / "out", "-q", "--workers", "0")
    assert again[0] == 0, again
    assert before.items() <= done_rows(tmp_path / "out").items()
    states = attempts(tmp_path / "out")
    assert all(tried[-1] == "done" for tried in states.values())
    assert any("interrupted" in tried for tried in states.values())
    study = loading.load(tmp_path / "out").study
    pipeline.run(study, tmp_path / "whole", manner=Manner(0), protocol=QUICK)
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    sys.modules.pop("slow_models")


@pytest.mark.parametrize(("signal_", "code"), ENDINGS)
def test_while_steps_are_timed_it_stops_at_once_too(tmp_path, signal_, code):
    running = Running("compare", "mlp", "linear", "--budgets", "3k", "--processes", "2", "--out", tmp_path / "out")
    running.wait_for("timing", stream="stderr")  # whichever of its lines is the first: they are some seconds apart
    running.process.send_signal(signal_)
    ended, out, err = running.end()
    assert ended == code
    assert "The same command goes on from there" in err
    assert "archbench compare mlp linear" in err
    assert "Traceback" not in out + err
    running.all_end()


@pytest.mark.parametrize(("signals", "code"), [([signal.SIGINT] * 2, 130), ([signal.SIGTERM], 143)])
def test_a_step_that_never_ends_is_ended_at_once(tmp_path, signals, code):
    """By the second Ctrl-C, or soon after SIGTERM, as a scheduler kills what does not obey."""
    (tmp_path / "stuck_models.py").write_text(SLOW.replace("0.02", "3600"))
    study = {"models": ["stuck_models:slow"], "budgets": ["3k"], "seeds": 2}
    running = Running(
        tmp_path / "out", 2, json.dumps(study), code=SOON + SWEEP, cwd=tmp_path, PYTHONPATH=with_path(tmp_path)
    )
    while not is_made(tmp_path / "out") or not attempts(tmp_path / "out"):
        time.sleep(0.1)
        assert running.process.poll() is None
    running.process.send_signal(signals[0])
    running.wait_for("once more stops at once")
    for again in signals[1:]:
        running.process.send_signal(again)
    ended, out, err = running.end()
    assert ended == code
    assert "Traceback" not in out + err
    running.all_end()
    assert {tried[-1] for tried in attempts(tmp_path / "out").values()} == {"interrupted"}
