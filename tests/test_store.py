from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import os
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import timing_of as timing
from test_schema import CELL, DONE, RECORD, TRAINING, cell_of

from archbench.errors import OutputError, StoreError
from archbench.schema import Outcome, Study
from archbench.store import FILE_NAME, Begun, Owner, Store, records
from archbench.store.records import boot_id


def with_seed(record, seed):
    return dataclasses.replace(record, cell=cell_of(seed))


def test_what_is_added_is_there_after_reopening(tmp_path):
    with Store(tmp_path / "new" / "deep", create=True) as store:
        store.add(RECORD)
        store.add_timings([timing([1.0, 2.0]), timing([3.0], mode="infer")])
        store.add_study(Study(("cnn",)), [(CELL, "")])
    with Store(tmp_path / "new" / "deep") as store:
        (record,) = store.records().values()
        assert (record.status, record.error, record.cost) == ("diverged", "why", RECORD.cost)
        assert record.training == dataclasses.replace(TRAINING, train_seconds=1.5)
        assert [t.samples_us for t in store.timings()] == [(1.0, 2.0), (3.0,)]
        assert store.last_study() == (Study(("cnn",)), [(CELL.key, "")])
        assert store.damage == store.verify() == []


def test_a_retry_adds_an_attempt_and_done_is_never_changed(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(dataclasses.replace(RECORD, status="failed"))
        assert store.records()[CELL.key].status == "failed"
        store.add(DONE)
        store.add(dataclasses.replace(DONE, finished_at="later"))
        store.add(dataclasses.replace(RECORD, status="failed", finished_at="latest"))
        (record,) = store.records().values()
        assert (record.status, record.finished_at) == ("done", DONE.finished_at)
        assert [attempt.state for attempt in store.attempts()] == ["failed", "done", "failed"]
    db = sqlite3.connect(tmp_path / FILE_NAME)
    for statement in ("UPDATE attempts SET error = 'x' WHERE status = 'done'", "DELETE FROM attempts"):
        with pytest.raises(sqlite3.IntegrityError, match="is never"):
            db.execute(statement)
    db.close()


def test_records_come_in_the_order_of_the_keys(tmp_path):
    records = [with_seed(DONE, seed) for seed in range(5)]
    with Store(tmp_path, create=True) as store:
        for record in records:
            store.add(record)
        keys = [records[i].cell.key for i in (3, 0, 4)]
        assert list(store.records([*keys, "unknown"])) == keys


def test_attempts_are_those_at_the_runs_that_are_asked_for(tmp_path):
    records = [with_seed(DONE, seed) for seed in range(3)]
    with Store(tmp_path, create=True) as store:
        for record in (dataclasses.replace(records[1], status="failed"), *records):
            store.add(record)
        asked = [records[1].cell.key, records[2].cell.key]
        found = [(attempt.key, attempt.state) for attempt in store.attempts([*asked, "unknown"])]
        assert found == [(asked[0], "failed"), (asked[0], "done"), (asked[1], "done")]
        assert store.attempts([]) == []
        assert len(store.attempts()) == 4


def test_the_last_study_is_not_repeated(tmp_path):
    with Store(tmp_path, create=True) as store:
        for study in (Study(("a",)), Study(("a",)), Study(("b",)), Study(("a",))):
            store.add_study(study, [])
        assert store.last_study()[0] == Study(("a",))
    assert sqlite3.connect(tmp_path / FILE_NAME).execute("SELECT count(*) FROM studies").fetchone() == (3,)


def test_what_was_asked_for_before_of_the_same_study_stays_where_a_part_is_asked_for(tmp_path):
    cells = [(with_seed(DONE, seed).cell, "case" if seed else "") for seed in range(6)]
    keys = [(cell.key, case) for cell, case in cells]
    with Store(tmp_path, create=True) as store:
        for part, whole in (({4}, {4}), ({1}, {1, 4}), ({1, 5}, {1, 4, 5}), ({4}, {1, 4, 5})):
            store.add_study(Study(("cnn",)), cells, {keys[place][0] for place in part})
            assert store.last_study()[1] == [keys[place] for place in sorted(whole)]
        store.add_study(Study(("other",)), cells, {keys[0][0]})
        assert store.last_study()[1] == keys[:1]
        store.add_study(Study(("other",)), cells)
        assert store.last_study()[1] == keys
        store.add_study(Study(("other",)), cells, set())
        assert store.last_study()[1] == keys
        assert store.cells(key for key, _ in keys).keys() == {key for key, _ in keys}


def damage(folder, statement):
    """Change a store behind its back, as a failing disk may."""
    with sqlite3.connect(folder / FILE_NAME) as db:
        for name in ("attempts_done", "attempts_kept"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE attempts SET training = '{}' WHERE id = 1", "attempts 1: its content does not fit its hash"),
        ("UPDATE attempts SET seconds = 7 WHERE id = 1", "attempts 1: its content does not fit its hash"),
        ("UPDATE specs SET seed = 5 WHERE id = 1", "specs 1: its content does not fit its hash"),
    ],
)
def test_a_damaged_row_is_left_out_and_named(tmp_path, statement, named):
    with Store(tmp_path, create=True) as store:
        store.add(with_seed(DONE, 0))
        store.add(with_seed(DONE, 1))
    damage(tmp_path, statement)
    with Store(tmp_path) as store:
        assert [record.cell.recipe.seed for record in store.records().values()] == [1]
        assert named in store.damage
        assert named in store.verify()


