"""How convolutions in Winograd's way do beside torch's own, layer by layer: `python tests/bench/layers.py`.

A training step's part of one layer, forward and backward with the gradients of maps, filters and biases, of batches of
128 on one thread. Both ways take turns in one process, with archbench's environment variables; ratios are of turns of
the same round, intervals a bootstrap's over the rounds. Errors are distances from double precision by its length, of
what comes and of the filters' gradient. A layer is done so in a training where enough is expected, and where a trial
of the whole step finds it quicker. Nothing is asserted.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable

import torch
from figures import Row, arguments, keep, ratio
from torch import Tensor, nn

from archbench.environment import worker_variables
from archbench.quick import winograd
from archbench.timing.locks import timing_on

# Channels before and behind, side of the maps, padding
LAYERS = (
    (16, 16, 28, 1), (24, 24, 28, 1), (32, 64, 26, 0), (64, 64, 28, 1), (37, 37, 14, 1), (64, 64, 14, 1),
    (128, 128, 16, 1), (256, 256, 8, 1), (32, 32, 7, 1),
)  # fmt: skip
KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16}
BATCH, WARM_UP = 128, 2

Way = Callable[[nn.Conv2d, Tensor], Tensor]


def ours(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """Convolve in Winograd's way."""
    return winograd.Winograd.apply(
        maps, conv.weight, conv.bias, -float("inf"), winograd.sizes_of(conv, *maps.shape[2:])
    )


def step(way: Way, conv: nn.Conv2d, maps: Tensor, given: Tensor, kind: torch.dtype) -> list[Tensor]:
    """Go forward and backward; return what comes and the filters' gradient."""
    conv.zero_grad()
    maps.grad = None
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        done = way(conv, maps)
    done.backward(given.to(done.dtype))
    return [done.detach(), conv.weight.grad]


def errors(way: Way, conv: nn.Conv2d, maps: Tensor, given: Tensor, kind: torch.dtype) -> list[float]:
    """Return the errors of a way."""
    found = step(way, conv, maps, given, kind)
    exact = copy.deepcopy(conv).double()
    truth = step(nn.Conv2d.forward, exact, maps.detach().double().requires_grad_(), given.double(), torch.float64)
    return [float((one.double() - true).norm() / true.norm()) for one, true in zip(found, truth, strict=True)]


def row_of(layer: tuple[int, ...], kind: torch.dtype, rounds: int) -> Row:
    """Return what is told of a layer."""
    inner, outer, side, padding = layer
    torch.manual_seed(0)
    conv = nn.Conv2d(inner, outer, 3, padding=padding).to(memory_format=torch.channels_last)
    maps = torch.randn(BATCH, inner, side, side).to(kind).contiguous(memory_format=torch.channels_last)
    given = torch.randn(conv(maps.float()).shape).to(kind).contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    ways: tuple[Way, Way] = (nn.Conv2d.forward, ours)
    seconds: tuple[list[float], list[float]] = ([], [])
    for place in range(WARM_UP + rounds):
        for which in (place % 2, 1 - place % 2):
            begun = time.perf_counter()
            step(ways[which], conv, maps, given, kind)
            seconds[which].append(time.perf_counter() - begun)
    torch_s, own_s = (taken[WARM_UP:] for taken in seconds)
    expected = winograd.gain(winograd.sizes_of(conv, side, side), BATCH)
    (theirs, their_filters), (own, own_filters) = (errors(way, conv, maps, given, kind) for way in ways)
    return {
        "channels": f"{inner} to {outer}", "maps": f"{side}x{side}", "torch, ms": 1e3 * sorted(torch_s)[rounds // 2],
        "times as fast": ratio(own_s, torch_s), "expected of fp32": expected,
        "done so": "yes" if expected >= winograd.LEAST_GAIN[kind] else "no",
        "errors, of a million": f"{1e6 * own:.2g}, {1e6 * own_filters:.2g}",
        "torch's": f"{1e6 * theirs:.2g}, {1e6 * their_filters:.2g}",
    }  # fmt: skip


def main() -> None:
    """Print a table a precision."""
    options = arguments(__doc__, turns=15).parse_args()
    if not worker_variables().items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], worker_variables())  # the allocator reads them once
    torch.set_num_threads(1)
    layers, rounds = (LAYERS[:2], 2) if options.smoke else (LAYERS, options.turns)
    with timing_on("cpu", print):
        tables = {
            f"{name}, {rounds} turns": [row_of(layer, kind, rounds) for layer in layers] for name, kind in KINDS.items()
        }
    keep("layers", tables, smoke=options.smoke)


if __name__ == "__main__":
    main()
