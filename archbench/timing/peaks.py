"""What a device does at most: the rate of a large matrix product and of a large copy, measured once and kept.

They are kept in the cache folder under the machine's name, its processor, torch's version, the precision and the
number of threads.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Literal

from archbench.data.cache import recalled, remember
from archbench.environment import device_name
from archbench.forward import arithmetic, torch_threads
from archbench.schema import Peaks
from archbench.timing.clock import clock_for
from archbench.timing.locks import timing_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from archbench.schema import Device, Environment
    from archbench.timing.clock import Clock

    Step = Callable[[], object]

KIND = "peaks"  # of what is kept
Format = Literal["fp32", "bf16", "tf32", "fp16"]
FORMATS: dict[Device, tuple[Format, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16", "fp16")}

SIDES: dict[Device, tuple[int, ...]] = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}  # of the square matrices
COPIED_BYTES: dict[Device, int] = {"cpu": 2**28, "cuda": 2**30}  # far more than any cache holds
SECONDS = 0.4  # of each measurement, at least
LEAST_TIMES = 3


def peaks_of(
    device: Device,
    precision: Format,
    threads: int,
    environment: Environment,
    *,
    refresh: bool = False,
    on_wait: Callable[[str], None] = lambda why: None,
) -> Peaks:
    """Return the peaks of this machine's device, measured the first time that they are asked for (a few seconds).

    Args:
        device: what.
        precision: of the product's operands.
        threads: intra-op threads of torch; those of a CUDA device play no part.
        environment: of this process.
        refresh: measure again.
        on_wait: is told what the measurement has to wait for, as it has the device alone.
    """
    key = _key(device, precision, threads, environment)
    if not refresh and (kept := recalled(KIND, key, Peaks)) is not None:
        return kept
    with timing_on(device, on_wait), torch_threads(threads):
        peaks = Peaks(matmul_flops_per_s(device, precision), copy_bytes_per_s(device))
    remember(KIND, key, peaks)
    return peaks


def _key(device: Device, precision: Format, threads: int, environment: Environment) -> str:
    told = (
        platform.node(), device_name(environment, device), environment.cores, environment.torch, device, precision,
        threads if device == "cpu" else 0,
    )  # fmt: skip
    return repr(told)


def matmul_flops_per_s(
    device: Device, precision: Format, clock: Clock | None = None, seconds: float = SECONDS
) -> float:
    """Return the most floating-point operations a second over products of square matrices: 2 n^3 each, n by device."""
    import torch

    formats = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    best = 0.0
    with arithmetic(device, precision), torch.inference_mode():
        for side in SIDES[device]:
            a, b = (torch.rand(side, side, device=device).to(formats[precision]) for _ in range(2))
            product = torch.empty_like(a)
            best = max(best, 2 * side**3 / _least_s(_product(a, b, product), clock or clock_for(device), seconds))
    return best


def copy_bytes_per_s(device: Device, clock: Clock | None = None, seconds: float = SECONDS) -> float:
    """Return the bytes a second that a copy reads and writes, of an array that no cache holds."""
    import torch

    source = torch.ones(COPIED_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES[device] / _least_s(lambda: target.copy_(source), clock or clock_for(device), seconds)


def _product(a: Tensor, b: Tensor, out: Tensor) -> Step:
    import torch

    return lambda: torch.mm(a, b, out=out)


def _least_s(work: Step, clock: Clock, seconds: float) -> float:
    """Return the shortest time of a piece of work: what is in its way only ever adds to it."""

    def run() -> None:
        for _ in range(clock.least_steps):
            work()

    run()
    taken: list[float] = []
    while len(taken) < LEAST_TIMES or sum(taken) < seconds:
        taken.append(clock.elapsed(run).us / 1e6)
    return min(taken) / clock.least_steps
