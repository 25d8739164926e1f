"""Results folders that a command is asked for: each with what is looked for in it, whatever is wrong with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from archbench.cli.compare import DAMAGED
from archbench.cli.show import err
from archbench.errors import ArchbenchError

if TYPE_CHECKING:
    from archbench.comparison import Comparison

ROOT = Path("results")
Found = TypeVar("Found")


def each(results: Path, look: Callable[[Path], Found], failed: list[ArchbenchError]) -> Iterator[tuple[Path, Found]]:
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

    for folder, comparison in each(results, lambda folder: load(folder, curves=curves), failed):
        if comparison.damaged:
            err.print(DAMAGED.format(count=comparison.damaged, folder=folder))
        if len(comparison.frame()):
            yield folder, comparison
        else:
            err.print(f"warning: no run of {folder} is finished")


def target(out_folder: Path | None, folder: Path, results: Path) -> Path | None:
    """Return where the files of a results folder go: beside its store, or at the same place under `--out`."""
    return None if out_folder is None else out_folder / folder.relative_to(results)
