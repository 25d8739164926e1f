"""Looking after results folders: what is damaged in them, what of it can be saved, and what nobody needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.errors import ArchbenchError, InputError
from archbench.execute import CHECKPOINTS_FOLDER, LOGS_FOLDER, WEIGHTS_FOLDER
from archbench.files import UNFINISHED
from archbench.schema import SETTLED
from archbench.store import FILE_NAME, Store, is_at_work, owner_files
from archbench.store.owners import FOLDER as RUNNING_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUR_FOLDERS = (LOGS_FOLDER, CHECKPOINTS_FOLDER, RUNNING_FOLDER)


@dataclass(frozen=True)
class Health:
    """What a results folder holds, and what of it is damaged.

    Attributes:
        runs: that have been tried. attempts: at them. timings: of models.
        damage: what is damaged, by name; empty for a sound store.
    """

    folder: Path
    runs: int
    attempts: int
    timings: int
    damage: tuple[str, ...]


def health(folder: Path) -> Health:
    """Check every page, row and hash of a folder's store; nothing is written."""
    try:
        with Store(folder) as store:
            damage = store.verify()
            attempts = store.attempts()
            return Health(
                folder, len({attempt.key for attempt in attempts}), len(attempts), len(store.timings()), tuple(damage)
            )
    except ArchbenchError as error:
        return Health(folder, 0, 0, 0, (str(error),))


def salvage(folder: Path, target: Path) -> Health:
    """Copy the last result of every run that can be read, and the timings, into a new store; the old one stays.

    Raises:
        InputError: there are results in the target already.
        StoreError: nothing can be read.
        OutputError: the target cannot be written.
    """
    if (target / FILE_NAME).exists():
        msg = f"there are results in {target} already"
        raise InputError(msg, "Name a folder that has none.")
    with Store(folder) as old, Store(target, create=True) as new:
        asked = old.last_study()
        records = old.records()
        for record in records.values():
            new.add(record)
        new.add_timings(old.timings())
        if asked is not None:
            study, cells = asked
            known = old.cells(key for key, _ in cells)
            new.add_study(study, [(known[key], case) for key, case in cells if key in known])
    return health(target)


@dataclass(frozen=True)
class Garbage:
    """A file that nobody needs any more, and why."""

    file: Path
    size_bytes: int
    reason: str


def garbage(folder: Path) -> list[Garbage]:
    """Return the files of a results folder that nobody needs any more; while a sweep is at work there, none.

    These are checkpoints of runs that are done or diverged, what was being written when a process died, locks of dead
    processes, and empty logs. Rows of the store, weights, and logs with something in them are never among them.
    """
    if is_at_work(folder):
        return []
    with Store(folder) as store:
        last = {attempt.key: attempt.state for attempt in store.attempts()}
    settled = {key[:16] for key, state in last.items() if state in SETTLED}
    found = [Garbage(file, file.stat().st_size, reason) for file, reason in _unneeded(folder, settled)]
    return sorted(found, key=lambda one: str(one.file))


def _unneeded(folder: Path, settled: set[str]) -> Iterator[tuple[Path, str]]:
    for where in (".", WEIGHTS_FOLDER, f"{CHECKPOINTS_FOLDER}/*"):
        for file in folder.glob(f"{where}/{UNFINISHED}*"):
            yield file, "was being written when its process died"
    for file in folder.glob(f"{CHECKPOINTS_FOLDER}/*/[!.]*"):
        if file.parent.name in settled:
            yield file, "checkpoint of a run that is over"
    for file in owner_files(folder):
        yield file, "lock of a process that is dead"
    for file in folder.glob(f"{LOGS_FOLDER}/*.log"):
        if not file.stat().st_size:
            yield file, "empty log"


def remove(found: list[Garbage]) -> int:
    """Remove files, and the folders that they leave empty; return the bytes that are free now."""
    for one in found:
        one.file.unlink(missing_ok=True)
        for parent in list(one.file.parents)[:2]:
            ours = parent.name in OUR_FOLDERS or parent.parent.name == CHECKPOINTS_FOLDER
            if ours and not any(parent.iterdir()):
                parent.rmdir()
    return sum(one.size_bytes for one in found)
