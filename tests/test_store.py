from __future__ import annotations

import dataclasses
import sqlite3
import threading
from pathlib import Path

import pytest
from conftest import timing_of as timing
from test_schema import CELL, RECORD, TRAINING

from archbench.errors import OutputError, StoreError
from archbench.schema import Metrics, Recipe, Study
from archbench.store import FILE_NAME, Store

DONE = dataclasses.replace(
    RECORD, status="done", error=None, training=dataclasses.replace(TRAINING, test=Metrics(0.1, 0.9, 1))
)


def with_seed(record, seed):
    return dataclasses.replace(record, cell=dataclasses.replace(CELL, recipe=Recipe(seed=seed)))


def test_what_is_added_is_there_after_reopening(tmp_path):
    with Store(tmp_path / "new" / "deep", create=True) as store:
        store.add(RECORD)
        store.add_timings([timing([1.0, 2.0]), timing([3.0], mode="infer")])
        store.add_study(Study(("cnn",)), [(CELL.key, "")])
    with Store(tmp_path / "new" / "deep") as store:
        (record,) = store.records().values()
        assert (record.status, record.error, record.training, record.cost) == ("diverged", "why", TRAINING, RECORD.cost)
        assert [t.samples_us for t in store.timings()] == [(1.0, 2.0), (3.0,)]
        assert store.last_study() == (Study(("cnn",)), [(CELL.key, "")])
        assert store.damaged == 0


def test_a_retry_adds_an_attempt_and_done_is_never_changed(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(dataclasses.replace(RECORD, status="failed"))
        assert store.records()[CELL.key].status == "failed"
        store.add(DONE)
        store.add(dataclasses.replace(DONE, finished_at="later"))
        store.add(dataclasses.replace(RECORD, status="failed", finished_at="latest"))
        (record,) = store.records().values()
        assert (record.status, record.finished_at) == ("done", DONE.finished_at)
    attempts = sqlite3.connect(tmp_path / FILE_NAME).execute("SELECT status FROM runs ORDER BY attempt").fetchall()
    assert attempts == [("failed",), ("done",), ("failed",)]


def test_records_come_in_the_order_of_the_keys(tmp_path):
    records = [with_seed(DONE, seed) for seed in range(5)]
    with Store(tmp_path, create=True) as store:
        for record in records:
            store.add(record)
        keys = [records[i].cell.key for i in (3, 0, 4)]
        assert list(store.records([*keys, "unknown"])) == keys


def test_the_last_study_is_not_repeated(tmp_path):
    with Store(tmp_path, create=True) as store:
        for study in (Study(("a",)), Study(("a",)), Study(("b",)), Study(("a",))):
            store.add_study(study, [])
        assert store.last_study()[0] == Study(("a",))
    assert sqlite3.connect(tmp_path / FILE_NAME).execute("SELECT count(*) FROM studies").fetchone() == (3,)


@pytest.mark.parametrize("damage", ["'{}'", "substr(record, 1, 100)", "replace(record, 'cnn', 'cmn')"])
def test_a_damaged_row_is_left_out_and_counted(tmp_path, damage):
    with Store(tmp_path, create=True) as store:
        store.add(with_seed(DONE, 0))
        store.add(with_seed(DONE, 1))
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute(f"UPDATE runs SET record = {damage} WHERE attempt = 1")
    db.close()
    with Store(tmp_path) as store:
        assert [record.cell.recipe.seed for record in store.records().values()] == [1]
        assert store.damaged == 1


def test_a_damaged_run_can_be_done_again(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(DONE)
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE runs SET sha256 = 'x'")
    db.close()
    with Store(tmp_path, create=True) as store:
        store.add(dataclasses.replace(DONE, finished_at="again"))
        (record,) = store.records().values()
        assert record.finished_at == "again"


def test_the_file_is_a_sound_database_with_its_own_mark(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(DONE)
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA application_id").fetchone()[0].to_bytes(4, "big") == b"arcb"
    assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()


def test_a_missing_store_is_said_and_not_made(tmp_path):
    with pytest.raises(StoreError, match="there are no results in"):
        Store(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    file = tmp_path / FILE_NAME
    file.write_bytes(b"this is a text of some length, and no database at all" * 40)
    for create in (False, True):
        with pytest.raises(StoreError, match="cannot be read: file is not a database") as caught:
            Store(tmp_path, create=create)
        assert caught.value.exit_code == 4
    assert file.read_bytes().startswith(b"this is a text")
    file.unlink()
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE cats (name TEXT)")
    db.close()
    with pytest.raises(StoreError, match="database of another program"):
        Store(tmp_path, create=True)
    with pytest.raises(StoreError, match="is no results store"):
        Store(tmp_path)
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 1")
    db.close()
    for create in (False, True):
        with pytest.raises(StoreError, match="database of another program"):
            Store(tmp_path, create=create)


def test_a_newer_schema_asks_for_a_newer_archbench(tmp_path):
    with Store(tmp_path, create=True):
        pass
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer archbench") as caught:
        Store(tmp_path, create=True)
    assert "Upgrade archbench" in caught.value.remedy


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        Store(tmp_path / "file" / "results", create=True)
    assert caught.value.exit_code == 6
    with pytest.raises(OutputError):
        Store(Path("/proc/archbench"), create=True)


def test_a_store_that_is_a_folder_is_said(tmp_path):
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path, create=True)


def test_two_writers_lose_nothing(tmp_path):
    with Store(tmp_path, create=True):
        pass
    failures = []

    def write(offset):
        try:
            with Store(tmp_path, create=True) as store:
                for seed in range(20):
                    store.add(with_seed(DONE, seed))  # the same cells from both
                    store.add(with_seed(DONE, 100 + offset + seed))
        except Exception as error:  # noqa: BLE001 - any failure is the point
            failures.append(error)

    threads = [threading.Thread(target=write, args=(offset,)) for offset in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Store(tmp_path) as store:
        assert len(store.records()) == 60
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("SELECT count(*) FROM runs").fetchone() == (60,)
    db.close()
