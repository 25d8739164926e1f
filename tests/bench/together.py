"""Whether several small trainings at a time do more on one CUDA device: `python tests/bench/together.py`.

Processes of one training each, all of the same net in bfloat16, are told to train 200 steps at once, and the time until
the last is done is taken: steps of all of them a second, in the quickest of some turns. Steps are taken op by op, and
replayed as CUDA graphs. Nothing is asserted.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from figures import Row, arguments, keep, no_card
from turns import Rival

import archbench
from archbench.environment import worker_variables
from archbench.timing.locks import timing_on

MODEL, SHAPE, CLASSES, BATCH, STEPS = "mnist_dense2", "1x28x28", 10, 128, 200
TOGETHER = (1, 2, 4, 8)
WAYS = {"replayed": True, "op by op": False}
WARM_UP = 1  # turns that are not counted
CHILD = str(Path(__file__).with_name("epochs.py"))


def measured(spec: Row, turns: int) -> list[Row]:
    """Return a row for each number of trainings at a time."""
    rows, rivals = [], []
    with ThreadPoolExecutor(max(TOGETHER)) as pool:
        try:
            for count in TOGETHER:
                words = [sys.executable, CHILD, "archbench", "bf16", json.dumps(spec)]
                rivals += pool.map(lambda _, words=words: Rival(words, worker_variables()), range(count - len(rivals)))
                taken = []
                for _ in range(WARM_UP + turns):
                    begun = perf_counter()
                    list(pool.map(Rival.turn, rivals))
                    taken.append(perf_counter() - begun)
                rows.append({"at a time": count, "steps/s of all": count * STEPS / min(taken[WARM_UP:])})
        finally:
            for rival in rivals:
                rival.close()
    return rows


def main() -> None:
    """Print a table a way."""
    options = arguments(__doc__, turns=3).parse_args()
    if no_card():
        return
    sized = archbench.size(MODEL, None, input=SHAPE, classes=CLASSES)
    spec = {
        "model": MODEL, "options": sized.options, "shape": sized.input_shape, "classes": CLASSES, "positions": 1,
        "params": sized.params, "batch_size": BATCH, "samples": BATCH * STEPS, "device": "cuda",
    }  # fmt: skip
    with timing_on("cuda", print):
        tables = {
            f"{MODEL} in bf16, batches of {BATCH}, {way}": measured({**spec, "cuda_graph": graph}, options.turns)
            for way, graph in WAYS.items()
        }
    keep("together", tables, smoke=options.smoke)


if __name__ == "__main__":
    main()
