"""The rows of several stores -> one: each is copied as it stands, once; what contradicts itself is refused.

Two rows are the same if all that they say is, whatever their numbers are. A store may hold the same row several times
(a run that failed twice in a second), and as often as one of the stores holds it the whole does.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

from archbench.errors import OutputError, StoreError
from archbench.plan import label
from archbench.store.check import check
from archbench.store.database import FILE_NAME, explained, open_for_work, open_to_read, transaction
from archbench.store.records import EPOCH, LOST, TRAINING, Shared, insert_study, lose, read_asked
from archbench.store.rows import COLUMNS, encode, insert, part_of, scan
from archbench.units import number

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from archbench.schema import Cell, Metrics
    from archbench.store.records import Asked

ATTEMPT = COLUMNS["attempts"][1:]
KEY, STATUS, STARTED_AT, TRAINED = (ATTEMPT.index(name) for name in ("spec", "status", "started_at", "training"))
SHARED = ("environment", "cost", "memory")  # of an attempt, what stands in rows of their own
MOST_NAMED = 3  # runs in a message


class Tried(NamedTuple):
    """An attempt in a source.

    Attributes:
        number: its id there.
        row: what it says, but for its id: with the run's key for the spec's id, and for ids of parts what they hold.
        curve: a hash of its epochs.
    """

    source: Source
    number: int
    row: tuple[Any, ...]
    curve: bytes

    @property
    def key(self) -> str:
        """The key of its run."""
        return str(self.row[KEY])

    def epochs(self) -> Iterator[tuple[int, str, str | None]]:
        """Yield its epochs: number, metrics, and the hash of the checkpoint."""
        for _, *row in scan(self.source.db, "epochs", [], "WHERE attempt = ?", (self.number,)):
            yield row[0], row[1], row[2]


class Source:
    """A store that is merged, read as it is at one moment."""

    def __init__(self, folder: Path) -> None:
        """Read the store of a folder, older ones as this version has them; nothing is written.

        Raises:
            StoreError: there is none, or it is damaged.
        """
        self.folder = folder
        self.db, damage = open_to_read(folder)
        try:
            with explained(folder / FILE_NAME):
                self.db.execute("BEGIN")
                self._read(damage)
        except BaseException:
            self.db.close()
            raise

    def _read(self, damage: list[str]) -> None:
        damage = [*damage, *check(self.db, self.folder / FILE_NAME)]
        if damage:
            msg = f"{self.folder} is damaged ({damage[0]}{f', and {len(damage) - 1} more' if damage[1:] else ''})"
            remedy = (
                f"`archbench results verify {self.folder} --salvage NEW` copies what can be read: merge NEW instead."
            )
            raise StoreError(msg, remedy)
        self.rows = dict(self.db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        self.parts = dict(scan(self.db, "parts", []))
        self.specs = {row[0]: row[1:] for row in scan(self.db, "specs", [])}
        curves = self._curves()
        self.attempts = [self._tried(row, curves.get(row[0], b"")) for row in scan(self.db, "attempts", [])]
        self.timings = [row[1:] for row in scan(self.db, "timings", [])]
        self.asked = read_asked(self.db, [])

    def _curves(self) -> dict[int, bytes]:
        """Return a hash of all epochs of every attempt that has some: each goes into the next one's."""
        found: dict[int, bytes] = {}
        for attempt, *said in self.db.execute("SELECT attempt, epoch, metrics, checkpoint FROM epochs ORDER BY 1, 2"):
            found[attempt] = sha256(found.get(attempt, b"") + encode(said)).digest()
        return found

    def _tried(self, row: tuple[Any, ...], curve: bytes) -> Tried:
        said = dict(zip(COLUMNS["attempts"], row, strict=True))
        attempt = said.pop("id")
        said |= {name: self.parts.get(said[name]) for name in SHARED}
        said["spec"] = self.specs[said["spec"]][0]
        if said["status"] == "running":  # nobody is at work here: its process died
            (epochs,) = self.db.execute("SELECT count(*) FROM epochs WHERE attempt = ?", (attempt,)).fetchone()
            said |= {"status": "interrupted", "error": LOST, "epochs": epochs}
        return Tried(self, attempt, tuple(said.values()), curve)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    @property
    def runs(self) -> set[str]:
        """The keys of the runs that were tried."""
        return {tried.key for tried in self.attempts}

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """The cells by key, run or not."""
        shared = Shared(self.db, [])
        found = {spec[0]: shared.cell(*spec) for spec in self.specs.values()}
        return {key: cell for key, cell in found.items() if cell is not None}


@dataclass
class Joined:
    """What comes of several stores.

    Attributes:
        sources: in the order in which they count. into: the target as it is; None where there is none yet.
        attempts, timings: what is new to the target, the oldest attempt first.
        done: by key, which attempt is kept of those that are done.
        twice: how many others of a source came to the same as one that is kept.
        asked: what the whole was asked for.
    """

    sources: Sequence[Source]
    into: Source | None = None
    attempts: list[Tried] = field(default_factory=list)
    timings: list[tuple[Source, tuple[Any, ...]]] = field(default_factory=list)
    done: dict[str, Tried] = field(default_factory=dict)
    twice: Counter[Source] = field(default_factory=Counter)
    asked: Asked | None = None

    @property
    def stores(self) -> list[Source]:
        """The target as it is, if it is there, before the sources."""
        return [*([] if self.into is None else [self.into]), *self.sources]


