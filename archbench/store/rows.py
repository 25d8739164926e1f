"""Rows that carry the hash of their own content: written with it, read by it, and named where it does not fit."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "parts": ("id", "content"),
    "specs": ("id", "key", "setting", "seed"),
    "attempts": (
        "id", "spec", "status", "owner", "host", "boot_id", "pid", "started_at", "ended_at", "seconds", "exit_code",
        "signal", "error", "epochs", "training", "environment", "cost", "memory",
    ),
    "epochs": ("attempt", "epoch", "metrics", "checkpoint"),
    "timings": ("id", "session", "sized_key", "timing"),
    "studies": ("id", "created_at", "keys", "study"),
}  # fmt: skip
"""Of every table, without the hash at its end."""
encode = msgspec.json.Encoder().encode
DOES_NOT_FIT = "its content does not fit its hash"


def text_of(noun: Any) -> str:
    """Return a noun as the JSON that is stored."""
    return msgspec.json.encode(noun).decode()


def hash_of(values: Sequence[Any]) -> str:
    """Return the SHA-256 of a row's values, in the order of its columns, as JSON."""
    return sha256(encode(values)).hexdigest()


def insert(db: sqlite3.Connection, table: str, **values: Any) -> int:
    """Add a row with its hash; return its id. To be called inside a transaction."""
    columns = COLUMNS[table]
    if "id" in columns:
        last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        values["id"] = (last[0] if last else 0) + 1
    row = [values.get(column) for column in columns]
    marks = ", ".join("?" * (len(row) + 1))
    db.execute(f"INSERT INTO {table} ({', '.join(columns)}, sha256) VALUES ({marks})", (*row, hash_of(row)))  # noqa: S608
    return int(values.get("id", 0))


def update(db: sqlite3.Connection, table: str, number: int, **values: Any) -> None:
    """Change a row and its hash. To be called inside a transaction."""
    columns = COLUMNS[table]
    kept = [column for column in columns if column not in values and column != "id"]
    found = db.execute(f"SELECT {', '.join(['id', *kept])} FROM {table} WHERE id = ?", (number,)).fetchone()  # noqa: S608
    row = [({"id": number} | dict(zip(kept, found[1:], strict=True)) | values)[column] for column in columns]
    settings = ", ".join(f"{column} = ?" for column in columns)
    db.execute(f"UPDATE {table} SET {settings}, sha256 = ? WHERE id = ?", (*row, hash_of(row), number))  # noqa: S608


def part(db: sqlite3.Connection, noun: Any) -> int | None:
    """Return the id of what many rows share, which is kept once; None for None."""
    return None if noun is None else part_of(db, text_of(noun))


def part_of(db: sqlite3.Connection, content: str) -> int:
    """Return the id of what many rows share, by its JSON."""
    found = db.execute("SELECT id FROM parts WHERE content = ?", (content,)).fetchone()
    if found is None:
        return insert(db, "parts", content=content)
    row = db.execute("SELECT id, CAST(content AS BLOB), sha256 FROM parts WHERE id = ?", found).fetchone()
    if row[1] != content.encode() or row[2] != hash_of([row[0], content]):  # found by the index: the row is damaged
        db.execute("REINDEX parts")
        update(db, "parts", int(found[0]), content=content)
    return int(found[0])


def scan(
    db: sqlite3.Connection, table: str, damage: list[str], where: str = "", arguments: Sequence[Any] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield the sound rows of a table in order; what is wrong with others is added to `damage`.

    Where a page of the file is damaged the scan ends there, and the rows behind it are looked up one by one.
    """
    columns = COLUMNS[table]
    key = "id" if "id" in columns else "attempt, epoch"
    query = f"SELECT {', '.join(columns)}, sha256 FROM {table}"  # noqa: S608
    last = 0
    try:
        for row in db.execute(f"{query} {where} ORDER BY {key}", arguments):
            last = row[0] if isinstance(row[0], int) else last
            values = row[:-1]
            if _fits(values, row[-1]):
                yield values
            else:
                damage.append(f"{table} {_name(table, row)}: {DOES_NOT_FIT}")
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "id" not in columns:
            damage.append(f"{table}: {error}")
            return
        yield from _one_by_one(db, table, query, where, arguments, last + 1, damage, str(error))


def _one_by_one(
    db: sqlite3.Connection,
    table: str,
    query: str,
    where: str,
    arguments: Sequence[Any],
    first: int,
    damage: list[str],
    reason: str,
) -> Iterator[tuple[Any, ...]]:
    condition = f"{where} AND id = ?" if where else "WHERE id = ?"
    for number in range(first, _last_id(db, table) + 1):
        try:
            row = db.execute(f"{query} {condition}", (*arguments, number)).fetchone()
        except (sqlite3.DatabaseError, UnicodeError) as error:
            damage.append(f"{table} {number}: {error}")
            continue
        if row is not None and _fits(row[:-1], row[-1]):
            yield row[:-1]
        elif row is not None or not where:
            damage.append(f"{table} {number}: {DOES_NOT_FIT if row else reason}")


def _last_id(db: sqlite3.Connection, table: str) -> int:
    for query in (f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'", f"SELECT max(id) FROM {table}"):  # noqa: S608
        try:
            found = db.execute(query).fetchone()
        except (sqlite3.DatabaseError, UnicodeError):
            continue
        if found and isinstance(found[0], int):
            return min(found[0], 10_000_000)  # a flipped bit makes a very large number
    return 0


def _fits(values: tuple[Any, ...], expected: Any) -> bool:
    try:
        return bool(hash_of(values) == expected)
    except (UnicodeError, msgspec.MsgspecError, ValueError):
        return False


def _name(table: str, row: tuple[Any, ...]) -> str:
    return f"{row[0]}, {row[1]}" if table == "epochs" else str(row[0])
