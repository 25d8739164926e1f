"""Nouns <-> rows: a run's cell is kept once, its epochs as they come, and what many runs share in rows of its own."""

from __future__ import annotations

import itertools
import os
import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from archbench.collection import uncollected
from archbench.schema import (
    Attempt,
    Cell,
    Cost,
    Environment,
    Epoch,
    Memory,
    Outcome,
    Record,
    Status,
    Study,
    Training,
)
from archbench.store.rows import COLUMNS, hash_of, insert, part, scan, text_of, update

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

Noun = TypeVar("Noun")

UNKNOWN = Environment("unknown", "unknown", "unknown", 0, None, None, "unknown", "unknown", "unknown", None, None)
EPOCH = msgspec.json.Decoder(Epoch)
TRAINING = msgspec.json.Decoder(Training)
ENVIRONMENT, COST, MEMORY, TRAINED, ERROR, ENDED_AT = (
    COLUMNS["attempts"].index(name) for name in ("environment", "cost", "memory", "training", "error", "ended_at")
)
LOST = "its process died"
MOST_KEYS_ASKED = 10_000  # beyond, reading everything is quicker


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def boot_id() -> str | None:
    """Return what tells this run of the machine from the one before; None where the system has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


@dataclass(frozen=True)
class Begun:
    """What is known of a run when it begins."""

    cell: Cell
    environment: Environment
    cost: Cost | None = None
    memory: Memory | None = None


def spec_of(db: sqlite3.Connection, cell: Cell) -> int:
    """Return the id of a cell's row, which is made where it is missing and set right where it is damaged."""
    # The same setting with another seed shares its row; why it could not be run, once, is the attempt's to say.
    setting = replace(cell, recipe=replace(cell.recipe, seed=0), problem=None, case="")
    found = db.execute("SELECT id, key, setting, seed, sha256 FROM specs WHERE key = ?", (cell.key,)).fetchone()
    if found is None:
        return insert(db, "specs", key=cell.key, setting=part(db, setting), seed=cell.recipe.seed)
    if hash_of(found[:-1]) != found[-1]:
        update(db, "specs", found[0], key=cell.key, setting=part(db, setting), seed=cell.recipe.seed)
    elif not next(scan(db, "parts", [], "WHERE id = ?", (found[2],)), None):  # what it refers to is damaged
        if db.execute("SELECT 1 FROM parts WHERE content = ?", (text_of(setting),)).fetchone():
            update(db, "specs", found[0], setting=part(db, setting))
        else:
            update(db, "parts", found[2], content=text_of(setting))
    return int(found[0])


def insert_attempt(db: sqlite3.Connection, begun: Begun, **values: Any) -> int:
    """Add an attempt at a run, as the one that is going on unless `values` say otherwise."""
    here = {
        "status": "running", "owner": "", "host": platform.node(), "boot_id": boot_id(), "pid": os.getpid(),
        "started_at": now(), "epochs": 0,
    }  # fmt: skip
    return insert(
        db, "attempts", **{
            **here, "spec": spec_of(db, begun.cell), "environment": part(db, begun.environment),
            "cost": part(db, begun.cost), "memory": part(db, begun.memory), **values,
        }
    )  # fmt: skip


def insert_epoch(db: sqlite3.Connection, attempt: int, epoch: Epoch, checkpoint: str | None = None) -> None:
    """Add an epoch of an attempt."""
    insert(db, "epochs", attempt=attempt, epoch=epoch.epoch, metrics=text_of(epoch), checkpoint=checkpoint)


def insert_missing_epochs(db: sqlite3.Connection, attempt: int, training: Training | None) -> int:
    """Add what of a training's epochs is not there yet; return how many there are."""
    query = "SELECT epoch FROM epochs WHERE attempt = ?"
    there = {number for (number,) in db.execute(query, (attempt,)).fetchall()}
    missing = [epoch for epoch in (training.epochs if training else ()) if epoch.epoch not in there]
    for epoch in missing:
        insert_epoch(db, attempt, epoch)
    return len(there) + len(missing)


def lose(db: sqlite3.Connection, attempt: int) -> None:
    """Mark an attempt that a dead process left running as interrupted."""
    update(
        db, "attempts", attempt, status="interrupted", error=LOST, epochs=insert_missing_epochs(db, attempt, None)
    )  # fmt: skip


