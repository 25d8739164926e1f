"""What durability costs, and whether 100,000 runs stay usable: `python tests/bench/store.py [RUNS]`.

Nothing is asserted. Each large reading is done in a process of its own, with its interpreter and its imports.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Row, goal, keep

from archbench.schema import Budget, Cell, Cost, Environment, Epoch, Metrics, Outcome, Recipe, Record, SizedModel, Study
from archbench.schema import Training as Trained
from archbench.store import Begun, Owner, Store
from archbench.store.database import transaction
from archbench.store.records import insert_record, now
from archbench.store.rows import insert, text_of

ASKED = ("summary table", "CSV export", "scatter")
FAMILIES, BUDGETS, EPOCHS = 20, 50, 15
ENVIRONMENT = Environment("box", "Linux", "a CPU", 2, 2**34, None, "3.11", "2.14", "0.1", None, None)
READINGS = {
    "list": "from archbench.stored import listed; listed(folder)",
    "summary table": "load(folder, curves=False).summary()",
    "CSV export": (
        "from archbench.exports import write_csv; write_csv(load(folder, curves=False).frame(), folder / 'runs.csv')"
    ),
    "scatter": (
        "from archbench import figures; "
        "figures.save(figures.scatter_figure(load(folder, curves=False).frame()), folder / 'scatter.png')"
    ),
    "verify": "from archbench.upkeep import health; assert not health(folder).damage",
}
READ = """
import sys
from pathlib import Path
from archbench.loading import load
folder = Path(sys.argv[1])
{code}
status = Path("/proc/self/status").read_text()
print(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024)
"""


def made_up(family: int, budget: int, seed: int, chance: random.Random) -> Record:
    """Return a run as a comparison would store it."""
    target = int(1000 * 1.15**budget)
    sized = SizedModel(
        f"net{family}", f"net{family}", {"channels": (6 + budget, 15), "dense": 9}, 7.2, (1, 8, 8), 10, target, "abc",
        Budget(target),
    )  # fmt: skip
    cell = Cell(
        sized.model, sized.budget, "digits", "d" * 64, Recipe(seed=seed, epochs=EPOCHS), "cpu", "a CPU", 1, "2.14",
        sized, images=(1077, 359, 361),
    )  # fmt: skip

    def metrics() -> Metrics:
        return Metrics(chance.random(), min(1.0, 0.5 + 0.008 * budget + chance.gauss(0, 0.01)), 0.99)

    epochs = tuple(
        Epoch(number, metrics(), metrics(), chance.random(), chance.random() / 10) for number in range(1, EPOCHS + 1)
    )
    spent = sum(epoch.train_seconds for epoch in epochs)
    training = Trained(epochs, 3, metrics(), spent, None, f"{chance.getrandbits(256):064x}", train_seconds=spent)
    cost = Cost(target, target, 0, 9 * target, 500)
    return Record(cell, "done", ENVIRONMENT, cost, training, finished_at="2026-01-01T00:00:00+00:00")


def fill(folder: Path, runs: int) -> None:
    """Store so many runs of one study, in one transaction."""
    chance = random.Random(0)
    keys = []
    with Store(folder, create=True) as store, transaction(store._db):
        for number in range(runs):
            record = made_up(number % FAMILIES, number // FAMILIES % BUDGETS, number // (FAMILIES * BUDGETS), chance)
            insert_record(store._db, record)
            keys.append(record.cell.key)
        study = Study(tuple(f"net{family}" for family in range(FAMILIES)))
        insert(store._db, "studies", created_at=now(), keys=text_of(keys), study=text_of(study))


def read(folder: Path, runs: int) -> tuple[str, list[Row]]:
    """Return what reading a large store takes: seconds, and the most memory that the process held."""
    fill(folder, runs)
    size = (folder / "results.sqlite").stat().st_size
    title = f"{runs:,} runs of {EPOCHS} epochs, {FAMILIES * BUDGETS:,} models, {size / 1e6:.0f} MB; of 5 processes"
    rows = []
    for name, code in READINGS.items():
        seconds, megabytes = [], []
        for _ in range(5):
            begun = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", READ.format(code=code), str(folder)], capture_output=True, text=True, check=True
            )
            seconds.append(time.perf_counter() - begun)
            megabytes.append(float(done.stdout.split()[-1]))
        rows.append({"reading": name, "s": statistics.median(seconds), "MiB": statistics.median(megabytes)})
    return title, rows


def goals_of(readings: list[Row], checkpoints: list[Row]) -> list[Row]:
    """Return what is asked of a store of 100,000 runs, and of the checkpoint of the largest net."""
    asked = [row for row in readings if row["reading"] in ASKED]
    return [
        *(goal(f"{row['reading']}, s", row["s"], most=3.0) for row in asked),
        *(goal(f"{row['reading']}, MB", row["MiB"] * 2**20 / 1e6, most=500.0) for row in asked),
        goal("a checkpoint, of an epoch of 5 s, %", checkpoints[-1]["of an epoch of 5 s, %"], most=2.0),
    ]


def commits(folder: Path, seconds: float = 5) -> list[Row]:
    """Return how many epochs a second are committed, each on the disk before the next."""
    chance = random.Random(1)
    record = made_up(0, 0, 0, chance)
    with Store(folder, create=True) as store, Owner(folder) as owner:
        attempt = store.begin(Begun(record.cell, ENVIRONMENT), owner.token)
        assert attempt is not None
        epoch, number, begun = record.training.epochs[0], 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            number += 1
            store.add_epoch(attempt, dataclasses.replace(epoch, epoch=number), "c" * 64)
        spent = time.perf_counter() - begun
        store.finish(attempt, Outcome("failed", error="made up"), 1.0)
    return [{"synchronous": "EXTRA", "commits a second": number / spent}]


def durability(folder: Path) -> list[Row]:
    """Return what an epoch's checkpoint and commit cost beside an epoch of 5 s, by size of the net."""
    import torch

    from archbench import snapshots
    from archbench.execute.checkpoints import write_checkpoint

    rows = []
    for width in (30, 300, 900):
        net = torch.nn.Sequential(torch.nn.Linear(1000, width), torch.nn.Linear(width, 1000))
        optimizer = torch.optim.Adam(net.parameters())
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
        net(torch.zeros(2, 1000)).sum().backward()
        optimizer.step()
        took = []
        for number in range(1, 12):
            begun = time.perf_counter()
            write_checkpoint(folder / str(width), snapshots.take(number, net, optimizer, scheduler))
            took.append(time.perf_counter() - begun)
        params = sum(parameter.numel() for parameter in net.parameters())
        middle = statistics.median(took)
        rows.append({"parameters": params, "checkpoint, ms": 1e3 * middle, "of an epoch of 5 s, %": 100 * middle / 5})
    return rows


def main() -> None:
    """Run all of them in a folder that is removed."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        tables = {
            "Commits of an epoch": commits(Path(name) / "commits"),
            "Checkpoints of an epoch": durability(Path(name) / "checkpoints"),
        }
        title, rows = read(Path(name) / "large", int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    keep("store", {**tables, title: rows}, goals_of(rows, tables["Checkpoints of an epoch"]))


if __name__ == "__main__":
    main()
