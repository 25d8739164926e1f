"""Models compared on equal terms: by a study of one's own, a published one, or the best settings of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench import pipeline
from archbench.api.models import import_plugins
from archbench.manner import TIMEOUT_S, make_manner
from archbench.plan import silent
from archbench.shards import parse_shard
from archbench.study import make_study, results_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from archbench.comparison import Comparison
    from archbench.reproduction import Reproduction
    from archbench.schema import Progress
    from archbench.timing import Protocol
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
    import_plugins(settings.get("plugins", ()))
    part = parse_shard(shard)
    manner = make_manner(workers, retry, timeout, tune, executor, ray_address, part)
    with pipeline.warming(manner) as warm:
        study = make_study([models] if isinstance(models, str) else models, budgets, **settings)
        folder = Path(out) if out is not None else part.named(results_folder(study.dataset, name))
        return pipeline.run(study, folder, manner=manner, report=progress, protocol=protocol, warm=warm)


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
    import_plugins(file.plugins)
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
    search_seed: int = 0,
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
        search_seed: of the search and of its trials.
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

    import_plugins(settings.get("plugins", ()))
    study = make_study([models] if isinstance(models, str) else models, **settings)
    folder = results_folder(study.dataset)
    space = parse_space(search) if search else None
    out = Path(out) if out else folder.with_name(f"tune-{folder.name}")
    manner = make_manner(workers, retry, timeout, tune, executor, ray_address)
    return tuning.tune(study, out, trials, space, manner=manner, seed=search_seed, report=progress, protocol=protocol)
