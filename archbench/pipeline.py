"""The line from end to end: Study -> Cell -> SizedModel -> Cost -> Timing -> Training -> Record -> Store.

The same study again runs nothing; a study with one model, budget or seed more runs only what is new. Timings are the
one exception: a ratio needs both models side by side, so a new model has all of its comparison timed again (seconds).
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.building import find_spec
from archbench.comparison import Comparison
from archbench.cost import measure_cost
from archbench.data import parse_dataset
from archbench.data.transforms import preparer
from archbench.environment import usable_cores
from archbench.errors import InputError, Interrupted, ModelError, StoreError
from archbench.execute import WEIGHTS_FOLDER
from archbench.execute.local import Event, run_here, run_in_workers
from archbench.plan import Plan, label, make_plan, silent
from archbench.schema import SETTLED, Cell, Cost, Outcome, Progress, Record, Study
from archbench.store import FILE_NAME, Store, now
from archbench.timing import Protocol, modes_of, time_models
from archbench.timing.sessions import Stepping, by_session, fits, side_by_side, stepping
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor, nn

    from archbench.data import Dataset
    from archbench.plan import Datasets, Report
    from archbench.schema import Device, SizedModel

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
        costs = _costs(plan, stored, report)
        if protocol is not None:
            _timings(plan, stored, store, protocol, report)
        _train(plan, todo, costs, store, workers, report)
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
    """Time all models that step alike in one session a device, unless a stored one has all that are known to work."""
    groups: dict[Stepping, list[Cell]] = {}
    for cell in plan.cells:
        if cell.sized is not None and cell.problem is None:
            groups.setdefault(stepping(cell.recipe), []).append(cell)
    broken = {r.cell.sized.key for r in stored.values() if r.cell.sized is not None and r.status == "failed"}
    for device, group in itertools.product(plan.study.timing_devices, groups.values()):
        _time_group(plan, group, broken, device, store, protocol, report)


def _time_group(
    plan: Plan,
    cells: Sequence[Cell],
    broken: Collection[str],
    device: Device,
    store: Store,
    protocol: Protocol,
    report: Report,
) -> None:
    recipe, threads = cells[0].recipe, plan.study.threads
    models = {cell.sized.key: cell.sized for cell in cells if cell.sized is not None}
    needed = {(key, mode) for key, sized in models.items() if key not in broken for mode in modes_of(sized)}
    fitting = [t for t in store.timings() if t.device == device and fits(t, recipe, threads, plan.environment)]
    if any(needed <= {(t.sized_key, t.mode) for t in session} for session in by_session(fitting).values()):
        return
    datasets = {dataset.input_shape: dataset for dataset in map(plan.dataset_of, cells)}
    what = f"{number(len(models), 'model')} on {device}"

    def on_round(done: int, total: int) -> None:
        report(Progress("time", what, done, total, finished=done == total))

    def on_problem(problem: str) -> None:
        report(Progress("time", what, 0, 1, problem))

    timings = time_models(
        list(models.values()), {shape: _batch(dataset, recipe.batch_size) for shape, dataset in datasets.items()},
        recipe, device, threads, plan.environment,
        protocol=protocol, fit=_fitter(datasets), on_round=on_round, on_problem=on_problem,
    )  # fmt: skip
    store.add_timings(timings)


def _batch(dataset: Dataset, batch_size: int) -> Tensor:
    """Return a batch as a network sees it, images repeated where there are fewer."""
    images = dataset.images["train"][:batch_size]
    return preparer(dataset)(images.repeat(-(-batch_size // len(images)), 1, 1, 1)[:batch_size])


def _fitter(datasets: Mapping[tuple[int, int, int], Dataset]) -> Callable[[SizedModel, nn.Module], None]:
    """Return the function that teaches a model which learns by `fit` all of the training images of its shape."""

    def fit(sized: SizedModel, net: nn.Module) -> None:
        dataset = datasets[sized.input_shape]
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
        name = f"{label(cell.model, cell.budget, cell.case)} seed {cell.recipe.seed}"
        report(Progress("train", name, done, total, detail, finished=event.outcome is not None))

    log = store.folder / LOG_NAME
    weights = store.folder / WEIGHTS_FOLDER if study.keep_weights else None
    run_here([cell for cell in todo if cell.problem is not None], plan.dataset_of, log, on_event)
    ordered = sorted((cell for cell in todo if cell.problem is None), key=lambda c: weight[c.key], reverse=True)
    # What this process imported for its models and data, a worker imports too; what it defined itself stays with it.
    modules = {find_spec(cell.model).build.__module__ for cell in ordered} | {
        parse_dataset(case.dataset)[0].load.__module__ for case in study.settings
    }
    if "__main__" in modules or workers == 0:
        run_here(ordered, plan.dataset_of, log, on_event, weights)
    elif ordered:
        elsewhere = sorted(module for module in modules if module.partition(".")[0] not in {"zoo", "archbench"})
        asked = replace(study, plugins=tuple(dict.fromkeys([*study.plugins, *elsewhere])))
        count = workers or (1 if study.device == "cuda" else max(1, usable_cores() // study.threads))
        run_in_workers(ordered, asked, count, log, on_event, weights)


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
