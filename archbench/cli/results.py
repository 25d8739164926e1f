"""What is stored: drawn and exported again, listed, shown, checked, gone on with, and tidied up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import typer

from archbench.cli import options as o
from archbench.cli.compare import DAMAGED, finish
from archbench.cli.sharing import running, sharing, source, timing
from archbench.cli.show import err, json_rows, out, print_json, print_table
from archbench.comparison import Comparison
from archbench.errors import ArchbenchError
from archbench.units import number

ROOT = Path("results")
Found = TypeVar("Found")


def plot(
    what: o.FigureKind = None,
    results: o.ResultsFrom = None,
    x: o.FigureX = None,
    y: o.FigureY = None,
    hue: o.Hue = None,
    facet: o.Facet = None,
    style: o.Style = "paper",
    width: o.FigureWidth = "full",
    formats: o.Formats = None,
    out_folder: o.Out = None,
    debug: o.Debug = False,
) -> None:
    """Draw figures again from what is stored, without training, each with its data as CSV beside it.

    Kinds: scatter (a cost against accuracy), curves (loss and accuracy by epoch), overhead (bars of MACs and times),
    heatmap (accuracy over two factors), batch (time by batch size), weights (first layers); `all` of them, or without a
    kind those that every comparison writes. Instead of a kind a results folder may be named.
    """
    from archbench.drawing import check_wanted
    from archbench.errors import InputError
    from archbench.figures import Wanted, parse_formats

    kind, root = _kind_and_root(what, results)
    asked = {"x": x, "y": y, "hue": hue, "facet": facet, "style": style, "width": width}
    check_wanted(kind, Wanted(**asked))  # type: ignore[arg-type]
    wanted = parse_formats(formats) if formats else ()
    failed: list[ArchbenchError] = []
    for folder, comparison in stored(root, failed):
        try:
            files = comparison.write_figures(target(out_folder, folder, root), kind, wanted, **asked)
        except InputError as error:  # what one has no column for, another may have
            error = InputError(f"{folder}: {error}", error.remedy)
            failed.append(error)
            err.print(f"warning: {error}")
            continue
        for file in files:
            out.print(str(file))
    fail(failed)


def _kind_and_root(what: str | None, results: Path | None) -> tuple[str, Path]:
    """Return the kind of figure and the results, as either may be named alone."""
    from archbench.drawing import KINDS
    from archbench.errors import InputError

    if what is None or what in KINDS or not ("/" in what or Path(what).exists()):
        return what or "usual", results or ROOT
    if results is not None:
        msg = f"two results folders are named, {what} and {results}"
        raise InputError(msg, "Give a kind of figure and --from, or a folder alone.")
    return "usual", Path(what)


def export(
    results: o.Results = ROOT,
    dialect: o.Dialect = "archbench",
    out_folder: o.Out = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Write the tables of the last comparison again, or as another tool reads them; with --json print its runs."""
    from archbench.exports import check_dialect, write_dialect

    check_dialect(dialect)
    rows = []
    failed: list[ArchbenchError] = []
    # What is concluded from curves needs them, and a frame alone does not.
    curves = dialect == "archbench" and not as_json
    for folder, comparison in stored(results, failed, curves=curves):
        if as_json:
            rows += [{"folder": str(folder), **row} for row in json_rows(comparison.frame())]
        else:
            for file in write_dialect(dialect, comparison, target(out_folder, folder, results) or folder):
                out.print(str(file))
    if as_json:
        print_json(rows)
    fail(failed)


