from __future__ import annotations

import dataclasses
import hashlib
import io
import signal

import msgspec
import pytest
import torch
from conftest import small_study
from torch import nn

import zoo
from archbench.budget import build_model
from archbench.data import batches, load_dataset
from archbench.errors import OutputError
from archbench.execute import Here, Job, Setup, Stops, work
from archbench.execute.checkpoints import KEPT, folder_of
from archbench.execute.jobs import Ended, Message
from archbench.execute.pool import Work
from archbench.execute.work import Hooks, Stopped, perform, train_job
from archbench.plan import make_plan
from archbench.schema import Cost, Memory
from archbench.training import evaluate, train
from zoo import registry

EPOCHS = 3


class Broken(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.layer = nn.Linear(64, num_classes)

    def forward(self, x):
        msg = "no forward"
        raise ValueError(msg)


@pytest.fixture
def own(monkeypatch):
    """Register a model that fails."""
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    zoo.register_model("broken")(Broken)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def cell_of(model="mlp", **settings):
    return make_plan(small_study([model], ["3k"], seeds=1, **{"epochs": EPOCHS, **settings})).cells[0]


def setup_of(folder, **settings):
    return Setup(
        **{"path": [], "plugins": (), "data_root": None, "logs": str(folder / "logs"),
           "checkpoints": str(folder / "checkpoints"), **settings}
    )  # fmt: skip


def trained(folder, cell, data, kept=(), **hooks):
    """Train a cell; return its outcome, the messages that were sent, and what its log says."""
    messages, log = [], io.StringIO()
    job = Job("train", cell, 1, tuple(kept))
    outcome = train_job(job, data, setup_of(folder), Hooks(messages.append, **hooks), log)
    return outcome, messages, log.getvalue()


def results_of(training, behind=0):
    """Return what a training came to, its epochs behind the first few alone."""
    epochs = [(e.epoch, e.train, e.validation) for e in training.epochs if e.epoch > behind]
    return epochs, training.test, training.weights_sha256


def test_a_training_comes_to_what_the_trainer_comes_to(tmp_path, digits):
    cell = cell_of()
    outcome, messages, log = trained(tmp_path, cell, digits)
    whole = train(lambda: build_model(cell.sized), digits, cell.recipe)
    assert (outcome.status, outcome.error, log) == ("done", None, "")
    assert results_of(outcome.training) == results_of(whole)
    assert [message.epoch for message in messages] == list(outcome.training.epochs)


def test_each_epoch_comes_with_the_hash_of_the_state_after_it(tmp_path, digits):
    cell = cell_of()
    _, messages, _ = trained(tmp_path, cell, digits)
    files = sorted(folder_of(tmp_path / "checkpoints", cell.key).iterdir())
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == [m.checkpoint for m in messages][-2:]


def test_the_checkpoint_of_an_epoch_waits_for_the_row_of_the_one_before(tmp_path, digits):
    said = []
    cell = cell_of()
    train_job(
        Job("train", cell, 1), digits, setup_of(tmp_path),
        Hooks(lambda m: said.append(f"row {m.epoch.epoch}"), before_checkpoint=lambda n: said.append(f"file {n}")),
        io.StringIO(),
    )  # fmt: skip
    assert said == ["file 1", "row 1", "file 2", "row 2", "file 3", "row 3"]


def kept_of(messages):
    return [(message.epoch.epoch, message.checkpoint) for message in messages if message.epoch][-KEPT:]


def stop_after(steps):
    """Return what stops a training behind so many steps; 1,079 images make 17 steps, and the evaluation 2 more."""
    left = [steps]

    def on_step():
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    return on_step


def test_what_is_stopped_is_interrupted_and_goes_on_to_the_same(tmp_path, digits):
    cell = cell_of()
    whole, _, _ = trained(tmp_path / "whole", cell, digits)
    outcome, first, log = trained(tmp_path, cell, digits, on_step=stop_after(2 * 19 + 5))
    assert (outcome.status, outcome.error, outcome.training, log) == ("interrupted", "stopped", None, "")
    assert [message.epoch.epoch for message in first] == [1, 2]
    outcome, second, _ = trained(tmp_path, cell, digits, kept_of(first))
    assert second[0] == Message(resumed=2)
    assert [message.epoch.epoch for message in second[1:]] == [3]
    assert results_of(outcome.training) == results_of(whole.training, behind=2)


def test_what_is_damaged_is_said_and_the_epoch_before_is_gone_on_from(tmp_path, digits):
    cell = cell_of()
    whole, first, _ = trained(tmp_path, cell, digits)
    folder = folder_of(tmp_path / "checkpoints", cell.key)
    (folder / "epoch-000003.pt").write_bytes(b"cut")
    outcome, second, _ = trained(tmp_path, cell, digits, kept_of(first))
    assert [message.note for message in second[:1]] == ["the checkpoint of epoch 3 is damaged"]
    assert [message.resumed for message in second[1:2]] == [2]
    assert results_of(outcome.training) == results_of(whole.training, behind=2)


def test_without_a_checkpoint_that_can_be_read_it_begins_again_and_says_so(tmp_path, digits):
    cell = cell_of()
    whole, first, _ = trained(tmp_path, cell, digits)
    for file in folder_of(tmp_path / "checkpoints", cell.key).iterdir():
        file.unlink()
    outcome, second, _ = trained(tmp_path, cell, digits, kept_of(first))
    notes = [message.note for message in second if message.note]
    assert len(notes) == 3
    assert notes[-1] == "no checkpoint is left: the run begins again"
    assert all(message.resumed is None for message in second)
    assert [message.epoch.epoch for message in second if message.epoch] == [1, 2, 3]
    assert results_of(outcome.training) == results_of(whole.training)


def test_a_run_whose_every_epoch_is_done_is_only_tested(tmp_path, digits):
    cell = cell_of()
    whole, first, _ = trained(tmp_path, cell, digits)
    outcome, second, _ = trained(tmp_path, cell, digits, kept_of(first))
    assert second == [Message(resumed=EPOCHS)]
    assert outcome.training.epochs == ()
    assert results_of(outcome.training) == results_of(whole.training, behind=EPOCHS)


def test_a_model_that_raises_fails_with_its_reason_and_its_traceback_in_the_log(tmp_path, digits, own):
    outcome, messages, log = trained(tmp_path, cell_of("broken"), digits)
    assert (outcome.status, outcome.error) == ("failed", "ValueError: no forward")
    assert messages == []
    assert "Traceback" in log
    assert "in forward" in log


def test_a_model_that_could_not_be_built_fails_with_its_problem(tmp_path, digits):
    for change in ({"problem": "no such layer"}, {"problem": "no such layer", "sized": None}):
        outcome, messages, log = trained(tmp_path, dataclasses.replace(cell_of(), **change), digits)
        assert (outcome.status, outcome.error, messages, log) == ("failed", "no such layer", [], "")


@pytest.mark.parametrize("name", ["train", "read_checkpoint"])
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (MemoryError("16 GiB"), "oom", "out of memory: 16 GiB"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom", "OutOfMemoryError: CUDA out of memory"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (RuntimeError("first line\nsecond"), "failed", "RuntimeError: first line"),
        (Stopped(), "interrupted", "stopped"),
    ],
)
def test_what_is_raised_becomes_an_outcome(tmp_path, digits, monkeypatch, name, error, status, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(work, name, fail)
    outcome, _, _ = trained(tmp_path, cell_of(), digits)
    assert (outcome.status, outcome.error) == (status, words)


def test_a_place_that_cannot_be_written_passes_through(tmp_path, digits):
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        trained(tmp_path, cell_of(), digits)


def test_ctrl_c_itself_is_no_outcome(tmp_path, digits):
    def on_step():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, cell_of(), digits, on_step=on_step)


