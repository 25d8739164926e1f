"""SQLite: every record, every attempt. One file a results folder; a run's row is committed when the run ends."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from archbench.errors import OutputError, StoreError
from archbench.schema import Record, Study, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Noun = TypeVar("Noun")

FILE_NAME = "results.sqlite"
SCHEMA_VERSION = 1
APPLICATION_ID = 0x61726362  # "arcb", so that `file` and we know our own
SCHEMA = """
CREATE TABLE runs (
    attempt INTEGER PRIMARY KEY, key TEXT NOT NULL, status TEXT NOT NULL, finished_at TEXT NOT NULL,
    record TEXT NOT NULL, sha256 TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_done ON runs (key) WHERE status = 'done';
CREATE INDEX runs_key ON runs (key);
CREATE TABLE timings (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, sized_key TEXT NOT NULL, timing TEXT NOT NULL, sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE studies (
    id INTEGER PRIMARY KEY, created_at TEXT NOT NULL, keys TEXT NOT NULL, study TEXT NOT NULL, sha256 TEXT NOT NULL
) STRICT;
"""


class Store:
    """The results of one folder.

    A `done` run is never changed: a retry adds an attempt, and a second `done` of the same key is dropped. Rows whose
    content does not fit their hash are left out and counted in `damaged`.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        """Open the store of a folder.

        Args:
            folder: the results folder.
            create: make the folder and the store where they are missing, and be sure that they can be written.

        Raises:
            OutputError: the folder cannot be written (only with `create`).
            StoreError: there is no store, or a file that is none, or one of a newer archbench.
        """
        self.folder = folder
        self.path = folder / FILE_NAME
        self.damaged = 0
        self._writable = create
        if create:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unwritable(folder, error) from error
        elif not self.path.is_file():
            msg = f"there are no results in {folder}"
            raise StoreError(msg, "Run `archbench compare` first, or name the folder that it wrote.")
        mode = "rwc" if create else "ro"
        try:
            self._db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30)
            self._db.isolation_level = None  # transactions are begun by hand
            for pragma in ("synchronous = EXTRA", "foreign_keys = ON", "trusted_schema = OFF"):
                self._db.execute(f"PRAGMA {pragma}")
            self._prepare(create=create)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _prepare(self, *, create: bool) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version and self._db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            msg = f"{self.path} is a database of another program"
            raise StoreError(msg, "Name another folder.")
        if version > SCHEMA_VERSION:
            msg = f"{self.path} was written by a newer archbench (schema {version}, this one reads {SCHEMA_VERSION})"
            raise StoreError(msg, "Upgrade archbench: pip install --upgrade archbench.")
        if create:
            with self._transaction():  # takes the write lock even where there is nothing to create
                if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                    if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                        msg = f"{self.path} is a database of another program"
                        raise StoreError(msg, "Name another folder with --out.")
                    for statement in SCHEMA.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version == 0:
            msg = f"{self.path} is no results store"
            raise StoreError(msg, "Name a folder that `archbench compare` wrote.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, record: Record) -> None:
        """Commit a run; its timings are kept apart and not written again."""
        text = _encode(replace(record, timings=()))
        with self._writing():
            # A row that cannot be read any more makes room for the same run done again, and stays as an attempt.
            for attempt, old, sha256 in self._db.execute(
                "SELECT attempt, record, sha256 FROM runs WHERE key = ? AND status = 'done'", (record.cell.key,)
            ).fetchall():
                if _sha256(old) != sha256:
                    self._db.execute("UPDATE runs SET status = 'damaged' WHERE attempt = ?", (attempt,))
            self._db.execute(
                "INSERT OR IGNORE INTO runs (key, status, finished_at, record, sha256) VALUES (?, ?, ?, ?, ?)",
                (record.cell.key, record.status, record.finished_at, text, _sha256(text)),
            )

    def add_timings(self, timings: Iterable[Timing]) -> None:
        """Commit the timings of a session, all or none."""
        with self._writing():
            for timing in timings:
                text = _encode(timing)
                self._db.execute(
                    "INSERT INTO timings (session, sized_key, timing, sha256) VALUES (?, ?, ?, ?)",
                    (timing.session, timing.sized_key, text, _sha256(text)),
                )

    def add_study(self, study: Study, cells: Sequence[tuple[str, str]]) -> None:
        """Commit what was asked for and its cells, as (key, case), unless it is what was asked for last."""
        if self.last_study() == (study, list(cells)):
            return
        text = _encode(study)
        with self._writing():
            self._db.execute(
                "INSERT INTO studies (created_at, keys, study, sha256) VALUES (?, ?, ?, ?)",
                (now(), _encode([(key, case) if case else key for key, case in cells]), text, _sha256(text)),
            )

    def records(self, keys: Iterable[str] | None = None) -> dict[str, Record]:
        """Return by key, in the order of `keys` (by default all, as they ran), the `done` run or the last attempt."""
        found: dict[str, Record] = {}
        # What comes last wins: the last attempt, or the one that is done.
        for row in self._read("SELECT key, record, sha256 FROM runs ORDER BY status = 'done', attempt"):
            record = self._decode(row[1], row[2], Record)
            if record is not None:
                found[row[0]] = record
        return found if keys is None else {key: found[key] for key in keys if key in found}

    def timings(self) -> list[Timing]:
        """Return all timings, the oldest first."""
        rows = self._read("SELECT timing, sha256 FROM timings ORDER BY id")
        return [timing for row in rows if (timing := self._decode(row[0], row[1], Timing)) is not None]

    def last_study(self) -> tuple[Study, list[tuple[str, str]]] | None:
        """Return what was asked for last and its cells as (key, case), or None."""
        for row in self._read("SELECT study, sha256, keys FROM studies ORDER BY id DESC"):
            study = self._decode(row[0], row[1], Study)
            if study is not None:
                cells = msgspec.json.decode(row[2], type=list[str | tuple[str, str]])
                return study, [(cell, "") if isinstance(cell, str) else cell for cell in cells]
        return None

    def _read(self, query: str) -> list[Any]:
        try:
            return self._db.execute(query).fetchall()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _decode(self, text: str, sha256: str, kind: type[Noun]) -> Noun | None:
        if _sha256(text) == sha256:
            try:
                return msgspec.json.decode(text, type=kind)
            except msgspec.ValidationError:
                pass
        self.damaged += 1
        return None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._transaction():
                yield
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> StoreError | OutputError:
        if isinstance(error, sqlite3.OperationalError) and self._writable:
            return _unwritable(self.path, error)
        return StoreError(f"{self.path} cannot be read: {error}", "Restore it from a copy, or name another --out.")


def _unwritable(path: Path, error: Exception) -> OutputError:
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(f"{path} cannot be written: {reason}", "Name a folder of yours with --out, or free some space.")


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
