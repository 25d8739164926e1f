"""What is stored, loaded with all epochs and without: one frame, whichever way."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from conftest import timing_of
from pandas.testing import assert_frame_equal
from test_schema import CELL, COST, ENVIRONMENT, RECORD, SIZED

from archbench.comparison import Comparison, Later
from archbench.errors import StoreError
from archbench.loading import done_keys, load, stored_folders
from archbench.schema import Epoch, Memory, Metrics, Recipe, Record, Study, Training
from archbench.store import FILE_NAME, Begun, Owner, Store

SINGLE = Metrics(0.5, 0.75, 0.9)
WORDS = Metrics(0.5, 0.75, 0.9, (0.5, 1.0), 0.25)
NAN = Metrics(None, 0.1, 0.3, loss_kind="nan")


def training(metrics=SINGLE, epochs=3, test=None, **changes):
    made = tuple(
        Epoch(number, dataclasses.replace(metrics, top1=number / 10), metrics, 1.0 + number, 0.5)
        for number in range(1, epochs + 1)
    )
    return Training(made, 3, test, 9.0, weights_sha256="f" * 64, **changes)


def record(model="cnn", seed=0, status="done", **changes):
    sized = dataclasses.replace(SIZED, model=model)
    cell = dataclasses.replace(CELL, model=model, sized=sized, recipe=Recipe(seed=seed, epochs=3))
    whole = {"training": training(test=SINGLE), "finished_at": f"2026-01-0{seed + 1}T00:00:00+00:00"}
    return Record(**{"cell": cell, "status": status, "environment": ENVIRONMENT, "cost": COST, **whole, **changes})


def store_of(folder, records, cases=("",), timings=()):
    with Store(folder, create=True) as store:
        for one in records:
            store.add(one)
        store.add_timings(timings)
        store.add_study(Study(("cnn",)), [(one.cell, case) for case in cases for one in records])
    return folder


def several(folder):
    """Store runs of all kinds under two cases, some with several labels an image, some timed."""
    other = dataclasses.replace(ENVIRONMENT, machine="another", commit="abc", dirty=True)
    diverged = training(NAN, 2, diverged_epoch=2)
    records = [
        *(record(seed=seed) for seed in range(3)), *(record("mlp", seed) for seed in range(2)),
        record("mlp", 2, environment=other), record("captcha", 0, training=training(WORDS, test=WORDS)),
        record("captcha", 1, training=training(WORDS, test=None), memory=Memory(64, "cpu", 100, 90)),
        record("odd", 0, "diverged", training=diverged, error="the loss is nan in epoch 2"),
        record("odd", 1, "failed", training=None, cost=None, error="ValueError: no forward"),
        record("odd", 2, "oom", training=None, error="out of memory"),
        dataclasses.replace(
            record("gone", 0, "failed", training=None, cost=None, error="no such layer"),
            cell=dataclasses.replace(CELL, model="gone", sized=None, budget=None),
        ),
    ]  # fmt: skip
    keys = dict.fromkeys(one.cell.sized.key for one in records if one.cell.sized)
    timings = [
        timing_of([1.0 + place, 2.0, 1.5, 1.7], sized_key=key, mode=mode, batch_size=64, device_name="a CPU",
                  threads=1, torch="2.14")
        for place, key in enumerate(list(keys)[:2]) for mode in ("train", "infer")
    ]  # fmt: skip
    return store_of(folder, records, ("", "lr=0.1"), timings), records


def both(folder):
    return load(folder), load(folder, curves=False)


def test_the_frames_of_a_real_comparison_are_one(filled):
    whole, light = both(filled.folder)
    assert_frame_equal(whole.frame(), light.frame())
    assert_frame_equal(filled.frame(), light.frame())
    assert whole.frame()["train_step_us_cpu"].notna().all()


def test_the_frames_of_runs_of_all_kinds_are_one(tmp_path):
    folder, _ = several(tmp_path)
    whole, light = both(folder)
    assert_frame_equal(whole.frame(), light.frame())
    assert_frame_equal(whole.summary(), light.summary())
    assert_frame_equal(whole.overhead(), light.overhead())


@pytest.mark.parametrize("curves", [True, False])
def test_a_frame_says_what_was_stored(tmp_path, curves):
    folder, records = several(tmp_path)
    frame = load(folder, curves=curves).frame()
    assert len(frame) == 2 * len(records)
    assert frame["case"].tolist() == [""] * len(records) + ["lr=0.1"] * len(records)
    for place, row in enumerate(frame.astype(object).where(frame.notna(), None).to_dict(orient="records")):
        one = records[place % len(records)]
        last = one.training.epochs[-1] if one.training else None
        assert (row["key"], row["model"], row["seed"]) == (one.cell.key, one.cell.model, one.cell.recipe.seed)
        assert (row["status"], row["error"], row["finished_at"]) == (one.status, one.error, one.finished_at)
        assert row["epochs_done"] == (last and last.epoch)
        assert row["train_accuracy"] == (last and last.train.top1)
        assert row["validation_loss"] == (last and last.validation.loss)
        assert row["test_accuracy"] == (0.75 if one.training and one.training.test else None)
        assert row["train_seconds"] == (one.training and sum(epoch.train_seconds for epoch in one.training.epochs))
        assert row["diverged_epoch"] == (one.training and one.training.diverged_epoch)
        assert row["macs"] == (one.cost and one.cost.macs)
        assert row["machine"] == one.environment.machine
        assert row["peak_memory_bytes"] == (one.memory and one.memory.peak_memory_bytes)
        labels = (
            (last.validation.word, *last.validation.positions) if last and last.validation.positions else (None,) * 3
        )
        assert tuple(row[f"validation_{name}"] for name in ("word", "accuracy_1", "accuracy_2")) == labels


def test_records_without_curves_are_those_with_them_but_for_their_epochs(tmp_path):
    folder, _ = several(tmp_path)
    whole, light = both(folder)
    assert len(light.records) == len(whole.records)
    for ours, theirs in zip(whole.records, light.records, strict=True):
        if ours.training is None:
            assert theirs == ours
        else:
            assert theirs.training.epochs == ours.training.epochs[-1:]
            assert dataclasses.replace(theirs, training=ours.training) == ours


def test_epochs_come_with_curves(tmp_path):
    folder, records = several(tmp_path)
    epochs = load(folder).epochs()
    assert len(epochs) == 2 * 2 * sum(len(one.training.epochs) for one in records if one.training)


def test_timings_are_those_of_the_run_under_each_case(tmp_path):
    folder, records = several(tmp_path)
    for curves in (True, False):
        found = {
            (one.cell.model, one.cell.case): {timing.sized_key for timing in one.timings}
            for one in load(folder, curves=curves).records
        }  # fmt: skip
        for one in (records[0], records[3]):
            assert found[one.cell.model, ""] == found[one.cell.model, "lr=0.1"] == {one.cell.sized.key}
        assert found["captcha", ""] == set()


def test_a_run_that_is_only_begun_has_no_row(tmp_path):
    store_of(tmp_path, [record()])
    waiting = record(seed=5).cell
    with Store(tmp_path, create=True) as store, Owner(tmp_path) as owner:
        store.add_study(Study(("mlp",)), [(record().cell, ""), (waiting, "")])
        store.begin(Begun(waiting, ENVIRONMENT), owner.token)
        whole, light = both(tmp_path)
        assert whole.frame()["seed"].tolist() == [0]
        assert_frame_equal(whole.frame(), light.frame())
        assert len(light.records) == 1


def test_of_several_attempts_the_done_one_counts_else_the_last(tmp_path):
    done = record()
    failed = dataclasses.replace(record(seed=1, status="failed", training=None), error="first")
    with Store(tmp_path, create=True) as store:
        for one in (
            dataclasses.replace(done, status="failed", training=None), done, dataclasses.replace(done, status="oom"),
            failed, dataclasses.replace(failed, status="oom", error="second"),
        ):  # fmt: skip
            store.add(one)
        store.add_study(Study(("cnn",)), [(done.cell, ""), (failed.cell, "")])
    whole, light = both(tmp_path)
    assert [(one.status, one.error) for one in whole.records] == [("done", None), ("oom", "second")]
    assert_frame_equal(whole.frame(), light.frame())


def test_a_store_without_a_study_shows_all_of_its_runs(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(record())
        store.add(record("mlp"))
    whole, light = both(tmp_path)
    assert whole.study == light.study == Study(())
    assert whole.frame()["model"].tolist() == ["cnn", "mlp"]
    assert_frame_equal(whole.frame(), light.frame())


def test_a_store_of_nothing_has_an_empty_frame(tmp_path):
    with Store(tmp_path, create=True):
        pass
    whole, light = both(tmp_path)
    assert_frame_equal(whole.frame(), light.frame())
    assert len(light.frame()) == len(light.records) == 0
    assert not light.complete


def spoil(folder, statement):
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        db.execute("DROP TRIGGER attempts_done")
        db.execute(statement)


@pytest.mark.parametrize(
    "statement", ["UPDATE attempts SET error = 'x' WHERE id = 2", "UPDATE specs SET seed = 9 WHERE id = 2"]
)
def test_what_is_damaged_is_counted_either_way(tmp_path, statement):
    folder, records = several(tmp_path)
    spoil(folder, statement)
    whole, light = both(folder)
    assert whole.damaged == light.damaged > 0
    assert len(whole.frame()) == 2 * (len(records) - 1)
    assert_frame_equal(whole.frame(), light.frame())


def test_an_epoch_that_is_damaged_changes_no_figure_of_its_run(tmp_path):
    store_of(tmp_path, [record()])
    spoil(tmp_path, "UPDATE epochs SET metrics = '{}' WHERE epoch = 3")
    for curves in (True, False):
        frame = load(tmp_path, curves=curves).frame()
        assert (frame["epochs_done"][0], frame["train_accuracy"][0]) == (3, 0.3)


def test_a_frame_may_be_changed_by_whoever_has_it(tmp_path):
    light = load(store_of(tmp_path, [record()]), curves=False)
    frame = light.frame()
    frame["model"] = "another"
    assert light.frame()["model"].tolist() == ["cnn"]


def test_records_are_made_when_they_are_asked_for_and_once(tmp_path):
    made = []
    later = Later(lambda: (made.append(1), (RECORD, RECORD, "third"))[1])
    comparison = Comparison(Study(()), later, tmp_path, 0, pd.DataFrame({"model": ["cnn"]}))
    assert comparison.frame()["model"].tolist() == ["cnn"]
    assert made == []
    assert len(later) == 3
    assert (later[0], later[-1], later[1:]) == (RECORD, "third", (RECORD, "third"))
    assert list(later) == [RECORD, RECORD, "third"]
    assert "third" in later
    assert made == [1]
    with pytest.raises(IndexError):
        later[3]


def test_records_are_those_of_the_frame_whatever_becomes_of_the_store(tmp_path):
    folder, _ = several(tmp_path / "here")
    expected = list(load(folder, curves=False).records)
    light = load(folder, curves=False)
    shutil.rmtree(folder)
    assert len(light.frame()) == len(expected)
    assert list(light.records) == expected


def test_a_store_without_a_byte_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / FILE_NAME).touch()
    for look in (stored_folders, load):
        with pytest.raises(StoreError, match="there are no results in"):
            look(tmp_path / "empty")
    store_of(tmp_path / "whole", [record()])
    assert stored_folders(tmp_path) == [tmp_path / "whole"]


def test_what_needs_no_running_is_done_or_diverged(tmp_path):
    folder, records = several(tmp_path)
    assert done_keys(folder) == {one.cell.key for one in records if one.status in {"done", "diverged"}}


def test_stores_are_found_below_a_folder_in_order_and_none_within_one(tmp_path):
    for name in ("b", "a/deep", "b/within"):
        store_of(tmp_path / name, [record()])
    assert stored_folders(tmp_path) == [tmp_path / name for name in ("a/deep", "b", "b/within")]
    assert stored_folders(tmp_path / "b") == [tmp_path / "b"]
    with pytest.raises(StoreError):
        stored_folders(tmp_path / "a" / "deep" / "nothing")
