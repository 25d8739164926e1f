"""Study -> cells: the data loaded, every model sized, every run laid out before one of them runs."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from archbench.budget import build_model, size_model
from archbench.building import fetch_weights, find_spec
from archbench.data import load_dataset
from archbench.environment import capture, device_name
from archbench.errors import InputError, ModelError
from archbench.reference import parse_reference, refuse_budget
from archbench.schema import Budget, Case, Cell, Progress, SizedModel, Study, View
from archbench.units import compact

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from archbench.data import Dataset
    from archbench.schema import Environment

    Report = Callable[[Progress], None]
    Datasets = Mapping[tuple[str, View], Dataset]

BYTES_PER_PARAM = 16  # in float32: the weight, its gradient, and two moments of Adam; activations come on top


@dataclass(frozen=True)
class Plan:
    """A study resolved: its data, its cells in order, and the distinct models among them.

    Attributes:
        datasets: by name and view.
        cells: two cases may hold one and the same run: their cells have one key.
        failures: the tracebacks of models that could not be built, by their cells' keys.
    """

    study: Study
    datasets: Datasets
    environment: Environment
    cells: tuple[Cell, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def sized(self) -> dict[str, SizedModel]:
        """The models that can be run, by their key."""
        return {c.sized.key: c.sized for c in self.cells if c.sized is not None and c.problem is None}

    def dataset_of(self, cell: Cell) -> Dataset:
        """Return what a cell is trained on."""
        return self.datasets[cell.dataset, cell.view]


def silent(_: Progress) -> None:
    """Show nothing."""


def make_plan(study: Study, report: Report = silent, *, tested: bool = True, datasets: Datasets | None = None) -> Plan:
    """Load the data, size every model, and lay out the cells: study -> cells.

    Args:
        study: what is asked for.
        report: is told of every model.
        tested: whether the test split is looked at.
        datasets: those that are loaded already, by name and view.

    Raises:
        InputError: an unknown model, data set or baseline, or nothing to compare.
        DataError: the data is missing or malformed.
    """
    wanted = [(case, *one) for case in study.settings for one in _wanted(study, case)]
    _check_baseline(study, [model for _, model, _ in wanted])
    datasets = dict(datasets or {})
    for case in study.settings:
        if (case.dataset, case.view) not in datasets:
            datasets[case.dataset, case.view] = load_dataset(
                case.dataset, study.data_root, download=study.download, view=case.view
            )
    environment = capture()
    cells: list[Cell] = []
    failures: dict[str, str] = {}
    for done, (case, model, budget) in enumerate(wanted, start=1):
        dataset = datasets[case.dataset, case.view]
        sized, problem, failure = None, None, ""
        try:
            sized = size_model(model, budget, dataset.input_shape, outputs_for(model, dataset))
            problem = _too_large(sized, study, environment)
            if "weights" in sized.options and problem is None:
                build_model(sized)  # a file of another model is told before anything is run
        except ModelError as error:
            problem, failure = str(error), "".join(traceback.format_exception(error))
        detail = problem or ""
        if sized is not None and not sized.within_budget and budget is not None:
            detail = (
                f"{model} cannot be sized to {compact(budget.target)} here: the nearest has {compact(sized.params)} "
                "parameters; choose another budget"
            )
        report(Progress("size", label(model, budget, case.name), done, len(wanted), detail, finished=True))
        of_seeds = [
            Cell(
                model, budget, case.dataset, dataset.sha256, replace(case.recipe, seed=seed), study.device,
                device_name(environment, study.device), study.threads, environment.torch, sized, problem, tested=tested,
                view=case.view, case=case.name, images=dataset.counts, warnings=dataset.warnings,
            )
            for seed in study.seeds
        ]  # fmt: skip
        cells += of_seeds
        failures |= {cell.key: failure for cell in of_seeds if failure}
    return Plan(study, datasets, environment, tuple(cells), failures)


def outputs_for(model: str, dataset: Dataset) -> int:
    """Return the classes that a model is built for: its outputs, or those of each of its positions.

    Raises:
        ModelError: the model gives labels to more positions than an image has.
    """
    spec, classes = find_spec(model), len(dataset.classes)
    if spec.positions not in {1, dataset.positions}:
        msg = f"{model} gives an image {spec.positions} labels, and those of {dataset.name} have {dataset.positions}"
        raise ModelError(msg, "Leave it out, or take another data set.")
    if dataset.positions > 1 and not spec.by_gradient:
        msg = f"{model} gives an image one label, and those of {dataset.name} have {dataset.positions}"
        raise ModelError(msg, "Leave it out, or take another data set.")
    return classes * dataset.positions // spec.positions


def _wanted(study: Study, case: Case) -> list[tuple[str, Budget | None]]:
    """Return every model of a case with every budget that it is to meet, each pair once.

    Raises:
        InputError: an unknown model, a budget for a model of one size, or nothing to compare.
    """
    if not case.models:
        msg = "no model is named"
        raise InputError(msg, "Name at least one; `archbench list` shows them.")
    wanted: list[tuple[str, Budget | None]] = []
    for reference in case.models:
        model, own = parse_reference(reference)
        problem = find_spec_or_problem(model)
        scalable = problem is not None or find_spec(model).scalable
        if problem is None:
            refuse_budget(model, own)
        if problem is None and study.download:
            fetch_weights(model)
        targets = [own] if own is not None else case.budgets if scalable else []
        wanted += [(model, Budget(target)) for target in targets] or [(model, None)]
    if len(set(wanted)) < len(wanted):
        msg = f"a model is named twice: {', '.join(case.models)}"
        raise InputError(msg, "Name each model once.")
    return wanted


def _check_baseline(study: Study, models: Sequence[str]) -> None:
    if study.baseline is not None and study.baseline not in models:
        msg = f"the baseline {study.baseline!r} is not among the compared models"
        raise InputError(msg, f"Name one of {', '.join(dict.fromkeys(models))}.")


def _too_large(sized: SizedModel, study: Study, environment: Environment) -> str | None:
    """Return why a model cannot be trained in this machine's memory, which would end more than its own run."""
    needed = sized.params * BYTES_PER_PARAM
    if study.device != "cpu" or environment.memory_bytes is None or needed <= environment.memory_bytes:
        return None
    sizes = [f"{size / 2**30:,.0f} GiB" for size in (needed, environment.memory_bytes)]
    return (
        f"{sized.model} with {compact(sized.params)} parameters needs {sizes[0]} to train; the machine has {sizes[1]}"
    )


def planned(plan: Plan, done: Collection[str]) -> list[dict[str, Any]]:
    """Return a row a cell for people and programs: what it resolves to, and whether its key is among the `done`."""
    return [
        {
            "model": cell.model,
            "case": cell.case,
            "budget": cell.budget.target if cell.budget else None,
            "seed": cell.recipe.seed,
            "params": cell.sized.params if cell.sized else None,
            "rel_error": cell.sized.rel_error if cell.sized else None,
            "width": cell.sized.width if cell.sized else None,
            "options": cell.sized.options if cell.sized else None,
            "done": cell.key in done,
            "problem": cell.problem,
            "key": cell.key,
        }
        for cell in plan.cells
    ]


def label(model: str, budget: Budget | None, case: str = "") -> str:
    """Return `cnn@30k`, or `cnn` where there is no budget; with the case of the study behind it."""
    name = model if budget is None else f"{model}@{compact(budget.target)}"
    return f"{name}, {case}" if case else name


def find_spec_or_problem(model: str) -> str | None:
    """Return why a `module:attribute` cannot be had, or None; an unknown name raises InputError at once."""
    try:
        find_spec(model)
    except ModelError as error:
        return str(error)
    return None
