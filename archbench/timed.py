"""Models timed beside each other without any training: sessions over batch sizes and threads -> one frame.

SizedModels -> one session a (threads, batch size) -> Timed -> frame, flips
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from archbench.environment import check_precision, usable_cores
from archbench.errors import InputError, ModelError
from archbench.plan import label
from archbench.schema import Engine, Mode
from archbench.settings import make_recipe
from archbench.timing import ENGINES, Protocol, Request, time_models
from archbench.timing.doubts import doubts, ratio_doubts
from archbench.timing.estimate import data_us, least_us, resolution, step_ratio, step_us
from archbench.timing.roofline import roofline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from archbench.data import Dataset
    from archbench.schema import Cost, Device, Environment, Recipe, SizedModel, Timing
    from archbench.timing import Width

    Shape = tuple[int, int, int]

IMAGES = 256  # random ones, where no data set is named


@dataclass(frozen=True)
class Sweep:
    """What is varied: each device, number of threads and batch size is a session of its own.

    Attributes:
        recipe: gives the optimizer, the precision and the augmentation.
        pipeline: whether the making of batches is timed too.
    """

    devices: tuple[Device, ...]
    threads: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    modes: tuple[Mode, ...]
    engines: tuple[Engine, ...]
    recipe: Recipe
    pipeline: bool = False
    plugins: tuple[str, ...] = ()

    def sessions(self) -> list[tuple[Device, int, int]]:
        """Return (device, threads, batch size) of every session; threads of the CPU play no part on CUDA."""
        found = itertools.product(self.devices, self.threads, self.batch_sizes)
        return [one for one in found if one[0] == "cpu" or one[1] == self.threads[0]]


def make_sweep(
    devices: Sequence[Device] = ("cpu",),
    threads: Sequence[int] = (1,),
    batch_sizes: Sequence[int] = (32,),
    modes: Sequence[str] = get_args(Mode)[::-1],
    engines: Sequence[str] | None = None,
    *,
    pipeline: bool = False,
    plugins: Sequence[str] = (),
    **recipe: Any,
) -> Sweep:
    """Return a sweep.

    Raises:
        InputError: a mode or an engine that is none, more threads than cores, a precision that a device does not
            compute in, or what `make_recipe` refuses.
    """
    known: dict[str, tuple[str, ...]] = {"mode": get_args(Mode), "engine": get_args(Engine)}
    for what, names in (("mode", modes), ("engine", engines or ())):
        for name in names:
            if name not in known[what]:
                msg = f"{name!r} is no {what} of timing"
                raise InputError(msg, f"Give {' or '.join(known[what])}.")
    if "graph" in (engines or ()) and "cuda" not in devices:
        msg = "the engine graph replays CUDA graphs, and there is no CUDA device in this comparison"
        raise InputError(msg, "Use --device cuda, or eager and compiled.")
    made = make_recipe(**recipe)
    check_precision(made.precision, devices)
    cores = usable_cores()
    for what, values, most in (("threads", threads, cores), ("batch size", batch_sizes, None)):
        for value in values:
            if value < 1 or (most is not None and value > most):
                msg = f"{what}: {value} is not accepted"
                raise InputError(msg, f"This process may use {cores} cores." if most else "Give whole numbers from 1.")
    chosen: tuple[Any, ...] = tuple(dict.fromkeys(engines or itertools.chain(*(ENGINES[d] for d in devices))))
    kept: tuple[Any, ...] = tuple(dict.fromkeys(modes))
    return Sweep(
        tuple(devices), tuple(dict.fromkeys(threads)), tuple(dict.fromkeys(batch_sizes)), kept, chosen,
        made, pipeline, tuple(plugins),
    )  # fmt: skip


class Named(NamedTuple):
    """A timing, what its model is called, and the baseline of its ratio where it has one."""

    name: str
    timing: Timing
    baseline: Timing | None


@dataclass
class Timed:
    """What was timed so far.

    Attributes:
        models: what is compared, the baseline first. costs: by their keys.
        timings: of all sessions.
    """

    models: tuple[SizedModel, ...]
    costs: Mapping[str, Cost]
    environment: Environment
    timings: list[Timing] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        """Return one row a device, number of threads, batch size, mode, engine and model.

        Times in microseconds a step with their 95 % interval; `ratio` to the baseline of the same session, mode and
        engine; `unstable` holds the reasons; `roofline` is the share of the device's limit that was reached.
        """
        import pandas as pd

        return pd.DataFrame([self._row(timing) for timing in self.timings])

    def named(self) -> list[Named]:
        """Return every timing by the name of its model, with the baseline that its ratio is taken to."""
        names = {sized.key: label(sized.model, sized.budget) for sized in self.models}
        return [Named(names[one.sized_key], one, self._baseline(one)) for one in self.timings]

    def _row(self, timing: Timing) -> dict[str, Any]:
        sized = next(one for one in self.models if one.key == timing.sized_key)
        cost, base = self.costs.get(sized.key), self._baseline(timing)
        step, near = step_us(timing), roofline(timing, cost, sized.input_shape)
        ratio = None if base is None else step_ratio(timing, base)
        data = data_us(timing)
        reasons = doubts(timing) if base is None else ratio_doubts(timing, base)
        return {
            "model": label(sized.model, sized.budget), "params": sized.params, "device": timing.device,
            "device_name": timing.device_name, "threads": timing.threads, "batch_size": timing.batch_size,
            "mode": timing.mode, "engine": timing.engine, "precision": timing.precision,
            "step_us": step.value, "step_us_low": step.low, "step_us_high": step.high, "least_us": least_us(timing),
            "us_per_sample": step.value / timing.batch_size,
            "baseline": label(self.models[0].model, self.models[0].budget), "is_baseline": timing is base,
            "ratio": ratio and ratio.value, "ratio_low": ratio and ratio.low, "ratio_high": ratio and ratio.high,
            "tie": None if ratio is None or timing is base else ratio.contains(1.0),
            "unstable": "; ".join(map(str, reasons)) or None, "resolution": base and resolution(base),
            "macs": cost and (cost.train_macs if timing.mode == "train" else cost.macs),
            "gflops_achieved": near and near.gflops_achieved, "roofline_us": near and near.bound_us,
            "bound_by": near and near.bound_by, "roofline": near and near.fraction,
            "launch_bound": near and near.launch_bound, "data_us": data and data.value,
            "compile_s": timing.compile_s, "processes": len(set(timing.processes)) or 1,
            "rounds": len(timing.samples_us), "others_cores": timing.conditions.others_cores,
            "allocator": timing.allocator, "session": timing.session,
        }  # fmt: skip

    def _baseline(self, timing: Timing) -> Timing | None:
        return next((
            other for other in self.timings
            if other.sized_key == self.models[0].key
            and (other.session, other.mode, other.engine) == (timing.session, timing.mode, timing.engine)
        ), None)  # fmt: skip


class Flip(NamedTuple):
    """Between two batch sizes the faster of two models becomes the slower: each side is resolved."""

    faster_below: str
    below: int
    faster_above: str
    above: int


def flips(rows: pd.DataFrame) -> list[Flip]:
    """Return where the ranking of a model and the baseline changes with the batch size, ties between the two skipped.

    Args:
        rows: of the frame of `Timed`, of one model, mode, device and number of threads.
    """
    resolved = rows[rows["ratio_low"].notna()]
    resolved = resolved[~resolved["tie"].astype(bool)].sort_values("batch_size")
    places = list(
        zip(resolved["model"], resolved["baseline"], resolved["batch_size"], resolved["ratio"] < 1, strict=True)
    )
    faster = [(model if first else baseline, int(size)) for model, baseline, size, first in places]
    return [Flip(*below, *above) for below, above in itertools.pairwise(faster) if below[0] != above[0]]


def time_sweep(
    timed: Timed,
    sweep: Sweep,
    datasets: Mapping[Shape, Dataset],
    protocol: Protocol,
    *,
    on_ready: Callable[[str, int, int], None] = lambda what, number, processes: None,
    on_width: Callable[[str, Width], None] = lambda what, width: None,
    on_session: Callable[[Timed], None] = lambda timed: None,
    on_problem: Callable[[str], None] = lambda problem: None,
) -> None:
    """Time every session of a sweep; what is measured is added to `timed` as each ends.

    Args:
        timed: what is compared; its first model is the baseline, and is there twice.
        sweep: what is varied.
        datasets: by input shape, what batches are made of.
        protocol: how long and how often.
        on_ready: is told of the session and of the process that warms up, of so many.
        on_width: is told of the session and where it stands.
        on_session: is told after every session.
        on_problem: is told of each model or session that fails, and of what makes others wait.
    """
    for device, threads, batch_size in sweep.sessions():
        engines = tuple(engine for engine in sweep.engines if engine != "graph" or device == "cuda")
        recipe = replace(sweep.recipe, batch_size=batch_size)
        request = Request(
            timed.models, timed.models[0].key, datasets, recipe, device, threads, sweep.modes, engines, sweep.pipeline,
            sweep.plugins,
        )  # fmt: skip
        what = f"batch {batch_size} on {device}" + (f", {threads} threads" if threads > 1 else "")
        try:
            timed.timings += time_models(
                request, timed.environment, protocol=protocol,
                on_ready=lambda number, of, what=what: on_ready(what, number, of),  # type: ignore[misc]
                on_width=lambda width, what=what: on_width(what, width),  # type: ignore[misc]
                on_problem=on_problem,
            )  # fmt: skip
        except ModelError as error:  # such as a batch that does not fit: the others are timed
            on_problem(f"{what}: {error}")
        on_session(timed)


def random_images(shape: Shape, classes: int) -> Dataset:
    """Return a data set of random pixels (C, H, W), each class in turn: the time of a step does not depend on them."""
    import torch

    from archbench.data import SPLITS, Dataset

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.arange(IMAGES) % classes
    names = tuple(str(name) for name in range(classes))
    return Dataset(
        "random", dict.fromkeys(SPLITS, images), dict.fromkeys(SPLITS, labels), names, "random pixels"
    )  # fmt: skip
