"""Studies with cases: each on its own data with its own recipe, side by side in tables and figures."""

from __future__ import annotations

import csv
import math
import sqlite3
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import QUICK
from matplotlib.figure import Figure
from test_cli import CONCLUDED, FILES
from test_tables import BASE, SLOW, record

from archbench import figures, instruments, words
from archbench.budget import build_model
from archbench.data import load_dataset
from archbench.data.batches import preparer
from archbench.errors import DataError, InputError
from archbench.execute import WEIGHTS_FOLDER, weights_file
from archbench.frame import epochs_frame, runs_frame
from archbench.loading import load
from archbench.manner import Manner
from archbench.pipeline import run
from archbench.plan import make_plan, planned
from archbench.store import FILE_NAME, Store
from archbench.store.rows import update
from archbench.study import make_study
from archbench.tables import overhead, summary
from archbench.timing import steps
from archbench.timing.estimate import step_ratio
from archbench.timing.sessions import side_by_side

CAPTCHA = "captcha[train=24,validation=8,test=8]"


def small(models=("mlp@3k",), **settings):
    return make_study(list(models), **{"epochs": 1, "seeds": 1, "split": "60/20/20", "batch_size": 16, **settings})


def quick(study, folder, **settings):
    return run(study, folder, **{"manner": Manner(0), "protocol": QUICK, **settings})


def cells_of(comparison):
    return {(r.cell.model, r.cell.case): r.cell for r in comparison.records}


