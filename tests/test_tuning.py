"""A search on the validation split alone, with the same number of trials for all: on digits, with small nets."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import QUICK
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from torch import nn

import archbench
import zoo
from archbench import pipeline
from archbench.comparison import Comparison
from archbench.data import load_dataset
from archbench.errors import InputError, Interrupted, ModelError
from archbench.execute import LOGS_FOLDER, WEIGHTS_FOLDER, Here, weights_file
from archbench.manner import Manner
from archbench.schema import Study
from archbench.search_figure import best_so_far, search_figure
from archbench.search_space import Range, check_names, default_space, parse_search, parse_space, space_words, suggest
from archbench.store import Store
from archbench.study import make_study
from archbench.tuning import Trial, Tuning, tune
from zoo import registry

SPACE = {"lr": Range(1e-4, 1e-1), "batch_size": (16, 32)}


def small(models=("mlp@3k", "linear"), **settings):
    return make_study(list(models), **{"epochs": 1, "seeds": 2, "split": "60/20/20", **settings})


def search(study, folder, trials=5, space=SPACE, **settings):
    return tune(study, folder, trials, space, **{"manner": Manner(0), "protocol": QUICK, **settings})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Return a search over two models of five trials each, and where it is stored."""
    folder = tmp_path_factory.mktemp("tuned")
    return search(small(), folder), folder


# --- what is done


def test_every_model_has_the_same_number_of_trials_and_none_is_tested(tuned):
    tuning, folder = tuned
    assert [(trial.model, trial.number) for trial in tuning.trials] == [
        (model, number) for model in ("mlp@3k", "linear") for number in range(1, 6)
    ]
    with Store(folder) as store:
        records = list(store.records().values())
    trials = [record for record in records if not record.cell.tested]
    assert len(trials) == 10
    assert {record.cell.recipe.seed for record in trials} == {0}
    assert all(record.training.test is None and record.timings == () for record in trials)
    found = {record.training.epochs[-1].validation.top1 for record in trials}
    assert found == {trial.accuracy for trial in tuning.trials}
    settings = [trial.settings for trial in tuning.trials]
    assert settings[:5] == settings[5:]  # until Optuna has seen ten, it asks all models for the same
    assert len({one["lr"] for one in settings}) == 5


def test_what_wins_is_trained_over_the_seeds_and_tested(tuned):
    tuning, _ = tuned
    records = tuning.comparison.records
    assert [(r.cell.model, r.cell.case, r.cell.recipe.seed) for r in records] == [
        (model, "tuned", seed) for model in ("mlp", "linear") for seed in (0, 1)
    ]
    for record in records:
        best = tuning.best()["mlp@3k" if record.cell.model == "mlp" else "linear"]
        assert best.accuracy == max(trial.accuracy for trial in tuning.trials if trial.model == best.model)
        assert (record.cell.recipe.lr, record.cell.recipe.batch_size) == tuple(best.settings.values())
        assert record.training.test is not None
        assert {timing.batch_size for timing in record.timings} == {best.settings["batch_size"]}


def test_the_same_search_again_trains_nothing_and_a_longer_one_only_what_is_new(tuned, trained, tmp_path):
    tuning, folder = tuned
    again = search(small(), folder)
    assert trained == []
    assert again.trials == tuning.trials
    assert again.comparison.records == tuning.comparison.records
    search(small(["mlp@3k"]), tmp_path, trials=2)
    trained.clear()
    longer = search(small(["mlp@3k"]), tmp_path)
    assert longer.trials == tuning.trials[:5]
    assert len([cell for cell in trained if not cell.tested]) == 3


def test_the_number_of_workers_and_who_is_done_first_change_nothing(tuned, tmp_path, monkeypatch):
    tuning, _ = tuned
    asked = []

    class Several(Here):
        """As many processes would: all are begun, and the last is done first."""

        def run(self, work):
            asked.append(work.workers)
            jobs = []
            while (job := work.next_job()) is not None:
                jobs.append(job)
            for job in jobs[::-1]:
                self._do(job, work)

    monkeypatch.setattr(
        pipeline, "Isolated", lambda setup, warm: Several(setup, lambda c: load_dataset(c.dataset, view=c.view))
    )
    monkeypatch.setattr(pipeline, "_workers", lambda plan, manner, runner: manner.workers)
    there = search(small(["mlp@3k"]), tmp_path, manner=Manner(3))
    assert there.trials == tuning.trials[:5]
    assert set(asked) == {3}


