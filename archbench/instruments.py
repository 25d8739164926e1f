"""Plan -> Costs, Memories, Timings: taken from what is stored where it is there, else measured.

Timings are the one thing that is measured again for a comparison that grows: a ratio needs both models side by side, so
a new model has all of its comparison timed again.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from archbench.building import OWN, find_spec, plugins_for
from archbench.cost import measure_cost
from archbench.data import parse_dataset
from archbench.environment import allocator, worker_allocator
from archbench.errors import InputError, ModelError
from archbench.plan import label
from archbench.schema import Memory, Progress
from archbench.timing import ENGINES, Request, modes_of, shown, time_models, timed_here, warming
from archbench.timing.memory import measure_memory
from archbench.timing.sessions import Stepping, by_session, fits, stepping
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from archbench.plan import Plan, Report
    from archbench.schema import Cell, Cost, Device, Record, Study
    from archbench.store import Store
    from archbench.timing import Protocol

    Memories = dict[tuple[str, Stepping], Memory | None]


def costs_of(plan: Plan, stored: Mapping[str, Record], report: Report) -> dict[str, Cost]:
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


def memories_of(plan: Plan, cells: Sequence[Cell], stored: Mapping[str, Record], report: Report) -> Memories:
    """Return what a training step of each cell holds at most, by model and way to step."""
    memories: Memories = {
        (r.cell.sized.key, stepping(r.cell.recipe)): r.memory
        for r in stored.values() if r.cell.sized is not None and r.memory is not None
    }  # fmt: skip
    for done, cell in enumerate(cells, start=1):
        if cell.sized is None or cell.problem is not None:
            continue
        place = (cell.sized.key, stepping(cell.recipe))
        if place not in memories:
            memories[place] = measure_memory(cell.sized, plan.dataset_of(cell), cell.recipe, cell.device, cell.threads)
            report(Progress("count", f"memory of {label(cell.model, cell.budget)}", done, len(cells), finished=True))
    return memories


def time_plan(plan: Plan, stored: Mapping[str, Record], store: Store, protocol: Protocol, report: Report) -> None:
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