def test_a_divergence_says_when_and_what_the_loss_was(tmp_path, digits):
    outcome, messages, _ = trained(tmp_path, cell_of(optimizer="sgd", lr=1e9), digits)
    training = outcome.training
    last = training.epochs[-1]
    assert outcome.status == "diverged"
    assert last.epoch == training.diverged_epoch
    kind = next(one for one in (last.train.loss_kind, last.validation.loss_kind) if one != "number")
    assert outcome.error == f"the loss is {kind} in epoch {training.diverged_epoch}"
    assert messages[-1].checkpoint is None  # no state to go on from


def test_weights_are_written_where_they_are_asked_for_and_are_those_of_the_hash(tmp_path, digits):
    cell = cell_of(epochs=1)
    setup = setup_of(tmp_path, weights=str(tmp_path / "weights"))
    outcome = train_job(Job("train", cell, 1), digits, setup, Hooks(lambda message: None), io.StringIO())
    net = build_model(cell.sized)
    net.load_state_dict(torch.load(tmp_path / "weights" / f"{cell.key[:16]}.pt", weights_only=True))
    prepare = batches.preparer(digits, "cpu", cell.recipe.scaling)
    assert evaluate(net, prepare, digits.images["test"], digits.labels["test"], "fp32", 3) == outcome.training.test


def performed(kind, cell, data, folder):
    messages = []
    perform(Job(kind, cell), data, setup_of(folder), Hooks(messages.append), io.StringIO())
    return messages


def test_a_cost_is_that_of_the_built_net(tmp_path, digits):
    cell = cell_of("linear")
    (message,) = performed("cost", cell, digits, tmp_path)
    net = build_model(cell.sized)
    assert isinstance(message.cost, Cost)
    assert message.cost.params == sum(parameter.numel() for parameter in net.parameters())
    assert message.cost.macs == sum(weight.numel() for weight in net.parameters() if weight.ndim == 2)


def test_a_memory_holds_at_least_weights_gradients_and_the_moments_of_adam(tmp_path, digits):
    cell = cell_of()
    (message,) = performed("memory", cell, digits, tmp_path)
    assert isinstance(message.memory, Memory)
    assert message.memory.peak_memory_bytes >= 4 * 4 * cell.sized.params
    assert message.memory.batch_size == 64