@pytest.fixture
def leaky(tmp_path):
    """A file of 60 + 20 images, of which three are in both parts and two are twice in train."""
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    images[60:63] = images[:3]
    images[11], images[12] = images[10], images[10]
    labels = np.arange(80) % 4
    labels[60:63], labels[11:13] = labels[:3], labels[10]
    file = tmp_path / "leaky.npz"
    np.savez(file, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return f"npz:{file}"


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Return the comparison of two models in four cases: two batch sizes on two sets of images."""
    folder = tmp_path_factory.mktemp("grid")
    study = small(
        ["mlp@3k", "linear"], factors={"batch_size": [8, 32], "preprocess": ["original", "resize:4"]}, seeds=2
    )
    return quick(study, folder)


# --- what is run


def test_each_case_runs_on_its_own_data_with_its_own_recipe(grid):
    assert len(grid.records) == 16
    assert grid.complete
    for (model, case), cell in cells_of(grid).items():
        size, _, side = case.partition(", ")
        assert cell.recipe.batch_size == int(size.removeprefix("batch_size="))
        shape = (1, 8, 8) if side == "original" else (1, 4, 4)
        assert cell.sized.input_shape == shape
        assert cell.images == (60, 20, 20)
        if model == "linear":
            assert cell.sized.params == shape[1] * shape[2] * 10 + 10
        else:
            assert cell.sized.params == pytest.approx(3000, rel=0.01)
    assert len({record.cell.key for record in grid.records}) == 16
    assert len({record.cell.data_sha256 for record in grid.records}) == 2
    assert len({record.training.weights_sha256 for record in grid.records}) == 16


def test_workers_come_to_the_same_as_this_process(grid, tmp_path):
    there = quick(grid.study, tmp_path, manner=Manner(2))
    mine, theirs = ({r.cell.key: r.training.weights_sha256 for r in done.records} for done in (grid, there))
    assert mine == theirs
    assert [r.cell.case for r in there.records] == [r.cell.case for r in grid.records]


def test_a_case_may_have_models_data_and_budgets_of_its_own(tmp_path, leaky):
    cases = [
        {"name": "digits", "models": ["mlp"], "budgets": ["2k", "4k"]},
        {"name": "mine", "models": ["linear"], "dataset": leaky, "split": None, "lr": 0.5},
    ]
    comparison = quick(small([], cases=cases), tmp_path / "out")
    assert [(r.cell.model, r.cell.case, r.cell.dataset, r.cell.recipe.lr) for r in comparison.records] == [
        ("mlp", "digits", "digits", 0.003), ("mlp", "digits", "digits", 0.003), ("linear", "mine", leaky, 0.5)
    ]  # fmt: skip
    assert comparison.complete
    assert comparison.records[2].cell.images == (54, 6, 20)  # a tenth is held out


def test_a_run_of_another_study_stands_under_the_case_of_this_one(tmp_path, trained):
    first = quick(small(factors={"lr": [0.01, 0.02]}), tmp_path)
    assert [record.cell.case for record in first.records] == ["lr=0.01", "lr=0.02"]
    trained.clear()
    second = quick(small(cases=[{"name": "fast", "lr": 0.02}, {"name": "slow", "lr": 0.01}]), tmp_path)
    assert trained == []
    assert [(r.cell.case, r.cell.recipe.lr) for r in second.records] == [("fast", 0.02), ("slow", 0.01)]
    assert second.frame()["case"].tolist() == second.epochs()["case"].unique().tolist() == ["fast", "slow"]
    assert load(tmp_path).records == second.records
    alone = quick(small(lr=0.01), tmp_path)
    assert [record.cell.case for record in alone.records] == [""]
    assert trained == []
    assert {r.cell.case for r in quick(small(factors={"lr": [0.01, 0.02]}), tmp_path).records} == {"lr=0.01", "lr=0.02"}
    with Store(tmp_path) as store:
        assert len(store.records()) == 2


def test_cases_that_are_one_and_the_same_run_are_run_once_and_stand_under_each(tmp_path, trained):
    cases = [{"name": "a"}, {"name": "b", "lr": 0.003}, {"name": "c", "limit": 1000}, {"name": "d", "lr": 0.1}]
    comparison = quick(small(cases=cases), tmp_path)
    assert [cell.case for cell in trained] in (["a", "d"], ["d", "a"])
    assert [record.cell.case for record in comparison.records] == ["a", "b", "c", "d"]
    weights = [record.training.weights_sha256 for record in comparison.records]
    assert weights[0] == weights[1] == weights[2] != weights[3]
    assert len(comparison.frame()) == len(comparison.summary()) == 4
    assert all(len(record.timings) == 2 for record in comparison.records)
    comparison.write_tables()
    comparison.write_figures()


def test_runs_whose_keys_were_made_otherwise_are_shown_all_the_same(tmp_path):
    comparison = quick(small(), tmp_path)
    (done,) = comparison.records
    with sqlite3.connect(tmp_path / FILE_NAME) as store:  # as an older archbench may have named them
        (study,) = store.execute("SELECT id, created_at, keys, study FROM studies")
        update(store, "specs", 1, key="other")
        update(store, "studies", study[0], keys=study[2].replace(done.cell.key, "other"))
    store.close()
    again = load(tmp_path)
    assert again.records == comparison.records
    assert again.frame()["key"].tolist() == ["other"]


def test_a_plan_names_the_cases(tmp_path):
    told = []
    plan = make_plan(small(["mlp"], budgets=["3k"], factors={"lr": [0.1, 0.2]}, seeds=2), told.append)
    assert [step.label for step in told] == ["mlp@3k, lr=0.1", "mlp@3k, lr=0.2"]
    rows = planned(plan, {plan.cells[0].key})
    assert [(row["case"], row["seed"], row["done"]) for row in rows] == [
        ("lr=0.1", 0, True), ("lr=0.1", 1, False), ("lr=0.2", 0, False), ("lr=0.2", 1, False)
    ]  # fmt: skip
    shown = words.plan_words(rows)
    assert shown["case"].tolist() == ["lr=0.1", "lr=0.2"]
    assert (shown["runs"].tolist(), shown["done"].tolist()) == (["2", "2"], ["1", "0"])
    assert "case" not in words.plan_words(planned(make_plan(small()), ()))


def test_a_fault_of_one_case_is_told_before_any_is_run(tmp_path):
    for case, error in [
        ({"dataset": "mnist"}, DataError),
        ({"models": ["mpl"]}, InputError),
        ({"split": "5000/1/1"}, DataError),
    ]:
        with pytest.raises(error):
            quick(small(cases=[{"name": "good"}, {"name": "bad", **case}]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_are_kept_and_are_those_that_were_tested(tmp_path):
    study = small(["mlp@1k", "linear"], factors={"lr": [0.01, 0.1]}, keep_weights=True, seeds=2)
    comparison = quick(study, tmp_path)
    folder = tmp_path / WEIGHTS_FOLDER
    assert len(list(folder.glob("*.pt"))) == 8
    data = load_dataset("digits", view=study.view)
    for done in comparison.records:
        net = build_model(done.cell.sized)
        net.load_state_dict(torch.load(weights_file(folder, done.cell), weights_only=True))
        with torch.no_grad():
            found = net.eval()(preparer(data)(data.images["test"])).argmax(1)
        assert (found == data.labels["test"]).double().mean() == pytest.approx(done.training.test.top1)
    files = comparison.write_figures()
    drawn = {file.name for file in files if file.parent == folder}
    assert drawn == {"mlp@1k_lr=0.01.png", "mlp@1k_lr=0.1.png", "linear_lr=0.01.png", "linear_lr=0.1.png"}
    assert not (quick(small(), tmp_path / "without").folder / WEIGHTS_FOLDER).exists()


# --- the clock


def test_cases_that_step_alike_are_timed_side_by_side_and_others_apart(grid):
    sessions = {}
    for done in grid.records:
        place = sessions.setdefault((done.cell.model, done.cell.case), set())
        place |= {timing.session for timing in done.timings}
    assert all(len(found) == 1 for found in sessions.values())
    small_, large = (
        {session for (_, case), found in sessions.items() if case.startswith(name) for session in found}
        for name in ("batch_size=8", "batch_size=32")
    )
    assert len(small_) == len(large) == 1
    assert small_ != large
    for done in grid.records:
        assert {timing.batch_size for timing in done.timings} == {done.cell.recipe.batch_size}
        assert {timing.mode for timing in done.timings} == {"train", "infer"}
    with Store(grid.folder) as store:
        assert len(store.timings()) == 2 * 4 * 2  # batch sizes, models, modes


def test_another_case_has_only_what_steps_like_it_timed_again(tmp_path, monkeypatch):
    quick(small(factors={"batch_size": [8, 16]}), tmp_path)
    timed = []
    original = instruments.time_models

    def time_models(request, *rest, **more):
        timed.append(request.recipe.batch_size)
        return original(request, *rest, **more)

    monkeypatch.setattr(instruments, "time_models", time_models)
    quick(small(factors={"batch_size": [8, 16]}), tmp_path)
    assert timed == []
    quick(small(factors={"batch_size": [8, 16, 32]}), tmp_path)
    assert timed == [32]
    timed.clear()
    quick(small(factors={"batch_size": [8, 16], "lr": [0.1, 0.2]}), tmp_path)  # the same nets, the same steps
    assert timed == []
    quick(small(factors={"optimizer": ["adam", "sgd"], "batch_size": [8]}), tmp_path)
    assert timed == [8]


def test_a_model_that_learns_by_fit_is_timed_on_images_of_its_own_shape(tmp_path, monkeypatch):
    taught = []
    original = steps.preparer

    def seen_by(dataset, *rest, **more):
        taught.append(dataset.input_shape)
        return original(dataset, *rest, **more)

    monkeypatch.setattr(steps, "preparer", seen_by)
    comparison = quick(small(["knn"], preprocess="original,resize:4"), tmp_path)
    assert all(done.timings and done.status == "done" for done in comparison.records)
    assert set(taught) == {(1, 4, 4), (1, 8, 8)}  # batches, and what is learned: a net takes its own shape alone


def test_records_take_the_session_that_holds_most_of_their_kind(grid):
    with Store(grid.folder) as store:
        timings = store.timings()
    chosen = side_by_side(timings, grid.records)
    assert all(len(found) == 2 for found in chosen.values())
    larger = [t for t in timings if t.batch_size == 32]
    lonely = [replace(t, session="later") for t in larger[:1]]
    again = side_by_side([*timings, *lonely], grid.records)
    assert again == chosen
    of_all = [replace(t, session="later") for t in larger]
    assert {t.session for found in side_by_side([*timings, *of_all], grid.records).values() for t in found} == {
        "later", next(t.session for t in timings if t.batch_size == 8)
    }  # fmt: skip
    assert all(found == () for found in side_by_side([], grid.records).values())


# --- tables


def test_overheads_are_against_the_baseline_of_the_same_case_and_its_cases_against_the_first(grid):
    table = grid.overhead().set_index(["model", "case"])
    records = {(r.cell.model, r.cell.case): r for r in grid.records if r.cell.recipe.seed == 0}
    first = grid.records[0].cell.case
    for (model, case), row in table.iterrows():
        base = first if model == "mlp" else case
        assert row["baseline"] == f"mlp@3k, {base}"
        assert row["is_baseline"] == (model == "mlp" and case == first)
        mine, theirs = records[model, case], records["mlp", base]
        assert row["params_ratio"] == mine.cell.sized.params / theirs.cell.sized.params
        expected = step_ratio(mine.timings[0], theirs.timings[0])
        ratio = row[f"{mine.timings[0].mode}_ratio_cpu"]
        assert math.isnan(ratio) if expected is None else ratio == expected.value  # another batch size, another session
    other = grid.overhead("linear").set_index(["model", "case"])
    assert other.loc[("linear", "batch_size=8, original"), "is_baseline"]


def in_case(case, *own, **settings):
    return replace(done := record(*own, **settings), cell=replace(done.cell, case=case))


def test_a_case_without_the_baseline_is_set_against_another_cases():
    records = [
        *(in_case("a", "cnn", 1000, seed, 0.9 + seed / 100, BASE) for seed in range(2)),
        *(in_case("b", "net", 1000, seed, 0.8 + seed / 100, SLOW) for seed in range(2)),
        in_case("b", "cnn", 5000, 0, 0.7, BASE),
        in_case("c", "net", 4000, 0, 0.6, SLOW),
    ]
    table = overhead(records, "cnn").set_index(["model", "case"])
    assert table.loc[("net", "b"), "baseline"] == "cnn@5k, b"  # the only one of its case
    assert table.loc[("net", "c"), "baseline"] == "cnn@5k, b"  # no cnn there: the nearest of all
    assert table.loc[("cnn", "a"), "is_baseline"]
    assert table.loc[("net", "b"), "train_ratio_cpu"] == pytest.approx(1.5)
    assert table.loc[("net", "c"), "accuracy_points"] == pytest.approx(-10)


def test_runs_summary_and_epochs_have_a_row_a_case(grid):
    runs, epochs, table = grid.frame(), grid.epochs(), grid.summary()
    assert len(runs) == 16
    assert runs["case"].nunique() == epochs["case"].nunique() == 4
    assert runs["batch_size"].tolist() == [r.cell.recipe.batch_size for r in grid.records]
    assert set(runs["preprocess"]) == {"original", "resize:4x4"}
    assert set(runs["split"]) == {"60/20/20"}
    assert set(runs["input"]) == {"1x8x8", "1x4x4"}
    for split, count in zip(("train", "validation", "test"), (60, 20, 20), strict=True):
        assert set(runs[f"{split}_images"]) == {count}
    assert len(table) == 8
    assert set(table["n"]) == {2}
    for _, row in table.iterrows():
        own = runs[(runs["model"] == row["model"]) & (runs["case"] == row["case"])]
        assert row["test_accuracy"] == pytest.approx(own["test_accuracy"].mean())
    shown = words.summary_words(table)
    assert shown["case"].tolist() == table["case"].tolist()
    assert words.overhead_brief(grid.overhead())["model"].tolist() == ["linear"] + ["mlp", "linear"] * 3


def test_without_cases_there_is_no_column_of_them():
    records = [record("cnn", 1000, 0, 0.9, BASE), record("net", 1000, 0, 0.8, SLOW)]
    assert "case" not in words.summary_words(summary(runs_frame(records)))
    assert "case" not in words.overhead_words(overhead(records))


def test_what_differs_between_cases_is_said_of_all(grid):
    text = words.overhead_markdown(grid.overhead(), grid.records)
    assert "Steps of 8 or 32 samples" in text
    assert "Data set digits; 2 seeds, 1 epoch." in text
    # What was not timed side by side has no ratio to doubt; the test's one process is all that is.
    assert [line for line in text.splitlines() if line.startswith("Unstable")] == [
        "Unstable: few processes show little of how much they differ (all: 1): --processes 5."
    ]


# --- leakage


def test_leakage_reaches_records_tables_and_figures(tmp_path, leaky):
    warning = "3 of 20 test images also occur in train"
    comparison = quick(small(["mlp@3k"], dataset=leaky, split=None), tmp_path / "out")
    assert warning in "; ".join(comparison.records[0].cell.warnings)
    comparison.write_tables()
    with (tmp_path / "out" / "runs.csv").open() as file:
        assert all(warning in row["warnings"] for row in csv.DictReader(file))
    assert f"**Warning: {warning}.**" in (tmp_path / "out" / "overhead.md").read_text()
    title = figures.scatter_figure(comparison.frame()).get_suptitle()
    assert f"warning: {warning}" in title.splitlines()
    assert load(tmp_path / "out").records[0].cell.warnings == comparison.records[0].cell.warnings


def test_without_leakage_nothing_is_warned_of(tmp_path, leaky):
    comparison = quick(small(["mlp@3k"], dataset=leaky, split=None, exclude="duplicates"), tmp_path / "out")
    (done,) = comparison.records
    assert done.cell.warnings == ()
    assert sum(done.cell.images) == 80 - 3 - 2
    assert comparison.frame()["warnings"].isna().all()
    assert comparison.frame()["exclude"].tolist() == ["duplicates"]
    assert "Warning" not in words.overhead_markdown(comparison.overhead(), comparison.records)
    assert "warning" not in figures.scatter_figure(comparison.frame()).get_suptitle()


def test_several_warnings_have_a_line_each_and_none_twice():
    leaks = ("3 of 9 test images also occur in train", "1 of 9 validation images also occurs in train")
    records = [record("cnn", 1000, seed, 0.9 + seed / 50) for seed in range(2)]
    warned = [replace(r, cell=replace(r.cell, warnings=leaks[: seed + 1])) for seed, r in enumerate(records)]
    title = figures.scatter_figure(runs_frame(warned)).get_suptitle()
    assert title.splitlines()[1:] == [f"warning: {leak}" for leak in leaks]
    assert words.overhead_markdown(overhead(warned), warned).count("**Warning") == 2


# --- several labels an image


@pytest.fixture(scope="module")
def captchas(tmp_path_factory):
    """Return a comparison on images of four symbols each, with a model for one label and one for five positions."""
    folder = tmp_path_factory.mktemp("captchas")
    study = make_study(["mlp@20k", "captcha_resnet18_mod", "knn"], dataset=CAPTCHA, epochs=1, seeds=2, batch_size=8)
    return quick(study, folder)


def test_positions_and_words_have_columns_of_their_own(captchas):
    runs = captchas.frame()
    done = runs[runs["status"] == "done"]
    assert done["model"].tolist() == ["mlp", "mlp", "captcha_resnet18_mod", "captcha_resnet18_mod"]
    for split in ("train", "validation", "test"):
        places = [f"{split}_accuracy_{place}" for place in range(1, 5)]
        assert np.allclose(done[places].mean(axis=1), done[f"{split}_accuracy"])
        assert (done[f"{split}_word"] <= done[places].min(axis=1)).all()
    assert set(done["position_loss"]) == {"mean"}
    assert done["params"].tolist()[2] == 95_164  # as published
    table = captchas.summary().set_index("model")
    assert table.loc["mlp", "test_accuracy_2"] == pytest.approx(done["test_accuracy_2"].iloc[:2].mean())
    assert "words, %" in words.summary_words(captchas.summary())
    epochs = captchas.epochs()
    assert {"accuracy_1", "accuracy_4", "word"} <= set(epochs.columns)


def test_words_and_positions_are_those_of_the_kept_net(tmp_path):
    study = make_study(["mlp@20k"], dataset=CAPTCHA, epochs=1, seeds=1, batch_size=8, keep_weights=True, lr=0.01)
    (done,) = quick(study, tmp_path).records
    data = load_dataset(CAPTCHA)
    net = build_model(done.cell.sized)
    net.load_state_dict(torch.load(weights_file(tmp_path / WEIGHTS_FOLDER, done.cell), weights_only=True))
    for split, metrics in (("test", done.training.test), ("train", None)):
        with torch.no_grad():
            logits = net.eval()(preparer(data)(data.images[split])).view(-1, 4, 19)
        hits = logits.argmax(2) == data.labels[split]
        if metrics is not None:
            assert metrics.positions == pytest.approx(hits.double().mean(0).tolist())
            assert metrics.word == pytest.approx(hits.all(1).double().mean().item())
            assert metrics.top1 == pytest.approx(hits.double().mean().item())


def test_a_model_that_does_not_fit_the_positions_is_a_failed_row_with_its_reason(captchas, tmp_path):
    failed = captchas.frame().query("status == 'failed'")
    assert failed["model"].tolist() == ["knn", "knn"]
    assert set(failed["error"]) == {f"knn gives an image one label, and those of {captchas.study.dataset} have 4"}
    other = quick(small(["captcha_resnet18_mod", "mlp@3k"]), tmp_path)
    assert [record.status for record in other.records] == ["failed", "done"]
    assert other.records[0].error == "captcha_resnet18_mod gives an image 4 labels, and those of digits have 1"
    assert "test_word" not in other.summary()
    assert "position_loss" not in other.frame().dropna(axis=1, how="all")


# --- figures


def test_lines_are_named_by_what_tells_them_apart(grid):
    names = {text.get_text() for text in figures.scatter_figure(grid.frame()).axes[0].texts}
    whole = [f"{model}, {case}" for model, case in cells_of(grid)]
    assert len(names) == len(whole)  # cut in their middle, they are still told apart
    for name in names:
        head, cut, tail = name.partition("…")
        assert len(name) <= 30
        assert any(full == name or (cut and full.startswith(head) and full.endswith(tail)) for full in whole)
        assert any(name.endswith(case[-12:]) for _, case in cells_of(grid))
    alone = [in_case(case, "cnn", 1000, 0, 0.9) for case in ("a", "b")]
    assert {text.get_text() for text in figures.scatter(runs_frame(alone), Figure().add_subplot()).texts} == {"a", "b"}


def test_a_panel_of_curves_draws_all_of_its_lines():
    # A budget that only one of the models has: its lines are still named by model and case.
    records = [
        in_case(case, model, budget, 0, 0.9) for case in ("a", "b") for model, budget in (("cnn", 1000), ("net", 5000))
    ]
    epochs = epochs_frame(records)
    epochs = pd.concat([epochs, epochs.assign(epoch=2)], ignore_index=True)  # two points make a line
    figure = figures.curves_figure(epochs)
    figure.canvas.draw()
    for ax in figure.axes:
        if ax.get_ylabel() or ax.get_title():
            drawn = [line for line in ax.get_lines() if len(line.get_xdata())]
            assert len(drawn) >= 2
    (legend,) = figure.legends
    assert {"cnn, a", "cnn, b", "net, a", "net, b"} <= {text.get_text() for text in legend.get_texts()}


def test_files_of_a_study_with_cases_are_written(grid, tmp_path):
    files = [*grid.write_tables(tmp_path), *grid.write_figures(tmp_path)]
    assert {file.name for file in files} - CONCLUDED == FILES
    stored = pd.read_csv(tmp_path / "summary.csv")
    assert stored["case"].tolist() == grid.summary()["case"].tolist()
