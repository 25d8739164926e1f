"""How far the A/B ratio of repeated measurements spreads: `python tests/bench/ratios.py [REPETITIONS]`.

archbench's estimate and torch.utils.benchmark, run one model after the other in a fresh process as one would write it,
take turns in one run and have the same seconds each; the latter once as it is and once with the memory kept between
steps, as archbench has it. Look at the ratios of the spreads; the goal is a third. Nothing is asserted.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from figures import Row, goal, keep

import archbench
from archbench.budget import build_model
from archbench.environment import worker_variables
from archbench.timing import Protocol

MODELS, BUDGET, SHAPE, BATCH, SECONDS = ("cnn", "mobilenet"), "30k", "1x28x28", 32, 12.0
PLAIN, KEPT = "torch.utils.benchmark", "the same, memory kept"
ALONE = "--one-after-the-other"


def ours() -> float:
    """Return the ratio as archbench estimates it, no goal ending it before its time."""
    protocol = Protocol(max_seconds=SECONDS, ratio_goal=0.0)
    timed = archbench.time(
        MODELS, BUDGET, input=SHAPE, batch_sizes=[BATCH], modes=["infer"], device="cpu", protocol=protocol
    )
    return float(timed.frame()["ratio"].iloc[1])


def theirs() -> float:
    """Return the ratio of two medians of torch.utils.benchmark."""
    import torch
    from torch.utils.benchmark import Timer

    torch.manual_seed(0)
    x = torch.randn(BATCH, *(int(side) for side in SHAPE.split("x"))).contiguous(memory_format=torch.channels_last)
    medians = []
    for name in MODELS:
        sized = archbench.size(name, BUDGET, input=SHAPE)
        net = build_model(sized).eval().to(memory_format=torch.channels_last)
        with torch.inference_mode():
            timer = Timer("net(x)", globals={"net": net, "x": x}, num_threads=1)
            medians.append(timer.blocked_autorange(min_run_time=SECONDS / len(MODELS)).median)
    return medians[1] / medians[0]


def main() -> None:
    """Print a row a repetition and the spread of both: the standard deviation of the logarithms, and the range."""
    if ALONE in sys.argv:
        print(theirs())
        return
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    ratios: dict[str, list[float]] = {"archbench": [], PLAIN: [], KEPT: []}
    print(f"{MODELS[1]} / {MODELS[0]} at {BUDGET}, {SHAPE}, batch {BATCH}, infer, 1 thread, {SECONDS:g} s each")
    for number in range(1, repetitions + 1):
        ratios["archbench"].append(ours())
        for name, variables in ((PLAIN, os.environ), (KEPT, worker_variables())):
            words = [sys.executable, __file__, ALONE]
            said = subprocess.run(words, capture_output=True, text=True, check=True, env=variables)
            ratios[name].append(float(said.stdout))
        print(f"{number:3} " + "  ".join(f"{name} {values[-1]:.4f}" for name, values in ratios.items()), flush=True)
    spreads = {name: float(np.std(np.log(values), ddof=1)) for name, values in ratios.items()}
    rows: list[Row] = [
        {
            "estimate": name, "median ratio": float(np.median(values)), "deviation, %": 100 * spreads[name],
            "range, %": float(100 * (max(values) - min(values)) / np.median(values)),
        }
        for name, values in ratios.items()
    ]  # fmt: skip
    goals = [
        goal(f"archbench's deviation to that of {name}", spreads["archbench"] / spreads[name], most=0.33)
        for name in (PLAIN, KEPT)
    ]
    keep("ratios", {f"{repetitions} repetitions": rows}, goals, raw=ratios)


if __name__ == "__main__":
    main()
