"""What a run may do to itself: no memory, no finite loss, no end, models that raise, exit, or are none."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import pytest
from conftest import QUICK, small_study
from processes import BRIEFLY, TIMES, Running, attempts, linux
from test_cli import invoke

from archbench import pipeline
from archbench.execute import LOGS_FOLDER, Job, kills
from archbench.execute.pool import Isolated
from archbench.loading import done_keys, load
from archbench.manner import Manner
from archbench.pipeline import run
from archbench.store import Store, records

pytestmark = linux

MODELS = """
import os, resource, sys, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, num_classes))
    def forward(self, x):
        return self.net(x)

class Greedy(Net):
    def forward(self, x):
        if self.training:
            resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
            torch.ones(2**34)
        return super().forward(x)

class Sleeping(Net):
    def forward(self, x):
        time.sleep(3600)

class SleepingInTraining(Net):
    def forward(self, x):
        if self.training:
            time.sleep(3600)
        return super().forward(x)

def good(num_classes, width=8): return Net(num_classes, width)
def greedy(num_classes, width=8): return Greedy(num_classes, width)
def sleeping(num_classes, width=8): return Sleeping(num_classes, width)
def sleeping_in_training(num_classes, width=8): return SleepingInTraining(num_classes, width)
class Interrupting(Net):
    def forward(self, x):
        if self.training:
            raise KeyboardInterrupt
        return super().forward(x)

class Forking(Net):
    def forward(self, x):
        if self.training:
            os.fork()
        return super().forward(x)

class Writing(Net):
    def forward(self, x):
        if self.training:
            for number in range(3, 30):
                try:
                    os.write(number, b"hello" + bytes([10]))
                except OSError:
                    pass
        return super().forward(x)

def interrupting(num_classes, width=8): return Interrupting(num_classes, width)
def forking(num_classes, width=8): return Forking(num_classes, width)
def writing(num_classes, width=8): return Writing(num_classes, width)
def raising(num_classes, width=8): raise ValueError("no such layer")
def leaving(num_classes, width=8): sys.exit("gone")
def nothing(num_classes, width=8): return "a net"
"""
UNBUILT = ("raising", "leaving", "nothing")


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "fault_nets.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def asked(folder, *models, seeds=1):
    return (
        "compare", *models, "--budgets", "3k", "--epochs", "2", "--seeds", seeds, *BRIEFLY, "--out", folder / "out"
    )  # fmt: skip


def compare(folder, *models, words=(), seeds=1):
    return Running(*asked(folder, *models, seeds=seeds), *words, cwd=folder).end()


def log_of(folder, record):
    return Job("train", record.cell).log(folder / "out" / LOGS_FOLDER).read_text()


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """Return the folder, the code and the words of one comparison of a good model and of all that cannot be built."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "fault_nets.py").write_text(MODELS)
    return folder, *compare(folder, "fault_nets:greedy", "mlp", *(f"fault_nets:{net}" for net in UNBUILT))


@pytest.mark.parametrize("net", UNBUILT)
def test_plugin_raises_exits_or_returns_no_module(plugins, net, tmp_path, monkeypatch, capsys):
    """A failed row with the plugin's own traceback in its log; the other model is done."""
    folder, code, out, err = plugins
    assert code == 3, err
    assert "Traceback" not in out + err
    by_model = {record.cell.model: record for record in load(folder / "out").records}
    good, bad = by_model["mlp"], by_model[f"fault_nets:{net}"]
    assert (good.status, bad.status) == ("done", "failed")
    log = log_of(folder, bad)
    assert "Traceback" in log
    assert {"raising": "no such layer", "leaving": "SystemExit: gone", "nothing": "str"}[net] in log
    if net != "nothing":
        assert f"in {net}" in log
    assert f"failed: fault_nets:{net}@3k seed 0" in err
    assert ".log" in err
    shutil.copytree(folder / "out", tmp_path / "out")  # its part alone has the same exit code
    monkeypatch.syspath_prepend(str(folder))
    words = asked(tmp_path, "mlp", f"fault_nets:{net}")
    assert invoke(monkeypatch, capsys, *words, "--workers", "0")[0] == 3
    sys.modules.pop("fault_nets", None)


def test_whatever_a_model_does_costs_its_own_run(nets, monkeypatch):
    """It raises what stops programs, forks copies of itself, writes where it has no business: the others go on."""
    names = ["interrupting", "forking", "writing"]
    study = small_study([f"fault_nets:{name}" for name in names] + ["mlp"], ["3k"], seeds=1)
    pipeline.train_trials(study, nets / "out", manner=Manner(1))
    with Store(nets / "out") as store:
        assert store.verify() == []
        became = {record.cell.model.partition(":")[2]: record for record in store.records().values()}
    assert became[""].status == "done"
    assert became["interrupting"].error == "KeyboardInterrupt"
    assert became["forking"].status in {"done", "failed"}
    assert became["writing"].error == "it wrote where only archbench writes, and was ended"