def best(
    where: o.Where = "",
    minimize: o.Minimize = None,
    maximize: o.Maximize = None,
    results: o.From = ROOT,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Name the models that meet a condition, the best first: --where "params < 1M and accuracy > 80 %".

    The condition is held against means over seeds; where an interval leaves it in doubt, that is said. With neither
    --minimize nor --maximize the most accurate is best.
    """
    from archbench import queries

    rows = []
    failed: list[ArchbenchError] = []
    for folder, comparison in stored(results, failed, curves=False):
        frame = comparison.frame()
        found = queries.best(frame, where, minimize=minimize, maximize=maximize)
        if as_json:
            rows += [{"folder": str(folder), **row} for row in json_rows(found)]
            continue
        out.print(f"{folder}: {queries.best_sentence(found, queries.asked(frame))}")
        if len(found):
            print_table(queries.best_words(found))
    if as_json:
        print_json(rows)
    fail(failed)


def list_(
    results: o.Results = ROOT,
    state: o.States = None,
    limit: o.Most = 50,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """List the runs that are stored, what is to be done included, with what became of them."""
    from archbench.stored import listed, parse_states, run_words

    wanted = parse_states(state)
    every = []
    failed: list[ArchbenchError] = []
    for folder, found in _each(results, listed, failed):
        rows = [row for row in found if row["state"] in wanted]
        every += rows
        if as_json:
            continue
        out.print(f"{folder}: {state_words(Counter(row['state'] for row in rows))}")
        shown = rows[: limit or None]
        if shown:
            print_table(run_words(shown))
        if len(shown) < len(rows):
            out.print(f"and {len(rows) - len(shown):,} more; --limit 0 shows all")
    if as_json:
        print_json(every)
    fail(failed)


def state_words(states: Counter[str]) -> str:
    """Return how many runs are in each state, as people read it."""
    return ", ".join(f"{count:,} {state}" for state, count in states.items()) or "no run"


def show(key: o.Key, results: o.Results = ROOT, as_json: o.AsJson = False, debug: o.Debug = False) -> None:
    """Show all that is known of one run: what was asked, every attempt, its epochs."""
    from archbench.stored import attempt_words, find_run
    from archbench.words import epochs_words

    found = find_run(results, key)
    if as_json:
        print_json(found)
        return
    for name, value in found.facts().items():
        out.print(f"{name:>12}  {value}")
    out.print()
    print_table(attempt_words(found.attempts), "Attempts")
    epochs = found.epochs()
    if len(epochs):
        out.print()
        print_table(epochs_words(epochs), "Epochs")


def verify(
    results: o.Results = ROOT, salvage: o.Salvage = None, as_json: o.AsJson = False, debug: o.Debug = False
) -> None:
    """Check every page, row and hash of the stores; what is damaged is named, and nothing is changed."""
    from archbench import upkeep
    from archbench.errors import InputError, StoreError
    from archbench.loading import stored_folders

    folders = stored_folders(results)
    if salvage is not None and len(folders) > 1:
        msg = f"{results} holds several stores"
        raise InputError(msg, "Name the folder of one of them to salvage.")
    found = [upkeep.health(folder) for folder in folders]
    if as_json:
        print_json(found)
    for one in found:
        if not as_json:
            print_health(one)
    if salvage is not None:
        saved = upkeep.salvage(folders[0], salvage)
        err.print(f"{saved.runs:,} runs and {saved.timings:,} timings are copied to {salvage}")
    if any(one.damage for one in found):
        raise typer.Exit(StoreError.exit_code)


def print_health(health: Any) -> None:
    """Say in a line that a store is sound, or name all that is damaged."""
    counts = f"{health.runs:,} runs, {health.attempts:,} attempts, {health.timings:,} timings"
    if not health.damage:
        out.print(f"{health.folder}: sound ({counts})")
        return
    out.print(f"{health.folder}: damaged; what can be read: {counts}")
    for damage in health.damage:
        out.print(f"  {damage}")
    out.print("  Runs whose rows are damaged are run again by the same command; --salvage FOLDER copies the others.")


def gc(
    results: o.Results = ROOT, dry_run: o.OnlyShow = False, as_json: o.AsJson = False, debug: o.Debug = False
) -> None:
    """Remove what nobody needs any more: checkpoints of finished runs, half-written files, locks of the dead."""
    from rich.filesize import decimal

    from archbench import upkeep

    failed: list[ArchbenchError] = []
    found = [one for _, files in _each(results, upkeep.garbage, failed) for one in files]
    if as_json:
        print_json(found)
    else:
        for one in found:
            out.print(f"{one.file}: {one.reason}")
    freed = sum(one.size_bytes for one in found) if dry_run else upkeep.remove(found)
    if not as_json:
        out.print(f"{len(found):,} files, {decimal(freed)}, {'could be ' if dry_run else ''}removed")
    fail(failed)


def merge(
    folders: o.Folders, out_folder: o.Whole = ROOT / "merged", as_json: o.AsJson = False, debug: o.Debug = False
) -> None:
    """Join results folders, such as the shards of a study, in one; they stay as they are. Merging again adds nothing.

    Runs that contradict each other are named, and nothing is written then.
    """
    from archbench.merging import merge as merged
    from archbench.stored import listed

    found = merged(folders, out_folder)
    states = Counter(row["state"] for row in listed(out_folder))
    if as_json:
        print_json({"folder": out_folder, "given": found.given, "apart": found.apart, "states": states})
        return
    for one in found.given:
        out.print(
            f"{one.folder}: {number(one.runs, 'run')}, {one.new_attempts:,} of {number(one.attempts, 'attempt')} new, "
            f"{one.new_timings:,} of {number(one.timings, 'timing')} new"
            + (f"; {number(one.twice, 'run')} done before with the same result" if one.twice else "")
        )
    for apart in found.apart:
        err.print(
            f"warning: {number(apart.cells, 'run')} of {apart.folder} with another {apart.why} "
            "are kept, and stand in no table beside the others"
        )
    out.print(f"{out_folder}: {state_words(states)}")


@sharing(source, running, timing)
def resume(
    results: o.Results = ROOT, as_json: o.AsJson = False, quiet: o.Quiet = False, debug: o.Debug = False, **options: Any
) -> None:
    """Go on with the last comparison of a results folder, or of each of several, where it was stopped."""
    from archbench.errors import InputError
    from archbench.loading import stored_folders
    from archbench.stored import asked_for, resumable

    manner, protocol = options["manner"], options["protocol"]
    code = 0
    failed: list[ArchbenchError] = []
    folders = stored_folders(results)
    if as_json and len(folders) > 1:
        msg = f"{results} holds several comparisons"
        raise InputError(msg, "Name the folder of one of them for --json.")
    for folder, study in _each(results, lambda folder: resumable(folder, manner), failed):
        if study is None:
            if as_json:
                print_json({"folder": str(folder), "to_run": 0})
            else:
                out.print(f"{folder}: nothing is left to do")
            continue
        o.import_plugins(list(study.plugins))
        err.print(f"{folder}: going on")
        data_root = None if options["data_root"] is None else str(options["data_root"])
        here = replace(study, data_root=data_root, download=options["download"])
        try:
            rest = replace(manner, part=asked_for(folder))
            finish(here, folder, rest, protocol, as_json=as_json, quiet=quiet, dry_run=False)
        except typer.Exit as end:
            code = code or end.exit_code
    fail(failed)
    if code:
        raise typer.Exit(code)


def _each(results: Path, look: Callable[[Path], Found], failed: list[ArchbenchError]) -> Iterator[tuple[Path, Found]]:
    """Yield every results folder with what a look gives; those that cannot be read are warned of and noted down."""
    from archbench.errors import StoreError
    from archbench.loading import stored_folders

    for folder in stored_folders(results):
        try:
            found = look(folder)
        except StoreError as error:
            failed.append(error)
            err.print(f"warning: {error}")
            continue
        yield folder, found


def fail(failed: list[ArchbenchError]) -> None:
    """Fail the command for what could not be read, now that the others are done."""
    if failed:
        raise failed[0]


def stored(results: Path, failed: list[ArchbenchError], *, curves: bool = True) -> Iterator[tuple[Path, Comparison]]:
    """Yield every results folder with its last comparison; what is damaged in it is said."""
    from archbench.loading import load

    for folder, comparison in _each(results, lambda folder: load(folder, curves=curves), failed):
        if comparison.damaged:
            err.print(DAMAGED.format(count=comparison.damaged, folder=folder))
        if len(comparison.frame()):
            yield folder, comparison
        else:
            err.print(f"warning: no run of {folder} is finished")


def target(out_folder: Path | None, folder: Path, results: Path) -> Path | None:
    """Return where the files of a results folder go: beside its store, or at the same place under `--out`."""
    return None if out_folder is None else out_folder / folder.relative_to(results)


app = typer.Typer(name="results", help="Look at what is stored.", no_args_is_help=True)
