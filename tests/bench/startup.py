"""What one waits for before anything is trained, and how much memory is taken: `python tests/bench/startup.py`.

The command's help and its list take turns with an interpreter that does nothing, the list with what it keeps in the
user's cache. The first step is told from above: the whole time from the start of `archbench compare` until a run of
one step, with its evaluations, is over and stored, what is timed before it being cut short (`--max-seconds 0`). Memory
is the most that any process of a comparison on all of MNIST had resident, what it shares with others included. Nothing
is asserted.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import arguments, goal, keep
from turns import orders

from archbench.data import load_dataset
from archbench.errors import DataError

COMMAND = str(Path(sys.executable).with_name("archbench"))
WAITED = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "archbench --help": [COMMAND, "--help"],
    "archbench list": [COMMAND, "list"],
}
GOALS = {"archbench --help": 0.2, "archbench list": 0.3}  # seconds
MOST_FIRST_S, MOST_GB = 8.0, 1.5
WATCHED = str(Path(__file__).with_name("watched.py"))
COMPARE = [
    "compare", "cnn", "mobilenet", "--budgets", "30k", "--seeds", "1", "--epochs", "1", "--processes", "0",
    "--max-seconds", "0",
]  # fmt: skip


def waited(turns: int) -> dict[str, list[float]]:
    """Return the seconds of each command by turn; what is kept for the next time is made before."""
    found: dict[str, list[float]] = {name: [] for name in WAITED}
    for turn, order in enumerate(orders(list(WAITED), 1 + turns)):
        for name in order:
            begun = time.perf_counter()
            subprocess.run(WAITED[name], stdout=subprocess.PIPE, check=True)
            if turn:
                found[name].append(time.perf_counter() - begun)
    return found


def first_step(words: list[str]) -> float:
    """Return the seconds until the first run is over."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        watched, begun = Path(name) / "watched.jsonl", time.monotonic()
        given = [sys.executable, WATCHED, str(watched), *COMPARE, *words, "--out", str(Path(name) / "results")]
        subprocess.run(given, capture_output=True, check=True)
        steps = [json.loads(line) for line in watched.read_text(encoding="utf-8").splitlines()]
    return min(at for at, stage, _, over in steps if stage == "train" and over) - begun


def main() -> None:
    """Print what is waited for."""
    parser = arguments(__doc__, turns=11)
    parser.add_argument("--data-root", default=os.environ.get("ARCHBENCH_DATA", "."), help="folder of data sets")
    options = parser.parse_args()
    turns = 2 if options.smoke else options.turns
    seconds = waited(turns)
    data = ["--dataset", "mnist", "--data-root", options.data_root]
    gigabytes = None
    try:
        load_dataset("mnist", options.data_root)
    except DataError as why:
        print(f"digits stand for MNIST, and memory is left out: {why}")
        data = []
    few = [*data, "--limit", "64"]
    name = f"the first run of one step on {data[1] if data else 'digits'}"
    first_step(few)  # the disk is warm then
    seconds[name] = [first_step(few) for _ in range(1 if options.smoke else 5)]
    if data and not options.smoke:
        first_step(data)
        gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6  # of kB
    rows = [
        {"what": what, "s (min, max)": [statistics.median(each), min(each), max(each)]}
        for what, each in seconds.items()
    ]
    goals = [goal(f"{what}, s", statistics.median(seconds[what]), most=most) for what, most in GOALS.items()]
    goals += [
        goal(f"{name}, s", statistics.median(seconds[name]), most=MOST_FIRST_S),
        goal("memory of the largest process of a comparison on MNIST, GB", gigabytes, most=MOST_GB),
    ]
    keep("startup", {"What one waits for": rows}, goals, raw=seconds, smoke=options.smoke)


if __name__ == "__main__":
    main()
