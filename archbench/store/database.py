"""The file of a store: opened, made, brought up to date, and its faults explained."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archbench.errors import OutputError, StoreError
from archbench.files import check_folder, write_file
from archbench.store.versions import APPLICATION_ID, VERSION, create, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "results.sqlite"
BUSY_SECONDS = 60
MOST_CHECKED = 2**27  # bytes that are looked through with their indices before they are written to, in a second or so
PRAGMAS = ("synchronous = EXTRA", "foreign_keys = ON", "trusted_schema = OFF")
PLACE_AT_FAULT = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
ANOTHER_OUT = "Name a folder of yours with --out, or free some space."
# Of these a lock may be lost, and what was said to be on the disk may not be.
NETWORK = frozenset({
    "nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ncpfs", "davfs", "fuse.sshfs", "fuse.davfs",
    "fuse.s3fs", "fuse.rclone",
})  # fmt: skip


def open_for_work(folder: Path) -> tuple[sqlite3.Connection, list[str]]:
    """Open the store of a folder to write, made or brought up to date where that is needed.

    Returns:
        The database, and what of an older store was damaged and left out.

    Raises:
        OutputError: the folder cannot be written, or lies on another machine.
        StoreError: the file is no store, or one of a newer archbench, or damaged.
    """
    check_folder(folder, ANOTHER_OUT)
    kind = file_system(folder)
    if kind in NETWORK:
        msg = f"{folder} lies on a network file system ({kind}), where a crash may lose what was stored"
        raise OutputError(msg, "Name a folder on a disk of this machine with --out; a finished one can be moved.")
    path = folder / FILE_NAME
    with explained(path, writing=True):
        db = _connect(path, "rwc")
        try:
            damage = _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db, damage


def open_to_read(folder: Path) -> tuple[sqlite3.Connection, list[str]]:
    """Open the store of a folder to read; one of an older archbench is brought up to date in memory alone.

    Raises:
        StoreError: there is none, or the file is none, or one of a newer archbench.
    """
    path = folder / FILE_NAME
    if not path.is_file() or not path.stat().st_size:  # a writer that was killed at once leaves nothing in it
        msg = f"there are no results in {folder}"
        raise StoreError(msg, "Run `archbench compare` first, or name the folder that it wrote.")
    with explained(path):
        db = _connect_to_read(path)
        try:
            version = checked_version(db, path)
            if version == 0:
                msg = f"{path} is no results store"
                raise StoreError(msg, "Name a folder that `archbench compare` wrote.")
            damage: list[str] = []
            if version < VERSION:
                copy = sqlite3.connect(":memory:", isolation_level=None)
                db.backup(copy)
                db.close()
                db = copy
                with transaction(db):
                    damage = migrate(db, version)
            db.execute("PRAGMA query_only = ON")
        except BaseException:
            db.close()
            raise
    return db, damage


def is_made(folder: Path) -> bool:
    """Whether the store of a folder has tables: a writer that is killed as it makes them leaves a file without any.

    Raises:
        StoreError: the file is no database.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return False
    with explained(path), contextlib.closing(_connect_to_read(path)) as db:
        return bool(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


def _connect_to_read(path: Path) -> sqlite3.Connection:
    # A writer that was killed in a commit leaves a journal, which only one who may write can roll back.
    return _connect(path, "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Transactions are begun by hand.
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    for pragma in PRAGMAS:
        db.execute(f"PRAGMA {pragma}")
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> list[str]:
    """Take the write lock once, so that what cannot be written is told before any work; make or update the tables."""
    version = checked_version(db, path)
    if 0 < version < VERSION:
        _keep_copy(db, path, version)
    with transaction(db):
        version = checked_version(db, path)  # another may have been quicker
        if version == 0:
            if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                msg = f"{path} is a database of another program"
                raise StoreError(msg, "Name another folder with --out.")
            create(db)
            return []
        _check_pages(db, path)
        if version < VERSION:
            return migrate(db, version)
        db.execute(f"PRAGMA user_version = {VERSION}")  # a write: one that fails is told here
        return []


def _check_pages(db: sqlite3.Connection, path: Path) -> None:
    """Refuse to write where pages are damaged; an index, which follows from its table, is made anew."""
    thorough = path.stat().st_size <= MOST_CHECKED
    check = "integrity_check" if thorough else "quick_check"
    found = [row[0] for row in db.execute(f"PRAGMA {check}(100)") if row[0] != "ok"]
    if found and all(" index " in problem for problem in found):
        with contextlib.suppress(sqlite3.IntegrityError):
            db.execute("REINDEX")
            return
    if found:
        msg = f"{path} is damaged ({found[0]}), and nothing is written to it"
        raise StoreError(msg, "`archbench results verify` says what; --salvage copies all that can be read.")


def _keep_copy(db: sqlite3.Connection, path: Path, version: int) -> None:
    """Keep an older store as it was, beside the new one."""
    extras = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (path.with_name(f"{path.stem}.v{version}{extra}{path.suffix}") for extra in extras)
    copy = next(name for name in names if not name.exists())

    def write(temporary: Path) -> None:
        with contextlib.closing(sqlite3.connect(temporary)) as target:
            db.backup(target)

    write_file(copy, write)


def checked_version(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of a database's tables, 0 for none.

    Raises:
        StoreError: it is another program's, or a newer archbench's.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        msg = f"{path} is a database of another program"
        raise StoreError(msg, "Name another folder.")
    if version > VERSION:
        msg = f"{path} was written by a newer archbench (schema {version}, this one reads {VERSION})"
        raise StoreError(msg, "Upgrade archbench: pip install --upgrade archbench.")
    return version


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Within: one transaction that holds the write lock; all of it is kept, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite rolls back by itself where the disk is full
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def explained(path: Path, *, writing: bool = False) -> Iterator[None]:
    """Within: what SQLite refuses becomes a StoreError, or an OutputError where the place is at fault."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            msg = f"{path} is held by another program"
            raise OutputError(msg, "End what has it open (a database browser?), and give the command again.") from error
        if writing and name.startswith(PLACE_AT_FAULT):
            raise unwritable(path, error) from error
        raise _unreadable(path, error) from error


def unwritable(path: Path, error: Exception) -> OutputError:
    """Return that a path cannot be written, and why."""
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(f"{path} cannot be written: {reason}", ANOTHER_OUT)


def _unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        msg = f"{path} cannot be opened as it is: {error}"
        remedy = "A write was cut short, or the place is forbidden: open it once where it can be written."
        return StoreError(msg, remedy)
    return StoreError(f"{path} cannot be read: {error}", "Restore it from a copy, or name another --out.")


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder lies on; empty where that cannot be told."""
    import psutil

    place = folder.resolve()
    try:
        mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    except OSError:
        return ""
    under = [(len(mount), kind) for mount, kind in mounts if place.is_relative_to(mount)]
    return max(under, default=(0, ""))[1]
