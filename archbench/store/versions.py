"""The tables of a store, and how those of an older archbench become them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from archbench.schema import Record
from archbench.store.records import insert_record
from archbench.store.rows import DOES_NOT_FIT, insert

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

APPLICATION_ID = 0x61726362  # "arcb", so that `file` and we know our own
VERSION = 2
# Every row carries the hash of its content, as most flipped bits pass SQLite's own check. Ids have no gaps, as nothing
# is ever deleted, so that a row which vanishes is missed.
TABLES = """
CREATE TABLE parts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE specs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, setting INTEGER NOT NULL REFERENCES parts,
    seed INTEGER NOT NULL, sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, spec INTEGER NOT NULL REFERENCES specs,
    status TEXT NOT NULL CHECK (
        status IN ('running', 'done', 'failed', 'diverged', 'oom', 'interrupted', 'damaged')
    ),
    owner TEXT NOT NULL, host TEXT NOT NULL, boot_id TEXT, pid INTEGER, started_at TEXT NOT NULL, ended_at TEXT,
    seconds REAL, exit_code INTEGER, signal INTEGER, error TEXT, epochs INTEGER NOT NULL DEFAULT 0, training TEXT,
    environment INTEGER NOT NULL REFERENCES parts, cost INTEGER REFERENCES parts, memory INTEGER REFERENCES parts,
    sha256 TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX attempts_one ON attempts (spec) WHERE status IN ('running', 'done');
CREATE INDEX attempts_spec ON attempts (spec);
CREATE TRIGGER attempts_done BEFORE UPDATE ON attempts WHEN OLD.status = 'done' AND NEW.status != 'damaged'
BEGIN SELECT RAISE(ABORT, 'a done run is never changed'); END;
CREATE TRIGGER attempts_kept BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'an attempt is never deleted'); END;
CREATE TABLE epochs (
    attempt INTEGER NOT NULL REFERENCES attempts, epoch INTEGER NOT NULL, metrics TEXT NOT NULL, checkpoint TEXT,
    sha256 TEXT NOT NULL, PRIMARY KEY (attempt, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE timings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, sized_key TEXT NOT NULL, timing TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE studies (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT NOT NULL, keys TEXT NOT NULL, study TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
"""


def create(db: sqlite3.Connection) -> None:
    """Make the tables, inside a transaction."""
    for statement in re.split(r";\n(?=CREATE)", TABLES.strip()):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def migrate(db: sqlite3.Connection, version: int) -> list[str]:
    """Bring the tables of an older version to this one, inside a transaction; return what was damaged and left out."""
    damage: list[str] = []
    for older in range(version, VERSION):
        MIGRATIONS[older](db, damage)
    return damage


def _from_1(db: sqlite3.Connection, damage: list[str]) -> None:
    """Version 1 had a row a run, all of its record in one text, and hashes of these texts alone."""
    for index in ("runs_done", "runs_key"):
        db.execute(f"DROP INDEX {index}")
    for table in ("runs", "timings", "studies"):
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    create(db)
    for number, text, sha256 in db.execute("SELECT attempt, record, sha256 FROM old_runs ORDER BY attempt").fetchall():
        if _sound("runs", number, text, sha256, damage):
            insert_record(db, msgspec.json.decode(text, type=Record))
    for number, session, sized_key, text, sha256 in db.execute("SELECT * FROM old_timings ORDER BY id").fetchall():
        if _sound("timings", number, text, sha256, damage):
            insert(db, "timings", session=session, sized_key=sized_key, timing=text)
    for number, created_at, keys, text, sha256 in db.execute("SELECT * FROM old_studies ORDER BY id").fetchall():
        if _sound("studies", number, text, sha256, damage):
            insert(db, "studies", created_at=created_at, keys=keys, study=text)
    for table in ("runs", "timings", "studies"):
        db.execute(f"DROP TABLE old_{table}")


def _sound(table: str, number: int, text: str, sha256: str, damage: list[str]) -> bool:
    fits = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() == sha256
    if not fits:
        damage.append(f"{table} {number}: {DOES_NOT_FIT}")
    return fits


MIGRATIONS: dict[int, Callable[[sqlite3.Connection, list[str]], None]] = {1: _from_1}
