"""What is stored: asked, and written as a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archbench.errors import InputError
from archbench.loading import load

if TYPE_CHECKING:
    import pandas as pd

    from archbench.comparison import Comparison


def best(
    results: Comparison | str | Path, where: str = "", *, minimize: str | None = None, maximize: str | None = None
) -> pd.DataFrame:
    """Return the models that meet a condition, the best first: a row a model and budget, with whether it is sure.

    Args:
        results: a comparison, or the results folder of one.
        where: such as `params < 1M and accuracy > 80 %`; see `archbench.conditions`.
        minimize: what is to be small, such as `params` or `step_us`.
        maximize: what is to be large, by default the accuracy.

    Raises:
        InputError: a condition or a name that is not accepted.
        StoreError: there are no results in the folder.
    """
    from archbench import queries

    compared = load(results, curves=False) if isinstance(results, str | Path) else results
    return queries.best(compared.frame(), where, minimize=minimize, maximize=maximize)


def report(results: str | Path | Comparison = Path("results"), *, out: str | Path | None = None) -> list[Path]:
    """Write the report of a comparison: one HTML page that needs nothing else, the same in Markdown, its figures.

    Args:
        results: what `compare` returned, or a results folder; of a folder that holds several, each gets its own.
        out: the folder for the files of one comparison; by default they lie beside its store.

    Returns:
        The files, report.html of each comparison first.

    Raises:
        InputError: `out` for several comparisons.
        StoreError: there are no results, or they cannot be read.
        OutputError: the folder cannot be written.
    """
    from archbench.comparison import Comparison
    from archbench.loading import stored_folders
    from archbench.reporting import write_report

    if isinstance(results, Comparison):
        return write_report(results, out)
    folders = stored_folders(Path(results))
    if out is not None and len(folders) > 1:
        msg = f"{results} holds several comparisons"
        raise InputError(msg, "Name the folder of one of them, or leave out=... out.")
    return [file for folder in folders for file in write_report(load(folder), out)]
