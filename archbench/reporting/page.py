"""Comparison -> Page: what a report says, gathered from what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.drawing import published_note, published_points
from archbench.execute import LOGS_FOLDER, Job
from archbench.reporting.beside import beside_of
from archbench.reporting.chart import chart_of, firsts_of, places_of
from archbench.reporting.command import command_of
from archbench.reporting.evidence import environments, failures, reconciliation, stability
from archbench.reporting.findings import answer_of, findings, names_of, notes_beside
from archbench.reporting.layers import layers_ahead
from archbench.reporting.stills import stills_of
from archbench.reporting.view import Page, Section, Table
from archbench.reproduction import Reproduction
from archbench.study_file import read_study, shipped, study_of
from archbench.units import either, grouped, number
from archbench.words import overhead_words, summary_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from archbench.comparison import Comparison
    from archbench.conclusions import Conclusions
    from archbench.reporting.layers import Layers
    from archbench.schema import Record, Study
    from archbench.study_schema import StudyFile


OF_RATIOS = (
    "Ratios are of models that were timed side by side [95 % interval]; accuracy differences are in points, paired by "
    "seed, ± half the 95 % t-interval."
)
PRICE = "and what does the difference cost in time"


def page_of(comparison: Comparison) -> Page:
    """Return all that the report of a comparison says."""
    with layers_ahead(firsts_of(comparison.records)) as layers:
        return _page_of(comparison, layers)


def _page_of(comparison: Comparison, layers: Layers) -> Page:
    study, records, frame = comparison.study, comparison.records, comparison.frame()
    file = _file_of(study)
    overhead = comparison.overhead()
    found = comparison.conclusions()
    answer, points = answer_of(found)
    beside = beside_of(frame, found, published_points(comparison, frame), published_note(study))
    return Page(
        title=study.name or comparison.folder.name,
        question=question_of(study, frame, file),
        answer=answer,
        points=points,
        measured=measured_on(study, records),
        warnings=tuple(dict.fromkeys(warning for record in records for warning in record.cell.warnings)),
        chart=chart_of(frame, records, names_of(found), notes_beside(found), layers) | {"beside": beside},
        stills=stills_of(comparison),
        sections=tuple(_sections(comparison, found, overhead, file)),
        made=_made(records),
    )


def question_of(study: Study, frame: pd.DataFrame, file: StudyFile | None = None) -> str:
    """Return what a comparison asks, in a sentence: a shipped study's title, or what its models and budgets say."""
    if file is not None:
        return file.title
    from archbench.reference import shown

    models = [shown(model) for model in dict.fromkeys(frame["model"])]
    if not models:
        return "Nothing has been run yet."
    cases = [case for case in dict.fromkeys(frame["case"]) if case]
    told = f" ({', '.join(cases)})" if 1 < len(cases) <= 4 else f" in {len(cases)} cases" if len(cases) > 1 else ""
    if len(models) == 1:
        return f"How accurate is {models[0]}{told}, and what does it cost?"
    named = f"{', '.join(models[:-1])} or {models[-1]}"
    equal = " at the same number of parameters" if study.budgets else ""
    if len(models) > 6:
        return f"Of {len(models)} models{told}, which is the most accurate{equal}, {PRICE}?"
    return f"Which is more accurate{equal}{told}, {named}, {PRICE}?"


