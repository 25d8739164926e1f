"""How fast nets are trained on one thread, beside what users write otherwise: `python tests/bench/training.py`.

Three nets; for each a loop over a DataLoader of PIL images, the same in PyTorch Lightning, Keras on TensorFlow with its
arrays in memory, and archbench's own training, the latter two in both precisions. Each has a process of its own and the
same one core; they take turns of an epoch, in an order that rotates, and the first turns are not counted. archbench's
processes alone have its environment variables. Ratios are of turns of the same round; intervals are a bootstrap's over
the rounds. The roofline and the peaks are those of `archbench doctor`, measured at the beginning. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from figures import Row, arguments, goal, keep, table
from others import Unavailable, interpreter
from scipy.stats import bootstrap
from turns import Lost, Rival, orders

import archbench
from archbench.environment import capture, worker_variables
from archbench.schema import Cost, Peaks, SizedModel, Timing
from archbench.timing.locks import timing_on
from archbench.timing.peaks import peaks_of
from archbench.timing.roofline import roofline

# model, budget, shape, classes, positions, batch, samples a turn: one to three seconds of the loop
# GOALS: times as fast as the loop, in fp32 and in the better precision
NETS = (
    ("mnist_dense2", None, "1x28x28", 10, 1, 128, 1024),
    ("mobilenet", "73k", "1x48x48", 7, 1, 128, 512),
    ("captcha_resnet18_mod", None, "3x50x130", 36, 4, 128, 512),
)
GOALS = {"mnist_dense2": (1.3, 3.0), "mobilenet": (2.0, 2.0), "captcha_resnet18_mod": (1.6, 3.0)}
LOOP = "loop fp32"
CONTENDERS = (LOOP, "lightning fp32", "keras fp32", "keras bf16", "archbench fp32", "archbench bf16")
FOREIGN = ("lightning", "keras")
PRECISIONS = ("fp32", "bf16")
WARM_UP = 2  # turns that are not counted
CHILD = str(Path(__file__).with_name("epochs.py"))
ONE_THREAD = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}


def started(names: list[str], spec: Row, foreign: str | None) -> dict[str, Rival]:
    """Start a process for each contender; what cannot be started is told and left out."""
    rivals = {}
    for name in names:
        contender, precision = name.split()
        python = foreign if contender in FOREIGN else sys.executable
        variables = worker_variables() if contender == "archbench" else dict(os.environ)
        try:
            rivals[name] = Rival([python, CHILD, contender, precision, json.dumps(spec)], {**variables, **ONE_THREAD})
        except Lost as why:
            print(f"{name} is left out: {why}", flush=True)
    return rivals


def taken(rivals: dict[str, Rival], rounds: int) -> dict[str, list[float]]:
    """Let all take turns; return the seconds of each turn that counts."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for order in orders(list(rivals), WARM_UP + rounds):
        for name in [name for name in order if name in seconds]:
            try:
                seconds[name].append(rivals[name].turn())
            except Lost as why:
                print(f"{name} is left out: {why}", flush=True)
                del seconds[name]
    return {name: turns[WARM_UP:] for name, turns in seconds.items()}


def ratio(ours: list[float], theirs: list[float]) -> list[float]:
    """Return how many times as fast one is as the other, with the 95 % interval of a bootstrap over the rounds."""
    ratios = np.array(theirs) / np.array(ours)
    if len(ratios) < 2:
        return [float(ratios[0])] * 3
    interval = bootstrap((ratios,), np.median, method="percentile", rng=0).confidence_interval
    return [float(np.median(ratios)), float(interval.low), float(interval.high)]


def row_of(name: str, seconds: dict[str, list[float]], spec: Row, facts: Row) -> Row:
    """Return what is told of a contender but for the roofline."""
    us = np.array(seconds[name]) / spec["samples"] * 1e6
    contender, precision = name.split()
    row: Row = {
        "contender": name, "parameters": facts["params"],
        "µs/sample (min, max)": [float(np.median(us)), float(us.min()), float(us.max())],
    }  # fmt: skip
    for other in (LOOP, f"keras {precision}"):
        against = other in seconds and name != other and (other == LOOP or contender == "archbench")
        row[f"times as fast as {other.split()[0]}"] = ratio(seconds[name], seconds[other]) if against else None
    return row


