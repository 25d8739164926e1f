"""What a report of 2,000 runs takes: `python tests/bench/report.py [--runs N]`.

Runs of ten families of the zoo, truly sized to budgets on 1x8x8, five seeds each; a family is counted once, and its
other sizes have the counts of that one, as counting 400 networks takes minutes. Accuracies and times are made up.
`render` is a process from its start to the files, `interactive` the time in a fresh headless Chromium from the start of
the navigation until the figure is drawn and everything answers.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Row, arguments, goal, keep
from store import ENVIRONMENT

from archbench.budget import size_model
from archbench.cost import measure_cost
from archbench.schema import Budget, Cell, Cost, Epoch, Metrics, Recipe, Record, Study, Timing, Training
from archbench.store import Store
from archbench.store.database import transaction
from archbench.store.records import insert_record, now
from archbench.store.rows import insert, text_of

FAMILIES = (
    "cnn", "cnn_mnist", "mobilenet", "mobilenetv2", "resnet18", "resnet18_mod", "squeezenet", "convnext", "vit", "mlp",
)  # fmt: skip
SEEDS, EPOCHS, REPEATS = 5, 15, 5
RENDER = "import archbench, sys; archbench.report(sys.argv[1])"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def made_up(runs: int) -> list[Record]:
    """Return runs as a comparison would store them: families x budgets x seeds."""
    chance = random.Random(0)
    records: list[Record] = []
    sizes = -(-runs // (SEEDS * len(FAMILIES)))
    counted: dict[str, Cost] = {}
    for place in range(sizes):
        for family in FAMILIES:
            budget = Budget(int(20_000 * 1.07**place))
            sized = size_model(family, budget, (1, 8, 8), 10)
            first = counted.setdefault(family, counted.get(family) or measure_cost(sized))
            cost = dataclasses.replace(first, params=sized.params, trainable_params=sized.params)
            step = 100 + sized.params / 1e3
            timings = tuple(
                Timing(
                    sized.key, "cpu", "a CPU", "fp32", mode, 64, 1,
                    tuple(step * factor * chance.gauss(1, 0.01) for _ in range(15)), 1, "session", "adam", "2.14",
                    tuple(number // 3 for number in range(15)),
                )
                for mode, factor in (("train", 3.0), ("infer", 1.0))
            )  # fmt: skip
            for seed in range(SEEDS):
                recipe = Recipe(seed=seed, epochs=EPOCHS)
                cell = Cell(
                    family, budget, "digits", "d" * 64, recipe, "cpu", "a CPU", 1, "2.14", sized,
                    images=(1077, 359, 361),
                )  # fmt: skip
                records.append(Record(
                    cell, "done", ENVIRONMENT, cost, trained(place / sizes, chance), timings,
                    finished_at="2026-01-01T00:00:00+00:00",
                ))  # fmt: skip
    return records[:runs]


def trained(size: float, chance: random.Random) -> Training:
    """Return a training whose accuracy grows with the size."""

    def metrics(epoch: int) -> Metrics:
        right = min(1.0, 0.5 + 0.3 * size + 0.01 * epoch + chance.gauss(0, 0.01))
        return Metrics(2.0 - right + chance.random() / 10, right, min(1.0, right + 0.1))

    epochs = tuple(
        Epoch(number, metrics(number), metrics(number), chance.random(), chance.random() / 10)
        for number in range(1, EPOCHS + 1)
    )
    spent = sum(epoch.train_seconds for epoch in epochs)
    return Training(epochs, 3, metrics(EPOCHS), spent, None, f"{chance.getrandbits(256):064x}", train_seconds=spent)


def fill(folder: Path, records: list[Record]) -> None:
    """Store them as one study."""
    with Store(folder, create=True) as store:
        with transaction(store._db):
            for record in records:
                insert_record(store._db, record)
        store.add_timings(list({id(t): t for record in records for t in record.timings}.values()))
        study = Study(FAMILIES, tuple(dict.fromkeys(r.cell.budget.target for r in records)), tuple(range(SEEDS)))
        keys = [record.cell.key for record in records]
        with transaction(store._db):
            insert(store._db, "studies", created_at=now(), keys=text_of(keys), study=text_of(study))


def rendering(folder: Path) -> list[float]:
    """Return what a process takes from its start to the report, in seconds."""
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", RENDER, str(folder)], check=True)
        taken.append(time.perf_counter() - begun)
    return taken


def opening(page: Path) -> list[float]:
    """Return the seconds until the page answers, each time in a fresh browser; none where there is no browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return []
    from playwright.sync_api import sync_playwright

    taken = []
    with sync_playwright() as playwright:
        for _ in range(REPEATS):
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            opened = chromium.new_page(viewport={"width": 1280, "height": 800})
            opened.goto(page.as_uri(), wait_until="commit")
            opened.wait_for_selector("html[data-ready] .mean")
            taken.append(opened.evaluate("performance.getEntriesByName('ready')[0].startTime") / 1e3)
            chromium.close()
    return taken


def main() -> None:
    """Make up runs, report on them, open the page."""
    asked = arguments(__doc__, runs=2000).parse_args()
    runs = 40 if asked.smoke else asked.runs
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        records = made_up(runs)
        fill(folder, records)
        render, page = rendering(folder), folder / "report.html"
        interactive, size = opening(page), page.stat().st_size
    rows: list[Row] = [
        {"what": what, "median": statistics.median(taken), "most": max(taken)}
        for what, taken in (("render, s", render), ("interactive, s", interactive)) if taken
    ]  # fmt: skip
    rows.append({"what": "report.html, MB", "median": size / 1e6, "most": size / 1e6})
    goals = [
        goal("render a report, s", statistics.median(render), most=10.0),
        goal("interactive, s", statistics.median(interactive) if interactive else None, most=2.0),
        goal("report.html, MB", size / 1e6, most=6.0),
    ]
    title = f"{runs:,} runs of {len({record.cell.sized.key for record in records}):,} networks"
    raw = {"render_s": render, "interactive_s": interactive}
    keep("report", {title: rows}, goals, raw=raw, smoke=asked.smoke)


if __name__ == "__main__":
    main()
