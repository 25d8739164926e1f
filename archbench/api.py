"""What the command line does, from Python: one function a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from archbench import pipeline
from archbench.budget import size_model
from archbench.building import find_spec, plugins_for
from archbench.catalog import home
from archbench.cost import measure_cost
from archbench.cost.layers import layer_table
from archbench.data import load_dataset
from archbench.environment import capture, resolve_devices
from archbench.errors import InputError, ModelError
from archbench.loading import load
from archbench.manner import TIMEOUT_S, make_manner
from archbench.plan import outputs_for, silent
from archbench.reference import parse_reference, refuse_budget, with_options
from archbench.schema import Budget, View
from archbench.settings import make_recipe
from archbench.shards import parse_shard
from archbench.study import make_study, results_folder
from archbench.timed import Timed, make_sweep, random_images, time_sweep
from archbench.timing import Protocol
from archbench.timing.memory import measure_memory
from archbench.timing.peaks import FORMATS, peaks_of
from archbench.units import compact, parse_count, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from archbench.comparison import Comparison
    from archbench.cost.layers import Layer
    from archbench.reproduction import Reproduction
    from archbench.schema import Cost, Device, Memory, Peaks, Progress, SizedModel
    from archbench.timing import Width
    from archbench.timing.peaks import Format
    from archbench.tuning import Tuning


def compare(
    models: Sequence[str] | str = (),
    budgets: Sequence[str | int] | str = (),
    *,
    out: str | Path | None = None,
    name: str | None = None,
    shard: str = "1/1",
    workers: int | None = None,
    retry: str = "failed,oom",
    timeout: float = TIMEOUT_S,
    tune: str = "auto",
    executor: str = "local",
    ray_address: str | None = None,
    protocol: Protocol | None = None,
    progress: Callable[[Progress], None] = silent,
    **settings: Any,
) -> Comparison:
    """Size, count, time and train models on equal terms; what is stored already is not done again.

    Args:
        models: names of the zoo, `torchvision:NAME`, `timm:NAME` or `module:attribute`, with options in brackets and a
            budget of their own behind an `@` if wanted.
        budgets: parameters: `["30k", "1.6M"]`, `[30_000]` or `"30k,1.6M"`.
        out: the results folder; by default results/<name>.
        name: of the run; by default the data set's.
        shard: `2/8` for the second of eight parts of the runs; its results go to results/<name>.2-of-8 by default.
        workers: training processes at a time; by default as many as the cores allow, 0 for none but this process.
            Models defined in the running script or notebook are always trained in this process.
        retry: which runs are tried again that came to nothing: `failed`, `oom`, `diverged`, or `none`.
        timeout: seconds without a step after which a run is ended and fails; 0 waits for ever.
        tune: `auto` to look for the quickest way to take long trainings' steps, `off` to take all the usual way.
        executor: `local`, or `ray` for the nodes of a Ray cluster: docs/scale.md.
        ray_address: of the cluster, `auto` or `host:port`; by default Ray is started on this machine.
        protocol: how long and how often steps are timed: `archbench.timing.Protocol(max_seconds=60)`.
        progress: is told of the progress.
        settings: everything else that `archbench.study.make_study` takes: `dataset`, `seeds`, `epochs`, `lr`, ...

    Raises:
        ArchbenchError: one of its children, as `archbench.errors` says.
    """
    _import(settings.get("plugins", ()))
    part = parse_shard(shard)
    study = make_study([models] if isinstance(models, str) else models, budgets, **settings)
    return pipeline.run(
        study,
        Path(out) if out is not None else part.named(results_folder(study.dataset, name)),
        manner=make_manner(workers, retry, timeout, tune, executor, ray_address, part),
        report=progress,
        protocol=protocol,
    )


def best(
    results: Comparison | str | Path, where: str = "", *, minimize: str | None = None, maximize: str | None = None
) -> pd.DataFrame:
    """Return the models that meet a condition, the best first: a row a model and budget, with whether it is sure.

    Args:
        results: a comparison, or the results folder of one.
        where: such as `params < 1M and accuracy > 80 %`; see `archbench.conditions`.
        minimize: what is to be small, such as `params` or `step_us`.
        maximize: what is to be large, by default the accuracy.

    Raises:
        InputError: a condition or a name that is not accepted.
        StoreError: there are no results in the folder.
    """
    from archbench import queries

    compared = load(results, curves=False) if isinstance(results, str | Path) else results
    return queries.best(compared.frame(), where, minimize=minimize, maximize=maximize)


def _import(plugins: Sequence[str]) -> None:
    for plugin in plugins:
        try:
            zoo.import_models(plugin)
        except zoo.ModelImportError as error:
            raise ModelError(str(error), "Mend the module, or leave it out of plugins.") from error


def reproduce(
    study: str | Path,
    scale: str | None = None,
    *,
    out: str | Path | None = None,
    shard: str = "1/1",
    workers: int | None = None,
    retry: str = "failed,oom",
    timeout: float = TIMEOUT_S,
    tune: str = "auto",
    executor: str = "local",
    ray_address: str | None = None,
    protocol: Protocol | None = None,
    progress: Callable[[Progress], None] = silent,
    **place: Any,
) -> Reproduction:
    """Run a published comparison, or a study file of one's own, and set what was measured beside what was published.

    Args:
        study: a name of `archbench studies`, or a path that ends in .toml.
        scale: `quick` or `full`; by default quick for a name and full for a file.
        out: the results folder; by default results/<study>-<scale>, or results/<study> for the full scale.
        shard: as for `compare`. So are the next five.
        workers: likewise.
        retry: likewise.
        timeout: likewise.
        tune: likewise.
        executor: likewise.
        ray_address: likewise.
        protocol: likewise.
        progress: is told of the progress.
        place: what the file leaves to the machine: `data_root`, `download`, `dataset`, `seeds`, `device`, `threads`.

    Raises:
        ArchbenchError: one of its children, as `archbench.errors` says.
    """
    from archbench.described import run_described
    from archbench.study_file import find_study, folder_of, read_study, study_of

    path = Path(study) if str(study).endswith(".toml") else find_study(str(study))
    part = parse_shard(shard)
    file = read_study(path)
    _import(file.plugins)
    asked = study_of(file, scale or ("full" if str(study).endswith(".toml") else "quick"), name=path.stem, **place)
    return run_described(
        file,
        asked,
        Path(out) if out else part.named(folder_of(asked)),
        manner=make_manner(workers, retry, timeout, tune, executor, ray_address, part),
        report=progress,
        protocol=protocol,
    )


def tune(
    models: Sequence[str] | str,
    trials: int = 20,
    search: Mapping[str, str | Sequence[Any]] | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    retry: str = "failed,oom",
    timeout: float = TIMEOUT_S,
    tune: str = "auto",
    executor: str = "local",
    ray_address: str | None = None,
    protocol: Protocol | None = None,
    progress: Callable[[Progress], None] = silent,
    **settings: Any,
) -> Tuning:
    """Search each model's settings with the same number of trials, on the validation split alone; compare what wins.

    Args:
        models: as for `compare`.
        trials: of every model.
        search: `{"lr": "1e-4:1e-1", "batch_size": [32, 64]}`; by default `archbench.search_space.default_space`.
        out: the results folder; by default results/tune-<data set>.
        workers: as for `compare`. So are the next five.
        retry: likewise.
        timeout: likewise.
        tune: likewise.
        executor: likewise.
        ray_address: likewise.
        protocol: likewise.
        progress: is told of the progress.
        settings: as for `compare`, `budgets` among them.

    Raises:
        ArchbenchError: one of its children, as `archbench.errors` says.
    """
    from archbench import tuning
    from archbench.search_space import parse_space

    _import(settings.get("plugins", ()))
    study = make_study([models] if isinstance(models, str) else models, **settings)
    folder = results_folder(study.dataset)
    space = parse_space(search) if search else None
    out = Path(out) if out else folder.with_name(f"tune-{folder.name}")
    manner = make_manner(workers, retry, timeout, tune, executor, ray_address)
    return tuning.tune(study, out, trials, space, manner=manner, report=progress, protocol=protocol)


def size(
    model: str,
    budget: str | int | None = None,
    *,
    input: str | tuple[int, int, int] | None = None,  # noqa: A002 - what users call it
    classes: int | None = None,
    width: float | None = None,
    **options: Any,
) -> SizedModel:
    """Fix every integer of a model, to a budget if one is given.

    Without `input` (C, H, W) and `classes` a published model takes those it was published for, any other 3x32x32 and
    10 classes.

    Args:
        model: a name as `compare` takes it; a budget of its own may follow, as in `cnn@73k`.
        budget: parameters, where the name has none.
        input: (C, H, W).
        classes: number of outputs.
        width: the size of a scalable family where there is no budget.
        options: of the model, as they may stand in brackets behind its name: `scale`, `weights`, `dropout`, ...

    Raises:
        InputError: unknown model, budget, option or input.
        ModelError: it cannot be built.
    """
    model, own = parse_reference(with_options([model], options)[0])
    if own is not None and (budget is not None or width is not None):
        msg = f"{model}@{compact(own)} has a budget of its own beside {'--width' if budget is None else '--budget'}"
        raise InputError(msg, "Give one of the two.")
    refuse_budget(model, own)
    budget = own if budget is None else budget
    shape, outputs = home(find_spec(model))
    if input is not None:
        shape = shape_of(input)
    target = None if budget is None else Budget(parse_count(str(budget)))
    return size_model(model, target, shape, outputs if classes is None else classes, width)


def cost_of(model: str, budget: str | int | None = None, **settings: Any) -> Cost:
    """Return what a model costs; `settings` as for `size`."""
    return measure_cost(size(model, budget, **settings))


def memory_of(sized: SizedModel, batch_size: int = 32, device: str = "cpu", **recipe: Any) -> Memory | None:
    """Return what a training step of a model holds at most, on random images; None where there is no such step.

    Args:
        sized: as `size` returns it.
        batch_size: samples of the step.
        device: `cpu` or `cuda`.
        recipe: `optimizer`, `precision`, ...: what `archbench.settings.make_recipe` takes.

    Raises:
        InputError: a setting or device that is not accepted.
    """
    where = resolve_devices(device)[-1]
    images = random_images(sized.input_shape, sized.classes)
    return measure_memory(sized, images, make_recipe(batch_size=batch_size, **recipe), where)


def layers_of(model: str, budget: str | int | None = None, **settings: Any) -> list[Layer]:
    """Return a model's layers in the order they run; `settings` as for `size`."""
    return layer_table(size(model, budget, **settings))


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
    _import(sweep.get("plugins", ()))
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


def report(results: str | Path | Comparison = Path("results"), *, out: str | Path | None = None) -> list[Path]:
    """Write the report of a comparison: one HTML page that needs nothing else, the same in Markdown, its figures.

    Args:
        results: what `compare` returned, or a results folder; of a folder that holds several, each gets its own.
        out: the folder for the files of one comparison; by default they lie beside its store.

    Returns:
        The files, report.html of each comparison first.

    Raises:
        InputError: `out` for several comparisons.
        StoreError: there are no results, or they cannot be read.
        OutputError: the folder cannot be written.
    """
    from archbench.comparison import Comparison
    from archbench.loading import stored_folders
    from archbench.reporting import write_report

    if isinstance(results, Comparison):
        return write_report(results, out)
    folders = stored_folders(Path(results))
    if out is not None and len(folders) > 1:
        msg = f"{results} holds several comparisons"
        raise InputError(msg, "Name the folder of one of them, or leave out=... out.")
    return [file for folder in folders for file in write_report(load(folder), out)]


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


__all__ = [
    "best",
    "compare",
    "cost_of",
    "doctor",
    "layers_of",
    "load",
    "memory_of",
    "report",
    "reproduce",
    "size",
    "time",
    "tune",
]
