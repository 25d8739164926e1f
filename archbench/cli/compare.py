"""`compare` and `train`: the main job, and one model of it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.sharing import TRAINING, sharing
from archbench.cli.show import Display, err, json_rows, out, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.comparison import Comparison
    from archbench.execute import Warm
    from archbench.manner import Manner, Part
    from archbench.schema import Study
    from archbench.timing import Protocol
    from archbench.tuning import Tuning

Model = Annotated[str, typer.Argument(help=f"A model: {o.WHAT_MODELS}")]
Trunk = Annotated[
    list[str] | None,
    typer.Option("--trunk", help="A model that every one of --heads is put on; repeatable.", metavar="MODEL"),
]
Heads = Annotated[
    str | None,
    typer.Option(
        "--heads", metavar="LIST",
        help="Heads to compare on --trunk: dense2, dense2_nodropout, dense1, dense1_nodropout, conv, gap, 512-256.",
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option("--seed", help="The seed.", min=0, rich_help_panel=o.TRAINING)]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", help="Model that overheads are relative to.", show_default="the first"),
]

DAMAGED = (
    "warning: {count} damaged rows in {folder} were left out; the others are intact. "
    "`archbench results verify` names them."
)


@sharing(*TRAINING)
def compare(
    models: o.MaybeModels = None,
    budgets: o.Budgets = None,
    trunk: Trunk = None,
    heads: Heads = None,
    baseline: Baseline = None,
    imports: o.Imports = None,
    seeds: o.Seeds = "3",
    shard: o.Shard = "1/1",
    dry_run: o.DryRun = False,
    *,
    name: str | None,
    out_folder: Path | None,
    as_json: bool,
    quiet: bool,
    protocol: Any,
    manner: Any,
    **settings: Any,
) -> None:
    """Compare models at equal parameters: size, count, time, train, draw.

    What is stored already is not done again: the same command only redraws.
    """
    from archbench.pipeline import warming
    from archbench.shards import parse_shard
    from archbench.study import make_study, results_folder
    from archbench.units import parse_counts

    targets = () if budgets is None else parse_counts(budgets)
    part = parse_shard(shard)
    folder = out_folder or part.named(results_folder(settings["dataset"], name))
    manner = replace(manner, part=part)
    with contextlib.nullcontext() if dry_run else warming(manner) as warm:
        study = make_study(
            models or [], targets, trunk=trunk or (), heads=heads or (), baseline=baseline, seeds=seeds,
            plugins=o.import_plugins(imports), **settings,
        )  # fmt: skip
        finish(study, folder, manner, protocol, as_json=as_json, quiet=quiet, dry_run=dry_run, warm=warm)


@sharing(*TRAINING)
def train(
    model: Model,
    budget: o.Budget = None,
    imports: o.Imports = None,
    seed: Seed = 0,
    *,
    name: str | None,
    out_folder: Path | None,
    as_json: bool,
    quiet: bool,
    protocol: Any,
    manner: Any,
    **settings: Any,
) -> None:
    """Train one model once and show its epochs; the result is kept in results/train-<data set>."""
    from archbench.errors import InputError
    from archbench.pipeline import warming
    from archbench.reference import parse_reference
    from archbench.study import make_study, results_folder
    from archbench.units import parse_count

    folder = results_folder(settings["dataset"], name, out_folder)
    if name is None and out_folder is None:
        folder = folder.with_name(f"train-{folder.name}")  # a comparison's figures are not replaced by one model's
    if budget is not None and parse_reference(model)[1] is not None:
        msg = f"{model} has a budget of its own beside --budget"
        raise InputError(msg, "Give one of the two.")
    budgets = [] if budget is None else [parse_count(budget)]
    with warming(manner) as warm:
        study = make_study([model], budgets, seeds=[seed], plugins=o.import_plugins(imports), **settings)
        if study.cases:
            msg = "one model is trained once, on one pre-processing"
            raise InputError(msg, "Join steps by +; `archbench compare` compares several.")
        comparison, files = run_study(study, folder, manner, protocol, quiet=quiet, warm=warm)
    if as_json:
        print_json({**json_rows(comparison.frame())[0], "curve": json_rows(comparison.epochs())})
    else:
        from archbench.words import epochs_words

        print_table(epochs_words(comparison.epochs()))
        print_comparison(comparison, files)
    finished(comparison)


def finish(
    study: Study,
    folder: Path,
    manner: Manner,
    protocol: Protocol,
    *,
    as_json: bool,
    quiet: bool,
    dry_run: bool,
    warm: Warm | None = None,
) -> None:
    """Do all of a study, or show what there is to do; print what came of it."""
    if dry_run:
        dry_run_of(study, folder, manner.part, as_json=as_json)
        return
    comparison, files = run_study(study, folder, manner, protocol, quiet=quiet, warm=warm)
    if as_json:
        print_json({
            "name": folder.name, "folder": str(folder), "files": [str(file) for file in files],
            "summary": json_rows(comparison.summary()), "overhead": json_rows(comparison.overhead()),
            "runs": json_rows(comparison.frame()), **_concluded(comparison),
        })  # fmt: skip
    else:
        print_comparison(comparison, files)
    finished(comparison)


def _concluded(comparison: Comparison) -> dict[str, Any]:
    """Return the answer, and every other table of what is concluded, as JSON has it."""
    found = comparison.conclusions()
    return {"answer": found.answer, "conclusions": {name: json_rows(table) for name, table in found.tables()}}


def run_study(
    study: Study, folder: Path, manner: Manner, protocol: Protocol, *, quiet: bool, warm: Warm | None = None
) -> tuple[Comparison, list[Path]]:
    """Do all of a study with its progress shown; return it and the files that were written."""
    from archbench import pipeline

    with Display(quiet=quiet) as display:
        comparison = pipeline.run(study, folder, manner=manner, report=display, protocol=protocol, warm=warm)
    return comparison, written(comparison)


def written(comparison: Comparison) -> list[Path]:
    """Write the tables and figures of a comparison; return their files, none where nothing was run."""
    if not comparison.records:
        return []
    if comparison.damaged:
        err.print(DAMAGED.format(count=comparison.damaged, folder=comparison.folder))
    return comparison.write_tables() + comparison.write_figures()


def print_comparison(comparison: Comparison, files: list[Path]) -> None:
    """Print the summary, the overhead, and where all of it was written."""
    from archbench.units import either, number
    from archbench.words import overhead_brief, summary_words, timing_notes

    if not comparison.records:
        out.print(f"{comparison.folder}: nothing to run, as there are more shards than runs")
        return
    study = comparison.study
    recipes = [case.recipe for case in study.settings]
    print_table(
        summary_words(comparison.summary()),
        f"{either(case.dataset for case in study.settings)}: {number(len(study.seeds), 'seed')}, "
        f"{either(number(recipe.epochs, 'epoch') for recipe in recipes)}, "
        f"steps of {either(str(recipe.batch_size) for recipe in recipes)} samples on {number(study.threads, 'thread')}",
    )
    brief = overhead_brief(comparison.overhead())
    if len(brief):
        out.print()
        base = study.baseline or comparison.records[0].cell.model
        print_table(brief, f"Relative to {base}; accuracy in points")
    for note in timing_notes(comparison.records, study.baseline):
        out.print(f"\n{note}")
    for warning in dict.fromkeys(text for record in comparison.records for text in record.cell.warnings):
        out.print(f"\nwarning: {warning}")
    for sentence in comparison.conclusions().answer:
        out.print(f"\n{sentence}")
    out.print()
    out.print("Written:", *files, sep="\n  ")


def dry_run_of(study: Study, folder: Path, part: Part, *, as_json: bool) -> None:
    """Show what a part of the study resolves to and what of it is done, without writing anything."""
    from archbench.loading import closest_notes, done_keys
    from archbench.plan import make_plan, planned
    from archbench.shards import words_of
    from archbench.words import plan_words

    plan = make_plan(study, lambda step: err.print(f"warning: {step.detail}") if step.detail else None)
    mine, timed = part(plan.cells)
    cells = planned(replace(plan, cells=mine), done_keys(folder))
    dataset = next(iter(plan.datasets.values()))
    runs = {cell["key"]: cell["done"] for cell in cells}  # two cases may share one
    done = sum(runs.values())
    if as_json:
        print_json({
            "folder": str(folder), "dataset": study.dataset, "input": dataset.input_shape,
            "classes": len(dataset.classes), "to_run": len(runs) - done, "done": done, "cells": cells,
        })  # fmt: skip
        return
    if cells:
        print_table(plan_words(cells))
    for note in (*closest_notes(mine, folder), words_of(part, mine, plan.cells, timed=timed)):
        if note:
            out.print(note)
    out.print(f"{len(runs) - done} of {len(runs)} runs to do in {folder}")


def print_search(tuning: Tuning) -> None:
    """Print what was found, and what it comes to on the test split."""
    from archbench.words import summary_words

    print_table(tuning.best_words(), "Best trial of each model, on the validation split")
    out.print()
    print_table(summary_words(tuning.comparison.summary()), "Trained anew with these settings, and tested once a seed")
    out.print()


def finished(comparison: Comparison, *, may_diverge: bool = False, lost: Sequence[str] = ()) -> None:
    """Name every run that is not done; with one of them the command fails, unless divergence is a result.

    Models of which a search found nothing are named, too, and fail the command.
    """
    from archbench.errors import ModelError
    from archbench.execute import LOGS_FOLDER, Job
    from archbench.plan import label
    from archbench.schema import SETTLED

    for model in lost:
        err.print(f"failed: no trial of {model} came to an end")
    for record in comparison.records:
        if record.status != "done":
            name = label(record.cell.model, record.cell.budget, record.cell.case)
            log = Job("train", record.cell).log(comparison.folder / LOGS_FOLDER)
            see = f"; see {log}" if log.is_file() and record.status != "diverged" else ""
            err.print(f"{record.status}: {name} seed {record.cell.recipe.seed}: {record.error}{see}")
    accepted = SETTLED if may_diverge else {"done"}
    if lost or any(record.status not in accepted for record in comparison.records):
        raise typer.Exit(ModelError.exit_code)
