"""Timing + Cost -> how near a step comes to what the device can do.

The roofline (Williams, Waterman and Patterson 2009, Communications of the ACM 52(4)): a step takes at least as long as
its operations at the peak rate, and as its bytes at the bandwidth of a copy. The bytes are those of an ideally fused
net whose layers' outputs pass through memory once: parameters and buffers are read, the input is read, what each
convolution and matrix product gives is written and read again. A training step passes over that three times (forward,
the gradients of inputs, the gradients of weights) and writes every parameter once. A net that fits into a cache may
come below the bound of the bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.timing.estimate import step_us

if TYPE_CHECKING:
    from archbench.schema import Cost, Timing

VALUE_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2}
LAUNCH_BOUND = 0.1  # a step that reaches less of the bound than this waits for something else than either
TRAINING_PASSES = 3


@dataclass(frozen=True)
class Roofline:
    """A step against the limits of its device.

    Attributes:
        gflops_achieved: 10^9 floating-point operations a second, 2 for a multiply-accumulate.
        bound_us: what the step takes at least. bound_by: `compute` or `memory`, whichever takes longer.
        fraction: the bound as a share of the time that the step took.
        launch_bound: whether it is far under both limits: what starts the operations, not what they do, takes the time.
    """

    gflops_achieved: float
    bound_us: float
    bound_by: str
    fraction: float
    launch_bound: bool


def roofline(timing: Timing, cost: Cost | None, input_shape: tuple[int, int, int]) -> Roofline | None:
    """Return how near a step comes to the limits of its device; None where its peaks or its MACs are not known."""
    macs = None if cost is None else cost.train_macs if timing.mode == "train" else cost.macs
    if timing.peaks is None or cost is None or macs is None:
        return None
    flops = 2 * macs * timing.batch_size
    compute_us = 1e6 * flops / timing.peaks.flops_per_s
    memory_us = 1e6 * bytes_of_step(timing, cost, input_shape) / timing.peaks.bytes_per_s
    bound_us, taken_us = max(compute_us, memory_us), step_us(timing).value
    fraction = bound_us / taken_us
    return Roofline(
        flops / taken_us / 1e3, bound_us, "compute" if compute_us >= memory_us else "memory", fraction,
        fraction < LAUNCH_BOUND,
    )  # fmt: skip


def bytes_of_step(timing: Timing, cost: Cost, input_shape: tuple[int, int, int]) -> int:
    """Return the bytes that a step moves at least, as the module says."""
    weights = cost.size_bytes if cost.size_bytes is not None else 4 * (cost.params + cost.buffers)
    value = VALUE_BYTES[timing.precision]
    passes = timing.batch_size * value * (math.prod(input_shape) + 2 * cost.activations)
    if timing.mode == "infer":
        return weights + passes
    return TRAINING_PASSES * (weights + passes) + 4 * cost.trainable_params
