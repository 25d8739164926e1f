"""Steps timed, and what the machine does at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.api.models import import_plugins, size
from archbench.building import plugins_for
from archbench.cost import measure_cost
from archbench.data import load_dataset
from archbench.environment import capture, resolve_devices
from archbench.errors import InputError
from archbench.plan import outputs_for
from archbench.reference import parse_reference
from archbench.schema import View
from archbench.timed import Timed, make_sweep, random_images, time_sweep
from archbench.timing import Protocol
from archbench.timing.peaks import FORMATS, peaks_of
from archbench.units import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from archbench.schema import Device, Peaks, SizedModel
    from archbench.timing import Width
    from archbench.timing.peaks import Format


def time(
    models: Sequence[str] | str,
    budget: str | int | None = None,
    *,
    input: str | tuple[int, int, int] | None = None,  # noqa: A002 - what users call it
    classes: int | None = None,
    dataset: str | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    protocol: Protocol | None = None,
    on_ready: Callable[[str, int, int], None] = lambda what, number, processes: None,
    on_width: Callable[[str, Width], None] = lambda what, width: None,
    on_session: Callable[[Timed], None] = lambda timed: None,
    on_problem: Callable[[str], None] = lambda problem: None,
    **sweep: Any,
) -> Timed:
    """Time training and inference steps of models side by side, without training them.

    Args:
        models: as for `compare`; the first is the baseline of the ratios.
        budget: parameters, for models that name none of their own.
        input: (C, H, W), as for `size`, or that of the data set.
        classes: number of outputs, likewise.
        dataset: what batches are made of, its pipeline being timed too; by default random images.
        data_root: the folder of data sets.
        device: `auto`, `cpu`, `cuda`, or `cpu,cuda`.
        protocol: how long and how often.
        on_ready: is told of every session and of the process that warms up, of so many.
        on_width: is told of every session and how wide its intervals are.
        on_session: is told after every session.
        on_problem: is told of each model that fails, and of what makes others wait.
        sweep: as `archbench.timed.make_sweep` takes it: `batch_sizes=[1, 32]`, `threads`, `modes`, `engines`,
            `optimizer`, `precision`, ...

    Raises:
        ArchbenchError: one of its children, as `archbench.errors` says.
    """
    names = [models] if isinstance(models, str) else list(models)
    import_plugins(sweep.get("plugins", ()))
    plugins = (*sweep.pop("plugins", ()), *plugins_for(parse_reference(name)[0] for name in names))
    asked = make_sweep(resolve_devices(device), pipeline=dataset is not None, plugins=plugins, **sweep)
    if dataset is not None:
        view = View(input_shape=None if input is None else shape_of(input))
        loaded = load_dataset(dataset, None if data_root is None else str(data_root), view=view)
        datasets = {loaded.input_shape: loaded}
        sized = [size(n, budget, input=loaded.input_shape, classes=outputs_for(n, loaded)) for n in names]
    else:
        sized = [size(name, budget, input=input, classes=classes) for name in names]
        datasets = {one.input_shape: random_images(one.input_shape, one.classes) for one in sized}
    timed = Timed(tuple(_once(sized)), {one.key: measure_cost(one) for one in sized}, capture())
    time_sweep(
        timed, asked, datasets, protocol or Protocol(),
        on_ready=on_ready, on_width=on_width, on_session=on_session, on_problem=on_problem,
    )  # fmt: skip
    return timed


def _once(sized: Sequence[SizedModel]) -> Sequence[SizedModel]:
    """Return the models, if there are some and no network is there twice."""
    if not sized:
        msg = "no model is named"
        raise InputError(msg, "Name at least one; `archbench list` shows them.")
    if len({one.key for one in sized}) < len(sized):
        msg = "the same network is named twice"
        raise InputError(msg, "Name each once; `archbench time --self-test` times one against itself.")
    return sized


def doctor(
    *, refresh: bool = False, on_wait: Callable[[str], None] = lambda why: None
) -> dict[tuple[Device, Format, int], Peaks]:
    """Return what this machine does at most, by device, precision and threads: one, and as many as there are cores.

    Args:
        refresh: measure again what is kept.
        on_wait: is told what a measurement has to wait for.
    """
    environment = capture()
    threads = tuple(dict.fromkeys((1, environment.cores)))
    return {
        (device, precision, count): peaks_of(device, precision, count, environment, refresh=refresh, on_wait=on_wait)
        for device in resolve_devices("auto")
        for precision in FORMATS[device]
        for count in (threads if device == "cpu" else (1,))
    }
