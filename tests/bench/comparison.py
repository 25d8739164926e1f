"""A whole comparison beside what a user would have written: `python tests/bench/comparison.py --data-root DIR`.

`archbench compare cnn mobilenet --budgets 30k,200k --dataset mnist` with all that it does (sizing, counting, timing,
training by a process a core, the store, tables and figures), and two scripts that train the same cells one after the
other with all cores: PyTorch with PIL images and a DataLoader, Keras on TensorFlow with arrays in memory. They have the
same nets at archbench's sizes, the same images in the same splits, the same batches, optimizer and schedule, and look
at the validation images after each epoch and at the test images in the end; they time no step and write nothing.
Seconds are those of the whole process, its imports included.

archbench's own overhead is what is left of its wall time without the blocks of steps that it timed and the steps that
warmed up for them, and without the time in which at least one process trained or evaluated: `account.py` has the
details. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from account import account, rows_of
from figures import Row, arguments, goal, keep
from others import Unavailable, interpreter, pinned
from turns import orders

import archbench
from archbench.data import SPLITS, load_dataset
from archbench.errors import DataError
from archbench.plan import label
from archbench.schema import Recipe, View

MODELS, BUDGETS, DATASET = ("cnn", "mobilenet"), ("30k", "200k"), "mnist"
OURS, TORCH, KERAS = "archbench", "PyTorch by hand", "Keras by hand"
HERE = Path(__file__).parent
GOALS = {TORCH: 2.5, KERAS: 1.3}  # times as fast
MOST_SECONDS, MOST_SHARE = 10, 0.05  # of overhead, whichever is more


def plan_of(folder: Path, root: str, seeds: int, epochs: int, limit: int | None) -> Path:
    """Write down what is trained, for those who do it by hand: arrays, sizes, settings."""
    dataset = load_dataset(DATASET, root, view=View(limit=limit))
    arrays = {f"{split}_images": dataset.images[split].permute(0, 2, 3, 1).numpy() for split in SPLITS}
    arrays |= {f"{split}_labels": dataset.labels[split].numpy() for split in SPLITS}
    np.savez(folder / "arrays.npz", **arrays)
    classes, cells = len(dataset.classes), []
    for model in MODELS:
        for budget in BUDGETS:
            sized = archbench.size(model, budget, input=dataset.input_shape, classes=classes)
            cells += [
                {"model": model, "options": sized.options, "shape": sized.input_shape, "classes": classes,
                 "params": sized.params, "seed": seed, "name": label(model, sized.budget)}
                for seed in range(seeds)
            ]  # fmt: skip
    plan = {
        "arrays": str(folder / "arrays.npz"), "parts": SPLITS, "cells": cells, "epochs": epochs,
        "batch_size": Recipe.batch_size, "lr": Recipe.lr,
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder / "plan.json"


def seconds_of(words: list[str]) -> tuple[float, float, str]:
    """Run a command; return when it began and ended, and what it printed.

    Raises:
        RuntimeError: it failed.
    """
    begun = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{words[:2]} ended with {done.returncode}: {done.stderr[-1000:]}"
        raise RuntimeError(msg)
    return begun, time.monotonic(), done.stdout


def by_hand(python: str, script: str, plan: Path) -> Row:
    """Run a script; return its seconds and the accuracies that it came to."""
    begun, finished, said = seconds_of([python, str(HERE / script), str(plan)])
    return {"seconds": finished - begun, "accuracies": json.loads(said)}


def ours(words: list[str], folder: Path) -> Row:
    """Run archbench; return its seconds, the accuracies, and an account of the time."""
    results, watched = folder / "results", folder / "watched.jsonl"
    folder.mkdir()
    begun, finished, _ = seconds_of(
        [sys.executable, str(HERE / "watched.py"), str(watched), "compare", *words, "--out", str(results)]
    )
    accuracies = [record.training.test.top1 for record in archbench.load(results).records]
    spent = account(results, watched, begun, finished)
    return {"seconds": finished - begun, "accuracies": accuracies, "account": spent}


def compared(root: str, turns: int, seeds: int, epochs: int, limit: int | None) -> dict[str, list[Row]]:
    """Let the contenders take turns; return what each did in every one."""
    words = [*MODELS, "--budgets", ",".join(BUDGETS), "--dataset", DATASET, "--data-root", root]
    words += ["--epochs", str(epochs), "--seeds", str(seeds), *(["--limit", str(limit)] if limit else [])]
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        folder = Path(place)
        plan = plan_of(folder, root, seeds, epochs, limit)
        contenders = {
            OURS: lambda turn: ours(words, folder / str(turn)),
            TORCH: lambda turn: by_hand(sys.executable, "by_hand_torch.py", plan),
        }
        try:
            foreign = interpreter()
            contenders[KERAS] = lambda turn: by_hand(foreign, "by_hand_keras.py", plan)
        except Unavailable as why:
            print(f"{KERAS} is left out: {why}")
        found: dict[str, list[Row]] = {name: [] for name in contenders}
        for turn, order in enumerate(orders(list(contenders), turns)):
            for contender in order:
                found[contender].append(contenders[contender](turn))
                print(f"{contender}: {found[contender][-1]['seconds']:.1f} s", flush=True)
        return found


def main() -> None:
    """Print seconds and ratios, and where archbench's time goes."""
    parser = arguments(__doc__, turns=1, seeds=3, epochs=2, limit=0)
    parser.add_argument("--data-root", default=os.environ.get("ARCHBENCH_DATA", "."), help="folder of data sets")
    options = parser.parse_args()
    turns, seeds, epochs, limit = options.turns, options.seeds, options.epochs, options.limit
    if options.smoke:
        turns, seeds, epochs, limit = 1, 1, 1, 600
    try:
        found = compared(options.data_root, turns, seeds, epochs, limit or None)
    except DataError as why:
        print(f"the comparison is left out: {why}")
        return
    seconds = {name: statistics.median(one["seconds"] for one in each) for name, each in found.items()}
    rows = [
        {
            "contender": name, "seconds": seconds[name], "archbench, times as fast": seconds[name] / seconds[OURS],
            "mean test accuracy, %": 100 * statistics.mean(each[-1]["accuracies"]),
        }
        for name, each in found.items()
    ]  # fmt: skip
    spent = min((one["account"] for one in found[OURS]), key=lambda one: abs(one["wall"] - seconds[OURS]))
    most = max(MOST_SECONDS, MOST_SHARE * spent["wall"])
    goals = [goal("archbench's overhead, s: 10, or 5 % of the whole", spent["overhead"], most=most)]
    goals += [
        goal(f"a comparison, times as fast as {name}", seconds[name] / seconds[OURS], least=GOALS[name])
        for name in seconds
        if name in GOALS
    ]
    tables = {
        f"{seeds * len(MODELS) * len(BUDGETS)} runs of {epochs} epochs on {limit or 'all'} images, {turns} turns": rows,
        "What archbench spent it on": rows_of(spent),
    }
    versions = {name: own for name, own in pinned().items() if KERAS in found and name != "lightning"}
    keep("comparison", tables, goals, raw=found, versions=versions, smoke=options.smoke)


if __name__ == "__main__":
    main()
