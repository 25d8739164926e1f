"""`report`: what is stored as one page, and in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from archbench.cli import options as o
from archbench.cli.folders import ROOT, fail, stored, target
from archbench.cli.show import err, out, print_json
from archbench.errors import ArchbenchError

Open = Annotated[
    bool,
    typer.Option("--open/--no-open", help="Open the page in a browser; --open=false is --no-open.",
                 rich_help_panel=o.OUTPUT),
]  # fmt: skip

SAID = {"--open=true": "--open", "--open=false": "--no-open"}


class Reporting(TyperCommand):
    """The command, which takes a flag in the form of a value, too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words."""
        return super().parse_args(ctx, [SAID.get(word, word) for word in args])


def report(
    results: o.Results = ROOT,
    open_page: Open = False,
    out_folder: o.Out = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Write report.html, one page that needs nothing else, and report.md, of what is stored; nothing is trained."""
    from archbench.errors import InputError
    from archbench.loading import stored_folders
    from archbench.reporting import write_report

    if open_page and len(stored_folders(results)) > 1:
        msg = f"{results} holds several comparisons"
        raise InputError(msg, "Name the folder of one of them to open its report.")
    failed: list[ArchbenchError] = []
    files = []
    for folder, comparison in stored(results, failed):
        page, *others = write_report(comparison, target(out_folder, folder, results))
        files += [page, *others]
        if not as_json:
            out.print(str(page), *others, sep="\n  ")
        if open_page:
            _open(page)
    if as_json:
        print_json({"files": [str(file) for file in files]})
    fail(failed)


def _open(page: Path) -> None:
    """Open a page in the user's browser; where there is none, that is said, and the page is there all the same."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        err.print("warning: no browser could be opened")
