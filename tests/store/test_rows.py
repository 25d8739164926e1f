from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest

from archbench.schema import Budget
from archbench.store.rows import COLUMNS, hash_of, insert, part, scan, text_of, update
from archbench.store.versions import create


@pytest.fixture
def db():
    """Return a store in memory, without the rule that rows refer to rows."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create(db)
        yield db


def timing(db, text):
    return insert(db, "timings", session="s", sized_key="k", timing=text)


def stored(db, table):
    return db.execute(f"SELECT * FROM {table}").fetchall()


def found(db, table, *where):
    damage = []
    return list(scan(db, table, damage, *where)), damage


def test_the_columns_are_those_of_the_tables(db):
    for table, columns in COLUMNS.items():
        assert [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")] == [*columns, "sha256"]


def test_a_row_has_the_hash_of_its_values_as_json(db):
    timing(db, 'a "text" of \u00e9')
    ((*values, sha256),) = stored(db, "timings")
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == sha256


def test_none_zero_and_empty_have_hashes_of_their_own():
    assert len({hash_of(values) for values in ([None], [0], [""], ["null"], [0.5], [[]], ["0"], ["", ""], [])}) == 9


def test_ids_follow_each_other_and_are_never_given_again(db):
    assert [timing(db, "a"), timing(db, "b")] == [1, 2]
    db.execute("DELETE FROM timings")
    assert timing(db, "c") == 3


def test_a_row_that_is_rolled_back_leaves_no_gap(db):
    timing(db, "a")
    db.execute("BEGIN")
    assert timing(db, "b") == 2
    db.execute("ROLLBACK")
    assert timing(db, "c") == 2
    assert [row[0] for row in stored(db, "timings")] == [1, 2]


def test_a_change_brings_the_hash_along_and_leaves_the_rest(db):
    number = timing(db, "a")
    update(db, "timings", number, timing="b")
    assert found(db, "timings") == ([(1, "s", "k", "b")], [])
    update(db, "timings", number, session="t")
    assert found(db, "timings") == ([(1, "t", "k", "b")], [])


def test_what_many_share_is_kept_once(db):
    assert [part(db, Budget(3)), part(db, Budget(4)), part(db, Budget(3)), part(db, None)] == [1, 2, 1, None]
    rows, damage = found(db, "parts")
    assert [json.loads(content)["target"] for _, content in rows] == [3, 4]
    assert damage == []


@pytest.mark.parametrize(
    "change", ["content = '{}'", "content = CAST(x'ff' AS TEXT)", "sha256 = ''"], ids=["content", "bytes", "hash"]
)
def test_what_many_share_can_be_known_again_where_it_was_damaged(db, change):
    part(db, Budget(3))
    db.execute(f"UPDATE parts SET {change} WHERE id = 1")
    number = part(db, Budget(3))
    rows, _ = found(db, "parts")
    assert [json.loads(content)["target"] for place, content in rows if place == number] == [3]


def test_what_many_share_is_set_right_where_the_index_still_knows_it(tmp_path):
    file = tmp_path / "shared.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        create(db)
        part(db, Budget(31_415))
        root = "SELECT rootpage FROM sqlite_schema WHERE name = 'parts'"
        begin = (db.execute(root).fetchone()[0] - 1) * db.execute("PRAGMA page_size").fetchone()[0]
    whole = bytearray(file.read_bytes())
    at = whole.index(b"31415", begin)  # in the table, not in its index
    whole[at : at + 5] = b"27182"
    file.write_bytes(whole)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        assert found(db, "parts") == ([], ["parts 1: its content does not fit its hash"])
        assert part(db, Budget(31_415)) == 1
        assert found(db, "parts") == ([(1, text_of(Budget(31_415)))], [])
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_noun_is_stored_as_its_json():
    assert json.loads(text_of(Budget(3))) == {"target": 3, "quantity": "params", "tolerance": 0.01}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE timings SET timing = 'B' WHERE id = 2", "UPDATE timings SET sha256 = '' WHERE id = 2",
        "UPDATE timings SET sha256 = upper(sha256) WHERE id = 2", "UPDATE timings SET session = 's ' WHERE id = 2",
        "UPDATE timings SET sha256 = (SELECT sha256 FROM timings WHERE id = 1) WHERE id = 2",
        "UPDATE timings SET timing = CAST(x'ff' AS TEXT) WHERE id = 2",
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out_and_named_and_those_behind_it_are_read(db, statement):
    for text in "abc":
        timing(db, text)
    db.execute(statement)
    rows, damage = found(db, "timings")
    assert [row[3] for row in rows] == ["a", "c"]
    (named,) = damage
    assert named.startswith("timings 2: ")


def test_rows_that_changed_places_are_told(db):
    for text in "ab":
        timing(db, text)
    db.execute("UPDATE timings SET id = 3 WHERE id = 1")
    db.execute("UPDATE timings SET id = 1 WHERE id = 2")
    rows, damage = found(db, "timings")
    assert rows == []
    assert len(damage) == 2


def test_a_scan_may_be_of_some(db):
    for text in "abc":
        timing(db, text)
    rows, damage = found(db, "timings", "WHERE timing IN (SELECT value FROM json_each(?))", ('["a","c"]',))
    assert ([row[3] for row in rows], damage) == (["a", "c"], [])


def test_epochs_are_in_their_order_and_named_by_attempt_and_number(db):
    for attempt, epoch in ((2, 1), (1, 10), (1, 2), (1, 1)):
        insert(db, "epochs", attempt=attempt, epoch=epoch, metrics="{}")
    assert [row[:2] for row in found(db, "epochs")[0]] == [(1, 1), (1, 2), (1, 10), (2, 1)]
    db.execute("UPDATE epochs SET metrics = '[]' WHERE epoch = 10")
    rows, damage = found(db, "epochs")
    assert len(rows) == 3
    assert damage == ["epochs 1, 10: its content does not fit its hash"]


def test_a_broken_page_costs_its_rows_alone(tmp_path):
    file = tmp_path / "large.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        create(db)
        for number in range(60):
            timing(db, f"{number} " + "x" * 700)
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'timings'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(file.read_bytes())
    # A leaf of the table: its pages begin with 13, and it is not the root.
    leaves = [p for p in range(len(content) // size) if content[p * size] == 13 and p + 1 != page and b"x" * 600 in
              content[p * size : (p + 1) * size]]  # fmt: skip
    begin = leaves[len(leaves) // 2] * size
    content[begin : begin + size] = b"\xff" * size
    file.write_bytes(content)
    with closing(sqlite3.connect(file)) as db:
        rows, damage = found(db, "timings")
    numbers = {int(row[3].split()[0]) + 1 for row in rows}
    lost = {int(words.split()[1].rstrip(":")) for words in damage}
    assert 60 > len(numbers) > 50
    assert numbers | lost == set(range(1, 61))
    assert numbers.isdisjoint(lost)