def reached(us: list[float], precision: str, spec: Row, sized: SizedModel, cost: Cost, peaks: Peaks) -> Row:
    """Return the share of the roofline, and of the peak of the precision, that turns of so many µs a sample reach."""
    batch = spec["batch_size"]
    environment = capture()
    timing = Timing(
        sized.key, "cpu", environment.cpu, precision, "train", batch, 1, tuple(batch * one for one in us),
        spec["samples"] // batch, "", "adam", environment.torch, peaks=peaks,
    )  # fmt: skip
    found = roofline(timing, cost, sized.input_shape)
    return {
        "GFLOP/s": found.gflops_achieved,
        "of the peak, %": 1e11 * found.gflops_achieved / peaks.flops_per_s,
        "of the roofline, %": 100 * found.fraction,
    }


def measured(net: tuple, rounds: int, scale: int, foreign: str | None, peaks: dict[str, Peaks]) -> tuple[list, Row]:
    """Return the rows of a net, and what they were made of."""
    model, budget, shape, classes, positions, batch, samples = net
    asked = {"input": shape, "classes": classes}
    sized, cost = archbench.size(model, budget, **asked), archbench.cost_of(model, budget, **asked)
    spec = {
        "model": model, "options": sized.options, "shape": sized.input_shape, "classes": classes,
        "positions": positions, "params": sized.params, "batch_size": batch, "samples": max(batch, samples // scale),
    }  # fmt: skip
    names = [name for name in CONTENDERS if foreign or name.split()[0] not in FOREIGN]
    rivals = started(names, spec, foreign)
    try:
        seconds = taken(rivals, rounds)
        facts = {name: rivals[name].facts for name in seconds}
    finally:
        for rival in rivals.values():
            rival.close()
    rows = []
    for name, turns in seconds.items():
        us, precision = [1e6 * one / spec["samples"] for one in turns], name.split()[1]
        rows.append({
            **row_of(name, seconds, spec, facts[name]), **reached(us, precision, spec, sized, cost, peaks[precision])
        })  # fmt: skip
    return rows, {"spec": spec, "seconds": seconds, "facts": facts}


def goals_of(model: str, rows: list[Row]) -> list[Row]:
    """Return what is asked of archbench on a net, beside the loop and beside Keras."""
    by_name = {row["contender"]: row for row in rows}

    def times(precision: str, other: str) -> float:
        found = by_name[f"archbench {precision}"][f"times as fast as {other}"]
        return found[0] if found else float("nan")

    best = max(times(precision, "loop") for precision in PRECISIONS)
    return [
        goal(f"{model}: fp32, times as fast as the loop", times("fp32", "loop"), least=GOALS[model][0]),
        goal(f"{model}: the better precision, times as fast as the loop", best, least=GOALS[model][1]),
        *(goal(f"{model}: {precision}, times as fast as Keras", times(precision, "keras"), least=1.0)
          for precision in PRECISIONS if by_name[f"archbench {precision}"]["times as fast as keras"]),
    ]  # fmt: skip


def main() -> None:
    """Print a table a net."""
    parser = arguments(__doc__, turns=7)
    parser.add_argument("--net", choices=[net[0] for net in NETS], action="append", help="only these nets")
    options = parser.parse_args()
    rounds, scale = (2, 8) if options.smoke else (options.turns, 1)
    try:
        foreign = interpreter()
    except Unavailable as why:
        foreign = None
        print(f"{' and '.join(FOREIGN)} are left out: {why}")
    peaks = {precision: peaks_of("cpu", precision, 1, capture(), refresh=True) for precision in PRECISIONS}
    tables, goals, raw, versions = {}, [], {}, {}
    with timing_on("cpu", print):
        for net in NETS:
            if net[0] in (options.net or [net[0]]):
                rows, of = measured(net, rounds, scale, foreign, peaks)
                spec = of["spec"]
                title = f"{net[0]} at {net[2]}, batches of {net[5]}, {rounds} turns of {spec['samples']:,} samples each"
                print(f"\n{title}\n{table(rows)}", flush=True)
                tables[title], raw[net[0]] = rows, of
                goals += goals_of(net[0], rows)
                versions |= {k: v for facts in of["facts"].values() for k, v in facts.items() if k != "params"}
    tables["Peaks"] = [
        {"precision": name, "GFLOP/s": one.flops_per_s / 1e9, "GB/s": one.bytes_per_s / 1e9}
        for name, one in peaks.items()
    ]
    keep("training", tables, goals, raw=raw, versions=versions, smoke=options.smoke, quiet=True)
    print(f"\n{table(tables['Peaks'])}\n\n{table(goals)}")


if __name__ == "__main__":
    main()
