"""Store -> Comparison: what is stored of the last study of a folder, without anything that computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.closest import notes
from archbench.collection import uncollected
from archbench.comparison import Comparison, Later
from archbench.errors import StoreError
from archbench.schema import SETTLED, Record, Study
from archbench.store import FILE_NAME, Store
from archbench.store.records import record_of
from archbench.timing.sessions import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from archbench.schema import Cell, Timing
    from archbench.store import Run

    Timings = dict[tuple[int, int], tuple[Timing, ...]]


def load(folder: str | Path, *, curves: bool = True) -> Comparison:
    """Return the last study of a results folder with what is stored of it.

    Args:
        folder: the results folder.
        curves: whether records have all of their epochs; without, they have the last alone, and are made when they are
            asked for: the frame of a hundred thousand runs is there in seconds.

    Raises:
        StoreError: there is none.
    """
    folder = Path(folder)
    with Store(folder) as store, store.snapshot(), uncollected():
        runs = store.runs()
        study, cells = store.last_study() or (Study(()), [(key, "") for key in runs])
        cells = [(key, case) for key, case in cells if key in runs]
        timings = _timings(store.timings(), (runs[key] for key, _ in cells))
        if curves:
            # A run may stand under several cases, and was perhaps made for another study.
            stored = store.records(dict.fromkeys(key for key, _ in cells))
            records = tuple(
                _placed(stored[key], case, timings[_shared(runs[key])]) for key, case in cells if key in stored
            )
            return Comparison(study, records, folder, len(set(store.damage)))
        frame = _frame(cells, runs, timings)
        damaged = len(set(store.damage))

    def later() -> tuple[Record, ...]:
        return tuple(_placed(record_of(runs[key]), case, timings[_shared(runs[key])]) for key, case in cells)

    return Comparison(study, Later(later), folder, damaged, frame)


def _shared(run: Run) -> tuple[int, int]:
    """Return what tells the runs apart that may have other timings."""
    return id(run.setting), id(run.environment)


def _timings(stored: list[Timing], runs: Iterable[Run]) -> Timings:
    """Return the timings of every setting: those of one session, as only they were taken side by side."""
    first: dict[tuple[int, int], Run] = {}
    for run in runs:
        first.setdefault(_shared(run), run)
    of = {
        place: Record(run.setting.keyed(run.key), run.status, run.environment, run.cost)
        for place, run in first.items()
    }  # fmt: skip
    found = side_by_side(stored, list(of.values()))
    return {place: found[record.cell.key] for place, record in of.items()}


def _placed(record: Record, case: str, timings: tuple[Timing, ...]) -> Record:
    return replace(record, cell=record.cell.in_case(case), timings=timings)


def _frame(cells: list[tuple[str, str]], runs: dict[str, Run], timings: Timings) -> pd.DataFrame:
    from archbench.frame import Row, runs_frame

    return runs_frame(
        Row(
            run.setting, run.seed, case, key, run.status, run.environment, run.cost, run.memory, run.trained(),
            timings[_shared(run)], run.error, run.ended_at,
        )
        for key, case in cells for run in [runs[key]]
    )  # fmt: skip


def done_keys(folder: Path) -> set[str]:
    """Return the keys of a results folder's runs that need no running; it need not exist, and nothing is written."""
    if not (folder / FILE_NAME).is_file():
        return set()
    with Store(folder) as store:
        return {key for key, run in store.runs().items() if run.status in SETTLED}


def closest_notes(cells: Iterable[Cell], folder: Path) -> list[str]:
    """Return in which ways those of the cells that are not stored differ from what is; nothing is written."""
    if not (folder / FILE_NAME).is_file():
        return []
    with Store(folder) as store:
        runs = store.runs()
    new = {cell.key: cell for cell in cells if cell.key not in runs}
    settled = {id(run.setting): run.setting for run in runs.values() if run.status in SETTLED and run.setting.tested}
    return notes(new.values(), settled.values())


def stored_folders(root: Path) -> list[Path]:
    """Return `root` if it is a results folder, else all that lie under it.

    Raises:
        StoreError: there is none.
    """
    files = [root / FILE_NAME] if (root / FILE_NAME).is_file() else root.rglob(FILE_NAME)
    # One without a byte is what a writer leaves that is killed at once.
    folders = sorted(file.parent for file in files if not file.is_file() or file.stat().st_size)
    if not folders:
        msg = f"there are no results in {root}"
        raise StoreError(msg, "Run `archbench compare` first, or name the folder that it wrote.")
    return folders
