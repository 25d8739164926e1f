"""What is stored: listed, shown, checked, tidied up, and joined."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.folders import ROOT, each, fail
from archbench.cli.show import err, out, print_json, print_table
from archbench.errors import ArchbenchError
from archbench.units import number

States = Annotated[
    str | None,
    typer.Option("--state", help="Only these: pending, running, done, failed, diverged, oom, interrupted.",
                 metavar="LIST", show_default="all"),
]  # fmt: skip
Most = Annotated[int, typer.Option("--limit", min=0, help="At most so many runs; 0 for all.")]
Key = Annotated[str, typer.Argument(help="The key of a run, or as much of it as tells it from others.")]
Salvage = Annotated[
    Path | None,
    typer.Option("--salvage", help="Copy all that can be read into a new results folder.", metavar="FOLDER"),
]
OnlyShow = Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")]
Folders = Annotated[
    list[Path], typer.Argument(help="Results folders: what stands in several counts as it is in the first.",
                               metavar="FOLDER...", show_default=False)
]  # fmt: skip
Whole = Annotated[
    Path, typer.Option("--out", "-o", help="The folder that they are merged into; it may hold some of it already.")
]


def list_(
    results: o.Results = ROOT,
    state: States = None,
    limit: Most = 50,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """List the runs that are stored, what is to be done included, with what became of them."""
    from archbench.stored import listed, parse_states, run_words

    wanted = parse_states(state)
    every = []
    failed: list[ArchbenchError] = []
    for folder, found in each(results, listed, failed):
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


def show(key: Key, results: o.Results = ROOT, as_json: o.AsJson = False, debug: o.Debug = False) -> None:
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
    results: o.Results = ROOT, salvage: Salvage = None, as_json: o.AsJson = False, debug: o.Debug = False
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


def gc(results: o.Results = ROOT, dry_run: OnlyShow = False, as_json: o.AsJson = False, debug: o.Debug = False) -> None:
    """Remove what nobody needs any more: checkpoints of finished runs, half-written files, locks of the dead."""
    from rich.filesize import decimal

    from archbench import upkeep

    failed: list[ArchbenchError] = []
    found = [one for _, files in each(results, upkeep.garbage, failed) for one in files]
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
    folders: Folders, out_folder: Whole = ROOT / "merged", as_json: o.AsJson = False, debug: o.Debug = False
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


app = typer.Typer(name="results", help="Look at what is stored.", no_args_is_help=True)
