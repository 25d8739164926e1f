"""`plot` and `export`: what is stored, drawn and written again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from archbench.cli import options as o
from archbench.cli.show import err, json_rows, out, print_json
from archbench.comparison import Comparison


def plot(results: o.Results = Path("results"), out_folder: o.Out = None, debug: o.Debug = False) -> None:
    """Draw every figure again from what is stored, without training."""
    for folder, comparison in _stored(results):
        for file in comparison.write_figures(_target(out_folder, folder, results)):
            out.print(str(file))


def export(
    results: o.Results = Path("results"), out_folder: o.Out = None, as_json: o.AsJson = False, debug: o.Debug = False
) -> None:
    """Write the CSV and Markdown tables of the last comparison again; with --json print its runs instead."""
    rows = []
    for folder, comparison in _stored(results):
        if as_json:
            rows += [{"folder": str(folder), **row} for row in json_rows(comparison.frame())]
        else:
            for file in comparison.write_tables(_target(out_folder, folder, results)):
                out.print(str(file))
    if as_json:
        print_json(rows)


def _stored(results: Path) -> Iterator[tuple[Path, Comparison]]:
    """Yield every results folder with what it holds; one that cannot be read fails the command after the others."""
    from archbench.errors import StoreError
    from archbench.pipeline import load, stored_folders

    failed: list[StoreError] = []
    for folder in stored_folders(results):
        try:
            comparison = load(folder)
        except StoreError as error:
            failed.append(error)
            err.print(f"warning: {error}")
            continue
        if comparison.damaged:
            err.print(f"warning: {comparison.damaged} damaged rows in {folder} were left out; the others are intact")
        if comparison.records:
            yield folder, comparison
        else:
            err.print(f"warning: no run of {folder} is finished")
    if failed:
        raise failed[0]


def _target(out_folder: Path | None, folder: Path, results: Path) -> Path | None:
    """Return where the files of a results folder go: beside its store, or at the same place under `--out`."""
    return None if out_folder is None else out_folder / folder.relative_to(results)