def outcome_row(outcome: Outcome, epochs: int) -> dict[str, Any]:
    """Return the columns of an attempt that its outcome fills."""
    training = outcome.training
    if training is not None:
        spent = training.train_seconds or sum(epoch.train_seconds for epoch in training.epochs)
        training = replace(training, epochs=training.epochs[-1:], train_seconds=spent)
    return {
        "status": outcome.status, "exit_code": outcome.exit_code, "signal": outcome.signal, "error": outcome.error,
        "epochs": epochs, "training": None if training is None else text_of(training),
    }  # fmt: skip


def insert_record(db: sqlite3.Connection, record: Record) -> int:
    """Add a run that is over, as it was made elsewhere or by an older archbench."""
    training = record.training
    attempt = insert_attempt(
        db, Begun(record.cell, record.environment, record.cost, record.memory), host=record.environment.machine,
        boot_id=None, pid=None, started_at=record.finished_at, ended_at=record.finished_at,
        seconds=training.seconds if training else None,
        **outcome_row(Outcome(record.status, training, record.error), len(training.epochs) if training else 0),
    )  # fmt: skip
    for epoch in training.epochs if training else ():
        insert_epoch(db, attempt, epoch)
    return attempt


class Asked(NamedTuple):
    """What was asked for at a time, and its cells by key and case."""

    created_at: str
    study: Study
    cells: list[tuple[str, str]]


def insert_study(db: sqlite3.Connection, asked: Asked) -> None:
    """Add what was asked for."""
    keys = text_of([(key, case) if case else key for key, case in asked.cells])
    insert(db, "studies", created_at=asked.created_at, keys=keys, study=text_of(asked.study))


def read_asked(db: sqlite3.Connection, damage: list[str]) -> Asked | None:
    """Return what was asked for last; None for nothing."""
    rows = list(scan(db, "studies", damage))
    if not rows:
        return None
    _, created_at, keys, study = rows[-1]
    cells = msgspec.json.decode(keys, type=list[str | tuple[str, str]])
    named = [(cell, "") if isinstance(cell, str) else cell for cell in cells]
    return Asked(created_at, msgspec.json.decode(study, type=Study), named)


class Run(NamedTuple):
    """One run as it is stored, what many share being the same object for all of them.

    Attributes:
        setting: its cell, but for its seed. training: as JSON, with its last epoch alone.
    """

    attempt: int
    key: str
    setting: Cell
    seed: int
    status: Status
    environment: Environment
    cost: Cost | None
    memory: Memory | None
    training: str | None
    error: str | None
    ended_at: str

    def trained(self) -> Training | None:
        """Return its training, with its last epoch alone."""
        return None if self.training is None else TRAINING.decode(self.training)


def read_runs(db: sqlite3.Connection, damage: list[str], keys: Sequence[str] | None) -> dict[str, Run]:
    """Return runs by key: the attempt that is done, or the last that is over.

    Args:
        db: the database.
        damage: what cannot be read is added to it.
        keys: which; all where None.
    """
    with uncollected():
        some = keys if keys is not None and len(keys) <= MOST_KEYS_ASKED else None
        specs = {row[0]: row[1:] for row in scan(db, "specs", damage, *_among("key", some))}
        shared = Shared(db, damage)
        found: dict[str, Run] = {}
        for row in scan(db, "attempts", damage, *(("", ()) if some is None else _among("spec", list(specs)))):
            attempt, spec, status = row[:3]
            if status in {"running", "damaged"}:
                continue
            key, setting, seed = specs.get(spec, ("", 0, 0))
            cell = shared.noun(setting, Cell)
            if cell is None:
                damage.append(f"attempts {attempt}: what was run cannot be read any more")
            elif key not in found or found[key].status != "done":
                found[key] = Run(
                    attempt, key, cell, seed, status, shared.noun(row[ENVIRONMENT], Environment) or UNKNOWN,
                    shared.noun(row[COST], Cost), shared.noun(row[MEMORY], Memory), row[TRAINED], row[ERROR],
                    row[ENDED_AT] or "",
                )  # fmt: skip
        return found


