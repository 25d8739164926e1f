"""`resume`: what was stopped goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import typer

from archbench.cli import options as o
from archbench.cli.compare import finish
from archbench.cli.folders import ROOT, each, fail
from archbench.cli.sharing import running, sharing, source, timing
from archbench.cli.show import err, out, print_json
from archbench.errors import ArchbenchError


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
    for folder, study in each(results, lambda folder: resumable(folder, manner), failed):
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
