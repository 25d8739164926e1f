"""The line from end to end, on real digits with small nets."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from types import SimpleNamespace

import pytest
import torch
from conftest import QUICK, small_study
from torch import nn

import zoo
from archbench import instruments, knobs, pipeline
from archbench.data import load_dataset
from archbench.errors import DataError, InputError, Interrupted, StoreError
from archbench.execute import LOGS_FOLDER, Here, Job, Setup, work
from archbench.loading import done_keys, load, stored_folders
from archbench.manner import Manner
from archbench.pipeline import run, train_trials
from archbench.plan import make_plan, planned
from archbench.quick import winograd
from archbench.schema import Knobs
from archbench.store import Store
from zoo import registry

OWN_MODELS = """
import os
from torch import nn
from zoo import register_model

class Net(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, num_classes))
    def forward(self, x):
        return self.net(x)

@register_model
def own_good(*, num_classes, width=8):
    print("a model that talks")
    return Net(num_classes, width)

@register_model
def own_unbuilt(*, num_classes, width=8):
    raise ValueError("no such layer")

class Unrun(Net):
    def forward(self, x):
        raise ValueError("no forward")

@register_model
def own_unrun(*, num_classes, width=8):
    return Unrun(num_classes, width)

class Killed(Net):
    def forward(self, x):
        if os.getpid() != int(os.environ["ARCHBENCH_TEST_PARENT"]):
            os.kill(os.getpid(), 9)
        return super().forward(x)

@register_model
def own_leaving(*, num_classes, width=8):
    raise SystemExit(3)

@register_model
def own_killed(*, num_classes, width=8):
    return Killed(num_classes, width)