def read_records(
    db: sqlite3.Connection, damage: list[str], keys: Sequence[str] | None, *, curves: bool
) -> dict[str, Record]:
    """Return the same as records, their trainings with all of their epochs, or without `curves` the last alone."""
    with uncollected():
        runs = read_runs(db, damage, keys)
        attempts = None if keys is None else [run.attempt for run in runs.values()]
        epochs = read_epochs(db, damage, attempts) if curves else {}
        return {key: record_of(run, epochs.get(run.attempt)) for key, run in runs.items()}


def record_of(run: Run, epochs: list[Epoch] | None = None) -> Record:
    """Return a run as a record, its training with these epochs, or with the last alone."""
    training = run.trained()
    if training is not None and epochs is not None:  # the last stands in both, and may be damaged in one
        training = replace(training, epochs=(*(e for e in epochs if e not in training.epochs), *training.epochs))
    cell = replace(run.setting, recipe=replace(run.setting.recipe, seed=run.seed)).keyed(
        run.key
    )  # the row's hash vouches for the key
    return Record(cell, run.status, run.environment, run.cost, training, (), run.error, run.ended_at, run.memory)


class Shared:
    """The rows that many others share, decoded once each."""

    def __init__(self, db: sqlite3.Connection, damage: list[str]) -> None:
        """Read all of them."""
        self._contents = dict(scan(db, "parts", damage))
        self._nouns: dict[int | None, Any] = {None: None}

    def noun(self, number: int | None, kind: type[Noun]) -> Noun | None:
        """Return a part as a noun; None where there is none, or none that can be read."""
        if number not in self._nouns:
            content = self._contents.get(number)
            self._nouns[number] = None if content is None else msgspec.json.decode(content, type=kind)
        return self._nouns[number]  # type: ignore[no-any-return]

    def cell(self, key: str, setting: int, seed: int) -> Cell | None:
        """Return a cell from its setting and its seed."""
        common = self.noun(setting, Cell)
        if common is None:
            return None
        return replace(common, recipe=replace(common.recipe, seed=seed)).keyed(key)  # the row's hash vouches for it


def read_epochs(db: sqlite3.Connection, damage: list[str], attempts: Sequence[int] | None) -> dict[int, list[Epoch]]:
    """Return the epochs of attempts, in their order; of all where None."""
    found: dict[int, list[Epoch]] = {}
    for attempt, _, metrics, _ in scan(db, "epochs", damage, *_among("attempt", attempts)):
        found.setdefault(attempt, []).append(EPOCH.decode(metrics))
    return found


def read_checkpoints(db: sqlite3.Connection, damage: list[str], key: str) -> list[tuple[Epoch, str | None]]:
    """Return the epochs, from the first on without a gap, of the last attempt at a run that left checkpoints.

    One that came to something left none.
    """
    query = (
        "SELECT max(attempt) FROM epochs JOIN attempts ON attempts.id = attempt JOIN specs ON specs.id = spec "
        "WHERE key = ? AND checkpoint IS NOT NULL AND status NOT IN ('done', 'diverged', 'damaged')"
    )
    (attempt,) = db.execute(query, (key,)).fetchone()
    rows = [] if attempt is None else list(scan(db, "epochs", damage, *_among("attempt", [attempt])))
    whole = itertools.takewhile(lambda numbered: numbered[1][1] == numbered[0], enumerate(rows, start=1))
    return [(EPOCH.decode(metrics), checkpoint) for _, (_, _, metrics, checkpoint) in whole]


def read_attempts(db: sqlite3.Connection, damage: list[str], asked: Sequence[str] | None) -> list[Attempt]:
    """Return the attempts at runs, at all where None, the oldest first, their states as they stand in their rows."""
    with uncollected():
        keys = {row[0]: row[1] for row in scan(db, "specs", damage, *_among("key", asked))}
        # id, then the key for the spec's id, and on to the number of epochs: the columns as they stand.
        return [
            Attempt(row[0], keys[row[1]], *row[2 : ERROR + 2])
            for row in scan(db, "attempts", damage, *_among("spec", None if asked is None else keys))
            if row[1] in keys and row[2] != "damaged"
        ]


def _among(column: str, values: Iterable[Any] | None) -> tuple[str, tuple[str, ...]]:
    """Return a condition that a column holds one of these values; none where they are None."""
    if values is None:
        return "", ()
    return f"WHERE {column} IN (SELECT value FROM json_each(?))", (text_of(list(values)),)  # noqa: S608
