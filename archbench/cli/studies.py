"""`run`, `reproduce` and `studies`: comparisons that a file describes, beside what was published of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.compare import dry_run_of, finished, print_comparison, print_search, written
from archbench.cli.sharing import machine, outputs, running, sharing, source, timing
from archbench.cli.show import Display, json_rows, out, print_json, print_table

if TYPE_CHECKING:
    from archbench.manner import Manner
    from archbench.reproduction import Reproduction
    from archbench.study_schema import StudyFile
    from archbench.timing import Protocol

File = Annotated[Path, typer.Argument(help="A study file (TOML).", metavar="FILE", show_default=False)]
Name = Annotated[str, typer.Argument(help="A study of `archbench studies`.", metavar="NAME", show_default=False)]
Scale = Annotated[str, typer.Option("--scale", help="quick (minutes) or full (as published).", metavar="quick|full")]
FileScale = Annotated[
    str | None,
    typer.Option("--scale", help="quick or full.", metavar="quick|full", show_default="full"),
]
MaybeDataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        "-d",
        help="The study's data from another place: folder:PATH, npz:PATH.",
        show_default="the study's",
        rich_help_panel=o.MEASURING,
    ),
]
MaybeSeeds = Annotated[
    str | None,
    typer.Option("--seeds", help="How many (3), or which ones (0,7,42).", show_default="the study's",
                 rich_help_panel=o.TRAINING),
]  # fmt: skip
Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of study files, for editors.")]


def of_studies(
    dataset: MaybeDataset = None,
    seeds: MaybeSeeds = None,
    shard: o.Shard = "1/1",
    dry_run: o.DryRun = False,
) -> None:
    """What is common to a study of one's own and a shipped one."""


@sharing(source, machine, timing, running, of_studies, outputs)
def run(file: File, scale: FileScale = None, imports: o.Imports = None, **options: Any) -> None:
    """Run the study that a file describes; results go to results/FILE's name."""
    from archbench.study_file import read_study

    described = read_study(file)
    o.import_plugins([*described.plugins, *(imports or [])])
    _do(described, scale or "full", file.stem, **options)


@sharing(source, machine, timing, running, of_studies, outputs)
def reproduce(name: Name, scale: Scale = "quick", **options: Any) -> None:
    """Run a published comparison again, and set what was measured beside what was published."""
    from archbench.study_file import find_study, read_study

    _do(read_study(find_study(name)), scale, name, **options)


def studies(as_json: o.AsJson = False, schema: Schema = False, debug: o.Debug = False) -> None:
    """List the studies that come with archbench."""
    import pandas as pd

    from archbench.study_file import json_schema, read_study, shipped

    if schema:
        out.file.write(json_schema())
        return
    rows = []
    for name, file in shipped().items():
        study = read_study(file)
        rows.append({
            "study": name, "title": study.title, "dataset": study.dataset,
            "figures": sum(len(published.values) for published in study.published), "claims": len(study.claims),
            "quick": study.scales.quick.about if study.scales.quick else None,
            "full": study.scales.full.about if study.scales.full else None,
        })  # fmt: skip
    if as_json:
        print_json(rows)
        return
    shown = ("study", "dataset", "figures", "claims", "title")
    print_table(pd.DataFrame([{column: str(row[column]) for column in shown} for row in rows]))
    for row in rows:
        out.print(f"\n{row['study']}")
        for scale in ("quick", "full"):
            if row[scale] is not None:
                out.print(f"  {scale}: {row[scale]}")
    out.print("\nRun one with `archbench reproduce STUDY [--scale quick|full] [--data-root DIR]`.")


def _do(
    described: StudyFile,
    scale: str,
    name: str,
    *,
    manner: Manner,
    out_folder: Path | None,
    as_json: bool,
    quiet: bool,
    shard: str,
    dry_run: bool,
    protocol: Protocol,
    **place: Any,
) -> None:
    """Do all of a study file at a scale, or a shard of it; `place` is what it leaves to the machine."""
    from archbench.described import refuse_division, run_described, searches
    from archbench.pretraining import with_pretrained
    from archbench.shards import parse_shard
    from archbench.study_file import folder_of, study_of, tables_of
    from archbench.units import number

    part = parse_shard(shard)
    study = study_of(described, scale, name=name, **place)
    folder = out_folder or part.named(folder_of(study))
    manner = replace(manner, part=part)
    if dry_run:
        refuse_division(described, study, manner)
        _, pretrained = tables_of(described, study.scale)
        dry_run_of(with_pretrained(study, pretrained, folder, dry=True), folder, part, as_json=as_json)
        trials, models = searches(described, study)
        if trials and not as_json:
            out.print(f"then a search: {number(trials, 'trial')} of {number(models, 'model')}")
        return
    files: list[Path] = []
    with Display(quiet=quiet) as display:
        reproduction = run_described(
            described, study, folder, manner=manner, report=display, protocol=protocol,
            on_compared=lambda compared: files.extend(written(compared)),
        )  # fmt: skip
    comparison = reproduction.comparison
    if comparison.records:
        files += reproduction.write()
        if reproduction.file.published:
            comparison.write_figures()  # once more, with the published points
    if as_json:
        print_json({
            "name": study.name, "scale": study.scale, "folder": str(folder), "files": [str(file) for file in files],
            "recipe": json_rows(reproduction.recipe()), "summary": json_rows(comparison.summary()),
            "published": json_rows(reproduction.published()),
            "claims": json_rows(reproduction.claims()),
            "trials": json_rows(reproduction.tuning.frame()) if reproduction.tuning else [],
            "tuned": json_rows(reproduction.tuning.comparison.summary()) if reproduction.tuning else [],
        })  # fmt: skip
    else:
        if comparison.records:
            _print(reproduction)
        if reproduction.tuning:
            print_search(reproduction.tuning)
        print_comparison(comparison, files)
    if reproduction.tuning:
        finished(reproduction.tuning.comparison, may_diverge=True, lost=reproduction.tuning.lost)
    finished(comparison, may_diverge=True)


def _print(reproduction: Reproduction) -> None:
    if reproduction.file.source:
        print_table(reproduction.recipe(), "Recipe")
        out.print()
    if reproduction.figures:
        print_table(reproduction.published_words(), "Published against measured")
        out.print()
    for finding in reproduction.findings:
        out.print(f"{finding.verdict}: {finding.text}\n  {finding.figures}")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in reproduction.verdicts().items())
    out.print(f"\n{counts}\n" if counts else "")
