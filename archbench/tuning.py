"""A search for the best settings of each model, with the same number of trials for all, on the validation split alone.

Optuna proposes (TPE, seeded); each trial is a run of its own that never sees the test split and is kept in the store,
so that the same search again runs nothing. What won is then trained over several seeds and tested once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from archbench.building import find_spec
from archbench.errors import InputError, Interrupted, ModelError
from archbench.execute import LOGS_FOLDER
from archbench.exports import write_csv
from archbench.files import write_file
from archbench.plan import make_plan, silent
from archbench.reference import parse_reference, shown, with_options
from archbench.schema import Case, Study, fields
from archbench.search_space import SIZE, Space, check_names, check_range, default_space, ends, suggest
from archbench.settings import make_recipe, whole
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from archbench.comparison import Comparison
    from archbench.manner import Manner
    from archbench.plan import Plan, Report
    from archbench.schema import Record
    from archbench.timing import Protocol

AT_A_TIME = 4  # trials proposed together, so that workers have something to do and their number changes nothing
TRIALS = 20
MOST_TRIALS = 10_000
TUNED = "tuned"  # the case that the winners stand in


@dataclass(frozen=True)
class Trial:
    """One trial: what was tried, and the validation accuracy after its last epoch; None where it diverged or failed."""

    model: str
    number: int
    settings: Mapping[str, Any]
    accuracy: float | None
    status: str


@dataclass(frozen=True)
class Tuning:
    """All trials of all models, and the comparison of the winners."""

    trials: tuple[Trial, ...]
    comparison: Comparison

    @property
    def lost(self) -> list[str]:
        """The models of which no trial came to an end."""
        best = self.best()
        return [model for model in dict.fromkeys(trial.model for trial in self.trials) if model not in best]

    def best(self) -> dict[str, Trial]:
        """Return each model's best trial, the earlier of equals."""
        found: dict[str, Trial] = {}
        for trial in self.trials:
            best = found.get(trial.model)
            if trial.accuracy is not None and (best is None or trial.accuracy > (best.accuracy or 0.0)):
                found[trial.model] = trial
        return found

    def frame(self) -> pd.DataFrame:
        """Return a row a trial: `model`, `trial`, `validation_accuracy`, `best_so_far`, `status`, what was tried."""
        import pandas as pd

        warned = dict.fromkeys(text for record in self.comparison.records for text in record.cell.warnings)
        frame = pd.DataFrame([
            {
                "model": trial.model, "trial": trial.number, "validation_accuracy": trial.accuracy,
                "status": trial.status, **trial.settings, "warnings": "; ".join(warned) or None,
            }
            for trial in self.trials
        ])  # fmt: skip
        best = frame.groupby("model")["validation_accuracy"].transform(lambda column: column.cummax().ffill())
        frame.insert(3, "best_so_far", best)
        return frame

    def best_words(self) -> pd.DataFrame:
        """Return each model's best trial as people read it."""
        import pandas as pd

        return pd.DataFrame([
            {
                "model": shown(model), "trial": str(trial.number),
                "validation, %": f"{100 * (trial.accuracy or 0):.1f}",
                "settings": ", ".join(
                    f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
                    for name, value in trial.settings.items()
                ),
            }
            for model, trial in self.best().items()
        ])  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """Write tuning.csv and tuning.png.

        Raises:
            OutputError: the folder cannot be written.
        """
        from archbench.figures import save
        from archbench.search_figure import search_figure

        frame = self.frame()
        figure = search_figure(frame)
        return [
            write_csv(frame, folder / "tuning.csv"),
            write_file(folder / "tuning.png", lambda p: save(figure, p)),
        ]


def tune(
    study: Study,
    folder: Path,
    trials: int = TRIALS,
    space: Space | None = None,
    *,
    manner: Manner | None = None,
    seed: int = 0,
    report: Report = silent,
    protocol: Protocol | None = None,
) -> Tuning:
    """Search the settings of every model of a study, and compare the winners over the study's seeds.

    Args:
        study: models (each at one budget at most), data, and the recipe that the trials start from.
        folder: the results folder; trials and runs are kept in its store.
        trials: of every model.
        space: what is searched; `default_space` where it is None.
        manner: how runs are run.
        seed: of the search, and of the weights and batches of the trials.
        report: is told of the progress.
        protocol: of the timing of the winners.

    Raises:
        InputError: Optuna is missing, or the study or the space cannot be searched.
        ModelError: no trial came to an end; a model of which none did has no place in the comparison.
    """
    from archbench import pipeline

    optuna = _optuna()
    tried = replace(study, seeds=(seed,), baseline=None, keep_weights=False)
    spaces, plan = plan_search(tried, trials, space)
    done: list[Trial] = []
    try:
        with pipeline.opened(plan, folder, manner, report) as runner:
            train = partial(
                pipeline.train_trials, folder=folder, manner=manner, report=report, datasets=plan.datasets,
                runner=runner,
            )  # fmt: skip
            for reference, searched in spaces.items():
                search = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
                done.extend(_trials(search, tried, reference, searched, trials, train))  # each as it comes
    except Interrupted as stopped:
        msg = f"stopped after {len(done)} of {trials * len(spaces)} trials, which are kept in {folder}"
        raise type(stopped)(msg, stopped.remedy) from None
    best = Tuning(tuple(done), None).best()  # type: ignore[arg-type]
    if not best:
        diverged = sum(trial.status == "diverged" for trial in done)
        msg = f"none of {number(len(done), 'trial')} came to an end, {diverged} of them diverged"
        raise ModelError(msg, f"Search smaller learning rates; {folder / LOGS_FOLDER} holds what others said.")
    winners = tuple(_case(study, reference, best[reference].settings, TUNED) for reference in best)
    final = replace(study, cases=winners, models=tuple(model for case in winners for model in case.models))
    comparison = pipeline.run(replace(final, baseline=None), folder, manner=manner, report=report, protocol=protocol)
    return Tuning(tuple(done), comparison)