"""


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("ARCHBENCH_TEST_PARENT", str(__import__("os").getpid()))
    (tmp_path / "own_models.py").write_text(OWN_MODELS)
    zoo.import_models("own_models")
    yield ("own_models",)
    sys.modules.pop("own_models", None)


def outcome_on(dataset, folder):
    """Return what becomes of a small net on these data."""
    cell = make_plan(small_study(["mlp"], ["3k"], seeds=1)).cells[0]
    setup = Setup([], (), None, str(folder), str(folder / "checkpoints"))
    return work.train_job(Job("train", cell), dataset, setup, work.Hooks(lambda message: None), io.StringIO())


def log_of(folder, cell):
    """Return what a run printed."""
    log = Job("train", cell).log(folder / LOGS_FOLDER)
    return log.read_text() if log.exists() else ""


def quick(study, folder, **settings):
    return run(study, folder, manner=Manner(0), protocol=QUICK, **settings)


def test_a_run_fills_every_room_of_the_line(filled):
    assert len(filled.records) == 8
    assert filled.complete
    for record in filled.records:
        sized = record.cell.sized
        assert abs(sized.rel_error) <= 0.01
        assert record.cost.params == sized.params
        assert record.cost.macs > 0
        assert {timing.mode for timing in record.timings} == {"train", "infer"}
        assert all(len(timing.samples_us) == 8 for timing in record.timings)
        assert len(record.training.epochs) == 1
        assert 0 <= record.training.test.top1 <= 1
        assert record.environment.torch == torch.__version__
    assert len({timing.session for record in filled.records for timing in record.timings}) == 1
    assert len({record.cell.key for record in filled.records}) == 8


def test_the_same_study_runs_nothing_and_a_new_seed_only_itself(tmp_path, trained, monkeypatch):
    first = quick(small_study(), tmp_path)
    assert len(trained) == 4
    trained.clear()
    with monkeypatch.context() as patch:
        patch.setattr(instruments, "time_models", None)
        patch.setattr(work, "measure_cost", None)
        again = quick(small_study(), tmp_path)
        assert trained == []
        assert again.records == first.records
        more = quick(small_study(seeds=3), tmp_path)
    assert [cell.recipe.seed for cell in trained] == [2, 2]
    assert len(more.records) == 6


def test_a_new_model_trains_alone_and_is_timed_beside_the_others(tmp_path, trained):
    quick(small_study(["mlp"], ["3k"], seeds=1), tmp_path)
    trained.clear()
    both = quick(small_study(["mlp", "mobilenet"], ["3k"], seeds=1), tmp_path)
    assert [cell.model for cell in trained] == ["mobilenet"]
    sessions = {record.cell.model: record.timings[0].session for record in both.records}
    assert sessions["mlp"] == sessions["mobilenet"]


@pytest.mark.parametrize("change", [{"epochs": 1}, {"lr": 0.01}, {"optimizer": "sgd"}, {"batch_size": 32}])
def test_another_recipe_is_another_result(tmp_path, trained, change):
    quick(small_study(["mlp"], ["3k"], seeds=1), tmp_path)
    trained.clear()
    other = quick(small_study(["mlp"], ["3k"], seeds=1, **change), tmp_path)
    assert len(trained) == 1
    assert len(other.records) == 1
    assert all(timing.batch_size == other.study.recipe.batch_size for timing in other.records[0].timings)


def test_workers_and_this_process_come_to_the_same_weights(tmp_path):
    study = small_study(["mlp", "mobilenet"], ["5k"])
    here = quick(study, tmp_path / "here")
    told = []
    there = run(study, tmp_path / "there", manner=Manner(2), protocol=QUICK, report=told.append)
    hashes = [[r.training.weights_sha256 for r in comparison.records] for comparison in (here, there)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 4
    steps = [step for step in told if step.stage == "train"]
    assert sum(step.finished for step in steps) == 4
    assert steps[-1].done == pytest.approx(steps[-1].total)


@pytest.mark.parametrize(
    ("device", "threads", "asked", "expected"),
    [("cpu", 1, None, 16), ("cpu", 3, None, 5), ("cuda", 1, None, 4), ("cuda", 8, None, 2), ("cuda", 1, 9, 9)],
)
def test_runs_at_a_time_are_what_cores_and_cards_have_room_for(monkeypatch, device, threads, asked, expected):
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 16)
    plan = SimpleNamespace(study=SimpleNamespace(device=device, threads=threads))
    assert pipeline._workers(plan, Manner(asked), SimpleNamespace(local=True)) == expected


def test_a_long_training_is_normalised_in_the_quick_way_wherever_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(knobs, "LOOPS_WORTH_S", 0.0)
    study = small_study(["mobilenet"], ["5k"], seeds=1, batch_size=1024)
    whole = run(study, tmp_path / "here", manner=Manner(0), protocol=QUICK)
    (here,) = whole.records
    # Where it runs shows without the clock too.
    manners = {"there": Manner(2), "usual": Manner(0, tune=False)}
    found = {name: train_trials(study, tmp_path / name, manner=manner) for name, manner in manners.items()}
    (there,), (usual,) = (records.values() for records in found.values())
    assert here.training.knobs == there.training.knobs == Knobs(quick_norm=True, quick_maps=True)
    assert here.training.weights_sha256 == there.training.weights_sha256
    assert usual.training.knobs == Knobs()
    assert usual.training.weights_sha256 != here.training.weights_sha256  # but for rounding they are the same
    losses = [record.training.epochs[-1].train.loss for record in (here, usual)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert list(whole.frame()["quick_norm"]) == [True]


@pytest.mark.usefixtures("maps_of_any_size")
def test_a_training_goes_the_way_that_a_trial_has_found_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(knobs, "WORTH_S", 0.0)
    monkeypatch.setattr(work, "find_knobs", lambda cell, dataset: knobs.WINOGRAD)
    monkeypatch.setattr(winograd, "LEAST_GAIN", dict.fromkeys(winograd.LEAST_GAIN, 1e-9))
    study = small_study(["cnn"], ["5k"], seeds=1)
    ways = {True: Manner(0), False: Manner(0, tune=False)}
    found = {way: run(study, tmp_path / str(way), manner=manner, protocol=QUICK) for way, manner in ways.items()}
    assert {way: list(whole.frame()["winograd"]) for way, whole in found.items()} == {True: [True], False: [False]}
    quick, usual = (whole.records[0].training for whole in found.values())
    assert quick.weights_sha256 != usual.weights_sha256  # but for rounding they are the same
    losses = [training.epochs[-1].train.loss for training in (quick, usual)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_each_failure_is_a_row_with_its_reason_and_the_others_finish(tmp_path, own_models):
    models = ["mlp", "own_good", "own_unbuilt", "own_unrun", "own_killed", "own_leaving", "own_models:gone"]
    study = small_study(models, ["3k"], seeds=1, plugins=own_models)
    comparison = run(study, tmp_path, manner=Manner(2), protocol=QUICK)
    by_model = {record.cell.model: record for record in comparison.records}
    assert {name: record.status for name, record in by_model.items()} == {
        "mlp": "done", "own_good": "done", "own_unbuilt": "failed", "own_unrun": "failed", "own_killed": "failed",
        "own_leaving": "failed", "own_models:gone": "failed",
    }  # fmt: skip
    assert by_model["own_unbuilt"].error == "own_unbuilt cannot be built at 1x8x8: ValueError: no such layer"
    assert by_model["own_unrun"].error == "ValueError: no forward"
    assert by_model["own_killed"].error == "its process was killed by signal 9 (SIGKILL)"
    assert "has no attribute 'gone'" in by_model["own_models:gone"].error
    assert not comparison.complete
    logs = {model: log_of(tmp_path, record.cell) for model, record in by_model.items()}
    assert all("Traceback" in logs[model] for model in ("own_unbuilt", "own_unrun", "own_leaving", "own_models:gone"))
    assert "no such layer" in logs["own_unbuilt"]
    assert "a model that talks" in logs["own_good"]
    assert logs["mlp"] == ""  # a log of nothing is not kept
    frame = comparison.frame()
    assert list(frame["model"]) == models
    assert frame.set_index("model").loc["own_unrun", "error"] == "ValueError: no forward"


def test_a_failure_is_tried_again_and_a_divergence_is_not(tmp_path, own_models, trained, monkeypatch):
    study = small_study(["own_unrun", "mlp"], ["3k"], seeds=1, plugins=own_models, lr=1e9, optimizer="sgd")
    first = quick(study, tmp_path)
    assert [record.status for record in first.records] == ["failed", "diverged"]
    assert first.records[1].training.diverged_epoch == 1
    trained.clear()
    monkeypatch.setattr(instruments, "time_models", None)  # what cannot be timed is not timed again each time
    quick(study, tmp_path)
    assert [cell.model for cell in trained] == ["own_unrun"]


def test_models_of_the_running_script_are_trained_in_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))

    def scripted(*, num_classes, width=8):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes))

    scripted.__module__ = "__main__"
    zoo.register_model(scripted)
    monkeypatch.setattr(pipeline, "Isolated", None)
    assert run(small_study(["scripted"], ["3k"], seeds=1), tmp_path, protocol=QUICK).complete


def test_data_of_the_running_script_is_trained_on_in_this_process(tmp_path, monkeypatch, stripes):
    from archbench import data

    monkeypatch.setattr(data, "_SOURCES", dict(data.sources()))

    def scripted(request):
        return data.Parts(stripes.images, stripes.labels, stripes.classes, stripes.source)

    scripted.__module__ = "__main__"
    data.register_dataset("scripted", summary="made here")(scripted)
    monkeypatch.setattr(pipeline, "Isolated", None)
    study = small_study(["mlp"], ["3k"], seeds=1, dataset="scripted")
    assert run(study, tmp_path, protocol=QUICK).complete


def test_a_failure_in_this_process_leaves_its_traceback_in_the_log(tmp_path, own_models, capsys):
    (record,) = quick(small_study(["own_unrun"], ["3k"], seeds=1, plugins=own_models), tmp_path).records
    assert "Traceback" in log_of(tmp_path, record.cell)
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupt_keeps_what_is_finished(tmp_path, monkeypatch):
    original = work.train_job
    trained = []

    def interrupted(job, *rest):
        if trained:
            signal.raise_signal(signal.SIGINT)
        trained.append(job)
        return original(job, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(work, "train_job", interrupted)
        with pytest.raises(Interrupted, match="1 of 4 runs are finished and kept") as caught:
            quick(small_study(), tmp_path)
    assert caught.value.exit_code == 130
    assert [record.status for record in load(tmp_path).records] == ["interrupted", "done"]  # the dearest first
    assert len(quick(small_study(), tmp_path).records) == 4


def test_faults_are_said_before_anything_is_written(tmp_path):
    out = tmp_path / "out"
    for models, settings, error in [
        (["resnet81"], {}, InputError),
        (["mlp", "mlp"], {}, InputError),
        ([], {}, InputError),
        (["mlp"], {"baseline": "cnn"}, InputError),
        (["mlp"], {"dataset": "minst"}, InputError),
        (["mlp"], {"dataset": "mnist"}, DataError),
    ]:
        with pytest.raises(error):
            quick(small_study(models, **settings), out)
    assert not out.exists()


def test_a_plan_says_what_is_done(tmp_path):
    quick(small_study(["mlp"], ["3k"]), tmp_path)
    told = []
    rows = planned(make_plan(small_study(["mlp", "resnet18"], ["3k"]), told.append), done_keys(tmp_path))
    assert [(row["model"], row["seed"], row["done"]) for row in rows] == [
        ("mlp", 0, True), ("mlp", 1, True), ("resnet18", 0, False), ("resnet18", 1, False)
    ]  # fmt: skip
    assert done_keys(tmp_path / "nowhere") == set()
    assert not (tmp_path / "nowhere").exists()


def test_a_budget_that_cannot_be_reached_is_told_with_the_nearest(tmp_path):
    told = []
    plan = make_plan(small_study(["mobilenet"], ["50"]), told.append)
    nearest = plan.cells[0].sized.params
    assert f"mobilenet cannot be sized to 50 here: the nearest has {nearest}" in told[0].detail


def test_a_model_that_memory_cannot_hold_is_not_tried(tmp_path):
    comparison = quick(small_study(["mlp"], ["3k", "1e12"], seeds=1), tmp_path)
    small, large = comparison.records
    assert small.status == "done"
    assert large.status == "failed"
    assert "needs 14,901 GiB to train" in large.error
    assert large.cell.sized.params == pytest.approx(1e12, rel=0.01)


def test_results_are_found_below_a_folder(filled, tmp_path):
    assert stored_folders(filled.folder) == [filled.folder]
    assert filled.folder in stored_folders(filled.folder.parent)
    with pytest.raises(StoreError, match="there are no results in"):
        stored_folders(tmp_path / "nowhere")


def test_changed_files_are_not_trained_on(tmp_path, stripes):
    assert "changed while the comparison ran" in outcome_on(stripes, tmp_path).error
    assert outcome_on(load_dataset("digits"), tmp_path).status == "done"


@pytest.mark.parametrize(
    ("error", "status"),
    [(MemoryError("no more"), "oom"), (RuntimeError("[enforce fail] can't allocate memory: 9 bytes"), "oom"),
     (torch.OutOfMemoryError("CUDA out of memory"), "oom"), (RuntimeError("shape"), "failed")],
)  # fmt: skip
def test_running_out_of_memory_is_told_apart(monkeypatch, tmp_path, error, status):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(work, "train", fail)
    assert outcome_on(load_dataset("digits"), tmp_path).status == status


def test_the_store_keeps_the_timings_once(filled):
    with Store(filled.folder) as store:
        assert len(store.timings()) == 4 * 2
        assert all(record.timings == () for record in store.records().values())


def test_no_path_of_this_machine_is_stored(tmp_path):
    out = tmp_path / "out"
    comparison = quick(small_study(["mlp"], ["3k"], seeds=1, data_root=tmp_path / "here"), out)
    assert comparison.study.data_root is None
    assert str(tmp_path).encode() not in (out / "results.sqlite").read_bytes()


def test_what_is_timed_is_timed_with_nothing_beside_it_and_only_then(tmp_path, monkeypatch):
    seen = []

    @contextlib.contextmanager
    def alone(_):
        seen.append("alone")
        yield
        seen.append("again with others")

    timed = instruments.time_models
    monkeypatch.setattr(Here, "alone", alone)
    monkeypatch.setattr(
        instruments, "time_models", lambda *args, **more: (seen.append("timed"), timed(*args, **more))[1]
    )
    for _ in range(2):
        run(small_study(["mlp"], ["3k"], seeds=1, epochs=1), tmp_path, manner=Manner(0), protocol=QUICK)
    assert seen == ["alone", "timed", "again with others"]


def test_a_process_that_warms_up_before_there_is_a_study_does_its_runs(tmp_path, monkeypatch):
    begun = []

    class Noted(pipeline.Warm):
        def __init__(self):
            super().__init__()
            begun.append(self.pid)

    monkeypatch.setattr(pipeline, "Warm", Noted)
    with pipeline.warming(Manner(workers=1)) as warm:
        done = run(small_study(["linear"], seeds=[0]), tmp_path, manner=Manner(workers=1), protocol=QUICK, warm=warm)
    assert done.complete
    assert begun == [warm.pid]
    with pytest.raises(ProcessLookupError):
        os.kill(warm.pid, 0)


def test_nothing_warms_up_where_no_job_has_a_process_of_its_own():
    with pipeline.warming(Manner(workers=0)) as warm:
        assert warm is None
    with pytest.raises(InputError, match="workers: -1"), pipeline.warming(Manner(workers=-1)):
        pass
