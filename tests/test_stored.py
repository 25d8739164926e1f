from __future__ import annotations

import dataclasses
import typing

import pytest
from conftest import small_study
from test_schema import CELL, DONE, ENVIRONMENT, TRAINING

from archbench import stored
from archbench.errors import InputError, StoreError
from archbench.manner import Manner
from archbench.schema import Epoch, Metrics, Outcome, Recipe, State, Study
from archbench.store import FILE_NAME, Begun, Owner, Store
from archbench.stored import attempt_words, find_run, listed, parse_states, resumable, run_words

METRICS = Metrics(0.5, 0.75, 0.9)


def cell_of(seed, **changes):
    return dataclasses.replace(CELL, recipe=Recipe(seed=seed), **changes)


def record(seed=0, status="done", **changes):
    return dataclasses.replace(DONE, cell=cell_of(seed), status=status, **changes)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a run in each state; the running one lives as long as the test."""
    with Store(tmp_path, create=True) as store, Owner(tmp_path) as owner:
        asked = [cell_of(seed) for seed in range(7)]
        store.add(record(9, "done"))  # of an older study
        store.add(record(0, "failed", training=None, error="why"))
        store.add(record(0))
        store.add(record(1, "diverged", training=TRAINING, error="the loss is nan in epoch 1"))
        store.add(record(2, "failed", training=None, error="ValueError"))
        store.add(record(3, "oom", training=None, error="out of memory"))
        attempt = store.begin(Begun(asked[4], ENVIRONMENT), owner.token)
        for number in (1, 2):
            store.add_epoch(attempt, Epoch(number, METRICS, METRICS, 1.0, 1.0))
        with Owner(tmp_path) as dead:
            store.begin(Begun(asked[5], ENVIRONMENT), dead.token)
        store.add_study(Study(("cnn",)), [(cell, "a" if cell.recipe.seed else "") for cell in asked])
        yield tmp_path


# --- states


def test_all_states_are_asked_for_where_none_is_named():
    assert parse_states(None) == parse_states("") == set(typing.get_args(State))


def test_states_are_read():
    assert parse_states(" pending, oom,oom") == {"pending", "oom"}


@pytest.mark.parametrize("text", ["dun", "done,", "Done", "done oom", ","])
def test_what_is_no_state_is_refused_with_those_that_are(text):
    with pytest.raises(InputError, match="is not accepted") as caught:
        parse_states(text)
    assert caught.value.remedy == (
        "Give some of pending, running, done, failed, diverged, oom, interrupted, separated by commas."
    )


# --- the list


def test_every_run_is_listed_with_what_became_of_it_the_last_study_first(folder):
    rows = listed(folder)
    assert [(row["seed"], row["case"], row["state"], row["attempts"]) for row in rows] == [
        (0, "", "done", 2), (1, "a", "diverged", 1), (2, "a", "failed", 1), (3, "a", "oom", 1), (4, "a", "running", 1),
        (5, "a", "interrupted", 1), (6, "a", "pending", 0), (9, "", "done", 1),
    ]  # fmt: skip


def test_a_row_says_how_far_a_run_came_and_to_what(folder):
    by_seed = {row["seed"]: row for row in listed(folder)}
    assert by_seed[0]["test_accuracy"] == 0.9
    assert by_seed[0]["key"] == cell_of(0).key
    assert {row["of_epochs"] for row in by_seed.values()} == {15}
    assert [by_seed[seed]["epochs"] for seed in (0, 2, 6)] == [1, 0, 0]
    assert [by_seed[seed]["error"] for seed in (0, 3, 5, 6)] == [None, "out of memory", "its process died", None]
    assert [by_seed[seed]["seconds"] for seed in (0, 2, 4)] == [2.0, None, None]
    assert {row["test_accuracy"] for seed, row in by_seed.items() if seed in {1, 2, 3, 4, 5, 6}} == {None}


def test_a_list_writes_nothing(folder):
    before = (folder / "results.sqlite").read_bytes()
    listed(folder)
    assert (folder / "results.sqlite").read_bytes() == before


def test_the_words_of_a_list_leave_out_what_nothing_has(folder):
    words = run_words(listed(folder))
    assert words["test, %"].tolist() == ["90.00", "", "", "", "", "", "", "90.00"]
    assert words["run"].tolist() == [row["key"][:8] for row in listed(folder)]
    assert words["epochs"][0] == "1/15"
    assert set(words["budget"]) == {"30k"}
    plain = run_words([{**listed(folder)[0], "budget": None, "case": ""}])
    assert {"case", "budget"}.isdisjoint(plain.columns)


# --- one of them


def test_a_run_is_found_by_the_beginning_of_its_key(folder):
    key = cell_of(0).key
    for beginning in (key, key[:12], key[: stored.LEAST_KEY]):
        run = find_run(folder, beginning)
        assert (run.cell.key, run.cell.recipe) == (key, Recipe())
        assert [attempt.state for attempt in run.attempts] == ["failed", "done"]
        assert run.record.training.epochs == TRAINING.epochs


def test_a_run_that_is_to_be_done_is_found_too(folder):
    run = find_run(folder, cell_of(6).key)
    assert (run.record, run.attempts) == (None, ())
    assert run.facts()["state"] == "pending"
    assert len(run.epochs()) == 0


def test_too_little_of_a_key_and_none_that_has_it_are_told(folder):
    with pytest.raises(InputError, match="too short"):
        find_run(folder, cell_of(0).key[:3])
    with pytest.raises(StoreError, match="no run in"):
        find_run(folder, "zzzz")
    with pytest.raises(StoreError):  # no pattern, but a beginning
        find_run(folder, "____")
    with pytest.raises(StoreError, match="there are no results"):
        find_run(folder / "nowhere", cell_of(0).key)


def test_a_key_of_several_runs_is_told_with_where_they_are(folder):
    root = folder / "more"
    for name in ("a", "b"):
        with Store(root / name, create=True) as store:
            store.add(record())
    with pytest.raises(InputError, match="2 runs have a key") as caught:
        find_run(root, cell_of(0).key)
    assert str(root / "a") in caught.value.remedy
    assert str(root / "b") in caught.value.remedy
    assert find_run(root / "b", cell_of(0).key).folder == str(root / "b")


def test_a_folder_that_cannot_be_read_hides_no_run_of_another(tmp_path):
    for name in ("a", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE_NAME).write_text("no database" * 100)
    with Store(tmp_path / "b", create=True) as store:
        store.add(record())
    assert find_run(tmp_path, cell_of(0).key).folder == str(tmp_path / "b")
    with pytest.raises(StoreError, match="file is not a database") as caught:  # it may be in there
        find_run(tmp_path, "zzzz")
    assert str(tmp_path / "a") in str(caught.value)


def test_keys_that_begin_alike_are_told_from_each_other(tmp_path):
    cells, beginnings = [], {}
    for seed in range(600):  # of so many, some begin alike
        cell = cell_of(seed)
        beginnings.setdefault(cell.key[:4], []).append(cell)
        cells.append((cell, ""))
    with Store(tmp_path, create=True) as store:
        store.add_study(Study(("cnn",)), cells)
    one, other, *_ = next(alike for alike in beginnings.values() if len(alike) > 1)
    with pytest.raises(InputError, match=r"\d runs have a key"):
        find_run(tmp_path, one.key[:4])
    length = next(length for length in range(65) if one.key[:length] != other.key[:length])
    assert find_run(tmp_path, one.key[:length]).cell.recipe.seed == one.recipe.seed


def test_the_facts_of_a_run(folder):
    facts = find_run(folder, cell_of(0).key).facts()
    assert facts["run"] == cell_of(0).key
    assert facts["in"] == str(folder)
    assert facts["model"] == "cnn@30k"
    assert facts["parameters"] == "29,989"
    assert facts["test"] == "accuracy 0.9000, loss 0.1000"
    assert facts["weights"] == "f" * 64
    assert facts["state"] == "done"
    assert find_run(folder, cell_of(2).key).facts()["error"] == "ValueError"


def test_an_accuracy_of_nothing_is_a_fact(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(record(training=dataclasses.replace(TRAINING, test=Metrics(2.5, 0.0, 0.1))))
    assert find_run(tmp_path, cell_of(0).key).facts()["test"] == "accuracy 0.0000, loss 2.5000"


def test_the_state_of_a_run_is_one(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(record())
        store.add(record(status="failed", training=None))
    (row,) = listed(tmp_path)
    assert row["state"] == find_run(tmp_path, cell_of(0).key).facts()["state"] == "done"


def test_the_words_of_attempts(folder):
    with Store(folder, create=True) as store, Owner(folder) as owner:
        attempt = store.begin(Begun(cell_of(6), ENVIRONMENT), owner.token)
        store.finish(attempt, Outcome("failed", error="killed", signal=9), 61.0)
        attempt = store.begin(Begun(cell_of(6), ENVIRONMENT), owner.token)
        store.finish(attempt, Outcome("failed", error="left", exit_code=0), 0.0)
    words = attempt_words(find_run(folder, cell_of(6).key).attempts)
    assert words[""].tolist() == ["1", "2"]
    assert words["exit"].tolist() == ["signal 9", "0"]
    assert words["took"][0] == "1 min 1 s"
    assert words["error"].tolist() == ["killed", "left"]
    assert list(attempt_words(()).columns) == list(words.columns)


# --- what can be gone on with


def study_of(folder, states, **changes):
    study = dataclasses.replace(small_study(["cnn"], ["30k"]), **changes)
    with Store(folder, create=True) as store:
        for seed, state in enumerate(states):
            if state != "pending":
                store.add(record(seed, state, training=None))
        store.add_study(study, [(cell_of(seed), "") for seed in range(len(states))])
    return study


@pytest.mark.parametrize("state", ["failed", "oom", "interrupted", "pending"])
def test_what_is_left_is_gone_on_with(tmp_path, state):
    study = study_of(tmp_path, ["done", state])
    assert resumable(tmp_path, Manner()) == study


@pytest.mark.parametrize("states", [["done"], ["done", "diverged"], []])
def test_where_nothing_is_left_there_is_no_study(tmp_path, states):
    study_of(tmp_path, states)
    assert resumable(tmp_path, Manner()) is None


@pytest.mark.parametrize(("retry", "left"), [((), False), (("oom",), False), (("failed",), True)])
def test_what_is_left_depends_on_what_is_tried_again(tmp_path, retry, left):
    study_of(tmp_path, ["done", "failed", "diverged"])
    assert (resumable(tmp_path, Manner(retry=frozenset(retry))) is not None) == left


def test_a_study_is_given_as_it_is_stored(tmp_path):
    study = study_of(tmp_path, ["pending"], data_root="/of/another")
    assert resumable(tmp_path, Manner()) == study
    assert study.data_root == "/of/another"


def test_a_folder_that_does_not_say_what_was_asked_for_is_told(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(record())
    with pytest.raises(StoreError, match="does not say what was asked for"):
        resumable(tmp_path, Manner())


def test_a_device_that_is_not_here_is_told_before_anything_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    study_of(tmp_path, ["pending"], device="cuda", timing_devices=("cpu", "cuda"))
    with pytest.raises(InputError, match="no CUDA device"):
        resumable(tmp_path, Manner())
    study_of(tmp_path, ["done"], device="cuda")
    assert resumable(tmp_path, Manner()) is None
