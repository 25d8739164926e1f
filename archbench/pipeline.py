"""The line from end to end: Study -> Cell -> SizedModel -> Cost -> Timing -> Training -> Record -> Store.

The same study again runs nothing; a study with one model, budget or seed more runs only what is new. Timings are the
one exception: a ratio needs both models side by side, so a new model has all of its comparison timed again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.comparison import Comparison
from archbench.environment import usable_cores
from archbench.errors import InputError, Interrupted, StoreError
from archbench.execute import WEIGHTS_FOLDER
from archbench.execute.local import Event, run_here, run_in_workers
from archbench.instruments import costs_of, memories_of, modules_of, plugins_of, time_plan
from archbench.plan import Plan, label, make_plan, silent
from archbench.schema import SETTLED, Cell, Outcome, Progress, Record, Study
from archbench.store import FILE_NAME, Store, now
from archbench.timing import Protocol
from archbench.timing.sessions import side_by_side, stepping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archbench.instruments import Memories
    from archbench.plan import Datasets, Report
    from archbench.schema import Cost

LOG_NAME = "workers.log"


def run(
    study: Study,
    folder: Path,
    *,
    workers: int | None = None,
    report: Report = silent,
    protocol: Protocol | None = None,
) -> Comparison:
    """Do all of a study that is not done yet, and return all of it.

    Args:
        study: what is asked for.
        folder: the results folder; its store is created where missing.
        workers: training processes at a time; by default the usable cores divided by the study's threads on the CPU,
            and one on CUDA. Results do not depend on it.
        report: is told of the progress.
        protocol: how long and how often steps are timed.

    Raises:
        InputError, DataError, OutputError, StoreError: before anything is trained.
        Interrupted: on Ctrl-C; what was finished is kept.
    """
    _check_workers(workers)
    plan = make_plan(study, report)
    with Store(folder, create=True) as store:
        asked = replace(study, data_root=None)  # where the data lies here is nothing that a result should carry
        store.add_study(asked, [(cell.key, cell.case) for cell in plan.cells])
        _do(plan, store, workers, report, protocol or Protocol())
        return load(folder)


def train_trials(
    study: Study, folder: Path, *, workers: int | None = None, report: Report = silent, datasets: Datasets | None = None
) -> dict[str, Record]:
    """Train every cell of a study without a look at the test split or the clock; return the records by case.

    The study does not become the folder's own; its runs are kept in the store all the same.
    """
    _check_workers(workers)
    plan = make_plan(study, report, tested=False, datasets=datasets)
    with Store(folder, create=True) as store:
        _do(plan, store, workers, report)
        stored = store.records(cell.key for cell in plan.cells)
        return {cell.case: stored[cell.key] for cell in plan.cells if cell.key in stored}


def _check_workers(workers: int | None) -> None:
    if workers is not None and workers < 0:
        msg = f"workers: {workers} is not accepted"
        raise InputError(msg, "Give a whole number from 0; 0 trains in this process.")


def _do(plan: Plan, store: Store, workers: int | None, report: Report, protocol: Protocol | None = None) -> None:
    """Do what of a plan is not done yet; without a protocol nothing is timed."""
    stored = store.records(cell.key for cell in plan.cells)
    # A divergence comes back each time; a failure may have been the machine's and is tried again.
    distinct: dict[str, Cell] = {}
    for cell in plan.cells:  # of two cases with one run the first names it
        distinct.setdefault(cell.key, cell)
    todo = [c for c in distinct.values() if c.key not in stored or stored[c.key].status not in SETTLED]
    try:
        costs = costs_of(plan, stored, report)
        memories = memories_of(plan, todo, stored, report) if protocol is not None else {}
        if protocol is not None:
            time_plan(plan, stored, store, protocol, report)
        _train(plan, todo, costs, memories, store, workers, report)
    except KeyboardInterrupt:
        kept = len([r for r in store.records(distinct).values() if r.status == "done"])
        msg = f"stopped: {kept} of {len(distinct)} runs are finished and kept in {store.folder}"
        raise Interrupted(msg, "The same command goes on from there.") from None


def load(folder: str | Path) -> Comparison:
    """Return the last study of a results folder with what is stored of it.

    Raises:
        StoreError: there is none.
    """
    folder = Path(folder)
    with Store(folder) as store:
        stored = store.records()
        study, cells = store.last_study() or (Study(()), [(key, r.cell.case) for key, r in stored.items()])
        timings = side_by_side(store.timings(), [stored[key] for key in dict(cells) if key in stored])
        # A run may stand under several cases, and was perhaps made for another study.
        records = tuple(
            replace(stored[key], cell=replace(stored[key].cell, case=case), timings=timings[stored[key].cell.key])
            for key, case in cells
            if key in stored
        )
        return Comparison(study, records, folder, store.damaged)


def done_keys(folder: Path) -> set[str]:
    """Return the keys of a results folder's runs that need no running; it need not exist, and nothing is written."""
    if not (folder / FILE_NAME).is_file():
        return set()
    with Store(folder) as store:
        return {key for key, record in store.records().items() if record.status in SETTLED}