def test_one_runner_does_all_trials_and_is_closed(tmp_path, monkeypatch):
    opened, closed = [], []

    class Counted(Here):
        def close(self):
            closed.append(self)

    def runner(plan, *_):
        opened.append(Counted(None, plan.dataset_of))
        return opened[-1]

    monkeypatch.setattr(pipeline, "_runner", runner)
    monkeypatch.setattr(Counted, "run", lambda self, work: None)
    with pytest.raises(ModelError, match="none of 10 trials"):
        search(small(), tmp_path)
    assert len(opened) == 1
    assert closed == opened


def test_what_was_tried_before_a_stop_is_counted(tmp_path, monkeypatch):
    rounds = []

    def train(study, **_):
        rounds.append(study)
        if len(rounds) == 2:
            raise Interrupted("stopped", "Again.")
        return {}

    monkeypatch.setattr(pipeline, "train_trials", train)
    with pytest.raises(Interrupted, match="stopped after 4 of 10 trials, which are kept in"):
        search(small(), tmp_path)


def test_the_test_split_is_never_looked_at(tmp_path):
    data = load_dataset("digits", view=small().view)
    arrays = {
        "x_train": data.images["train"], "y_train": data.labels["train"], "x_val": data.images["validation"],
        "y_val": data.labels["validation"], "x_test": data.images["test"], "y_test": data.labels["test"],
    }  # fmt: skip
    np.savez(tmp_path / "clean.npz", **arrays)
    poison = {"x_test": torch.zeros_like(data.images["test"]), "y_test": (data.labels["test"] + 1) % 10}
    np.savez(tmp_path / "poisoned.npz", **arrays | poison)
    clean, poisoned = (
        search(small(["mlp@3k"], dataset=f"npz:{name}.npz", split=None), tmp_path / name)
        for name in ("clean", "poisoned")
    )
    assert clean.trials == poisoned.trials
    assert clean.best() == poisoned.best()
    scores = [[r.training.test.loss for r in found.comparison.records] for found in (clean, poisoned)]
    assert scores[0] != scores[1]


def test_another_seed_is_another_search(tuned, tmp_path):
    tuning, _ = tuned
    other = search(small(["mlp@3k"]), tmp_path, seed=1)
    assert [trial.settings for trial in other.trials] != [trial.settings for trial in tuning.trials[:5]]
    assert {record.cell.recipe.seed for record in other.comparison.records} == {0, 1}


def test_what_is_proposed_twice_is_run_once_and_counts_each_time(tmp_path, trained):
    tuning = search(small(["mlp@3k"], seeds=1), tmp_path, trials=6, space={"batch_size": (16, 32)})
    assert len(tuning.trials) == 6
    assert {trial.status for trial in tuning.trials} == {"done"}
    accuracies = {}
    for trial in tuning.trials:
        assert accuracies.setdefault(trial.settings["batch_size"], trial.accuracy) == trial.accuracy
    assert len([cell for cell in trained if not cell.tested]) == len(accuracies) == 2


def test_trials_that_diverge_are_survived(tmp_path):
    study = small(["mlp@3k"], seeds=1, optimizer="sgd")
    tuning = search(study, tmp_path, trials=8, space={"lr": (0.05, 1e30)})
    by_lr = {trial.settings["lr"]: trial for trial in tuning.trials}
    assert (by_lr[1e30].status, by_lr[1e30].accuracy) == ("diverged", None)
    assert by_lr[0.05].status == "done"
    assert tuning.best()["mlp@3k"].settings == {"lr": 0.05}
    assert tuning.comparison.complete
    assert {column: tuning.frame()[column].isna().sum() for column in ("trial", "status")} == {"trial": 0, "status": 0}
    with pytest.raises(ModelError, match="none of 2 trials came to an end, 2 of them diverged") as caught:
        search(study, tmp_path / "lost", trials=2, space={"lr": (1e30,)})
    assert LOGS_FOLDER in caught.value.remedy


