"""The line from end to end: Study -> Cell -> SizedModel -> Cost -> Timing -> Training -> Record -> Store.

The same study again runs nothing; a study with one model, budget or seed more runs only what is new. Timings are the
one exception: a ratio needs both models side by side, so a new model has all of its comparison timed again (seconds).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archbench.budget import find_spec
from archbench.comparison import Comparison
from archbench.cost import measure_cost
from archbench.data.transforms import normaliser
from archbench.environment import usable_cores
from archbench.errors import Interrupted, ModelError, StoreError
from archbench.execute.local import Event, run_here, run_in_workers
from archbench.plan import Plan, label, make_plan, silent
from archbench.schema import Cell, Cost, Progress, Record, Study
from archbench.store import FILE_NAME, Store, now
from archbench.timing import MODES, time_models
from archbench.timing.sessions import by_session, fits, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from archbench.plan import Report

LOG_NAME = "workers.log"


def run(study: Study, folder: Path, *, workers: int | None = None, report: Report = silent) -> Comparison:
    """Do all of a study that is not done yet, and return all of it.

    Args:
        study: what is asked for.
        folder: the results folder; its store is created where missing.
        workers: training processes at a time; by default the usable cores divided by the study's threads on the CPU,
            and one on CUDA. Results do not depend on it.
        report: is told of the progress.

    Raises:
        InputError, DataError, OutputError, StoreError: before anything is trained.
        Interrupted: on Ctrl-C; what was finished is kept.
    """
    plan = make_plan(study, report)
    with Store(folder, create=True) as store:
        store.add_study(study, [cell.key for cell in plan.cells])
        stored = store.records(cell.key for cell in plan.cells)
        # A divergence comes back each time; a failure may have been the machine's and is tried again.
        todo = [c for c in plan.cells if c.key not in stored or stored[c.key].status not in {"done", "diverged"}]
        try:
            costs = _costs(plan, stored, report)
            _timings(plan, store, report)
            _train(plan, todo, costs, store, workers, report)
        except KeyboardInterrupt:
            kept = len([r for r in store.records(c.key for c in plan.cells).values() if r.status == "done"])
            msg = f"stopped: {kept} of {len(plan.cells)} runs are finished and kept in {folder}"
            raise Interrupted(msg, "The same command goes on from there.") from None
        return load(folder)


def load(folder: Path) -> Comparison:
    """Return the last study of a results folder with what is stored of it; no torch is needed.

    Raises:
        StoreError: there is none.
    """
    with Store(folder) as store:
        last = store.last_study()
        study, keys = last if last is not None else (Study(()), list(store.records()))
        records = store.records(keys).values()
        timings = side_by_side(store.timings(), records)
        joined = tuple(replace(r, timings=timings.get(r.cell.key, ())) for r in records)
        return Comparison(study, joined, folder, store.damaged)


def done_keys(folder: Path) -> set[str]:
    """Return the keys of the finished runs of a results folder, which need not exist; nothing is written."""
    if not (folder / FILE_NAME).is_file():
        return set()
    with Store(folder) as store:
        return {key for key, record in store.records().items() if record.status == "done"}


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


def _costs(plan: Plan, stored: Mapping[str, Record], report: Report) -> dict[str, Cost]:
    """Return the cost of every model by key, from the stored runs where one has it."""
    known = {r.cell.sized.key: r.cost for r in stored.values() if r.cell.sized is not None and r.cost is not None}
    costs: dict[str, Cost] = {}
    for done, (key, sized) in enumerate(plan.sized.items(), start=1):
        detail = ""
        try:
            costs[key] = known.get(key) or measure_cost(sized)
        except ModelError as error:
            detail = str(error)
        report(Progress("count", label(sized.model, sized.budget), done, len(plan.sized), detail, finished=True))
    return costs


def _timings(plan: Plan, store: Store, report: Report) -> None:
    """Time all models of the plan in one session a device, unless a stored session has them all."""
    study = plan.study
    for device in study.timing_devices:
        needed = {(key, mode) for key in plan.sized for mode in MODES}
        fitting = [
            t for t in store.timings() if t.device == device and fits(t, study.recipe, study.threads, plan.environment)
        ]
        sessions = by_session(fitting).values()
        if any(needed <= {(t.sized_key, t.mode) for t in session} for session in sessions):
            continue
        images = plan.dataset.images["train"]
        repeats = -(-study.recipe.batch_size // len(images))
        batch = normaliser(images)(images.repeat(repeats, 1, 1, 1)[: study.recipe.batch_size])

        def on_round(done: int, total: int, device: str = device) -> None:
            report(Progress("time", f"{len(plan.sized)} models on {device}", done, total, finished=done == total))

        def on_problem(problem: str, device: str = device) -> None:
            report(Progress("time", f"{len(plan.sized)} models on {device}", 0, 1, problem))

        timings = time_models(
            list(plan.sized.values()), batch, study.recipe, device, study.threads, plan.environment,
            on_round=on_round, on_problem=on_problem,
        )  # fmt: skip
        store.add_timings(timings)


def _train(
    plan: Plan, todo: Sequence[Cell], costs: Mapping[str, Cost], store: Store, workers: int | None, report: Report
) -> None:
    """Train the cells that are left, the dearest first so that no worker is left alone with one at the end."""
    study = plan.study
    epochs_total = sum(cell.recipe.epochs for cell in todo) or 1
    epochs_done = dict.fromkeys((cell.key for cell in todo), 0)

    def on_event(event: Event) -> None:
        cell = event.cell
        name = f"{label(cell.model, cell.budget)} seed {cell.recipe.seed}"
        if event.epoch is not None:
            epochs_done[cell.key] = event.epoch.epoch
            detail = f"epoch {event.epoch.epoch}/{cell.recipe.epochs}"
            report(Progress("train", name, sum(epochs_done.values()), epochs_total, detail))
        if event.outcome is not None:
            outcome = event.outcome
            epochs_done[cell.key] = cell.recipe.epochs
            store.add(
                Record(
                    cell, outcome.status, plan.environment, costs.get(cell.sized.key) if cell.sized else None,
                    outcome.training, error=outcome.error, finished_at=now(),
                )
            )  # fmt: skip
            test = outcome.training.test if outcome.training else None
            detail = outcome.error or (f"test accuracy {test.top1:.4f}" if test and test.top1 is not None else "")
            report(Progress("train", name, sum(epochs_done.values()), epochs_total, detail, finished=True))

    def macs(cell: Cell) -> int:
        cost = costs.get(cell.sized.key) if cell.sized else None
        return cost.macs or 0 if cost else 0

    ordered = sorted(todo, key=macs, reverse=True)
    modules = {find_spec(cell.model).build.__module__ for cell in ordered if cell.sized is not None}
    broken = [cell for cell in ordered if cell.sized is None]
    run_here(broken, plan.dataset, on_event)
    ordered = [cell for cell in ordered if cell.sized is not None]
    if "__main__" in modules or workers == 0:
        run_here(ordered, plan.dataset, on_event)
    elif ordered:
        elsewhere = tuple(sorted(m for m in modules if m.partition(".")[0] != "zoo"))
        asked = replace(study, plugins=study.plugins + tuple(m for m in elsewhere if m not in study.plugins))
        count = workers or (1 if study.device == "cuda" else max(1, usable_cores() // study.threads))
        run_in_workers(ordered, asked, count, store.folder / LOG_NAME, on_event)