def stored_folders(root: Path) -> list[Path]:
    """Return `root` if it is a results folder, else all that lie under it.

    Raises:
        StoreError: there is none.
    """
    folders = sorted(
        file.parent for file in ([root / FILE_NAME] if (root / FILE_NAME).is_file() else root.rglob(FILE_NAME))
    )
    if not folders:
        msg = f"there are no results in {root}"
        raise StoreError(msg, "Run `archbench compare` first, or name the folder that it wrote.")
    return folders


def _train(
    plan: Plan,
    todo: Sequence[Cell],
    costs: Mapping[str, Cost],
    memories: Memories,
    store: Store,
    workers: int | None,
    report: Report,
) -> None:
    """Train the cells that are left, the dearest first so that no worker is left alone with one at the end."""
    study = plan.study
    # Work is weighed in MACs, so that the time left is not misled by the order.
    weight = {cell.key: _macs(cell, costs) for cell in todo}
    total = sum(weight.values())
    share_done = dict.fromkeys(weight, 0.0)
    finished = 0

    def on_event(event: Event) -> None:
        nonlocal finished
        cell, detail = event.cell, ""
        if event.epoch is not None:
            share_done[cell.key] = event.epoch.epoch / cell.recipe.epochs
            detail = f"epoch {event.epoch.epoch}/{cell.recipe.epochs}, {finished} of {len(todo)} runs done"
        if event.outcome is not None:
            finished += 1
            share_done[cell.key] = 1.0
            detail = _kept(plan, store, costs, memories, cell, event.outcome)
        done = sum(weight[key] * share for key, share in share_done.items())
        name = f"{label(cell.model, cell.budget, cell.case)} seed {cell.recipe.seed}"
        report(Progress("train", name, done, total, detail, finished=event.outcome is not None))

    log = store.folder / LOG_NAME
    weights = store.folder / WEIGHTS_FOLDER if study.keep_weights else None
    run_here([cell for cell in todo if cell.problem is not None], plan.dataset_of, log, on_event)
    ordered = sorted((cell for cell in todo if cell.problem is None), key=lambda c: weight[c.key], reverse=True)
    modules = modules_of(study, ordered)
    if "__main__" in modules or workers == 0:
        run_here(ordered, plan.dataset_of, log, on_event, weights)
    elif ordered:
        asked = replace(study, plugins=plugins_of(plan, ordered))
        count = workers or (1 if study.device == "cuda" else max(1, usable_cores() // study.threads))
        run_in_workers(ordered, asked, count, log, on_event, weights)


def _macs(cell: Cell, costs: Mapping[str, Cost]) -> int:
    cost = costs.get(cell.sized.key) if cell.sized else None
    return (cost.macs if cost else None) or 1


def _kept(plan: Plan, store: Store, costs: Mapping[str, Cost], memories: Memories, cell: Cell, outcome: Outcome) -> str:
    """Commit an outcome as a record; return what is worth a line about it."""
    cost = costs.get(cell.sized.key) if cell.sized else None
    memory = memories.get((cell.sized.key, stepping(cell.recipe))) if cell.sized else None
    record = Record(
        cell, outcome.status, plan.environment, cost, outcome.training, error=outcome.error, finished_at=now(),
        memory=memory,
    )  # fmt: skip
    store.add(record)
    test = outcome.training.test if outcome.training else None
    if outcome.error is not None or test is None or test.top1 is None:
        return outcome.error or outcome.status
    return f"test accuracy {test.top1:.4f}"