class Broken(nn.Module):
    """A net that can be sized and not run."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        raise ValueError("no forward")


@pytest.fixture
def broken(monkeypatch):
    """A registered model that fails in every trial."""
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    zoo.register_model("tuned_broken")(Broken)
    return "tuned_broken"


def test_a_model_that_fails_ends_the_search_with_its_log(tmp_path, broken):
    with pytest.raises(ModelError, match="none of 2 trials came to an end, 0 of them diverged"):
        search(small([broken], seeds=1), tmp_path, trials=2)
    assert any("no forward" in log.read_text() for log in (tmp_path / LOGS_FOLDER).iterdir())


def test_sizes_and_options_of_a_model_can_be_searched(tmp_path):
    space = {"params": Range(2000, 9000), "dropout": Range(0.0, 0.5)}
    tuning = search(small(["mlp"], seeds=1), tmp_path, trials=4, space=space)
    (record,) = tuning.comparison.records
    best = tuning.best()["mlp"].settings
    assert record.cell.sized.params == pytest.approx(best["params"], rel=0.01)
    assert record.cell.sized.options["dropout"] == best["dropout"]
    assert all(2000 <= trial.settings["params"] <= 9000 for trial in tuning.trials)


def test_only_what_won_keeps_its_weights_and_a_baseline_is_no_hindrance(tmp_path):
    study = small(["mlp@3k", "linear"], seeds=1, keep_weights=True, baseline="mlp")
    tuning = search(study, tmp_path, trials=1)
    kept = {weights_file(tmp_path / WEIGHTS_FOLDER, record.cell) for record in tuning.comparison.records}
    assert set((tmp_path / WEIGHTS_FOLDER).iterdir()) == kept


def test_a_budget_of_the_study_is_every_models(tmp_path):
    tuning = search(small(["mlp", "mlp[activation=sigmoid]@5k"], budgets=["3k"], seeds=1), tmp_path, trials=1)
    assert [trial.model for trial in tuning.trials] == ["mlp@3000", "mlp[activation=sigmoid]@5k"]
    assert [record.cell.budget.target for record in tuning.comparison.records] == [3000, 5000]


def test_it_can_be_called_from_python(tmp_path, monkeypatch):
    settings = {"budgets": "3k", "epochs": 1, "seeds": 1, "split": "60/20/20", "workers": 0}
    tuning = archbench.tune("mlp", 2, {"lr": "1e-3:1e-2", "batch_size": [16]}, **settings)
    assert tuning.comparison.folder.as_posix() == "results/tune-digits"
    assert [trial.settings["batch_size"] for trial in tuning.trials] == [16, 16]
    other = archbench.tune("mlp", 2, {"lr": "1e-3:1e-2"}, search_seed=1, out=tmp_path / "own", **settings)
    assert other.comparison.folder == tmp_path / "own"
    rates = [[trial.settings["lr"] for trial in one.trials] for one in (tuning, other)]
    assert not set(rates[0]) & set(rates[1])  # another search draws other settings


# --- what is refused, before anything is written


@pytest.mark.parametrize(
    ("settings", "trials", "space", "message"),
    [
        ({}, 0, SPACE, "trials: 0 is not accepted"),
        ({"budgets": ["3k", "9k"], "models": ["mlp"]}, 2, SPACE, "a search takes one budget"),
        ({"factors": {"lr": [0.1, 0.2]}}, 2, SPACE, "no factors of its own"),
        ({}, 2, {"speed": (1, 2)}, "speed cannot be searched for mlp@3k"),
        ({"models": ["mlp", "linear_svm"]}, 2, {"dropout": (0.1,)}, "dropout cannot be searched for linear_svm"),
        ({"models": ["linear_svm"]}, 2, {"params": Range(10, 20)}, "linear_svm has one size, which cannot be searched"),
        ({}, 2, {"params": Range(10, 20)}, "mlp@3k has one size, which cannot be searched"),
        ({}, 2, {"lr": Range(-1.0, 1.0)}, "learning rate: -1.0 is not accepted"),
        ({}, 2, {"optimizer": ("adam", "lion")}, "'lion' is no optimizer"),
        ({}, 2, {"preprocess": ("gray",)}, "preprocess cannot be searched for mlp@3k"),
        ({"models": ["mlp"]}, 2, {"activation": ("relu", "bump")}, "bump"),
        ({"models": ["mpl"]}, 2, SPACE, "unknown model 'mpl'"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_is_run(tmp_path, settings, trials, space, message):
    models = settings.pop("models", ["mlp@3k"])
    with pytest.raises(InputError, match=message):
        search(small(models, **settings), tmp_path / "out", trials, space)
    assert not (tmp_path / "out").exists()


def test_without_optuna_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match="Optuna is not installed") as caught:
        search(small(), tmp_path / "out")
    assert "archbench[tune]" in caught.value.remedy
    assert not (tmp_path / "out").exists()


# --- what is searched


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lr=1e-4:1e-1", Range(1e-4, 1e-1)),
        (" dropout = 0 : 0.5 ", Range(0, 0.5)),
        ("params=5k:1.6M", Range(5000, 1_600_000)),
        ("batch_size=16:64", Range(16, 64)),
        ("batch_size=32,64", (32, 64)),
        ("lr=0.1", (0.1,)),
        ("optimizer=adam, sgd", ("adam", "sgd")),
        ("activation=leaky_relu(0.3)", ("leaky_relu(0.3)",)),
    ],
)
def test_ranges_and_lists_are_read(text, values):
    ((name, found),) = parse_search([text]).items()
    assert name == text.partition("=")[0].strip()
    assert found == values
    assert type(found) is type(values)


@pytest.mark.parametrize(
    "text", ["", "lr", "lr=", "=1:2", "lr=1:", "lr=2:1", "lr=1:1", "lr=a:b", "lr=nan:1", "lr=1:inf", "lr=-inf:1"]
)
def test_bad_texts_are_refused(text):
    with pytest.raises(InputError, match=r"is no part of a search|is no range of numbers") as caught:
        parse_search([text])
    assert "NAME=LOW:HIGH" in caught.value.remedy


def test_a_name_is_searched_once():
    with pytest.raises(InputError, match="'lr=3:4' is no part of a search: it is named twice"):
        parse_search(["lr=1:2", "lr=3:4"])


@given(st.text(max_size=20) | st.text("lr=:,.-e0123456789k ", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        (values,) = parse_search([text]).values()
    except InputError:
        return
    if isinstance(values, Range):
        assert values.low < values.high
    else:
        assert values


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_a_range_is_read_as_it_is_written(one, other):
    low, high = sorted((one, other))
    if low < high:
        assert parse_space({"lr": f"{low!r}:{high!r}"}) == {"lr": Range(low, high)}


def test_a_range_knows_how_it_is_searched():
    assert (Range(1e-4, 1e-1).log, Range(16, 64).log, Range(0, 100).log, Range(5, 50).log) == (True, False, False, True)
    assert (Range(16, 64).whole, Range(0, 0.5).whole, Range(1.0, 2.0).whole) == (True, False, False)


@given(st.integers(2, 60_000), st.integers(1, 3000), st.floats(0, 1))
def test_what_is_suggested_stays_in_its_range(low, more, where):
    class Asked:
        """Optuna's side: a place between the bounds."""

        def suggest_int(self, name, low, high, *, log):
            return round(low + where * (high - low))

        def suggest_float(self, name, low, high, *, log):
            return low + where * (high - low)

    for bounds in (Range(low, low + more), Range(low / 7, (low + more) / 7)):
        value = suggest(Asked(), "name", bounds)
        assert bounds.low <= value <= bounds.high
        assert isinstance(value, int) == bounds.whole
        assert value == pytest.approx(bounds.low + where * (bounds.high - bounds.low), rel=0.005, abs=1)


