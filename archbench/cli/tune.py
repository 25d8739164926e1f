"""`tune`: search the settings of every model on the validation split, then compare what won."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.compare import finished, print_comparison, written
from archbench.cli.sharing import TRAINING, sharing
from archbench.cli.show import Display, json_rows, out, print_json, print_table

Trials = Annotated[int, typer.Option("--trials", help="Of every model.", min=1, max=10_000)]
Search = Annotated[
    list[str] | None,
    typer.Option("--search", metavar="NAME=LOW:HIGH|A,B", show_default="lr, weight_decay, dropout, params",
                 help="A setting, an option of the model, or params, and where it is searched; repeatable."),
]  # fmt: skip
SearchSeed = Annotated[int, typer.Option("--search-seed", help="Of the search and of its trials.", min=0)]


@sharing(*TRAINING)
def tune(
    models: o.Models,
    budgets: o.Budgets = None,
    trials: Trials = 20,
    search: Search = None,
    search_seed: SearchSeed = 0,
    imports: o.Imports = None,
    seeds: o.Seeds = "3",
    dry_run: o.DryRun = False,
    *,
    name: str | None,
    out_folder: Path | None,
    as_json: bool,
    quiet: bool,
    protocol: Any,
    manner: Any,
    **settings: Any,
) -> None:
    """Search each model's settings with the same number of trials, on the validation split alone.

    What wins is trained over --seeds and tested once. The same command again runs nothing.
    """
    import pandas as pd

    from archbench.search_space import parse_search, space_words
    from archbench.study import make_study, results_folder
    from archbench.tuning import plan_search
    from archbench.tuning import tune as run
    from archbench.units import number, parse_counts

    folder = results_folder(settings["dataset"], name, out_folder)
    if name is None and out_folder is None:
        folder = folder.with_name(f"tune-{folder.name}")
    targets = () if budgets is None else parse_counts(budgets)
    study = make_study(models, targets, seeds=seeds, plugins=o.import_plugins(imports), **settings)
    space = parse_search(search or []) or None
    if dry_run:
        spaces, _ = plan_search(study, trials, space)
        if as_json:
            print_json(
                [{"model": model, "trials": trials, "search": space_words(one)} for model, one in spaces.items()]
            )
        else:
            rows = [(model, str(trials), space_words(one)) for model, one in spaces.items()]
            print_table(pd.DataFrame(rows, columns=["model", "trials", "search"]))
            then = f"then {number(len(study.seeds), 'seed')} of each model"
            out.print(f"{number(trials * len(rows), 'trial')}, {then}, in {folder}")
        return
    with Display(quiet=quiet) as display:
        tuning = run(study, folder, trials, space, manner=manner, seed=search_seed, report=display, protocol=protocol)
    files = written(tuning.comparison) + tuning.write(folder)
    frame = tuning.frame()
    if as_json:
        print_json({
            "folder": str(folder), "files": [str(file) for file in files], "trials": json_rows(frame),
            "summary": json_rows(tuning.comparison.summary()),
        })  # fmt: skip
    else:
        print_table(tuning.best_words(), f"Best of {trials} trials each, on the validation split")
        out.print()
        print_comparison(tuning.comparison, files)
    finished(tuning.comparison, lost=tuning.lost)