def measured_on(study: Study, records: Sequence[Record]) -> str:
    """Return in a line on what was measured: data, recipe, seeds, machine."""
    if not records:
        return ""
    cells = [record.cell for record in records]
    recipes = [cell.recipe for cell in cells]
    where = dict.fromkeys(
        (record.environment.cpu, record.environment.gpu, record.environment.torch) for record in records
    )
    seeds = number(len({recipe.seed for recipe in recipes}), "seed")
    images = either("/".join(grouped(count) for count in cell.images) for cell in cells if any(cell.images))
    return "; ".join([
        either(cell.dataset for cell in cells) + (f" ({images} images to train, validate and test)" if images else ""),
        f"{seeds} of {either(number(recipe.epochs, 'epoch') for recipe in recipes)}",
        f"{either(recipe.optimizer for recipe in recipes)}, learning rate {either(f'{r.lr:g}' for r in recipes)}",
        f"steps of {either(str(recipe.batch_size) for recipe in recipes)} images",
        f"{either(recipe.precision for recipe in recipes)} on {number(study.threads, 'thread')}",
        *(f"{cpu}{f' and {gpu}' if gpu else ''}, torch {torch}" for cpu, gpu, torch in where),
    ]) + "."  # fmt: skip


def _sections(
    comparison: Comparison, found: Conclusions, overhead: pd.DataFrame, file: StudyFile | None
) -> list[Section]:
    study, records = comparison.study, comparison.records
    if not records:
        return [_reproducing(study, file)]
    log_of = {
        id(record): log.relative_to(comparison.folder).as_posix()
        for record in records if record.status != "done"
        for log in [Job("train", record.cell).log(comparison.folder / LOGS_FOLDER)] if log.is_file()
    }  # fmt: skip
    baseline = study.baseline or records[0].cell.model
    summary = comparison.summary()
    words, order = summary_words(summary), list(dict.fromkeys(places_of(comparison.frame())))
    groups = tuple(map(order.index, places_of(summary)))
    return [
        Section(
            "summary", "Summary", ("Means over the seeds ± half the 95 % t-interval; n runs of each are done.",),
            (Table.of("summary-table", "A row a model and budget", words, groups),),
        ),
        Section(
            "overhead", "Overhead", (OF_RATIOS,),
            (Table.of("overhead-table", f"Overhead against {baseline}", overhead_words(overhead)),),
        ),
        *findings(found),
        *_published(comparison, file),
        failures(records, lambda record: log_of.get(id(record), "")),
        reconciliation(records),
        stability(records, study.baseline),
        environments(records),
        _reproducing(study, file),
    ]  # fmt: skip


def _file_of(study: Study) -> StudyFile | None:
    """Return the file of a study that comes with archbench."""
    path = shipped().get(study.name)
    return None if path is None else read_study(path)


def _published(comparison: Comparison, file: StudyFile | None) -> list[Section]:
    """Return what a shipped study's figures and claims came to."""
    if file is None or not (file.published or file.claims):
        return []
    made = Reproduction(file, comparison, study_of(file, device="cpu"))
    tables = [Table.of("claims-table", "Claims", made.claims())] if made.findings else []
    tables += (
        [Table.of("published-table", "Published against measured", made.published_words())] if made.figures else []
    )
    about = "Measured: mean over the seeds [95 % interval]; expected: where one more run of ours would lie (95 %)."
    return [
        Section(
            "published",
            "Published and measured",
            (*([f"Published by: {file.source}."] if file.source else []), about),
            tuple(tables),
        )
    ]


def _reproducing(study: Study, file: StudyFile | None) -> Section:
    """Return the exact command that does it all again."""
    command = command_of(study, shipped=file is not None)
    if command is None:
        about = "It was asked for from Python or found by a search; archbench resume goes on with its folder."
        return Section("command", "Run it again", (about,))
    about = "What is stored already is not run again; --device and --threads say on what it was made."
    if study.data_root:
        about += " DIR is the folder of the data."
    if study.name and file is None:
        about += f" {study.name}.toml is the study's own file."
    return Section("command", "Run it again", (about,), code=(command,))


def _made(records: Sequence[Record]) -> str:
    if not records:
        return "Made by archbench."
    versions = either(record.environment.archbench for record in records)
    last = max(record.finished_at for record in records)[:19].replace("T", " ")
    return f"Measured with archbench {versions}" + (f"; the last run ended at {last} UTC." if last else ".")


__all__ = ["measured_on", "page_of", "question_of"]
