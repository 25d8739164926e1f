"""kill -9 of workers, of the warm process, of the parent, and in the middle of writing a checkpoint."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from processes import SWEEP, TIMES, Running, attempts, done_rows, linux, results

from archbench import pipeline
from archbench.execute.checkpoints import read_checkpoint
from archbench.manner import Manner
from archbench.study import make_study

pytestmark = linux

STUDY = {"models": ["mlp", "linear"], "budgets": ["3k"], "epochs": 12, "seeds": 6}
RUNS = 12


def sweep(folder):
    return Running(folder, 2, json.dumps(STUDY), code=SWEEP)


def go_on(folder, workers):
    """Do what the same command does, in this process and in its workers."""
    pipeline.train_trials(make_study(**STUDY), folder, manner=Manner(workers))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return what every run of many seeds comes to where nothing disturbs it, in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    pipeline.train_trials(make_study(**STUDY), folder, manner=Manner(0))
    return results(folder)


def test_kill_9_of_a_worker(tmp_path, undisturbed):
    """It is a failed row or runs again; the others go on, and the same command comes to the same bits."""
    chance = random.Random(0)
    killed = 0
    for number in range(100):
        folder = tmp_path / str(number)
        running = sweep(folder)
        running.wait_for("epoch")
        while killed < TIMES and running.process.poll() is None:
            time.sleep(chance.uniform(0.05, 0.4))
            workers = running.children()
            if workers:
                try:
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    continue
        code, out, err = running.end()
        assert code == 0, err
        assert "Traceback" not in out + err
        states = attempts(folder)
        assert len(states) == RUNS
        assert {state for tried in states.values() for state in tried} <= {"done", "failed"}
        before = done_rows(folder)
        go_on(folder, 0)
        assert before.items() <= done_rows(folder).items()
        assert all(tried[-1] == "done" and tried.count("done") == 1 for tried in attempts(folder).values())
        assert results(folder) == undisturbed
        running.all_end()
        if killed >= TIMES:
            break


def test_kill_9_of_the_warm_process_costs_no_run(tmp_path, undisturbed):
    running = sweep(tmp_path)
    running.wait_for("epoch")
    (warm,) = [pid for pid in running.left() if pid != running.process.pid and pid not in running.children()]
    os.kill(warm, signal.SIGKILL)
    code, out, err = running.end()
    assert code == 0, out + err
    states = attempts(tmp_path)
    assert all(tried[-1] == "done" for tried in states.values())
    assert {state for tried in states.values() for state in tried} <= {"done", "interrupted"}
    assert results(tmp_path) == undisturbed
    running.all_end()


def test_kill_9_of_the_parent(tmp_path, undisturbed):
    """Its children end, and the same command goes on where it was: to the same bits, and no run is done twice."""
    chance = random.Random(1)
    folder = tmp_path / "0"
    killed = resumed = 0
    while killed < TIMES:
        before = done_rows(folder)
        running = sweep(folder)
        running.wait_for("epoch")
        time.sleep(chance.uniform(0, 0.6))
        running.kill()
        killed += 1
        assert before.items() <= done_rows(folder).items()
        states = attempts(folder)
        resumed += sum(len(tried) > 1 for tried in states.values())
        if len(states) == RUNS and all(tried[-1] == "done" for tried in states.values()):
            assert results(folder) == undisturbed
            folder = tmp_path / str(killed)
    go_on(folder, 2)
    assert results(folder) == undisturbed
    for tried in attempts(folder).values():
        assert tried.count("done") == 1
        assert tried[-1] == "done"
        assert set(tried[:-1]) <= {"interrupted"}
    assert resumed, "no run was ever gone on with"


AT_EACH_CALL = """
import os, shutil, signal, sys
from pathlib import Path
import torch
from archbench.execute.checkpoints import write_checkpoint

root = Path(sys.argv[1])
state = lambda epoch: {"epoch": epoch, "net": {"w": torch.full((1000,), float(epoch))}}
hashes = [write_checkpoint(root / "0", state(epoch)) for epoch in (1, 2)]
print(*hashes)
last = 0
while True:
    last += 1
    shutil.copytree(root / "0", root / str(last))
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        count = 0
        def counted(original):
            def call(*words, **settings):
                global count
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*words, **settings)
            return call
        for name in ("open", "write", "fsync", "replace", "close", "chmod", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        write_checkpoint(root / str(last), state(3))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code)
    if code == 0:
        break
"""


def test_kill_during_checkpoint_writing(tmp_path):
    """At each call of the system that writing makes, the checkpoint before is there and is believed."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EACH_CALL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    first, second, *codes = done.stdout.split()
    assert set(codes[:-1]) == {str(-signal.SIGKILL)}
    assert len(codes) > 6
    committed = [(1, first), (2, second)]
    for number in range(1, len(codes) + 1):
        state, notes = read_checkpoint(tmp_path / str(number), committed, "cpu")
        assert notes == []
        assert state["epoch"] == 2
        assert (state["net"]["w"] == 2).all()
