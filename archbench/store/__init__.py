"""SQLite: every record, every attempt, every epoch. One file a results folder, written by one process at a time.

database   the file: opened, made, brought up to date        versions   its tables, and those of older ones
rows       every row with its hash                           records    nouns <-> rows
owners     who is at work, by a lock of the kernel           check      what is damaged
merge      the rows of several stores in one                 united     what several were asked for, as one
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import msgspec

from archbench.schema import Attempt, Study, Timing
from archbench.store import records as r
from archbench.store.check import check
from archbench.store.database import FILE_NAME, explained, open_for_work, open_to_read, transaction
from archbench.store.owners import Owner, is_alive, is_at_work, owner_files
from archbench.store.records import Begun, Run, now
from archbench.store.rows import insert, part, scan, text_of, update

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from archbench.schema import Cell, Environment, Epoch, Outcome, Record

__all__ = ["FILE_NAME", "Begun", "Owner", "Run", "Store", "is_alive", "is_at_work", "now", "owner_files"]


class Store:
    """The results of one folder.

    A `done` run is never changed: a retry adds an attempt, and a second `done` of the same key is dropped. Rows whose
    content does not fit their hash are left out and named in `damage`.
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
        self._db, self.damage = open_for_work(folder) if create else open_to_read(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def begin(self, begun: Begun, owner: str, since: int | None = None) -> int | None:
        """Begin a run for an owner; return its attempt, or None where another has done it or is at work on it.

        Args:
            begun: what.
            owner: who.
            since: an attempt; what a later one of another owner came to stands, even if it is nothing.
        """
        with self._writing():
            spec = r.spec_of(self._db, begun.cell)
            for number, status, other in self._open_attempts(spec):
                if status == "done" or is_alive(self.folder, other):
                    return None
                r.lose(self._db, number)
            query = (
                "SELECT 1 FROM attempts WHERE spec = ? AND id > ? AND owner != ? AND status NOT IN "
                "('interrupted', 'damaged')"
            )
            if since is not None and self._db.execute(query, (spec, since, owner)).fetchone():
                return None
            return r.insert_attempt(self._db, begun, owner=owner)

    def _open_attempts(self, spec: int) -> list[tuple[int, str, str]]:
        """Return the attempts that keep others from beginning; what cannot be read stays, and makes room."""
        where = "WHERE spec = ? AND status IN ('running', 'done')"
        sound = [(row[0], row[2], row[3]) for row in scan(self._db, "attempts", self.damage, where, (spec,))]
        found = {number for (number,) in self._db.execute(f"SELECT id FROM attempts {where}", (spec,))}  # noqa: S608
        for number in found - {number for number, *_ in sound}:
            self._db.execute("UPDATE attempts SET status = 'damaged' WHERE id = ?", (number,))
        return sound

    def last_attempt(self) -> int:
        """Return the last attempt that was begun, 0 for none."""
        with self._reading():
            return int(self._db.execute("SELECT max(id) FROM attempts").fetchone()[0] or 0)

    def made_in(self, attempt: int, environment: Environment) -> None:
        """Commit that an attempt is made elsewhere than where it was begun."""
        with self._writing():
            update(self._db, "attempts", attempt, environment=part(self._db, environment))

    def resumed(self, attempt: int, epochs: Iterable[tuple[Epoch, str | None]]) -> None:
        """Commit that an attempt goes on behind these epochs, which an earlier one made."""
        with self._writing():
            for epoch, checkpoint in epochs:
                r.insert_epoch(self._db, attempt, epoch, checkpoint)

    def add_epoch(self, attempt: int, epoch: Epoch, checkpoint: str | None = None) -> None:
        """Commit an epoch, with the hash of the checkpoint that was written before."""
        with self._writing():
            r.insert_epoch(self._db, attempt, epoch, checkpoint)

    def finish(self, attempt: int, outcome: Outcome, seconds: float) -> None:
        """Commit what became of an attempt.

        Args:
            attempt: which.
            outcome: of it.
            seconds: it took, by a clock that nobody sets.
        """
        with self._writing():
            epochs = r.insert_missing_epochs(self._db, attempt, outcome.training)
            update(
                self._db,
                "attempts",
                attempt,
                **r.outcome_row(outcome, epochs),
                ended_at=now(),
                seconds=max(0.0, seconds),
            )

    def add(self, record: Record) -> None:
        """Commit a run that is over; one that is done already stays as it is."""
        with self._writing():
            done = any(status == "done" for _, status, _ in self._open_attempts(r.spec_of(self._db, record.cell)))
            if not (done and record.status == "done"):
                r.insert_record(self._db, record)

    def recover(self) -> list[int]:
        """Mark the attempts that dead processes left running as interrupted; return them."""
        with self._writing():
            running = list(scan(self._db, "attempts", self.damage, "WHERE status = 'running'"))
            dead = [row[0] for row in running if not is_alive(self.folder, row[3])]
            for attempt in dead:
                r.lose(self._db, attempt)
        return dead

    def add_timings(self, timings: Iterable[Timing]) -> None:
        """Commit the timings of a session, all or none."""
        with self._writing():
            for timing in timings:
                insert(self._db, "timings", session=timing.session, sized_key=timing.sized_key, timing=text_of(timing))

    def add_study(self, study: Study, cells: Sequence[tuple[Cell, str]], asked: Collection[str] | None = None) -> None:
        """Commit what was asked for, unless it is what was asked for last.

        Args:
            study: what was asked for.
            cells: all of its cells, with their cases.
            asked: the keys of those that were asked for here; those that were asked for before of this study stay. All
                where None.
        """
        with self._writing():
            last = self.last_study()
            before = {key for key, _ in last[1]} if last is not None and last[0] == study else set()
            if asked is not None:
                cells = [(cell, case) for cell, case in cells if cell.key in asked or cell.key in before]
            keys = [(cell.key, case) for cell, case in cells]
            if last == (study, keys):
                return
            for cell, _ in cells:  # so that what is still to do can be listed
                r.spec_of(self._db, cell)
            r.insert_study(self._db, r.Asked(now(), study, keys))

    def records(self, keys: Iterable[str] | None = None, *, curves: bool = True) -> dict[str, Record]:
        """Return by key, in the order of `keys` (by default all, as they ran), the `done` run or the last attempt.

        Args:
            keys: which; all where None.
            curves: whether trainings have all of their epochs, or the last alone.
        """
        asked = None if keys is None else list(keys)
        with self._reading():
            found = r.read_records(self._db, self.damage, asked, curves=curves)
        return found if asked is None else {key: found[key] for key in asked if key in found}

    def runs(self) -> dict[str, Run]:
        """Return what `records` does as rows that share what is common to many: for runs by the hundred thousand."""
        with self._reading():
            return r.read_runs(self._db, self.damage, None)

    def keys(self, beginning: str) -> list[str]:
        """Return the keys that begin so, run or not."""
        with self._reading():
            return [row[1] for row in scan(self._db, "specs", self.damage) if row[1].startswith(beginning)]

    def cells(self, keys: Iterable[str]) -> dict[str, Cell]:
        """Return cells by key, run or not."""
        with self._reading():
            shared = r.Shared(self._db, self.damage)
            wanted = set(keys)
            rows = [row for row in scan(self._db, "specs", self.damage) if row[1] in wanted]
            found = {row[1]: shared.cell(*row[1:]) for row in rows}
        return {key: cell for key, cell in found.items() if cell is not None}

    def attempts(self, keys: Iterable[str] | None = None) -> list[Attempt]:
        """Return the attempts at runs, by default at all, the oldest first; what a dead process left is interrupted."""
        with self._reading():
            found = r.read_attempts(self._db, self.damage, None if keys is None else list(keys))
        alive: dict[str, bool] = {}
        for attempt in found:
            if attempt.state == "running" and attempt.owner not in alive:
                alive[attempt.owner] = is_alive(self.folder, attempt.owner)
        return [
            replace(attempt, state="interrupted", error=r.LOST)
            if attempt.state == "running" and not alive[attempt.owner]
            else attempt
            for attempt in found
        ]

    def checkpoints(self, key: str) -> list[tuple[Epoch, str | None]]:
        """Return the epochs of the last attempt at a run that kept checkpoints, with the hashes of these."""
        with self._reading():
            return r.read_checkpoints(self._db, self.damage, key)

    def timings(self) -> list[Timing]:
        """Return all timings, the oldest first."""
        with self._reading():
            rows = scan(self._db, "timings", self.damage)
            return [msgspec.json.decode(row[3], type=Timing) for row in rows]

    def last_study(self) -> tuple[Study, list[tuple[str, str]]] | None:
        """Return what was asked for last and its cells as (key, case), or None."""
        with self._reading():
            asked = r.read_asked(self._db, self.damage)
        return None if asked is None else (asked.study, asked.cells)

    def verify(self) -> list[str]:
        """Return all that is damaged, by name: pages, rows, and rows that are missing."""
        with self.snapshot():  # what another is about to write is not missing
            return list(dict.fromkeys([*self.damage, *check(self._db, self.path)]))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within: all that is read is of one moment, whatever others write meanwhile."""
        with self._reading():
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with explained(self.path, writing=True), transaction(self._db):
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with explained(self.path):
            yield
