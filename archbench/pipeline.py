"""The line from end to end: Study -> Cell -> SizedModel -> Cost -> Timing -> Training -> Record -> Store.

The same study again runs nothing; a study with one model, budget or seed more runs only what is new. Timings are the
one exception: a ratio needs both models side by side, so a new model has all of its comparison timed again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.environment import module_path, usable_cores
from archbench.errors import InputError, Interrupted, Terminated
from archbench.execute import CHECKPOINTS_FOLDER, LOGS_FOLDER, WEIGHTS_FOLDER, Here, Isolated, Setup, Warm
from archbench.execute.session import check_ray
from archbench.instruments import Bench, costs_of, knobs_of, memories_of, modules_of, plugins_of, time_plan
from archbench.loading import closest_notes, load
from archbench.manner import Manner, to_do
from archbench.plan import make_plan, silent
from archbench.schema import Progress, Study
from archbench.shards import words_of
from archbench.store import Owner, Store
from archbench.sweep import Sweep
from archbench.timing import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archbench.comparison import Comparison
    from archbench.execute import Runner
    from archbench.plan import Datasets, Plan, Report
    from archbench.schema import Cell, Record

# Runs at a time: a card takes their steps in turn, so that more do no more in all; but while one starts others compute.
MOST_ON_CUDA = 4


@contextlib.contextmanager
def warming(manner: Manner | None = None) -> Iterator[Warm | None]:
    """Within: a process imports what jobs need, beside this one; none does where no job will have a process of its own.

    Raises:
        InputError: what is asked for cannot be had.
    """
    manner = _checked(manner)
    if manner.executor != "local" or manner.workers == 0:
        yield None
        return
    with contextlib.closing(Warm()) as warm:
        yield warm


def run(
    study: Study,
    folder: Path,
    *,
    manner: Manner | None = None,
    report: Report = silent,
    protocol: Protocol | None = None,
    warm: Warm | None = None,
) -> Comparison:
    """Do all of a study that is not done yet, and return all of it.

    Args:
        study: what is asked for.
        folder: the results folder; its store is created where missing.
        manner: how runs are run; results do not depend on it.
        report: is told of the progress.
        protocol: how long and how often steps are timed.
        warm: of `warming`, where that has begun already; it is of no use afterwards.

    Raises:
        InputError, DataError, OutputError, StoreError: before anything is trained.
        OutputError: the disk is full; what was committed is kept.
        Interrupted: on Ctrl-C or SIGTERM; what was finished is kept.
    """
    manner = _checked(manner)
    with contextlib.ExitStack() as opening:
        warm = warm or opening.enter_context(warming(manner))
        with _staying():
            plan = make_plan(study, report)
            mine, timed = manner.part(plan.cells)
        note = words_of(manner.part, mine, plan.cells, timed=timed)
        if note:
            report(Progress("train", "", 0, 1, note, note=True))
        store = opening.enter_context(Store(folder, create=True))
        owner = opening.enter_context(Owner(folder))
        asked = replace(study, data_root=None)  # where the data lies here is nothing that a result should carry
        store.add_study(asked, [(cell, cell.case) for cell in plan.cells], {cell.key for cell in mine})
        if mine:
            _do(plan, mine, store, owner, manner, report, protocol or Protocol(), timed=timed, warm=warm)
        return load(folder)


def train_trials(
    study: Study,
    folder: Path,
    *,
    manner: Manner | None = None,
    report: Report = silent,
    datasets: Datasets | None = None,
    runner: Runner | None = None,
) -> dict[str, Record]:
    """Train every cell of a study without a look at the test split or the clock; return the records by case.

    The study does not become the folder's own; its runs are kept in the store all the same. Who calls again and again
    hands a `runner` of `opened` in.
    """
    manner = _checked(manner)
    with _staying():
        plan = make_plan(study, report, tested=False, datasets=datasets)
    with Store(folder, create=True) as store, Owner(folder) as owner:
        _do(plan, plan.cells, store, owner, manner, report, runner=runner)
        stored = store.records(cell.key for cell in plan.cells)
        return {cell.case: stored[cell.key] for cell in plan.cells if cell.key in stored}


@contextlib.contextmanager
def opened(plan: Plan, folder: Path, manner: Manner | None = None, report: Report = silent) -> Iterator[Runner]:
    """Within: what does the jobs of a plan, and of others of its models and data, into a results folder.

    Raises:
        InputError: a cluster is asked for, and there is none, or what is to be run exists only in this process.
        OutputError: the folder cannot be written.
    """
    manner = _checked(manner)
    with Store(folder, create=True) as store:
        runner = _runner(plan, store, manner, report)
    with contextlib.closing(runner):
        yield runner


@contextlib.contextmanager
def _staying() -> Iterator[None]:
    """Within: a model that goes to another folder while it is built takes nobody along."""
    here = Path.cwd()
    try:
        yield
    finally:
        os.chdir(here)


def _checked(manner: Manner | None) -> Manner:
    manner = manner or Manner()
    if manner.workers is not None and manner.workers < 0:
        msg = f"workers: {manner.workers} is not accepted"
        raise InputError(msg, "Give a whole number from 0; 0 trains in this process.")
    if manner.executor == "ray":
        check_ray(manner.ray_address)
        if manner.workers == 0:
            msg = "--workers 0 trains in this process, and --executor ray on a cluster"
            raise InputError(msg, "Give one of the two.")
    return manner


def _do(
    plan: Plan,
    mine: tuple[Cell, ...],
    store: Store,
    owner: Owner,
    manner: Manner,
    report: Report,
    protocol: Protocol | None = None,
    *,
    timed: bool = True,
    runner: Runner | None = None,
    warm: Warm | None = None,
) -> None:
    """Do what of these cells of a plan is not done yet; all of its models are timed, and without a protocol none is."""
    distinct: dict[str, Cell] = {}
    for cell in mine:  # of two cases with one run the first names it
        distinct.setdefault(cell.key, cell)
    since = store.last_attempt()
    stored = store.records(distinct, curves=False)
    todo = [cell for key, cell in distinct.items() if key not in stored or to_do(stored[key], manner)]
    for note in closest_notes(todo, store.folder):  # why they are not taken from the store
        report(Progress("train", "", 0, 1, note, note=True))
    try:
        with contextlib.ExitStack() as opening:
            runner = runner or opening.enter_context(contextlib.closing(_runner(plan, store, manner, report, warm)))
            workers = _workers(plan, manner, runner)
            bench = Bench(runner, workers, manner.timeout_s)
            timed = timed and protocol is not None
            costs = costs_of(plan if timed else replace(plan, cells=mine), stored, bench, report)
            memories = memories_of(todo, stored, bench, report) if protocol is not None else {}
            if timed and protocol is not None:
                patient = replace(protocol, patience_s=manner.timeout_s)
                time_plan(plan, stored, costs, store, patient, report, runner.alone)
            knobs = knobs_of(todo, costs, bench, report) if manner.tune else {}
            Sweep(plan, store, owner, manner, report, costs, memories, knobs, todo, since).run(runner, workers)
    except KeyboardInterrupt as stop:
        kept = len([r for r in store.records(distinct, curves=False).values() if r.status == "done"])
        msg = f"stopped: {kept} of {len(distinct)} runs are finished and kept in {store.folder}"
        kind = Terminated if signal.SIGTERM in stop.args else Interrupted
        raise kind(msg, "The same command goes on from there.") from None


def _runner(plan: Plan, store: Store, manner: Manner, report: Report, warm: Warm | None = None) -> Runner:
    """Return what does the jobs: this process where the models or data exist only in it, or where it is asked for.

    Raises:
        InputError: a cluster is asked for, and they exist only in this process.
    """
    study = plan.study
    able = [cell for cell in plan.cells if cell.problem is None]
    weights = store.folder / WEIGHTS_FOLDER if study.keep_weights else None
    setup = Setup(
        module_path(),
        plugins_of(plan, able),
        str(Path(study.data_root).absolute()) if study.data_root else None,
        logs=str((store.folder / LOGS_FOLDER).absolute()),
        checkpoints=str((store.folder / CHECKPOINTS_FOLDER).absolute()),
        weights=str(weights.absolute()) if weights else None,
    )
    only_here = "__main__" in modules_of(study, able)
    if manner.executor == "ray" and able:
        if only_here:
            msg = "a model or data set is defined in the script that runs, which no other machine has"
            raise InputError(msg, "Put it into a module that every node can import.")
        from archbench.execute.cluster import Cluster

        def say(words: str) -> None:
            report(Progress("train", "", 0, 1, words, note=True))

        return Cluster(setup, able, plan.environment, manner.ray_address, say)
    here = manner.workers == 0 or not able or only_here
    if here and warm is not None:
        warm.close()
    return Here(setup, plan.dataset_of) if here else Isolated(setup, warm)


def _workers(plan: Plan, manner: Manner, runner: Runner) -> int:
    if isinstance(runner, Here):
        return 0
    if not runner.local:
        return manner.workers or sys.maxsize  # as many as its nodes have room for
    fitting = max(1, usable_cores() // plan.study.threads)
    return manner.workers or (min(fitting, MOST_ON_CUDA) if plan.study.device == "cuda" else fitting)
