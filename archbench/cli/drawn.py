"""`plot`, `export` and `best`: what is stored drawn, written and asked again, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archbench.cli import options as o
from archbench.cli.folders import ROOT, fail, stored, target
from archbench.cli.show import err, json_rows, out, print_json, print_table
from archbench.errors import ArchbenchError

FigureKind = Annotated[
    str | None,
    typer.Argument(metavar="[KIND]", show_default=False,
                   help="scatter, curves, overhead, heatmap, batch, weights, all; or a results folder."),
]  # fmt: skip
ResultsFrom = Annotated[
    Path | None,
    typer.Option("--from", help="A results folder, or a folder that holds some.", metavar="FOLDER",
                 show_default="results"),
]  # fmt: skip
FigureX = Annotated[
    str | None,
    typer.Option("--x", help="Against what: params, macs, train_us, infer_us, or any column of runs.csv.",
                 metavar="COLUMN", show_default="params; of a heatmap the first factor"),
]  # fmt: skip
FigureY = Annotated[
    str | None, typer.Option("--y", help="The other factor of a heatmap.", metavar="COLUMN", show_default="the second")
]
Hue = Annotated[
    str | None,
    typer.Option("--hue", help="The column of runs.csv whose values have the colours.", metavar="COLUMN",
                 show_default="a colour a line"),
]  # fmt: skip
Facet = Annotated[
    str | None, typer.Option("--facet", help="The column of runs.csv that has a panel a value.", metavar="COLUMN")
]
Style = Annotated[str, typer.Option("--style", help="paper, slides or dark.")]
FigureWidth = Annotated[
    str, typer.Option("--width", help="column (of two), text (of one column) or full (both columns).")
]
Formats = Annotated[
    str | None,
    typer.Option("--format", help="png, svg, pdf, or several: svg,pdf.", metavar="LIST",
                 show_default="png; of the usual scatter svg, too"),
]  # fmt: skip
Dialect = Annotated[
    str,
    typer.Option("--dialect", help="archbench, timm, markdown, latex or parquet.", metavar="NAME",
                 rich_help_panel=o.OUTPUT),
]  # fmt: skip
Where = Annotated[
    str,
    typer.Option(
        "--where", metavar="CONDITION", show_default="all",
        help="'params < 1M and accuracy > 80 %': params, macs, accuracy, loss, step_us, infer_us, memory, budget, n, "
        "model, family, case, dataset, name; and, or, not, ( ).",
    ),
]  # fmt: skip
Minimize = Annotated[
    str | None, typer.Option("--minimize", metavar="NAME", help="What is to be small, such as params or step_us.")
]
Maximize = Annotated[
    str | None, typer.Option("--maximize", metavar="NAME", help="What is to be large.", show_default="accuracy")
]
From = Annotated[Path, typer.Option("--results", help="A results folder, or a folder that holds some.")]


def plot(
    what: FigureKind = None,
    results: ResultsFrom = None,
    x: FigureX = None,
    y: FigureY = None,
    hue: Hue = None,
    facet: Facet = None,
    style: Style = "paper",
    width: FigureWidth = "full",
    formats: Formats = None,
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
    dialect: Dialect = "archbench",
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
    where: Where = "",
    minimize: Minimize = None,
    maximize: Maximize = None,
    results: From = ROOT,
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
