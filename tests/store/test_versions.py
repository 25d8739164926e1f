"""A store of schema 1 that its own archbench wrote, read by sqlite3 and json alone, against what it is read as."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from archbench.loading import load
from archbench.store import FILE_NAME, Store
from archbench.store.versions import MIGRATIONS, VERSION

V1 = Path(__file__).parents[1] / "stores" / "v1.sqlite"
COPY = "results.v1.sqlite"


def raw(query):
    with closing(sqlite3.connect(f"{V1.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


RUNS = [(key, json.loads(text)) for key, text in raw("SELECT key, record FROM runs ORDER BY attempt")]
TIMINGS = [json.loads(text) for (text,) in raw("SELECT timing FROM timings ORDER BY id")]
STUDIES = [(json.loads(keys), json.loads(study)) for keys, study in raw("SELECT keys, study FROM studies ORDER BY id")]
LAST = dict(RUNS)  # of each key the last that ran


@pytest.fixture
def old(tmp_path):
    """Return a folder with the store as it was written."""
    shutil.copy(V1, tmp_path / FILE_NAME)
    return tmp_path


@pytest.fixture(params=["read", "brought up to date", "brought up to date and read"])
def opened(request, old):
    """Return the store as each way to open it has it."""
    if request.param == "brought up to date and read":
        with Store(old, create=True):
            pass
    with Store(old, create=request.param == "brought up to date") as store:
        yield store


def plain(noun):
    return json.loads(msgspec.json.encode(noun))


def differences(old, new, name=""):
    """Return where what an old store says is not said any more; what is only in the new one is no matter."""
    if isinstance(old, dict):
        return [line for key in old for line in differences(old[key], new.get(key, "gone"), f"{name}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line
            for place, pair in enumerate(zip(old, new, strict=True))
            for line in differences(*pair, f"{name}.{place}")
        ]
    return [] if old == new else [f"{name}: {old} is {new}"]


def test_the_fixture_holds_all_that_may_become_of_a_run():
    assert [run["status"] for _, run in RUNS] == ["done"] * 4 + ["diverged", "failed", "oom"]
    assert RUNS[5][0] == RUNS[6][0]


def test_every_record_says_what_it_said(opened):
    records = opened.records()
    assert list(records) == list(LAST)
    for key, run in LAST.items():
        assert differences({**run, "cell": {**run["cell"], "problem": None}}, plain(records[key])) == []


def test_keys_are_computed_to_what_they_were(opened):
    for key, record in opened.records().items():
        del record.cell.__dict__["key"]
        assert record.cell.key == key


def test_every_epoch_is_there(opened):
    for key, record in opened.records().items():
        epochs = (LAST[key]["training"] or {"epochs": []})["epochs"]
        assert differences(epochs, plain(record.training.epochs) if record.training else []) == []


def test_every_attempt_is_there_in_its_order(opened):
    attempts = opened.attempts()
    assert [(one.id, one.key, one.state) for one in attempts] == [
        (number, key, run["status"]) for number, (key, run) in enumerate(RUNS, start=1)
    ]
    for attempt, (_, run) in zip(attempts, RUNS, strict=True):
        assert attempt.host == run["environment"]["machine"]
        assert attempt.ended_at == run["finished_at"]
        assert attempt.error == run["error"]
        assert attempt.epochs == len((run["training"] or {"epochs": []})["epochs"])
        assert attempt.seconds == (run["training"] or {"seconds": None})["seconds"]
        assert (attempt.pid, attempt.boot_id, attempt.exit_code, attempt.signal) == (None,) * 4


def test_every_timing_is_there_in_its_order(opened):
    assert differences(TIMINGS, plain(opened.timings())) == []


def test_the_last_study_is_the_one_that_was_asked_for_last(opened):
    study, cells = opened.last_study()
    keys, asked = STUDIES[-1]
    assert cells == [(key, "") for key in keys]
    assert differences(asked, plain(study)) == []


def test_it_is_sound(opened):
    assert opened.damage == []
    assert opened.verify() == []


@pytest.mark.parametrize("curves", [True, False])
def test_it_is_loaded_as_a_comparison(old, curves):
    frame = load(old, curves=curves).frame()
    assert frame["key"].tolist() == STUDIES[-1][0]
    for row in frame.to_dict(orient="records"):
        run = LAST[row["key"]]
        assert row["test_accuracy"] == run["training"]["test"]["top1"]
        assert row["macs"] == run["cost"]["macs"]
        assert row["peak_memory_bytes"] == run["memory"]["peak_memory_bytes"]
        # Schema 1 had no sum of these.
        assert row["train_seconds"] == pytest.approx(sum(e["train_seconds"] for e in run["training"]["epochs"]))


def test_reading_changes_nothing_and_leaves_nothing(old):
    with Store(old) as store:
        store.records()
        store.verify()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store._db.execute("DELETE FROM timings")
    assert (old / FILE_NAME).read_bytes() == V1.read_bytes()
    assert [file.name for file in old.iterdir()] == [FILE_NAME]


def test_a_store_in_a_folder_that_cannot_be_written_is_read(old):
    (old / FILE_NAME).chmod(0o444)
    old.chmod(0o555)
    try:
        with Store(old) as store:
            assert list(store.records()) == list(LAST)
    finally:
        old.chmod(0o755)
    assert (old / FILE_NAME).read_bytes() == V1.read_bytes()


def content(file):
    with closing(sqlite3.connect(file)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


def test_what_is_brought_up_to_date_is_kept_as_it_was(old):
    with Store(old, create=True):
        pass
    assert sorted(file.name for file in old.iterdir()) == [FILE_NAME, COPY]
    assert content(old / COPY) == content(V1)
    with closing(sqlite3.connect(old / FILE_NAME)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_schema") if not name.startswith("sqlite_")}
    with Store(old / "new", create=True), closing(sqlite3.connect(old / "new" / FILE_NAME)) as db:
        new = {name for (name,) in db.execute("SELECT name FROM sqlite_schema") if not name.startswith("sqlite_")}
    assert names == new


def test_a_copy_that_is_there_is_not_written_over(old):
    (old / COPY).write_text("an older copy")
    with Store(old, create=True):
        pass
    assert (old / COPY).read_text() == "an older copy"


def test_opening_again_brings_nothing_up_to_date_again(old):
    with Store(old, create=True):
        pass
    (old / COPY).unlink()
    with Store(old, create=True) as store:
        assert len(store.attempts()) == len(RUNS)
    assert not (old / COPY).exists()


def test_a_row_whose_hash_does_not_fit_is_left_out_and_named_and_its_run_can_be_run_again(old):
    with closing(sqlite3.connect(old / FILE_NAME)) as db, db:
        db.execute("UPDATE runs SET record = replace(record, '\"top1\":0.7', '\"top1\":0.9') WHERE attempt = 1")
        db.execute("UPDATE timings SET sha256 = 'x' WHERE id = 2")
    with Store(old) as store:
        read = [*store.damage], list(store.records())
    with Store(old, create=True) as store:
        assert ([*store.damage], list(store.records())) == read
        assert [(one.key, one.state) for one in store.attempts()] == [(key, run["status"]) for key, run in RUNS[1:]]
        assert len(store.timings()) == len(TIMINGS) - 1
    assert read == (
        [f"{name}: its content does not fit its hash" for name in ("runs 1", "timings 2")], list(LAST)[1:]
    )  # fmt: skip
    with closing(sqlite3.connect(old / COPY)) as db:  # what was damaged is in the copy
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (len(RUNS),)


def test_a_migration_that_fails_leaves_the_old_store(old, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setitem(MIGRATIONS, 1, lambda db, damage: (db.execute("DROP TABLE runs"), fail()))
    with pytest.raises(MemoryError):
        Store(old, create=True)
    assert content(old / FILE_NAME) == content(V1)
    monkeypatch.undo()
    with Store(old, create=True) as store:
        assert list(store.records()) == list(LAST)


def test_hashes_of_schema_1_were_of_the_text():
    for text, sha256 in raw("SELECT record, sha256 FROM runs"):
        assert hashlib.sha256(text.encode()).hexdigest() == sha256