def test_what_cannot_be_counted_is_an_error_and_no_cost(tmp_path, digits, own):
    (message,) = performed("cost", cell_of("broken"), digits, tmp_path)
    assert message.cost is None
    assert "no forward" in message.error


def test_what_cannot_be_measured_has_a_memory_that_says_why(tmp_path, digits, own):
    (message,) = performed("memory", cell_of("broken"), digits, tmp_path)
    assert message.memory.peak_memory_bytes is None
    assert "no forward" in message.memory.error


def test_every_message_survives_its_line_of_json(tmp_path, digits):
    _, messages, _ = trained(tmp_path, cell_of(), digits)
    messages += performed("cost", cell_of(), digits, tmp_path) + performed("memory", cell_of(), digits, tmp_path)
    messages += [Message(), Message(note="a note"), Message(resumed=2), Message(unwritable=("why", "what to do"))]
    for message in messages:
        assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message


def here(jobs, data, folder, on_message=lambda job, message: None, before=lambda stops: None):
    """Do jobs in this process; return what was said and ended, in its order."""
    told, waiting = [], list(jobs)
    with Stops() as stops:
        before(stops)
        Here(setup_of(folder), lambda cell: data).run(Work(
            lambda: waiting.pop(0) if waiting else None, lambda: bool(waiting),
            lambda job, message: (told.append((job, message)), on_message(job, message)),
            lambda job, ended: told.append((job, ended)), stops,
        ))  # fmt: skip
    return told, waiting


def test_here_does_one_job_after_the_other_and_its_end_comes_last(tmp_path, digits):
    jobs = [Job("cost", cell_of()), Job("train", cell_of("linear", epochs=1), 1)]
    told, waiting = here(jobs, digits, tmp_path)
    assert waiting == []
    assert [job for job, _ in told] == [jobs[0]] * 2 + [jobs[1]] * 3
    assert [news for _, news in told if isinstance(news, Ended)] == [Ended(0), Ended(0)]
    assert told[1][1] == told[-1][1] == Ended(0)
    assert told[-2][1].outcome.status == "done"
    assert not (tmp_path / "logs").exists()  # of nothing


def test_here_a_failure_costs_one_job_and_leaves_its_log(tmp_path, digits, own):
    jobs = [Job("train", cell_of("broken", epochs=1), 1), Job("train", cell_of("linear", epochs=1), 2)]
    told, _ = here(jobs, digits, tmp_path)
    outcomes = [news.outcome.status for _, news in told if isinstance(news, Message) and news.outcome]
    assert outcomes == ["failed", "done"]
    (log,) = (tmp_path / "logs").iterdir()
    assert log.name == f"{jobs[0].cell.key[:16]}.log"
    assert "ValueError: no forward" in log.read_text()


def test_here_a_second_attempt_writes_behind_the_log_of_the_first(tmp_path, digits, own):
    job = Job("train", cell_of("broken", epochs=1), 1)
    here([job, job], digits, tmp_path)
    (log,) = (tmp_path / "logs").iterdir()
    assert log.read_text().count("Traceback") == 2


def test_here_ctrl_c_ends_the_run_after_its_step_and_begins_no_other(tmp_path, digits):
    jobs = [Job("train", cell_of(), 1), Job("train", cell_of("linear"), 2)]
    told, waiting = here(jobs, digits, tmp_path, lambda job, message: (
        signal.raise_signal(signal.SIGINT) if message.epoch and message.epoch.epoch == 2 else None
    ))  # fmt: skip
    assert waiting == jobs[1:]
    assert [news.epoch.epoch for _, news in told if isinstance(news, Message) and news.epoch] == [1, 2]
    assert told[-2][1].outcome.status == "interrupted"


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_here_what_asks_for_an_end_at_once_ends_the_step(tmp_path, digits, signals):
    def stop(_, message):
        if message.epoch:
            for number in signals:
                signal.raise_signal(number)
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        here([Job("train", cell_of(), 1)], digits, tmp_path, stop)


def test_here_a_stop_before_the_first_job_does_none(tmp_path, digits):
    told, waiting = here(
        [Job("cost", cell_of())], digits, tmp_path, before=lambda stops: signal.raise_signal(signal.SIGTERM)
    )
    assert (told, len(waiting)) == ([], 1)


def test_here_waits_where_there_is_no_job_yet(tmp_path, digits, monkeypatch):
    slept = []
    monkeypatch.setattr(work, "time", type("Time", (), {"sleep": slept.append}))
    job, asked = Job("cost", cell_of("linear")), []

    def next_job():
        asked.append(1)
        return job if len(asked) == 3 else None

    with Stops() as stops:
        Here(setup_of(tmp_path), lambda cell: digits).run(
            Work(next_job, lambda: len(asked) < 3, lambda *_: None, lambda *_: None, stops)
        )
    assert len(slept) == 2