def test_what_is_searched_by_default():
    study = small(["mlp"], lr=0.03)
    space = default_space("mlp", study)
    assert set(space) == {"lr", "weight_decay", "dropout", "params"}
    assert (space["lr"].low, space["lr"].high) == pytest.approx((0.001, 0.9))
    assert space["lr"].log
    assert space["params"].whole
    assert set(default_space("mlp", small(["mlp"], budgets=["3k"]))) == {"lr", "weight_decay", "dropout"}
    assert set(default_space("mlp@3k", study)) == {"lr", "weight_decay", "dropout"}
    assert set(default_space("mlp[dropout=0.1]@3k", study)) == {"lr", "weight_decay"}
    with pytest.raises(InputError, match="knn has neither a learning rate nor weight decay") as caught:
        default_space("knn", study)
    assert "--search; it takes" in caught.value.remedy


# --- what is shown


def trial(model, number, accuracy, **settings):
    return Trial(
        model, number, settings or {"lr": number / 100}, accuracy, "done" if accuracy is not None else "failed"
    )


ACCURACIES = [None, 0.0, 0.5, None, 0.5, 0.25, 0.75]
TRIALS = Tuning(
    (*(trial("a$_$", number, accuracy) for number, accuracy in enumerate(ACCURACIES, start=1)), trial("b", 1, 0.1)),
    Comparison(Study(()), (), Path()),
)


