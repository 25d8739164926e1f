"""What a cell costs beside its training, and how long many are planned: `python tests/bench/scale.py`.

Two thousand cells of a linear net, an epoch on a few digits each, are run as a comparison runs them: in this process
(workers 0), by one process a cell, and by as many at a time as there are cores. What a cell costs is the wall time
between the ends of cells less the seconds of their steps and evaluations, which are divided among the workers: the
median, least and most of windows of a twentieth of all cells. What precedes the first cell and follows the last is told
apart. In a process of its own a cell also trains for longer, as its first step is the process's first.

A dry run is the whole command, its imports included: of a linear net at ten budgets, and of two families at five
budgets each, every one with as many seeds as it takes. Nothing is asserted.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from account import stepping_seconds
from figures import Row, arguments, goal, keep
from turns import orders

from archbench import pipeline
from archbench.environment import usable_cores
from archbench.manner import Manner
from archbench.plan import label
from archbench.schema import Progress
from archbench.store import FILE_NAME, Store
from archbench.study import make_study

BUDGETS, LIMIT, WINDOWS = ("1k", "2k"), 100, 20  # images of each split
MOST_MS, MOST_SECONDS = 30, 5
COMMAND = str(Path(sys.executable).with_name("archbench"))
PLANNED = {
    "linear, 10 budgets": ["linear", "--budgets", "1k,1.5k,2k,2.5k,3k,4k,5k,6k,8k,10k"],
    "2 families, 5 budgets": ["cnn", "mobilenet", "--budgets", "20k,30k,50k,100k,200k"],
}


def swept(cells: int, workers: int) -> Row:
    """Run so many cells by so many processes at a time; return when each ended and what its training took."""
    ended: list[tuple[str, float]] = []

    def report(step: Progress) -> None:
        if step.stage == "train" and step.finished:
            ended.append((step.label, time.perf_counter()))

    study = make_study(["linear"], BUDGETS, epochs=1, seeds=cells // len(BUDGETS), limit=LIMIT)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        folder, begun = Path(name), time.perf_counter()
        pipeline.train_trials(study, folder, manner=Manner(workers), report=report)
        finished = time.perf_counter()
        size = (folder / FILE_NAME).stat().st_size
        with Store(folder) as store:
            records, attempts = store.records(), store.attempts()
    training = {
        f"{label(one.cell.model, one.cell.budget)} seed {one.cell.recipe.seed}": stepping_seconds(one)
        for one in records.values()
    }
    return {
        "workers": workers, "begun": begun, "finished": finished, "bytes": size,
        "ended": [(end, training[run]) for run, end in ended],
        "around": [attempt.seconds - stepping_seconds(records[attempt.key]) for attempt in attempts],
    }  # fmt: skip


def window_costs(sweep: Row, windows: int) -> list[float]:
    """Return what a cell cost in each window, in ms: wall time less training, which is shared by the workers."""
    ends, share = sweep["ended"], max(1, sweep["workers"])
    bounds = [len(ends) * place // windows for place in range(windows + 1)]
    bounds[0] = 1  # the first cell's own beginning is not known
    costs = []
    for first, last in itertools.pairwise(bounds):
        wall = ends[last - 1][0] - ends[first - 1][0]
        training = sum(seconds for _, seconds in ends[first:last])
        costs.append(1e3 * (wall - training / share) / (last - first))
    return costs


def row_of(sweep: Row, windows: int) -> Row:
    """Return what is told of a sweep."""
    ends, costs = sweep["ended"], window_costs(sweep, windows)
    training = [seconds for _, seconds in ends]
    return {
        "workers": sweep["workers"], "cells": len(ends), "wall, s": sweep["finished"] - sweep["begun"],
        "cost, ms a cell (min, max)": [statistics.median(costs), min(costs), max(costs)],
        "steps and evaluation, ms a cell": 1e3 * statistics.median(training),
        "around them in its attempt, ms": 1e3 * statistics.median(sweep["around"]),
        "before the first, s": ends[0][0] - sweep["begun"], "after the last, s": sweep["finished"] - ends[-1][0],
        "store, kB a cell": sweep["bytes"] / 1e3 / len(ends),
    }  # fmt: skip


def dry(words: list[str], cells: int) -> float:
    """Return the seconds that a dry run of so many cells takes."""
    begun = time.perf_counter()
    given = [COMMAND, "compare", *words, "--seeds", str(cells // 10), "--dry-run"]
    subprocess.run(given, stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - begun


def planned(sizes: list[int], turns: int) -> tuple[list[Row], dict[str, list[float]]]:
    """Return a row a plan and number of cells, and every reading."""
    names = {f"{cells:,} cells of {plan}": (plan, cells) for plan in PLANNED for cells in sizes}
    found: dict[str, list[float]] = {name: [] for name in names}
    for order in orders(list(names), turns):
        for name in order:
            plan, cells = names[name]
            found[name].append(dry(PLANNED[plan], cells))
    rows = [
        {"plan": names[name][0], "cells": names[name][1],
         "dry run, s (min, max)": [statistics.median(seconds), min(seconds), max(seconds)]}
        for name, seconds in found.items()
    ]  # fmt: skip
    return rows, found


def main() -> None:
    """Print what cells cost, and how long plans take."""
    options = arguments(__doc__, turns=5, cells=2000).parse_args()
    turns, cells, windows, sizes = options.turns, options.cells, WINDOWS, [100, 1000, 10_000]
    if options.smoke:
        turns, cells, windows, sizes = 1, 40, 4, [100, 1000]
    workers = list(dict.fromkeys((0, 1, usable_cores())))
    sweeps = [swept(cells, count) for count in workers]
    rows = [row_of(sweep, windows) for sweep in sweeps]
    plans, readings = planned(sizes, turns)
    cost, dry_run = "cost, ms a cell (min, max)", "dry run, s (min, max)"
    goals = [
        *(goal(f"cost of a cell, workers {row['workers']}, ms", row[cost][0], most=MOST_MS) for row in rows),
        *(
            goal(f"dry run of {row['cells']:,} cells, {row['plan']}, s", row[dry_run][0], most=MOST_SECONDS)
            for row in plans
        ),
    ]
    costs = {f"workers {sweep['workers']}": window_costs(sweep, windows) for sweep in sweeps}
    tables = {"What a cell costs": rows, "Dry runs": plans}
    keep("scale", tables, goals, raw={"ms by window": costs, "seconds of dry runs": readings}, smoke=options.smoke)


if __name__ == "__main__":
    main()
