"""`compare` and `train`: the main job, and one model of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from archbench.cli import options as o
from archbench.cli.show import Display, err, json_rows, out, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from archbench.comparison import Comparison
    from archbench.schema import Study


def compare(
    models: o.MaybeModels = None,
    budgets: o.Budgets = None,
    trunk: o.Trunk = None,
    heads: o.Heads = None,
    baseline: o.Baseline = None,
    imports: o.Imports = None,
    scale: o.Scale = None,
    head: o.Head = None,
    weights: o.Weights = None,
    freeze: o.Freeze = None,
    dataset: o.Dataset = "digits",
    shown_as: o.ShownAs = None,
    data_root: o.DataRoot = None,
    download: o.Download = False,
    device: o.Device = "auto",
    threads: o.Threads = 1,
    workers: o.Workers = None,
    epochs: o.Epochs = 15,
    seeds: o.Seeds = "3",
    batch_size: o.BatchSize = 64,
    lr: o.Lr = None,
    optimizer: o.Optimizer = "adam",
    schedule: o.Schedule = "cosine",
    weight_decay: o.WeightDecay = 0.0,
    label_smoothing: o.LabelSmoothing = 0.0,
    augment: o.Augment = "",
    precision: o.Precision = "fp32",
    name: o.Name = None,
    out_folder: o.Out = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    dry_run: o.DryRun = False,
    debug: o.Debug = False,
) -> None:
    """Compare models at equal parameters: size, count, time, train, draw.

    What is stored already is not done again: the same command only redraws.
    """
    from archbench.study import make_study, results_folder
    from archbench.units import parse_counts

    targets = () if budgets is None else parse_counts(budgets)
    folder = results_folder(dataset, name, out_folder)
    study = make_study(
        models or [], targets, trunk=trunk or (), heads=heads or (), baseline=baseline, scale=scale, head=head,
        weights=weights, freeze=freeze, input=shown_as, plugins=o.import_plugins(imports), dataset=dataset,
        data_root=data_root, download=download, device=device, threads=threads, epochs=epochs, seeds=seeds,
        batch_size=batch_size, lr=lr, optimizer=optimizer, schedule=schedule, weight_decay=weight_decay,
        label_smoothing=label_smoothing, augment=augment, precision=precision,
    )  # fmt: skip
    if dry_run:
        _dry_run(study, folder, as_json=as_json)
        return
    comparison, files = _run(study, folder, workers, quiet=quiet)
    if as_json:
        print_json({
            "name": folder.name, "folder": str(folder), "files": [str(file) for file in files],
            "summary": json_rows(comparison.summary()), "overhead": json_rows(comparison.overhead()),
            "runs": json_rows(comparison.frame()),
        })  # fmt: skip
    else:
        _print(comparison, files)
    _exit(comparison)


def train(
    model: o.Model,
    budget: o.Budget = None,
    imports: o.Imports = None,
    scale: o.Scale = None,
    head: o.Head = None,
    weights: o.Weights = None,
    freeze: o.Freeze = None,
    dataset: o.Dataset = "digits",
    shown_as: o.ShownAs = None,
    data_root: o.DataRoot = None,
    download: o.Download = False,
    device: o.Device = "auto",
    threads: o.Threads = 1,
    epochs: o.Epochs = 15,
    seed: o.Seed = 0,
    batch_size: o.BatchSize = 64,
    lr: o.Lr = None,
    optimizer: o.Optimizer = "adam",
    schedule: o.Schedule = "cosine",
    weight_decay: o.WeightDecay = 0.0,
    label_smoothing: o.LabelSmoothing = 0.0,
    augment: o.Augment = "",
    precision: o.Precision = "fp32",
    name: o.Name = None,
    out_folder: o.Out = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Train one model once and show its epochs; the result is kept in results/train-<data set>."""
    from archbench.errors import InputError
    from archbench.reference import parse_reference
    from archbench.study import make_study, results_folder
    from archbench.units import parse_count

    folder = results_folder(dataset, name, out_folder)
    if name is None and out_folder is None:
        folder = folder.with_name(f"train-{folder.name}")  # a comparison's figures are not replaced by one model's
    if budget is not None and parse_reference(model)[1] is not None:
        msg = f"{model} has a budget of its own beside --budget"
        raise InputError(msg, "Give one of the two.")
    budgets = [] if budget is None else [parse_count(budget)]
    study = make_study(
        [model], budgets, seeds=[seed], scale=scale, head=head, weights=weights, freeze=freeze, input=shown_as,
        plugins=o.import_plugins(imports), dataset=dataset,
        data_root=data_root, download=download, device=device, threads=threads, epochs=epochs, batch_size=batch_size,
        lr=lr, optimizer=optimizer, schedule=schedule, weight_decay=weight_decay, label_smoothing=label_smoothing,
        augment=augment, precision=precision,
    )  # fmt: skip
    comparison, files = _run(study, folder, None, quiet=quiet)
    if as_json:
        print_json({**json_rows(comparison.frame())[0], "curve": json_rows(comparison.epochs())})
    else:
        from archbench.words import epochs_words

        print_table(epochs_words(comparison.epochs()))
        _print(comparison, files)
    _exit(comparison)


def _run(study: Study, folder: Path, workers: int | None, *, quiet: bool) -> tuple[Comparison, list[Path]]:
    from archbench import pipeline

    with Display(quiet=quiet) as display:
        comparison = pipeline.run(study, folder, workers=workers, report=display)
    if comparison.damaged:
        err.print(f"warning: {comparison.damaged} damaged rows in {folder} were left out; the others are intact")
    return comparison, comparison.write_tables() + comparison.write_figures()


def _print(comparison: Comparison, files: list[Path]) -> None:
    from archbench.units import number
    from archbench.words import overhead_brief, summary_words

    study = comparison.study
    print_table(
        summary_words(comparison.summary()),
        f"{study.dataset}: {number(len(study.seeds), 'seed')}, {number(study.recipe.epochs, 'epoch')}, "
        f"steps of {study.recipe.batch_size} samples on {number(study.threads, 'thread')}",
    )
    overhead = comparison.overhead()
    if len(overhead) > 1:
        out.print()
        base = study.baseline or comparison.records[0].cell.model
        print_table(overhead_brief(overhead), f"Relative to {base}; accuracy in points")
    out.print()
    out.print("Written:", *files, sep="\n  ")


def _dry_run(study: Study, folder: Path, *, as_json: bool) -> None:
    """Show what the study resolves to and what of it is done, without writing anything."""
    from archbench.pipeline import done_keys
    from archbench.plan import make_plan, planned
    from archbench.words import plan_words

    plan = make_plan(study, lambda step: err.print(f"warning: {step.detail}") if step.detail else None)
    cells = planned(plan, done_keys(folder))
    done = sum(cell["done"] for cell in cells)
    if as_json:
        print_json({
            "folder": str(folder), "dataset": study.dataset, "input": plan.dataset.input_shape,
            "classes": len(plan.dataset.classes), "to_run": len(cells) - done, "done": done, "cells": cells,
        })  # fmt: skip
        return
    print_table(plan_words(cells))
    out.print(f"{len(cells) - done} of {len(cells)} runs to do in {folder}")


def _exit(comparison: Comparison) -> None:
    """Name every run that is not done; with one of them the command fails."""
    from archbench.errors import ModelError
    from archbench.plan import label

    if not comparison.complete:
        for record in comparison.records:
            if record.status != "done":
                name = label(record.cell.model, record.cell.budget)
                err.print(f"{record.status}: {name} seed {record.cell.recipe.seed}: {record.error}")
        raise typer.Exit(ModelError.exit_code)
