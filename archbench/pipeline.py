"""The line from end to end: Study -> Cell -> SizedModel -> Cost -> Timing -> Training -> Record -> Store.

The same study again runs nothing; a study with one model, budget or seed more runs only what is new. Timings are the
one exception: a ratio needs both models side by side, so a new model has all of its comparison timed again (seconds).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.building import find_spec
from archbench.comparison import Comparison
from archbench.cost import measure_cost
from archbench.data import find_source
from archbench.data.transforms import preparer
from archbench.environment import usable_cores
from archbench.errors import InputError, Interrupted, ModelError, StoreError
from archbench.execute.local import Event, run_here, run_in_workers
from archbench.plan import Plan, label, make_plan, silent
from archbench.schema import SETTLED, Cell, Cost, Outcome, Progress, Record, Study
from archbench.store import FILE_NAME, Store, now
from archbench.timing import Protocol, modes_of, time_models
from archbench.timing.sessions import by_session, fits, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from archbench.data import Dataset
    from archbench.plan import Report

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
    if workers is not None and workers < 0:
        msg = f"workers: {workers} is not accepted"
        raise InputError(msg, "Give a whole number from 0; 0 trains in this process.")
    plan = make_plan(study, report)
    with Store(folder, create=True) as store:
        store.add_study(study, [cell.key for cell in plan.cells])
        stored = store.records(cell.key for cell in plan.cells)
        # A divergence comes back each time; a failure may have been the machine's and is tried again.
        todo = [c for c in plan.cells if c.key not in stored or stored[c.key].status not in SETTLED]
        try:
            costs = _costs(plan, stored, report)
            _timings(plan, stored, store, protocol or Protocol(), report)
            _train(plan, todo, costs, store, workers, report)
        except KeyboardInterrupt:
            kept = len([r for r in store.records(c.key for c in plan.cells).values() if r.status == "done"])
            msg = f"stopped: {kept} of {len(plan.cells)} runs are finished and kept in {folder}"
            raise Interrupted(msg, "The same command goes on from there.") from None
        return load(folder)


def load(folder: str | Path) -> Comparison:
    """Return the last study of a results folder with what is stored of it.

    Raises:
        StoreError: there is none.
    """
    folder = Path(folder)
    with Store(folder) as store:
        last = store.last_study()
        study, keys = last if last is not None else (Study(()), list(store.records()))
        records = store.records(keys).values()
        timings = side_by_side(store.timings(), records)
        joined = tuple(replace(r, timings=timings.get(r.cell.key, ())) for r in records)
        return Comparison(study, joined, folder, store.damaged)


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


def _costs(plan: Plan, stored: Mapping[str, Record], report: Report) -> dict[str, Cost]:
    """Return the cost of every model by key, from the stored runs where one has it."""
    known = {r.cell.sized.key: r.cost for r in stored.values() if r.cell.sized is not None and r.cost is not None}
    costs: dict[str, Cost] = {}
    for done, (key, sized) in enumerate(plan.sized.items(), start=1):
        detail = ""
        try:
            costs[key] = known.get(key) or measure_cost(sized)
        except (InputError, ModelError) as error:  # weights of another model are seen first when it is built
            detail = str(error)
        report(Progress("count", label(sized.model, sized.budget), done, len(plan.sized), detail, finished=True))
    return costs


def _timings(plan: Plan, stored: Mapping[str, Record], store: Store, protocol: Protocol, report: Report) -> None:
    """Time all models of the plan in one session a device, unless a stored session has all that are known to work."""
    study = plan.study
    broken = {r.cell.sized.key for r in stored.values() if r.cell.sized is not None and r.status == "failed"}
    for device in study.timing_devices:
        needed = {(key, mode) for key, sized in plan.sized.items() if key not in broken for mode in modes_of(sized)}
        fitting = [
            t for t in store.timings() if t.device == device and fits(t, study.recipe, study.threads, plan.environment)
        ]
        sessions = by_session(fitting).values()
        if any(needed <= {(t.sized_key, t.mode) for t in session} for session in sessions):
            continue
        images = plan.dataset.images["train"]
        repeats = -(-study.recipe.batch_size // len(images))
        batch = preparer(plan.dataset)(images.repeat(repeats, 1, 1, 1)[: study.recipe.batch_size])

        def on_round(done: int, total: int, device: str = device) -> None:
            report(Progress("time", f"{len(plan.sized)} models on {device}", done, total, finished=done == total))

        def on_problem(problem: str, device: str = device) -> None:
            report(Progress("time", f"{len(plan.sized)} models on {device}", 0, 1, problem))

        timings = time_models(
            list(plan.sized.values()), batch, study.recipe, device, study.threads, plan.environment,
            protocol=protocol, fit=_fitter(plan.dataset), on_round=on_round, on_problem=on_problem,
        )  # fmt: skip
        store.add_timings(timings)


def _fitter(dataset: Dataset) -> Callable[[nn.Module], None]:
    """Return the function that teaches a model which learns by `fit` all of the training images."""

    def fit(net: nn.Module) -> None:
        net.fit(preparer(dataset)(dataset.images["train"]), dataset.labels["train"])  # type: ignore[operator]

    return fit


def _train(
    plan: Plan, todo: Sequence[Cell], costs: Mapping[str, Cost], store: Store, workers: int | None, report: Report
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
            detail = _kept(plan, store, costs, cell, event.outcome)
        done = sum(weight[key] * share for key, share in share_done.items())
        name = f"{label(cell.model, cell.budget)} seed {cell.recipe.seed}"
        report(Progress("train", name, done, total, detail, finished=event.outcome is not None))

    log = store.folder / LOG_NAME
    run_here([cell for cell in todo if cell.problem is not None], plan.dataset, log, on_event)
    ordered = sorted((cell for cell in todo if cell.problem is None), key=lambda c: weight[c.key], reverse=True)
    # What this process imported for its models and data, a worker imports too; what it defined itself stays with it.
    modules = {find_spec(cell.model).build.__module__ for cell in ordered} | {
        find_source(study.dataset).load.__module__
    }
    if "__main__" in modules or workers == 0:
        run_here(ordered, plan.dataset, log, on_event)
    elif ordered:
        elsewhere = sorted(module for module in modules if module.partition(".")[0] not in {"zoo", "archbench"})
        asked = replace(study, plugins=tuple(dict.fromkeys([*study.plugins, *elsewhere])))
        count = workers or (1 if study.device == "cuda" else max(1, usable_cores() // study.threads))
        run_in_workers(ordered, asked, count, log, on_event)


def _macs(cell: Cell, costs: Mapping[str, Cost]) -> int:
    cost = costs.get(cell.sized.key) if cell.sized else None
    return (cost.macs if cost else None) or 1


def _kept(plan: Plan, store: Store, costs: Mapping[str, Cost], cell: Cell, outcome: Outcome) -> str:
    """Commit an outcome as a record; return what is worth a line about it."""
    cost = costs.get(cell.sized.key) if cell.sized else None
    record = Record(
        cell, outcome.status, plan.environment, cost, outcome.training, error=outcome.error, finished_at=now()
    )
    store.add(record)
    test = outcome.training.test if outcome.training else None
    if outcome.error is not None or test is None or test.top1 is None:
        return outcome.error or outcome.status
    return f"test accuracy {test.top1:.4f}"