def join(sources: Sequence[Source], into: Source | None = None) -> Joined:
    """Return what several stores come to; of runs that are done twice the first is kept.

    Raises:
        StoreError: runs contradict each other.
    """
    joined = Joined(sources, into)
    kept: Counter[tuple[Any, ...]] = Counter()
    timed: Counter[tuple[Any, ...]] = Counter()
    problems: list[str] = []
    for source in joined.stores:
        here: Counter[tuple[Any, ...]] = Counter()
        for tried in source.attempts:
            what = (tried.row, tried.curve)
            here[what] += 1
            if here[what] <= kept[what]:
                continue
            first = joined.done.setdefault(tried.key, tried) if tried.row[STATUS] == "done" else tried
            if first is not tried:
                problems += contradictions(first, tried)
                joined.twice[source] += 1
                continue
            kept[what] += 1
            joined.attempts.append(tried)
        times = Counter(source.timings)
        joined.timings += [(source, row) for row in (times - timed).elements()]
        timed |= times
    if problems:
        more = f"; and {number(len(problems) - MOST_NAMED, 'more run')}" if problems[MOST_NAMED:] else ""
        msg = f"the stores contradict each other, and nothing is written: {'; '.join(problems[:MOST_NAMED])}{more}"
        raise StoreError(msg, "Both cannot be right: leave one of the folders out, or run these anew in another.")
    joined.attempts = [tried for tried in joined.attempts if tried.source is not into]
    joined.attempts.sort(key=lambda tried: str(tried.row[STARTED_AT]))
    joined.timings = [one for one in joined.timings if one[0] is not into]
    return joined


def contradictions(first: Tried, other: Tried) -> list[str]:
    """Return in a line what of two runs of one key that are done differs; none where they came to the same."""
    mine, theirs = (TRAINING.decode(tried.row[TRAINED] or '{"epochs":[],"k":0}') for tried in (first, other))
    weights = {training.weights_sha256 for training in (mine, theirs)} - {None}  # older ones did not note it
    found = ["weights"] if len(weights) > 1 else []
    found += ["test metrics"] if mine.test != theirs.test else []
    curves = [_curve(tried) for tried in (first, other)]
    found += [
        f"metrics of epoch {epoch}"
        for epoch in sorted(curves[0].keys() | curves[1].keys())
        if curves[0].get(epoch) != curves[1].get(epoch)
    ][:1]
    if not found:
        return []
    cell = first.source.cells[first.key]
    run = f"{label(cell.model, cell.budget)} seed {cell.recipe.seed} ({first.key[:8]})"
    why = "" if mine.knobs == theirs.knobs else ", where its steps were taken in another way (--tune)"
    return [f"{run} has other {', other '.join(found)} in {other.source.folder} than in {first.source.folder}{why}"]


def _curve(tried: Tried) -> dict[int, tuple[Metrics, Metrics]]:
    decoded = (EPOCH.decode(metrics) for _, metrics, _ in tried.epochs())
    return {epoch.epoch: (epoch.train, epoch.validation) for epoch in decoded}


@contextmanager
def written(joined: Joined, folder: Path) -> Iterator[sqlite3.Connection]:
    """Within: the rows stand in the target's store; they are committed at the end, all or none.

    Raises:
        OutputError: the target cannot be written, or others have written to it meanwhile.
    """
    db, _ = open_for_work(folder)
    with closing(db), explained(folder / FILE_NAME, writing=True), transaction(db):
        now = dict(db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        if now != ({} if joined.into is None else joined.into.rows):
            msg = f"another has written to {folder} meanwhile"
            raise OutputError(msg, "Give the command again.")
        for row in list(scan(db, "attempts", [], "WHERE status = 'running'")):  # nobody is at work there
            lose(db, row[0])
        _insert(db, joined)
        yield db


def _insert(db: sqlite3.Connection, joined: Joined) -> None:
    specs = {row[1]: row[0] for row in scan(db, "specs", [])}
    for source in joined.sources:
        for key, setting, seed in source.specs.values():
            if key not in specs:
                specs[key] = insert(db, "specs", key=key, setting=part_of(db, source.parts[setting]), seed=seed)
    for tried in joined.attempts:
        said = dict(zip(ATTEMPT, tried.row, strict=True))
        said |= {name: None if said[name] is None else part_of(db, said[name]) for name in SHARED}
        attempt = insert(db, "attempts", **{**said, "spec": specs[tried.key]})
        for epoch, metrics, checkpoint in tried.epochs():
            insert(db, "epochs", attempt=attempt, epoch=epoch, metrics=metrics, checkpoint=checkpoint)
    for _, (session, sized_key, timing) in joined.timings:
        insert(db, "timings", session=session, sized_key=sized_key, timing=timing)
    before = None if joined.into is None else joined.into.asked
    if joined.asked is not None and (before is None or joined.asked[1:] != before[1:]):
        insert_study(db, joined.asked)
