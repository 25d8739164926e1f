"""SizedModels -> Timings: training and inference steps of all compared models, side by side, on resident batches.

locks      the device is this session's alone
launch     fresh processes, or this one        process, protocol   what each of them does
measure    turns, until the intervals are narrow or the time is up
estimate   medians, ratios, intervals          doubts, roofline    what to think of them
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archbench.building import find_spec
from archbench.environment import device_name, usable_cores
from archbench.errors import InputError, reason
from archbench.schema import Timing
from archbench.timing.launch import Fresh, Here
from archbench.timing.locks import timing_on
from archbench.timing.measure import Width, measure
from archbench.timing.noise import MachineNoise
from archbench.timing.peaks import peaks_of
from archbench.timing.protocol import Protocol
from archbench.timing.steps import MODES, Request, Subject, modes_of, some_of
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from archbench.schema import Device, Engine, Environment, Peaks, SizedModel
    from archbench.timing.launch import Launcher
    from archbench.timing.measure import Measured
    from archbench.timing.noise import NoiseReader

__all__ = [
    "ENGINES",
    "MODES",
    "Protocol",
    "Request",
    "Width",
    "modes_of",
    "shown",
    "time_models",
    "timed_here",
    "warming",
]


ENGINES: dict[Device, tuple[Engine, ...]] = {"cpu": ("eager",), "cuda": ("eager", "graph")}  # by default


def shown(width: Width, protocol: Protocol) -> tuple[float, float, str]:
    """Return where a session stands as (done, total, words), in seconds of its limit."""
    goal = f"ratios within ±{100 * width.ratio:.1f} % (goal {100 * protocol.ratio_goal:g}), " if width.ratio else ""
    words = f"{goal}steps within ±{100 * width.step:.1f} % (goal {100 * protocol.step_goal:g})"
    spent = min(width.seconds, protocol.max_seconds)
    return spent, protocol.max_seconds, f"{words}, {width.seconds:.0f} of at most {protocol.max_seconds:g} s"


def warming(number: int, processes: int, protocol: Protocol) -> tuple[float, float, str]:
    """Return likewise that a process is being warmed up: next to nothing of the limit is spent then."""
    return 1e-3 * number, protocol.max_seconds, f"process {number} of {processes} builds and warms up"


def time_models(
    request: Request,
    environment: Environment,
    *,
    protocol: Protocol | None = None,
    against: Mapping[str, str] | None = None,
    launcher: Launcher | None = None,
    noise: NoiseReader | None = None,
    on_ready: Callable[[int, int], None] = lambda number, processes: None,
    on_width: Callable[[Width], None] = lambda width: None,
    on_problem: Callable[[str], None] = lambda problem: None,
) -> list[Timing]:
    """Time the training step and the inference step of every model, side by side.

    A training step is zero grad, forward, loss, backward and optimizer step; an inference step is a forward pass in
    inference mode and eval mode.

    Args:
        request: what is timed. A model that is defined in the running script or notebook is timed in this process.
        environment: names the device.
        protocol: how long and how often.
        against: by a model's key that of the model which its ratio is taken to; by default the first.
        launcher: starts the processes; by default fresh ones, or none but this where the protocol says 0.
        noise: looks at the machine; by default its own accounts.
        on_ready: is told (number, of so many) as a process begins to build and warm up.
        on_width: is told how wide the intervals are, after every turn of all processes.
        on_problem: is told of each model that fails, which is left out, and of what makes others wait.

    Returns:
        One timing a model, mode and engine, all of one session.

    Raises:
        InputError: more threads than there are cores.
        ModelError: no process lived.
    """
    protocol = protocol or Protocol()
    _check_threads(request.threads)
    if launcher is None:
        launcher = Here() if timed_here(request.models, protocol) else Fresh()
    first = request.models[0].key
    against = against or {sized.key: first for sized in request.models}
    request = replace(
        request, datasets={shape: some_of(dataset, request.models) for shape, dataset in request.datasets.items()}
    )
    peaks = _peaks(request, environment, on_problem)
    with timing_on(request.device, on_problem):
        measured = measure(
            request, protocol, launcher, noise or MachineNoise(request.device),
            against=against, on_ready=on_ready, on_width=on_width,
        )  # fmt: skip
    for problem in measured.problems:
        on_problem(problem)
    return [
        _timing(subject, request, environment, measured, peaks)
        for subject in measured.series
        if isinstance(subject, Subject) and not subject.twin
    ]


def _check_threads(threads: int) -> None:
    cores = usable_cores()
    if not 1 <= threads <= cores:
        msg = f"{number(threads, 'thread')}: this process may use {number(cores, 'core')}"
        raise InputError(msg, f"Give 1 to {cores}; threads that share a core are timed by the scheduler.")


def timed_here(models: Iterable[SizedModel], protocol: Protocol) -> bool:
    """Whether models are timed in this process: it is asked for, or one of them exists nowhere else."""
    return protocol.processes == 0 or "__main__" in {find_spec(sized.model).build.__module__ for sized in models}


def _peaks(request: Request, environment: Environment, on_problem: Callable[[str], None]) -> Peaks | None:
    """Return the peaks that a request's steps are held against; without them there is no roofline."""
    import torch

    try:
        return peaks_of(request.device, request.recipe.precision, request.threads, environment, on_wait=on_problem)
    except RuntimeError as error:  # a card whose memory is full
        on_problem(f"the limits of the {request.device} cannot be measured: {reason(error)}")
        return None
    finally:
        if request.device == "cuda":
            torch.cuda.empty_cache()  # others are about to need it


def _timing(
    subject: Subject, request: Request, environment: Environment, measured: Measured, peaks: Peaks | None
) -> Timing:
    series, recipe = measured.series[subject], request.recipe
    twin = measured.series.get(subject._replace(twin=True)) if subject.engine == "eager" else None
    shape = next(sized.input_shape for sized in request.models if sized.key == subject.sized_key)
    data = measured.series.get(shape) if subject.mode == "train" else None
    ready = measured.ready[min(measured.ready)]
    compiled = [one.compile_s[subject] for one in measured.ready.values() if subject in one.compile_s]
    return Timing(
        sized_key=subject.sized_key, device=request.device, device_name=device_name(environment, request.device),
        precision=recipe.precision, mode=subject.mode, batch_size=recipe.batch_size, threads=ready.threads,
        samples_us=tuple(series.us), steps_per_sample=ready.steps[ready.subjects.index(subject)],
        session=measured.session, optimizer=recipe.optimizer, torch=environment.torch, l2=recipe.l2,
        processes=tuple(series.process) if len(measured.ready) > 1 else (), cpu_us=tuple(series.cpu_us),
        twin_us=tuple(twin.us) if twin else (), engine=subject.engine, cores=ready.cores, allocator=ready.allocator,
        augment=recipe.augment, scaling=recipe.scaling, settled=measured.settled[subject],
        compile_s=max(compiled, default=None), data_us=tuple(data.us) if data else (), peaks=peaks,
        conditions=measured.conditions,
    )  # fmt: skip
