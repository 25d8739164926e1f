"""What of a store is damaged: its pages, its rows, and rows that are not there any more."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.store.records import EPOCH, TRAINING, Shared
from archbench.store.rows import COLUMNS, scan

if TYPE_CHECKING:
    from pathlib import Path

    from archbench.schema import Cell

MOST_NAMED = 100  # problems of pages


def check(db: sqlite3.Connection, path: Path) -> list[str]:
    """Return what is damaged, by name; nothing for a sound store.

    SQLite's own checks see broken pages and indices; hashes see changed rows; ids without gaps show that none is lost.
    """
    damage = _pages(db, path)
    rows = {table: list(scan(db, table, damage)) for table in COLUMNS}
    for table, found in rows.items():
        if "id" in COLUMNS[table]:
            missing = _gaps(db, table, [row[0] for row in found])
            damage += [f"{table} {number}: is missing" for number in missing if not _named(damage, table, number)]
    damage += _cells(db, rows["specs"], damage)
    counted: dict[int, list[int]] = {}
    for attempt, epoch, metrics, _ in rows["epochs"]:
        counted.setdefault(attempt, []).append(epoch)
        _decoded(EPOCH, metrics, f"epochs {attempt}, {epoch}", damage)
    for row in rows["attempts"]:
        attempt = dict(zip(COLUMNS["attempts"], row, strict=True))
        numbers = counted.get(attempt["id"], [])
        if attempt["status"] not in {"running", "damaged"} and numbers != list(range(1, attempt["epochs"] + 1)):
            damage.append(f"attempts {attempt['id']}: has {len(numbers)} of {attempt['epochs']} epochs")
        if attempt["training"] is not None:
            _decoded(TRAINING, attempt["training"], f"attempts {attempt['id']}", damage)
    return list(dict.fromkeys(damage))


def _pages(db: sqlite3.Connection, path: Path) -> list[str]:
    """Return what SQLite finds itself, and whether the file is as long as its header says."""
    damage: list[str] = []
    try:
        if path.is_file() and db.execute("PRAGMA database_list").fetchone()[2]:
            pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
            if path.stat().st_size != pages * size:
                damage.append(f"{path}: is {path.stat().st_size} bytes long, not {pages} pages of {size}")
        damage += [f"{path}: {row[0]}" for row in db.execute(f"PRAGMA integrity_check({MOST_NAMED})") if row[0] != "ok"]
        damage += [
            f"{row[0]}{'' if row[1] is None else f' {row[1]}'}: refers to a row of {row[2]} that is not there"
            for row in db.execute("PRAGMA foreign_key_check")
        ]
    except (sqlite3.DatabaseError, UnicodeError) as error:
        damage.append(f"{path}: {error}")
    return damage


def _gaps(db: sqlite3.Connection, table: str, numbers: list[int]) -> list[int]:
    try:
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    except (sqlite3.DatabaseError, UnicodeError):
        found = None
    last = max([found[0] if found and isinstance(found[0], int) else 0, *numbers])
    if last > len(numbers) + 1_000_000:  # the count itself is damaged
        return [last]
    return sorted(set(range(1, last + 1)) - set(numbers))


def _named(damage: list[str], table: str, number: int) -> bool:
    return any(problem.startswith(f"{table} {number}:") for problem in damage)


def _cells(db: sqlite3.Connection, specs: list[tuple[int, str, int, int]], known: list[str]) -> list[str]:
    """Return which cells do not come to their key."""
    shared = Shared(db, [])
    damage = []
    for number, key, setting, seed in specs:
        try:
            cell: Cell | None = shared.cell(key, setting, seed)
        except (msgspec.MsgspecError, UnicodeError):
            cell = None
        if cell is None:
            damage.append(f"specs {number}: what it stands for cannot be read")
            continue
        del cell.__dict__["key"]  # to be computed, not taken from the row
        if cell.key != key:
            damage.append(f"specs {number}: what it stands for does not come to its key")
    return [problem for problem in damage if problem not in known]


def _decoded(decoder: msgspec.json.Decoder[Any], text: str, name: str, damage: list[str]) -> None:
    try:
        decoder.decode(text)
    except msgspec.MsgspecError as error:
        damage.append(f"{name}: {error}")
