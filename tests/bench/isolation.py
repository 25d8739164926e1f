"""What a process of its own costs a run, and how it is kept down: `python tests/bench/isolation.py`.

The same runs, each of one short epoch, are done in one process, in processes forked from a warm one, and each in an
interpreter of its own, as a process that is spawned would. Nothing is asserted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import keep

from archbench import pipeline
from archbench.manner import Manner
from archbench.study import make_study

RUNS, ROUNDS = 20, 5
ALONE = """
import sys, json
from pathlib import Path
from archbench import pipeline
from archbench.study import make_study
from archbench.manner import Manner
study = make_study(["mlp"], ["3k"], epochs=1, seeds=[int(sys.argv[2])])
pipeline.train_trials(study, Path(sys.argv[1]), manner=Manner(0))
"""


def done(folder: Path, workers: int, seeds: int) -> float:
    """Return the seconds that a sweep takes."""
    begun = time.perf_counter()
    pipeline.train_trials(make_study(["mlp"], ["3k"], epochs=1, seeds=seeds), folder, manner=Manner(workers))
    return time.perf_counter() - begun


def alone(folder: Path, seed: int) -> float:
    """Return the seconds that one run takes in an interpreter of its own."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", ALONE, str(folder), str(seed)], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print the seconds a run, medians of rounds that take turns."""
    here, forked, start, spawned = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        done(Path(name) / "warm", 0, 1)  # what this process imports first is no run's
        for place in range(ROUNDS):
            folder = Path(name) / str(place)
            one, all_ = done(folder / "one", 1, 1), done(folder / "all", 1, RUNS + 1)
            start.append(one)
            forked.append((all_ - one) / RUNS)
            here.append((done(folder / "here", 0, RUNS + 1) - done(folder / "first", 0, 1)) / RUNS)
            spawned.append(alone(folder / "alone", place))
    found = {
        "in this process": here, "in a process forked from a warm one": forked,
        "in an interpreter of its own": spawned, "the first, with the warm process": start,
    }  # fmt: skip
    rows = [{"a run": where, "ms": 1e3 * statistics.median(seconds)} for where, seconds in found.items()]
    keep("isolation", {"A run of one short epoch": rows}, raw=found)


if __name__ == "__main__":
    main()