def test_the_best_so_far_is_a_running_maximum(tuned):
    frame = TRIALS.frame()
    assert frame["best_so_far"].astype(object).where(frame["best_so_far"].notna(), None).tolist() == [
        None, 0.0, 0.5, 0.5, 0.5, 0.5, 0.75, 0.1
    ]  # fmt: skip
    assert list(frame.columns) == [
        "model",
        "trial",
        "validation_accuracy",
        "best_so_far",
        "status",
        "lr",
        "warnings",
    ]
    real = tuned[0].frame()
    for _, group in real.groupby("model"):
        assert group["best_so_far"].tolist() == np.maximum.accumulate(group["validation_accuracy"]).tolist()


def test_of_equals_the_earlier_is_the_best():
    assert TRIALS.best()["a$_$"].number == 7
    assert replace(TRIALS, trials=TRIALS.trials[:6]).best()["a$_$"].number == 3
    zeros = Tuning((trial("a", 1, None), trial("a", 2, 0.0), trial("a", 3, 0.0)), None)
    assert zeros.best()["a"].number == 2
    assert Tuning((trial("a", 1, None),), None).best() == {}


def test_words_of_the_best():
    words = replace(
        TRIALS, trials=(trial("a", 3, 0.91234, lr=0.00123456, batch_size=32, optimizer="sgd"),)
    ).best_words()
    assert words.to_dict("records") == [
        {"model": "a", "trial": "3", "validation, %": "91.2", "settings": "lr=0.00123, batch_size=32, optimizer=sgd"}
    ]


def test_the_figure_shows_every_trial_and_the_best_so_far():
    ax = best_so_far(TRIALS.frame(), Figure().add_subplot())
    dots = [line for line in ax.lines if line.get_alpha() == 0.4]
    steps = [line for line in ax.lines if line.get_drawstyle().startswith("steps")]
    assert [line.get_label() for line in steps] == ["a$_$", "b"]
    assert len(dots) == 2
    found = dots[0].get_ydata()
    assert [None if np.isnan(value) else value for value in found] == ACCURACIES
    assert steps[0].get_ydata()[1:].tolist() == [0.0, 0.5, 0.5, 0.5, 0.5, 0.75]
    search_figure(TRIALS.frame()).canvas.draw()


def test_its_files_are_written(tuned, tmp_path):
    tuning, _ = tuned
    files = tuning.write(tmp_path / "files")
    assert [file.name for file in files] == ["tuning.csv", "tuning.png"]
    stored = pd.read_csv(files[0])
    assert stored["validation_accuracy"].tolist() == [trial.accuracy for trial in tuning.trials]
    assert stored["lr"].tolist() == [trial.settings["lr"] for trial in tuning.trials]
    assert files[1].stat().st_size > 1000


def test_a_model_that_is_lost_does_not_take_the_others_with_it(tmp_path, broken):
    tuning = search(small([broken, "mlp@3k"], seeds=1), tmp_path, trials=2)
    assert tuning.lost == [broken]
    assert [record.cell.model.partition("[")[0] for record in tuning.comparison.records] == ["mlp"]
    assert len(tuning.frame()) == 4


def test_what_can_be_searched_is_said_with_near_names():
    with pytest.raises(InputError, match="lrr cannot be searched for mlp") as caught:
        check_names("mlp", ["lrr"])
    assert "Did you mean lr" in caught.value.remedy
    check_names("mlp", ["lr", "dropout", "params"])
    with pytest.raises(InputError, match="mlp@3k has one size"):
        check_names("mlp@3k", ["params"])


def test_a_space_is_written_as_it_is_read():
    texts = ["lr=0.0001:0.1", "batch_size=32,64"]
    assert space_words(parse_search(texts)) == "; ".join(texts)
    assert parse_search(space_words(parse_search(texts)).split("; ")) == parse_search(texts)
