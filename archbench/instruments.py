"""Plan -> Costs, Memories, Timings: taken from what is stored where it is there, else measured.

Timings are the one thing that is measured again for a comparison that grows: a ratio needs both models side by side, so
a new model has all of its comparison timed again.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from archbench.building import OWN, find_spec, plugins_for
from archbench.data import parse_dataset
from archbench.environment import allocator, worker_allocator
from archbench.errors import ModelError
from archbench.execute import Job, Stops
from archbench.execute.pool import Work
from archbench.knobs import worth
from archbench.plan import label
from archbench.schema import Progress
from archbench.timing import ENGINES, Request, modes_of, shown, time_models, timed_here, warming
from archbench.timing.locks import training_now
from archbench.timing.sessions import Stepping, by_session, fits, stepping
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from archbench.execute import Ended, Message, Runner
    from archbench.plan import Plan, Report
    from archbench.schema import Cell, Cost, Device, Knobs, Memory, Record, Study
    from archbench.store import Store
    from archbench.timing import Protocol

    Memories = dict[tuple[str, Stepping], Memory | None]
    Ways = dict[tuple[str, Stepping], Knobs]
    Alone = Callable[[], contextlib.AbstractContextManager[None]]


LOST_TIMES = 3  # that a job begins again when the process it came from dies


class Bench(NamedTuple):
    """Where models are measured.

    Attributes:
        runner: does it. workers: at a time. timeout_s: that one may take, 0 for as long as it likes.
    """

    runner: Runner
    workers: int = 1
    timeout_s: float = 0.0


def costs_of(plan: Plan, stored: Mapping[str, Record], bench: Bench, report: Report) -> dict[str, Cost]:
    """Return the cost of every model by key, from the stored runs where one has it.

    Raises:
        KeyboardInterrupt: it was told to stop.
    """
    known = {r.cell.sized.key: r.cost for r in stored.values() if r.cell.sized is not None and r.cost is not None}
    costs = {key: known[key] for key in plan.sized if key in known}
    cells = {c.sized.key: c for c in plan.cells if c.sized is not None and c.problem is None}
    jobs = [Job("cost", cells[key]) for key in plan.sized if key not in costs]
    total = len(plan.sized)
    report(Progress("count", "", len(costs), max(1, total)))

    def on_measured(job: Job, message: Message | None, problem: str) -> None:
        sized = job.cell.sized
        assert sized is not None  # noqa: S101 - what could not be built has no job
        if message is not None and message.cost is not None:
            costs[sized.key] = message.cost
        done = total - len(jobs)
        report(Progress("count", label(sized.model, sized.budget), done, total, problem, finished=True))

    _measure(bench, jobs, on_measured)
    return {key: costs[key] for key in plan.sized if key in costs}


def memories_of(cells: Sequence[Cell], stored: Mapping[str, Record], bench: Bench, report: Report) -> Memories:
    """Return what a training step of each cell holds at most, by model and way to step.

    Raises:
        KeyboardInterrupt: it was told to stop.
    """
    memories: Memories = {
        (r.cell.sized.key, stepping(r.cell.recipe)): r.memory
        for r in stored.values() if r.cell.sized is not None and r.memory is not None
    }  # fmt: skip
    wanted = {
        (cell.sized.key, stepping(cell.recipe)): cell
        for cell in reversed(cells) if cell.sized is not None and cell.problem is None
    }  # fmt: skip
    jobs = [Job("memory", cell) for place, cell in reversed(wanted.items()) if place not in memories]
    total = len(jobs)

    def on_measured(job: Job, message: Message | None, problem: str) -> None:
        cell = job.cell
        assert cell.sized is not None  # noqa: S101 - what could not be built has no job
        if message is not None:
            memories[cell.sized.key, stepping(cell.recipe)] = message.memory
        name = f"memory of {label(cell.model, cell.budget)}"
        report(Progress("count", name, total - len(jobs), total, problem, finished=True))

    _measure(bench, jobs, on_measured)
    return memories


def knobs_of(cells: Sequence[Cell], costs: Mapping[str, Cost], bench: Bench, report: Report) -> Ways:
    """Return how the steps of each cell are taken, by model and way to step; what is missing goes the usual way.

    Raises:
        KeyboardInterrupt: it was told to stop.
    """
    long = {
        (cell.sized.key, stepping(cell.recipe)): cell
        for cell in reversed(cells) if cell.sized is not None and worth(cell, costs.get(cell.sized.key))
    }  # fmt: skip
    ways: Ways = {}
    jobs = [Job("knobs", cell) for cell in reversed(long.values())]
    total = len(jobs)

    def on_measured(job: Job, message: Message | None, problem: str) -> None:
        cell = job.cell
        if message is not None and message.knobs is not None and cell.sized is not None:
            ways[cell.sized.key, stepping(cell.recipe)] = message.knobs
        name = f"quickest step of {label(cell.model, cell.budget)}"
        report(Progress("count", name, total - len(jobs), total, problem, finished=True))

    _measure(bench, jobs, on_measured)
    return ways


def _measure(bench: Bench, jobs: list[Job], on_measured: Callable[[Job, Message | None, str], None]) -> None:
    """Do measuring jobs, which are taken from the list; whatever happens to one of them is told of it alone."""
    said: dict[str, Message] = {}
    held: dict[str, contextlib.ExitStack] = {}
    lost: Counter[str] = Counter()

    def next_job() -> Job | None:
        if not jobs:
            return None
        local = bench.runner.local
        holding = training_now(jobs[0].cell.device, lambda why: None) if local else contextlib.ExitStack()
        if holding is None:  # nothing beside a timing
            return None
        held[jobs[0].cell.key] = holding
        return jobs.pop(0)

    def on_end(job: Job, ended: Ended) -> None:
        key = job.cell.key
        held.pop(key).close()
        message = said.pop(key, None)
        lost[key] += ended.lost
        if message is None and ended.lost and lost[key] < LOST_TIMES:
            jobs.append(job)
            return
        problem = message.error if message is not None else ended.how(bench.timeout_s)
        on_measured(job, message, problem or "")

    with Stops() as stops:
        try:
            bench.runner.run(Work(
                next_job, lambda: bool(jobs), lambda job, message: said.__setitem__(job.cell.key, message), on_end,
                stops, max(1, bench.workers), lambda job: bench.timeout_s or None,
            ))  # fmt: skip
        finally:
            for holding in held.values():
                holding.close()
    if stops.level:
        raise KeyboardInterrupt(stops.signal)


def time_plan(
    plan: Plan,
    stored: Mapping[str, Record],
    costs: Mapping[str, Cost],
    store: Store,
    protocol: Protocol,
    report: Report,
    alone: Alone = contextlib.nullcontext,
) -> None:
    """Time all models that step alike in one session a device, unless a stored one has all that are known to work.

    A model without a cost, whose process died or hung of one forward pass, is left out: it would do so here too. What
    is timed is timed within `alone`.
    """
    groups: dict[Stepping, list[Cell]] = {}
    for cell in plan.cells:
        if cell.sized is not None and cell.problem is None and cell.sized.key in costs:
            groups.setdefault(stepping(cell.recipe), []).append(cell)
    broken = {r.cell.sized.key for r in stored.values() if r.cell.sized is not None and r.status == "failed"}
    for device, group in itertools.product(plan.study.timing_devices, groups.values()):
        _time_group(plan, group, broken, device, store, protocol, report, alone)


def _time_group(
    plan: Plan,
    cells: Sequence[Cell],
    broken: Collection[str],
    device: Device,
    store: Store,
    protocol: Protocol,
    report: Report,
    alone: Alone,
) -> None:
    study, recipe = plan.study, cells[0].recipe
    models = {cell.sized.key: cell.sized for cell in cells if cell.sized is not None}
    needed = {(key, mode) for key, sized in models.items() if key not in broken for mode in modes_of(sized)}
    fitting = [t for t in store.timings() if t.device == device and fits(t, recipe, study.threads, plan.environment)]
    baseline = study.baseline or cells[0].model
    twin = next((cell.sized.key for cell in cells if cell.model == baseline and cell.sized), None)
    how = allocator() if timed_here(models.values(), protocol) else worker_allocator()
    if not protocol.again and any(
        needed <= {(t.sized_key, t.mode) for t in session if t.allocator == how}
        and (twin is None or twin in broken or any(t.twin_us for t in session))
        for session in by_session(fitting).values()
    ):
        return
    what = f"{number(len(models), 'model')} on {device}"
    request = Request(
        models=tuple(models.values()),
        twin=twin,
        datasets={dataset.input_shape: dataset for dataset in map(plan.dataset_of, cells)},
        recipe=recipe, device=device, threads=study.threads, pipeline=True,
        engines=ENGINES[device], plugins=plugins_of(plan, cells),
    )  # fmt: skip
    try:
        with alone():
            timings = time_models(
                request, plan.environment, protocol=protocol, against=_against(cells, baseline),
                on_ready=lambda number, of: report(Progress("time", what, *warming(number, of, protocol))),
                on_width=lambda width: report(Progress("time", what, *shown(width, protocol))),
                on_problem=lambda problem: report(Progress("time", what, 0, 1, problem)),
            )  # fmt: skip
    except ModelError as error:  # the models are trained all the same
        report(Progress("time", what, 0, 1, str(error)))
        return
    store.add_timings(timings)
    report(Progress("time", what, 1, 1, finished=True))


def _against(cells: Sequence[Cell], baseline: str) -> dict[str, str]:
    """Return by a model's key that of the baseline at its budget, or of the first where it has no size there."""
    bases = {cell.budget: cell.sized.key for cell in reversed(cells) if cell.model == baseline and cell.sized}
    first = next(reversed(bases.values()), "")
    return {cell.sized.key: bases.get(cell.budget, first) for cell in cells if cell.sized is not None}


def modules_of(study: Study, cells: Sequence[Cell]) -> set[str]:
    """Return what this process imported for its models and data; what it defined itself is of `__main__`."""
    return {find_spec(cell.model).build.__module__ for cell in cells} | {
        parse_dataset(case.dataset)[0].load.__module__ for case in study.settings
    }


def plugins_of(plan: Plan, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return what another process must import to have the same models and data."""
    data = {parse_dataset(case.dataset)[0].load.__module__ for case in plan.study.settings}
    sources = sorted(module for module in data if module.partition(".")[0] not in OWN)
    return tuple(dict.fromkeys([*plan.study.plugins, *plugins_for(cell.model for cell in cells), *sources]))
