"""Several results folders -> one: their rows, weights, logs, and the checkpoints of runs that are not over."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.errors import InputError, StoreError
from archbench.execute import CHECKPOINTS_FOLDER, LOGS_FOLDER, WEIGHTS_FOLDER, Job, folder_of, weights_file
from archbench.execute.checkpoints import KEPT, checkpoint_file
from archbench.files import write_bytes
from archbench.schema import SETTLED
from archbench.store import Owner, is_at_work
from archbench.store.database import is_made
from archbench.store.merge import STATUS, Source, join, written
from archbench.store.records import read_checkpoints
from archbench.store.united import united

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from archbench.store.merge import Joined
    from archbench.store.united import Apart


@dataclass(frozen=True)
class Given:
    """What a folder gave to the whole.

    Attributes:
        runs: that were tried in it. new_attempts: at runs, that the target did not have. new_timings: likewise.
        twice: runs that another did to the same end before it: that one is kept.
    """

    folder: Path
    runs: int
    attempts: int
    new_attempts: int
    timings: int
    new_timings: int
    twice: int


@dataclass(frozen=True)
class Merged:
    """A folder that others were merged into.

    Attributes:
        given: by each of them. apart: cells of the study that do not stand beside the others.
    """

    folder: Path
    given: tuple[Given, ...]
    apart: tuple[Apart, ...]


def merge(folders: Sequence[Path], target: Path) -> Merged:
    """Copy all that is in results folders into one, which may hold some of it already; the others stay as they are.

    Files are written first, then all rows in one transaction: a merge that was killed is begun again with no harm.

    Raises:
        InputError: fewer than two folders, one that is given twice, or one inside of another.
        StoreError: one is no store, is damaged, or is being written to; or runs contradict each other. Nothing is
            written then.
        OutputError: the target cannot be written.
    """
    _check(folders, target)
    with ExitStack() as stack:
        sources = [stack.enter_context(Source(folder)) for folder in folders]
        into = stack.enter_context(Source(target)) if is_made(target) else None
        joined = join(sources, into)
        joined.asked, apart = united(joined.stores)
        if into is not None:
            into.db.close()  # its reader would wait for us
        with written(joined, target) as db, Owner(target):
            _copy_weights(joined, target)
            _copy_logs(joined, target)
            _copy_checkpoints(joined, target, db)
        return Merged(target, tuple(_given(joined, source) for source in sources), tuple(apart))


def _check(folders: Sequence[Path], target: Path) -> None:
    """Refuse what is not several folders apart from each other with nobody at work in them."""
    if len(folders) < 2:
        msg = "there is nothing to merge with one folder alone"
        raise InputError(msg, "Name two results folders or more; --out names the one that they are merged into.")
    for one, other in itertools.combinations([*folders, target], 2):
        first, second = one.resolve(), other.resolve()
        if first == second:
            msg = f"{one} is named twice" if other is not target else f"{one} cannot be merged into itself"
            raise InputError(msg, "Name each folder once, and with --out another that they are merged into.")
        if first.is_relative_to(second) or second.is_relative_to(first):
            inner, outer = (one, other) if first.is_relative_to(second) else (other, one)
            msg = f"{inner} lies inside of {outer}"
            raise InputError(msg, "Name folders apart from each other; --out names the one that they are merged into.")
    for folder in (*folders, target):
        if is_at_work(folder):
            msg = f"an archbench is at work in {folder}"
            raise StoreError(
                msg, "Merge when it is done; one that is stopped (Ctrl-C) can be merged, and gone on with."
            )


def _given(joined: Joined, source: Source) -> Given:
    return Given(
        source.folder, len(source.runs), len(source.attempts),
        sum(tried.source is source for tried in joined.attempts), len(source.timings),
        sum(origin is source for origin, _ in joined.timings), joined.twice[source],
    )  # fmt: skip


def _copy_weights(joined: Joined, target: Path) -> None:
    """Copy the weights of runs that are done: of the attempt that is kept, else of one that came to the same."""
    for source in joined.sources:
        done = (tried.key for tried in source.attempts if tried.row[STATUS] == "done")
        for key in done:
            cell = source.cells[key]
            file, copy = (weights_file(folder / WEIGHTS_FOLDER, cell) for folder in (source.folder, target))
            if file.is_file() and (joined.done[key].source is source or not copy.is_file()):
                write_bytes(copy, _content(file))


def _copy_logs(joined: Joined, target: Path) -> None:
    """Copy what the processes of runs printed, behind what others printed of the same run."""
    for source in joined.sources:
        for cell in source.cells.values():
            file, copy = (Job("train", cell).log(folder / LOGS_FOLDER) for folder in (source.folder, target))
            if not file.is_file():
                continue
            said, before = _content(file), _content(copy) if copy.is_file() else b""
            if said not in before:
                write_bytes(copy, said if before in said else before + said)


def _copy_checkpoints(joined: Joined, target: Path, db: sqlite3.Connection) -> None:
    """Copy the states that the whole would go on from, whichever folder has them: each is known by its hash."""
    last = {
        tried.key: tried.row[STATUS] for tried in (*(joined.into.attempts if joined.into else ()), *joined.attempts)
    }
    for key in (key for key, status in last.items() if status not in SETTLED and key not in joined.done):
        states = [(epoch, sha256) for epoch, sha256 in read_checkpoints(db, [], key) if sha256 is not None]
        for epoch, sha256 in states[-KEPT:]:
            copy, *files = (
                checkpoint_file(folder_of(folder / CHECKPOINTS_FOLDER, key), epoch.epoch)
                for folder in (target, *(source.folder for source in joined.sources))
            )
            found = next((content for content in _contents([copy, *files]) if _hash(content) == sha256), None)
            if found is not None and not (copy.is_file() and _hash(_content(copy)) == sha256):
                write_bytes(copy, found)


def _contents(files: Sequence[Path]) -> Iterator[bytes]:
    yield from (_content(file) for file in files if file.is_file())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror or error}"
        raise StoreError(msg, "Give yourself the right to read it, or leave its folder out.") from error
