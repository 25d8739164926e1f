"""The nouns of time and memory: raw samples, and what the machine was and did while they were taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archbench.schema.asked import Device, Precision  # noqa: TC001 - msgspec reads annotations

Mode = Literal["train", "infer"]
Engine = Literal["eager", "graph", "compiled"]
Allocator = Literal["kept", "system"]


@dataclass(frozen=True)
class Peaks:
    """The most that a device does: what `archbench doctor` measured with the same precision and threads.

    Attributes:
        flops_per_s: of a large matrix product. bytes_per_s: read and written by a large copy.
    """

    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Conditions:
    """What the machine did while a session was timed.

    Attributes:
        others_cores: cores that other processes took on average; None where the system does not tell.
        throttled: reasons for which a processor ran slower than it could.
        clock_mhz: the lowest and the highest clock seen of a CUDA device.
        temperature_c: the highest seen of a CUDA device.
        untimed_s: of steps in all processes that count for nothing: those of the warm-up, and the first of each turn,
            as another process had the caches; None where it was not noted.
    """

    others_cores: float | None = None
    throttled: tuple[str, ...] = ()
    clock_mhz: tuple[int, int] | None = None
    temperature_c: int | None = None
    untimed_s: float | None = None


@dataclass(frozen=True)
class Timing:
    """The raw samples of one model in one mode on one device; statistics are derived by `archbench.timing.estimate`.

    Attributes:
        threads: intra-op threads, as torch says that it has them.
        samples_us: the time of one step in each round, in microseconds, in the order of time.
        steps_per_sample: steps that each sample is the mean of, in the first of the processes.
        session: models that share it were timed side by side, round by round, and may be compared as ratios.
        processes: the process that each sample comes from; empty where there was one.
        cpu_us: the processor time of each sample's step; empty where it was not measured.
        twin_us: what a second copy of the same model took in the same rounds: the truth of their ratio is 1.
        engine: how the step is run: op by op, as a replayed CUDA graph, or compiled.
        cores: the cores that the processes were held to; empty where they were not.
        allocator: whether the processes kept the memory they had, or handed it back after each step as glibc does by
            itself; on a CPU this can change a ranking.
        settled: whether the last blocks of the warm-up agreed within 5 %, in most processes.
        compile_s: seconds to compile or capture the step, at worst, before it was timed.
        l2, augment, scaling: of the recipe, as they change the step or the pipeline; None where it was not noted.
        data_us: the time in which the data pipeline makes one batch, in each round; empty where it was not measured.
        peaks: what the device does at most.
        conditions: what the machine did meanwhile.
    """

    sized_key: str
    device: Device
    device_name: str
    precision: Precision
    mode: Mode
    batch_size: int
    threads: int
    samples_us: tuple[float, ...]
    steps_per_sample: int
    session: str
    optimizer: str
    torch: str
    processes: tuple[int, ...] = ()
    cpu_us: tuple[float, ...] = ()
    twin_us: tuple[float, ...] = ()
    engine: Engine = "eager"
    cores: tuple[int, ...] = ()
    allocator: Allocator = "system"
    settled: bool = True
    compile_s: float | None = None
    l2: float | None = None
    augment: tuple[str, ...] | None = None
    scaling: str | None = None
    data_us: tuple[float, ...] = ()
    peaks: Peaks | None = None
    conditions: Conditions = Conditions()


@dataclass(frozen=True)
class Memory:
    """What a training step holds at most: weights, gradients, the optimizer's state, activations, the batch.

    Attributes:
        batch_size: samples of the step.
        peak_memory_bytes: measured, by the allocator's own account; None where it cannot be.
        estimated_memory_bytes: from what autograd keeps for the backward pass: `archbench.timing.memory`.
        error: why they are not known.
    """

    batch_size: int
    device: Device
    peak_memory_bytes: int | None = None
    estimated_memory_bytes: int | None = None
    error: str | None = None