def test_a_damaged_run_can_be_done_again(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(DONE)
    damage(tmp_path, "UPDATE attempts SET sha256 = 'x'")
    with Store(tmp_path, create=True) as store:
        store.add(dataclasses.replace(DONE, finished_at="again"))
        (record,) = store.records().values()
        assert record.finished_at == "again"
        assert [attempt.state for attempt in store.attempts()] == ["done"]


def test_what_a_run_was_is_set_right_where_it_is_damaged(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(DONE)
    damage(tmp_path, "UPDATE specs SET seed = 5")
    with Store(tmp_path, create=True) as store:
        assert store.records() == {}
        store.add_study(Study(("cnn",)), [(CELL, "")])
    with Store(tmp_path) as store:
        assert list(store.records()) == [CELL.key]
        assert store.verify() == []


@pytest.mark.parametrize("copy", [bytes.index, bytes.rindex])
def test_what_many_runs_share_is_set_right_where_it_is_damaged(tmp_path, copy):
    with Store(tmp_path, create=True) as store:
        store.add(with_seed(DONE, 0))
        store.add(with_seed(DONE, 1))
    file = tmp_path / FILE_NAME
    bytes_ = bytearray(file.read_bytes())
    place = copy(bytes(bytes_), b'"optimizer":"adam"')  # of the two, in the row and in its index, one is hit
    bytes_[place + 2] ^= 1
    file.write_bytes(bytes_)
    with Store(tmp_path) as store:
        damaged = store.verify()
    assert damaged
    with Store(tmp_path, create=True) as store:
        store.add_study(Study(("cnn",)), [(with_seed(DONE, 0).cell, "")])  # the same command again
        assert len(store.records()) == 2
        assert store.verify() == []


def test_epochs_behind_a_gap_are_not_gone_on_from(tmp_path):
    epochs = [dataclasses.replace(TRAINING.epochs[0], epoch=number) for number in range(1, 6)]
    with Store(tmp_path, create=True) as store, Owner(tmp_path) as owner:
        attempt = begin(store, owner)
        for epoch in epochs:
            store.add_epoch(attempt, epoch, f"{epoch.epoch}" * 64)
        store.finish(attempt, Outcome("interrupted"), 1.0)
        key = with_seed(RECORD, 0).cell.key
        assert [epoch.epoch for epoch, _ in store.checkpoints(key)] == [1, 2, 3, 4, 5]
    damage(tmp_path, "UPDATE epochs SET metrics = '{}' WHERE epoch = 3")
    with Store(tmp_path) as store:
        assert [epoch.epoch for epoch, _ in store.checkpoints(key)] == [1, 2]


def test_an_environment_that_cannot_be_read_costs_no_result(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(DONE)
    damage(tmp_path, "UPDATE parts SET sha256 = 'x' WHERE content LIKE '%\"python\"%'")
    with Store(tmp_path) as store:
        (record,) = store.records().values()
        assert record.environment.cpu == "unknown"
        assert record.training.test == DONE.training.test
        assert len(store.verify()) == 1


def test_a_row_that_is_gone_is_missed(tmp_path):
    with Store(tmp_path, create=True) as store:
        for seed in range(3):
            store.add(with_seed(DONE, seed))
    damage(tmp_path, "DELETE FROM attempts WHERE id = 3")
    with Store(tmp_path) as store:
        assert len(store.records()) == 2
        assert store.verify() == ["epochs: refers to a row of attempts that is not there", "attempts 3: is missing"]


def test_an_epoch_that_is_gone_is_missed(tmp_path):
    with Store(tmp_path, create=True) as store:
        store.add(DONE)
    damage(tmp_path, "DELETE FROM epochs")
    with Store(tmp_path) as store:
        assert store.verify() == ["attempts 1: has 0 of 1 epochs"]


def begin(store, owner, seed=0):
    cell = with_seed(RECORD, seed).cell
    return store.begin(Begun(cell, RECORD.environment, RECORD.cost), owner.token)


def test_a_run_is_begun_by_one_and_finished_by_it(tmp_path):
    with Store(tmp_path, create=True) as store, Owner(tmp_path) as one, Owner(tmp_path) as other:
        attempt = begin(store, one)
        assert begin(store, other) is None
        assert store.records() == {}
        assert [a.state for a in store.attempts()] == ["running"]
        epoch = TRAINING.epochs[0]
        store.add_epoch(attempt, epoch, "c" * 64)
        store.finish(attempt, Outcome("done", TRAINING), 2.5)
        assert begin(store, other) is None
        (record,) = store.records().values()
        assert record.training.epochs == TRAINING.epochs
        (told,) = store.attempts()
        assert (told.state, told.seconds, told.epochs, told.pid) == ("done", 2.5, 1, os.getpid())
        assert told.boot_id == boot_id()
        assert store.verify() == []


def test_what_a_dead_process_left_running_is_interrupted_whatever_the_clock_says(tmp_path, monkeypatch):
    with Store(tmp_path, create=True) as store:
        with Owner(tmp_path) as dead:
            begin(store, dead)
            assert store.recover() == []
            assert [a.state for a in store.attempts()] == ["running"]
        assert [(a.state, a.error) for a in store.attempts()] == [("interrupted", "its process died")]
        monkeypatch.setattr(records, "now", lambda: "1999-01-01T00:00:00+00:00")  # a clock that went back
        with Owner(tmp_path) as owner:
            assert begin(store, owner) == 2
        assert [a.state for a in store.attempts()] == ["interrupted", "interrupted"]
        assert store.recover() == [2]
        assert store.verify() == []


def test_an_owner_leaves_nothing_behind(tmp_path):
    with Owner(tmp_path):
        assert (tmp_path / ".running").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_locks_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OutputError, match="cannot be locked: No locks available"):
        Owner(tmp_path)


@pytest.mark.parametrize("kind", ["nfs4", "cifs"])
def test_a_network_file_system_is_refused_before_anything_is_written(tmp_path, monkeypatch, kind):
    import psutil

    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(tmp_path), fstype=kind)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    with pytest.raises(OutputError, match=f"network file system \\({kind}\\)") as caught:
        Store(tmp_path / "out", create=True)
    assert caught.value.exit_code == 6
    assert not (tmp_path / "out" / FILE_NAME).exists()


def test_epochs_are_read_where_they_are_asked_for(tmp_path):
    epochs = tuple(dataclasses.replace(TRAINING.epochs[0], epoch=number) for number in (1, 2, 3))
    with Store(tmp_path, create=True) as store:
        store.add(dataclasses.replace(DONE, training=dataclasses.replace(DONE.training, epochs=epochs)))
        assert store.records()[CELL.key].training.epochs == epochs
        light = store.records(curves=False)[CELL.key].training
        assert light.epochs == epochs[-1:]
        assert light.train_seconds == 4.5


def test_a_snapshot_is_of_one_moment(tmp_path):
    with Store(tmp_path, create=True) as writer, Store(tmp_path) as reader:
        writer.add(with_seed(DONE, 0))
        with reader.snapshot():
            assert len(reader.records()) == 1
            busy = sqlite3.connect(tmp_path / FILE_NAME, timeout=0)
            busy.execute("BEGIN IMMEDIATE")  # a writer may begin, and waits to commit
            busy.close()
            assert len(reader.records()) == 1
        writer.add(with_seed(DONE, 1))
        assert len(reader.records()) == 2


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
    assert db.execute("SELECT count(*) FROM attempts").fetchone() == (60,)
    db.close()


def test_what_another_writes_meanwhile_is_not_told_as_missing(tmp_path, monkeypatch):
    check = importlib.import_module("archbench.store.check")
    gaps, tried = check._gaps, []

    def while_another_writes(*given):
        if not tried:
            tried.append(True)
            other = sqlite3.connect(tmp_path / FILE_NAME, timeout=0)
            with contextlib.closing(other), contextlib.suppress(sqlite3.OperationalError):  # it has to wait
                other.execute("UPDATE sqlite_sequence SET seq = seq + 1")
                other.commit()
        return gaps(*given)

    with Store(tmp_path, create=True) as store:
        store.add(DONE)
        monkeypatch.setattr(check, "_gaps", while_another_writes)
        assert store.verify() == []
        assert tried
