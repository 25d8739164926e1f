from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from contextlib import closing

import pytest
from conftest import timing_of
from test_schema import DONE, RECORD, TRAINING, cell_of

from archbench.schema import Study
from archbench.store import FILE_NAME, Begun, Owner, Store


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three runs, two timings and a study."""
    with Store(tmp_path, create=True) as store:
        for seed in range(3):
            store.add(dataclasses.replace(DONE, cell=cell_of(seed)))
        store.add_timings([timing_of([1.0]), timing_of([2.0], mode="infer")])
        store.add_study(Study(("cnn",)), [(cell_of(seed), "") for seed in range(3)])
        assert store.verify() == []
    return tmp_path


def rehashed(row):
    """Return the hash of a row, as whoever wants to hide a change would make it."""
    text = json.dumps(list(row), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def change(folder, *statements, hide=None):
    """Change a store behind its back; `hide` = (table, where) makes the hash of that row fit again."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        for name in ("attempts_done", "attempts_kept"):
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        if hide is not None:
            table, where = hide
            *row, _ = db.execute(f"SELECT * FROM {table} WHERE {where}").fetchone()
            db.execute(f"UPDATE {table} SET sha256 = ? WHERE {where}", (rehashed(row),))


def found(folder):
    with Store(folder) as store:
        return store.verify()


@pytest.mark.parametrize("table", ["parts", "specs", "attempts", "timings", "studies"])
@pytest.mark.parametrize("which", ["first", "last"])
def test_a_row_that_is_gone_is_missed_wherever_it_stood(folder, table, which):
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        numbers = [number for (number,) in db.execute(f"SELECT id FROM {table} ORDER BY id")]
    number = numbers[0 if which == "first" else -1]
    change(folder, f"DELETE FROM {table} WHERE id = {number}")
    assert f"{table} {number}: is missing" in found(folder)


def test_a_table_that_is_empty_misses_all_of_its_rows(folder):
    change(folder, "DELETE FROM timings")
    assert found(folder) == ["timings 1: is missing", "timings 2: is missing"]


def test_a_row_that_is_damaged_is_named_once_and_not_called_missing(folder):
    change(folder, "UPDATE timings SET sha256 = '' WHERE id = 2")
    assert found(folder) == ["timings 2: its content does not fit its hash"]


def test_an_epoch_too_few_or_too_many_is_counted(folder):
    change(folder, "DELETE FROM epochs WHERE attempt = 2")
    assert found(folder) == ["attempts 2: has 0 of 1 epochs"]


def test_an_epoch_of_another_number_is_told(folder):
    change(folder, "UPDATE epochs SET epoch = 2 WHERE attempt = 2", hide=("epochs", "attempt = 2"))
    assert found(folder) == ["attempts 2: has 1 of 1 epochs"]


def test_a_change_whose_hash_was_made_to_fit_is_told_where_the_key_tells_it(folder):
    change(folder, "UPDATE specs SET seed = 9 WHERE id = 1", hide=("specs", "id = 1"))
    assert found(folder) == ["specs 1: what it stands for does not come to its key"]


def test_a_setting_that_is_changed_is_told_of_each_run_that_has_it(folder):
    other = """replace(content, '"dataset":"digits"', '"dataset":"mnist"')"""
    change(folder, f"UPDATE parts SET content = {other} WHERE id = 1", hide=("parts", "id = 1"))
    assert found(folder) == [f"specs {number}: what it stands for does not come to its key" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("table", "column", "where", "name"),
    [
        ("epochs", "metrics", "attempt = 2", "epochs 2, 1: "), ("attempts", "training", "id = 2", "attempts 2: "),
    ],
)  # fmt: skip
def test_what_is_no_noun_is_told_even_where_its_hash_fits(folder, table, column, where, name):
    change(folder, f"""UPDATE {table} SET {column} = '{{"odd":1}}' WHERE {where}""", hide=(table, where))
    (problem,) = found(folder)
    assert problem.startswith(f"{name}Object missing required field")


def test_a_row_that_refers_to_nothing_is_told(folder):
    change(folder, "UPDATE attempts SET cost = 99 WHERE id = 3", hide=("attempts", "id = 3"))
    assert found(folder) == ["attempts 3: refers to a row of parts that is not there"]


def test_a_file_that_is_longer_or_shorter_than_it_says_is_told(folder):
    file = folder / FILE_NAME
    whole = file.read_bytes()
    file.write_bytes(whole + b"\0" * 100)
    assert found(folder) == [f"{file}: is {len(whole) + 100} bytes long, not {len(whole) // 4096} pages of 4096"]
    file.write_bytes(whole)
    assert found(folder) == []


def test_an_index_that_lost_a_row_is_told(folder):
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'attempts_spec'").fetchone()[0]
    content = bytearray((folder / FILE_NAME).read_bytes())
    begin = (page - 1) * 4096
    assert content[begin] == 10  # a leaf of an index
    content[begin + 3 : begin + 5] = (2).to_bytes(2, "big")  # of its three cells
    (folder / FILE_NAME).write_bytes(content)
    assert any("attempts_spec" in problem for problem in found(folder))


def test_what_is_running_has_as_many_epochs_as_there_are(folder):
    with Store(folder, create=True) as store, Owner(folder) as owner:
        attempt = store.begin(Begun(cell_of(7), RECORD.environment, RECORD.cost), owner.token)
        assert store.verify() == []
        store.add_epoch(attempt, TRAINING.epochs[0])
        assert store.verify() == []
    assert found(folder) == []
    with Store(folder, create=True) as store:
        store.recover()
        assert store.verify() == []
        assert store.attempts()[-1].epochs == 1


def test_a_count_that_is_damaged_does_not_name_millions(folder):
    change(folder, "UPDATE sqlite_sequence SET seq = 9000000000 WHERE name = 'timings'")
    assert found(folder) == ["timings 9000000000: is missing"]


def test_a_sound_store_is_not_written_to(folder):
    before = (folder / FILE_NAME).read_bytes()
    assert found(folder) == []
    assert (folder / FILE_NAME).read_bytes() == before