def _trials(
    search: Any, study: Study, reference: str, space: Space, trials: int, train: Callable[[Study], Mapping[str, Record]]
) -> Iterator[Trial]:
    """Yield what comes of the trials that Optuna proposes for a model, some at a time."""
    for first in range(0, trials, AT_A_TIME):
        asked = [search.ask() for _ in range(min(AT_A_TIME, trials - first))]
        proposed = [{name: suggest(trial, name, space[name]) for name in space} for trial in asked]
        names = [f"trial {first + proposed.index(same) + 1}" for same in proposed]  # what comes twice is one run
        cases = {name: _case(study, reference, settings, name) for name, settings in zip(names, proposed, strict=True)}
        records = train(replace(study, cases=tuple(cases.values())))
        for place, (trial, settings, name) in enumerate(zip(asked, proposed, names, strict=True), start=first + 1):
            outcome = _trial(reference, place, settings, records.get(name))
            search.tell(trial, 0.0 if outcome.accuracy is None else outcome.accuracy)
            yield outcome


def plan_search(study: Study, trials: int, space: Space | None = None) -> tuple[dict[str, Space], Plan]:
    """Return what is searched of each model, and a plan of every value at its ends: nothing is told only after hours.

    Raises:
        InputError, ModelError, DataError: the study or the space cannot be searched.
    """
    whole("trials", trials, 1, MOST_TRIALS)
    references = _references(study)
    spaces = {reference: space or default_space(reference, study) for reference in references}
    for reference, searched in spaces.items():
        check_names(reference, searched)
        for name, values in searched.items():
            check_range(name, values)
    return spaces, make_plan(replace(study, cases=tuple(_extremes(study, spaces))))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        msg = "Optuna is not installed"
        raise InputError(msg, "Install it: pip install 'archbench[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _references(study: Study) -> list[str]:
    """Return the models to tune, each with its one budget."""
    if study.cases:
        msg = "a search has no factors of its own: it searches the settings of one case"
        raise InputError(msg, "Give one value each, of --preprocess too.")
    if len(study.budgets) > 1:
        msg = "a search takes one budget"
        raise InputError(msg, "Give one, or write each model with its own: cnn@30k.")
    suffix = f"@{study.budgets[0]}" if study.budgets else ""
    return [
        model if not suffix or parse_reference(model)[1] is not None or not find_spec(model).scalable
        else f"{model}{suffix}"
        for model in study.models
    ]  # fmt: skip


def _extremes(study: Study, spaces: Mapping[str, Space]) -> Iterator[Case]:
    """Yield the study's case with each end of each range and each value of each list."""
    for reference, space in spaces.items():
        for name, values in space.items():
            yield from (_case(study, reference, {name: value}, name) for value in ends(values))


def _case(study: Study, reference: str, settings: Mapping[str, Any], name: str) -> Case:
    """Return the study's case with what a trial sets: of the recipe, of the model, or its size."""
    recipe = {key: value for key, value in fields(study.recipe).items() if key != "seed"}
    options = {key: value for key, value in settings.items() if key not in recipe and key != SIZE}
    model, own = parse_reference(reference)
    if options:
        model = with_options([model], options)[0]
    size = settings.get(SIZE, own)
    return Case(
        name, (model,), () if size is None else (int(size),), study.dataset, study.view,
        make_recipe(**{**recipe, **{key: value for key, value in settings.items() if key in recipe}}),
    )  # fmt: skip


def _trial(model: str, number: int, settings: Mapping[str, Any], record: Record | None) -> Trial:
    epochs = record.training.epochs if record is not None and record.training else ()
    accuracy = epochs[-1].validation.top1 if record is not None and record.status == "done" and epochs else None
    return Trial(model, number, settings, accuracy, record.status if record is not None else "failed")