def test_cpu_out_of_memory(plugins, tmp_path):
    folder, code, out, err = plugins
    assert code == 3
    for name in ("out", "fault_nets.py"):
        (shutil.copytree if name == "out" else shutil.copy)(folder / name, tmp_path / name)
    # Alone it has the same exit code; not in this process, as it sets a limit of its own.
    assert compare(tmp_path, "fault_nets:greedy", "mlp", words=("--retry", "none"))[0] == 3
    assert "Traceback" not in out + err
    greedy, mlp, *_ = load(folder / "out").records
    assert (greedy.status, mlp.status) == ("oom", "done")
    assert "can't allocate memory" in greedy.error
    assert greedy.cell.recipe.batch_size == 64  # what was asked for, and no other


def test_the_kernels_out_of_memory_killer(tmp_path, monkeypatch):
    """A process that is killed while the kernel's own counter grows ran out of memory."""
    counter = tmp_path / "vmstat"
    counter.write_text("nr_free_pages 7\noom_kill 4\n")
    assert kills.kernel_kills((str(counter), str(tmp_path / "missing"))) == 4
    killed = []
    monkeypatch.setattr("archbench.execute.pool.kernel_kills", lambda: len(killed))

    class Killed(Isolated):
        def _hear_of_job(self, running, *rest):
            super()._hear_of_job(running, *rest)
            if running.job.kind == "train" and running.process and not killed:
                killed.append(running.process)
                os.kill(running.process, signal.SIGKILL)

    monkeypatch.setattr(pipeline, "Isolated", Killed)
    pipeline.train_trials(small_study(["mlp"], ["3k"], epochs=200, seeds=1), tmp_path, manner=Manner(1))
    with Store(tmp_path) as store:
        (attempt, *_) = store.attempts()
        assert (attempt.state, attempt.signal) == ("oom", signal.SIGKILL)
        assert attempt.error == "the system ended its process for want of memory"


def test_nan_or_inf_loss(tmp_path, monkeypatch, capsys):
    """It diverged in an epoch that is named, and the metrics up to it are kept."""
    words = (*asked(tmp_path, "mlp", seeds=2), "--lr", "1e9", "--optimizer", "sgd")
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert code == 3
    assert "Traceback" not in out + err
    for record in load(tmp_path / "out").records:
        assert record.status == "diverged"
        assert record.error in {
            f"the loss is {kind} in epoch {record.training.diverged_epoch}" for kind in ("nan", "+inf")
        }
        assert len(record.training.epochs) == record.training.diverged_epoch
        assert record.training.test is None
        last = record.training.epochs[-1]
        assert None in {last.train.loss, last.validation.loss}
        assert {"nan", "+inf"} & {last.train.loss_kind, last.validation.loss_kind}
    assert '"diverged: ' not in out
    assert "diverged: mlp@3k seed 0: the loss is" in err


@pytest.mark.parametrize("net", ["sleeping_in_training", "sleeping"][: 1 if TIMES < 10 else 2])
def test_hang(nets, net):
    """A model that makes no step is ended with all that it started, and fails; the other is done."""
    code, out, err = compare(nets, f"fault_nets:{net}", "mlp", words=("--timeout", "6"))
    assert code == 3, err
    assert "Traceback" not in out + err
    sleeping, mlp = load(nets / "out").records
    assert (sleeping.status, mlp.status) == ("failed", "done")
    assert sleeping.error == "it made no step for 6.0 s and was ended (--timeout)"
    if net == "sleeping_in_training":
        assert "a timing process gave no answer for 6.0 s: one of the models hangs" in err


def test_clock_moved_a_day(tmp_path, monkeypatch):
    """Durations come from a clock that nobody sets, and states from locks."""
    days = iter(["2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"] * 50)
    monkeypatch.setattr(records, "now", lambda: next(days))
    monkeypatch.setattr("archbench.store.now", lambda: "2025-12-31T00:00:00+00:00")
    run(small_study(["mlp"], ["3k"], seeds=2), tmp_path, manner=Manner(0), protocol=QUICK)
    assert {tuple(tried) for tried in attempts(tmp_path).values()} == {("done",)}
    with Store(tmp_path) as store:
        for attempt in store.attempts():
            assert attempt.ended_at < attempt.started_at  # as the clock said
            assert attempt.seconds > 0
    assert done_keys(tmp_path) == set(attempts(tmp_path))
