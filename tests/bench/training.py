"""How fast nets are trained, beside what users write otherwise: `python tests/bench/training.py [--device cuda]`.

Three nets; for each a loop over a DataLoader of PIL images, the same in PyTorch Lightning, Keras on TensorFlow with its
arrays in memory, and archbench's own training, the latter two in both precisions. Each has a process of its own and the
same one core; they take turns of an epoch, in an order that rotates, and the first turns are not counted. archbench's
processes alone have its environment variables, and take steps as a training of two epochs of MNIST does by itself:
which layers are its own stands in the table. Ratios are of turns of the same round; intervals are a bootstrap's over
the rounds. The roofline and the peaks are those of `archbench doctor`, measured at the beginning; a net whose
convolutions are done by a quarter of the multiplications may be beyond, as all are counted. Nothing is asserted.

On a CUDA device the loop is there twice, with `loaders` of eight processes too; both are as torch has it, convolutions
in TF32. archbench replays its steps as CUDA graphs, and computes in the same way each time, which in single precision
costs some nets much. A ResNet-18 with the small stem stands beside a published harness for CIFAR-10: airbench94 trains
a net of its own for 9.9 epochs of 48 batches of 1,024 images, 0.36 PFLOP in all by its own account, in 3.83 s on an
A100 (Jordan 2024, arXiv:2404.00498, and the head of its script).
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from figures import Row, arguments, goal, keep, no_card, ratio, table
from others import Unavailable, interpreter
from turns import Lost, Rival, orders

import archbench
from archbench.environment import capture, device_name, worker_variables
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
FOREIGN = ("lightning", "keras")
PRECISIONS: dict[str, tuple[str, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16")}
CONTENDERS = {
    "cpu": (LOOP, "lightning fp32", "keras fp32", "keras bf16", "archbench fp32", "archbench bf16"),
    "cuda": (LOOP, "loaders fp32", "archbench fp32", "archbench tf32", "archbench bf16"),
}
ON_CUDA = ("resnet18[small_stem=true]", None, "3x32x32", 10, 1, 512, 8192)  # beside the three
MORE_ON_CUDA = 5  # times as many samples of the others, as a card needs little time for them
GOAL_ON_CUDA = 10.0  # of the best precision
HARNESS = {"contender": "airbench94, A100 (published)", "images": 9.9 * 48 * 1024, "seconds": 3.83, "PFLOP": 0.36}
WARM_UP = 2  # turns that are not counted
CHILD = str(Path(__file__).with_name("epochs.py"))
ONE_THREAD = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}


def started(names: list[str], spec: Row, foreign: str | None) -> dict[str, Rival]:
    """Start a process for each contender; what cannot be started is told and left out.

    The others at once, then archbench's, one after the other: each tries which way is quickest, and should be alone.
    """

    def start(name: str) -> Rival | Lost:
        contender, precision = name.split()
        python = foreign if contender in FOREIGN else sys.executable
        variables = worker_variables() if contender == "archbench" else dict(os.environ)
        own = ONE_THREAD if spec["device"] == "cpu" else {}
        try:
            return Rival([python, CHILD, contender, precision, json.dumps(spec)], {**variables, **own})
        except Lost as why:
            return why

    ours = [name for name in names if name.startswith("archbench")]
    others = [name for name in names if name not in ours]
    with ThreadPoolExecutor() as pool:
        begun = {**dict(zip(others, pool.map(start, others), strict=True)), **{name: start(name) for name in ours}}
    found = {name: begun[name] for name in names}
    for name, why in found.items():
        if isinstance(why, Lost):
            print(f"{name} is left out: {why}", flush=True)
    return {name: one for name, one in found.items() if isinstance(one, Rival)}


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


def row_of(name: str, seconds: dict[str, list[float]], spec: Row, facts: Row) -> Row:
    """Return what is told of a contender but for the roofline."""
    us = np.array(seconds[name]) / spec["samples"] * 1e6
    contender, precision = name.split()
    row: Row = {
        "contender": name, "parameters": facts["params"],
        "its own": ", ".join(knob for knob, on in facts.get("knobs", {}).items() if on is True),
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
        sized.key, spec["device"], device_name(environment, spec["device"]), precision, "train", batch, 1,
        tuple(batch * one for one in us), spec["samples"] // batch, "", "adam", environment.torch, peaks=peaks,
    )  # fmt: skip
    found = roofline(timing, cost, sized.input_shape)
    return {
        "GFLOP/s": found.gflops_achieved,
        "of the peak, %": 1e11 * found.gflops_achieved / peaks.flops_per_s,
        "of the roofline, %": 100 * found.fraction,
    }


def nets_of(device: str) -> tuple[tuple, ...]:
    """Return the nets of a device."""
    if device == "cpu":
        return NETS
    return (*((*net[:-1], MORE_ON_CUDA * net[-1]) for net in NETS), ON_CUDA)


def measured(net: tuple, device: str, rounds: int, scale: int, foreign: str | None, peaks: dict[str, Peaks]) -> tuple:
    """Return the rows of a net, and what they were made of."""
    model, budget, shape, classes, positions, batch, samples = net
    asked = {"input": shape, "classes": classes}
    sized, cost = archbench.size(model, budget, **asked), archbench.cost_of(model, budget, **asked)
    spec = {
        "model": model.partition("[")[0], "options": sized.options, "shape": sized.input_shape, "classes": classes,
        "device": device, "positions": positions, "params": sized.params, "batch_size": batch,
        "samples": max(batch, samples // scale), "sized": msgspec.to_builtins(sized), "cost": msgspec.to_builtins(cost),
    }  # fmt: skip
    names = [name for name in CONTENDERS[device] if foreign or name.split()[0] not in FOREIGN]
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


def beside_harness(rows: list[Row], spec: Row) -> list[Row]:
    """Return what archbench reaches beside a published harness, by images and by operations a second."""
    published = {
        "contender": HARNESS["contender"], "images/s": HARNESS["images"] / HARNESS["seconds"],
        "TFLOP/s": 1e3 * HARNESS["PFLOP"] / HARNESS["seconds"],
    }  # fmt: skip
    ours = [
        {"contender": f"{row['contender']}, {spec['model']}", "images/s": 1e6 / row["µs/sample (min, max)"][0],
         "TFLOP/s": row["GFLOP/s"] / 1e3}
        for row in rows if row["contender"].startswith("archbench")
    ]  # fmt: skip
    return [published, *ours]


def goals_of(model: str, device: str, rows: list[Row]) -> list[Row]:
    """Return what is asked of archbench on a net, beside the loop and beside Keras."""
    by_name = {row["contender"]: row for row in rows}

    def times(precision: str, other: str) -> float:
        found = by_name[f"archbench {precision}"][f"times as fast as {other}"]
        return found[0] if found else float("nan")

    best = max(times(precision, "loop") for precision in PRECISIONS[device])
    if device == "cuda":
        if model == ON_CUDA[0]:
            return []  # it is no small net
        return [goal(f"{model} on CUDA: the best precision, times as fast as the loop", best, least=GOAL_ON_CUDA)]
    return [
        goal(f"{model}: fp32, times as fast as the loop", times("fp32", "loop"), least=GOALS[model][0]),
        goal(f"{model}: the better precision, times as fast as the loop", best, least=GOALS[model][1]),
        *(goal(f"{model}: {precision}, times as fast as Keras", times(precision, "keras"), least=1.0)
          for precision in PRECISIONS[device] if by_name[f"archbench {precision}"]["times as fast as keras"]),
    ]  # fmt: skip


def main() -> None:
    """Print a table a net."""
    parser = arguments(__doc__, turns=7)
    parser.add_argument("--device", choices=list(CONTENDERS), default="cpu", help="where")
    parser.add_argument("--net", choices=[net[0] for net in nets_of("cuda")], action="append", help="only these nets")
    options = parser.parse_args()
    device, (rounds, scale) = options.device, (2, 8) if options.smoke else (options.turns, 1)
    if device == "cuda" and no_card():
        return
    foreign = None
    if device == "cpu":
        try:
            foreign = interpreter()
        except Unavailable as why:
            print(f"{' and '.join(FOREIGN)} are left out: {why}")
    peaks = {precision: peaks_of(device, precision, 1, capture(), refresh=True) for precision in PRECISIONS[device]}
    section = "training" if device == "cpu" else "training_cuda"
    tables: dict[str, list[Row]] = {
        "Peaks": [
            {"precision": name, "GFLOP/s": one.flops_per_s / 1e9, "GB/s": one.bytes_per_s / 1e9}
            for name, one in peaks.items()
        ]
    }
    goals, raw, versions = [], {}, {}
    print(table(tables["Peaks"]), flush=True)
    with timing_on(device, print):
        for net in nets_of(device):
            if net[0] not in (options.net or [net[0]]):
                continue
            rows, of = measured(net, device, rounds, scale, foreign, peaks)
            spec = of["spec"]
            title = f"{net[0]} at {net[2]}, batches of {net[5]}, {rounds} turns of {spec['samples']:,} samples each"
            own = {title: rows}
            if net == ON_CUDA:
                own["Beside a harness for CIFAR-10"] = beside_harness(rows, spec)
            for name, shown in own.items():
                print(f"\n{name}\n{table(shown)}", flush=True)
            tables, raw[net[0]] = {**tables, **own}, of
            goals += goals_of(net[0], device, rows)
            facts = [one for told in of["facts"].values() for one in told.items()]
            versions |= {name: told for name, told in facts if name not in {"params", "knobs"}}
            # After each net, so that what was measured is kept whatever comes.
            keep(section, tables, goals, raw=raw, versions=versions, smoke=options.smoke, quiet=True)
    print(f"\n{table(goals)}")


if __name__ == "__main__":
    main()
