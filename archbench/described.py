"""A study file, run: what is trained before it, the comparison, the search after it, and what was published."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archbench import pipeline
from archbench.errors import InputError
from archbench.manner import Manner
from archbench.plan import silent
from archbench.pretraining import with_pretrained
from archbench.reproduction import Reproduction
from archbench.schema import fields
from archbench.search_space import parse_space
from archbench.settings import divided, make_recipe, make_view
from archbench.shards import Shard
from archbench.study_file import study_of, tables_of
from archbench.study_schema import Settings, given
from archbench.tuning import TRIALS, plan_search, tune

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archbench.comparison import Comparison
    from archbench.plan import Report
    from archbench.schema import Study
    from archbench.study_schema import StudyFile, TuneTable
    from archbench.timing import Protocol

TUNE_FOLDER = "tune"  # inside a study's results folder


def run_described(
    file: StudyFile,
    study: Study,
    folder: Path,
    *,
    manner: Manner | None = None,
    report: Report = silent,
    protocol: Protocol | None = None,
    on_compared: Callable[[Comparison], object] = lambda comparison: None,
) -> Reproduction:
    """Do all of a study file that is not done yet.

    Args:
        file: the file.
        study: what `archbench.study_file.study_of` made of it.
        folder: the results folder; the search has one of its own inside.
        manner: how runs are run.
        report: is told of the progress.
        protocol: how long and how often steps are timed.
        on_compared: is given the comparison before the search begins, so that it can be written whatever follows.

    Raises:
        InputError, DataError, ModelError, OutputError, StoreError: as `archbench.pipeline.run` and `tune`.
        Interrupted: on Ctrl-C; what was finished is kept.
    """
    refuse_division(file, study, manner or Manner())
    full = study_of(file, device="cpu")
    tuned, pretrained = tables_of(file, study.scale)
    asked = {} if tuned is None else given(tuned)
    trials, space = asked.get("trials", TRIALS), parse_space(asked["search"]) if asked.get("search") else None
    if tuned is not None:  # a search that cannot be made is told before hours of training
        plan_search(with_pretrained(_searched(tuned, study), pretrained, folder, dry=True), trials, space)
    study = with_pretrained(study, pretrained, folder, report)
    comparison = pipeline.run(study, folder, manner=manner, report=report, protocol=protocol)
    on_compared(comparison)
    if tuned is None:
        return Reproduction(file, comparison, full)
    searched = with_pretrained(_searched(tuned, study), pretrained, folder, report)
    tuning = tune(
        searched, folder / TUNE_FOLDER, trials, space,
        manner=manner, report=report, protocol=protocol,
    )  # fmt: skip
    return Reproduction(file, comparison, full, tuning)


def refuse_division(file: StudyFile, study: Study, manner: Manner) -> None:
    """Refuse a shard of a study that does not fall into parts: its runs wait for a training, or its search for them.

    Raises:
        InputError: it has a search or a pretraining.
    """
    part = manner.part
    tuned, pretrained = tables_of(file, study.scale)
    if isinstance(part, Shard) and part.of > 1 and (tuned or pretrained):
        msg = f"a study with a {'search' if tuned else 'pretraining'} cannot be divided: one step waits for another"
        raise InputError(msg, "Leave --shard out.")


def searches(file: StudyFile, study: Study) -> tuple[int, int]:
    """Return how many trials a study file asks for, and of how many models."""
    tuned, _ = tables_of(file, study.scale)
    if tuned is None:
        return 0, 0
    return given(tuned).get("trials", TRIALS), len(_searched(tuned, study).models)


def _searched(table: TuneTable, study: Study) -> Study:
    """Return the study that a search starts from: one case, with what the table sets of recipe and view."""
    recipe, view = divided({key: value for key, value in given(table).items() if key in Settings.__struct_fields__})
    own = {key: value for key, value in fields(study.recipe).items() if key != "seed"}
    made = make_view(**view)
    seen = {name: getattr(made, name) for name in (name if name != "input" else "input_shape" for name in view)}
    return replace(
        study, models=tuple(given(table).get("models") or study.models), cases=(), baseline=None,
        recipe=make_recipe(**{**own, **recipe}), view=replace(study.view, **seen),
    )  # fmt: skip
