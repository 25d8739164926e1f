"""`time` and `doctor`: how long steps take, beside each other and beside what the machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli import recipe_options as r
from archbench.cli.folders import ROOT
from archbench.cli.results import print_health
from archbench.cli.sharing import sharing, sized_as, sizing
from archbench.cli.show import Display, err, json_rows, out, print_json, print_table

if TYPE_CHECKING:
    from archbench.timed import Timed
    from archbench.timing import Width
    from archbench.upkeep import Health

MaybeResults = Annotated[
    Path | None,
    typer.Argument(
        help="A results folder, or a folder that holds some, to check.", show_default="results, if it is there"
    ),
]

SWEEP = "What is timed"
Mode = Annotated[str, typer.Option("--mode", help="train, infer, or both.", metavar="LIST", rich_help_panel=SWEEP)]
BatchSizes = Annotated[
    str, typer.Option("--batch-size", "-b", help="One, or several: 1,32,256.", metavar="LIST", rich_help_panel=SWEEP)
]
ThreadsList = Annotated[
    str, typer.Option("--threads", help="Of a step on the CPU; one, or several: 1,2,4.", metavar="LIST",
                      rich_help_panel=SWEEP)
]  # fmt: skip
Engines = Annotated[
    str | None,
    typer.Option("--engine", help="eager, compiled, and on CUDA graph (replayed).", metavar="LIST",
                 show_default="eager, and graph on CUDA", rich_help_panel=SWEEP),
]  # fmt: skip
RealData = Annotated[
    str | None,
    typer.Option("--dataset", "-d", help="Batches of a data set, whose pipeline is timed too.",
                 show_default="random images", rich_help_panel=SWEEP),
]  # fmt: skip
SelfTest = Annotated[
    bool, typer.Option("--self-test", help="Time A against A: what difference this machine can resolve.")
]
TimesFile = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write .csv, .json (with every raw sample), or the curve as .png or .svg.",
                 metavar="FILE", rich_help_panel=o.OUTPUT),
]  # fmt: skip
Refresh = Annotated[bool, typer.Option("--refresh", help="Measure again what is kept.")]
SELF_TESTED = "cnn@30k"
NOTHING = "none of the models could be timed"
SUFFIXES = (".csv", ".json", ".png", ".svg")


@sharing(sizing)
def time(
    models: o.MaybeModels = None,
    self_test: SelfTest = False,
    mode: Mode = "train,infer",
    batch_size: BatchSizes = "32",
    threads: ThreadsList = "1",
    engine: Engines = None,
    device: o.Device = "auto",
    precision: r.Precision = "fp32",
    optimizer: r.Optimizer = "adam",
    augment: r.Augment = "",
    dataset: RealData = None,
    data_root: o.DataRoot = None,
    processes: o.Processes = 5,
    max_seconds: o.MaxSeconds = 60,
    imports: o.Imports = None,
    file: TimesFile = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
    **options: Any,
) -> None:
    """Time training and inference steps of models side by side; the first is the baseline of the ratios.

    Fresh processes that hold all models take turns until the 95 % interval of every ratio is within ±1 % and that of
    every step within ±2 %, or the time is up. A copy of the first model is timed too: how far A is from A is what the
    machine can tell. What is in doubt is said with its reason and a remedy.
    """
    from archbench import api
    from archbench.errors import Interrupted, ModelError
    from archbench.timing import Protocol, shown, warming
    from archbench.units import parse_numbers

    if file is not None:
        _check_file(file)
    names, place = sized_as(models or [], options)
    protocol = Protocol(processes=processes, max_seconds=max_seconds)
    settings: dict[str, Any] = {
        **place, "dataset": dataset, "data_root": data_root,
        "device": device, "modes": mode.replace(" ", "").split(","), "precision": precision, "optimizer": optimizer,
        "augment": augment, "batch_sizes": parse_numbers(batch_size, "batch size"),
        "threads": parse_numbers(threads, "threads"), "protocol": protocol,
        "engines": engine.replace(" ", "").split(",") if engine else None, "plugins": o.import_plugins(imports),
    }  # fmt: skip
    kept: list[Timed] = []
    with Display(quiet=quiet) as display:

        def on_width(what: str, width: Width) -> None:
            from archbench.schema import Progress

            done, total, words = shown(width, protocol)
            display(Progress("time", what, done, total, words))

        def on_ready(what: str, number: int, processes: int) -> None:
            from archbench.schema import Progress

            display(Progress("time", what, *warming(number, processes, protocol)))

        def on_session(timed: Timed) -> None:
            kept[:] = [timed] if timed.timings else []
            if file is not None and timed.timings:
                _write(timed, file)

        heard = {"on_ready": on_ready, "on_width": on_width, "on_session": on_session, "on_problem": _warn}
        run = {**settings, **heard}
        try:
            if self_test:
                _self_test(names or [SELF_TESTED], run, as_json=as_json)
                return
            api.time(names, **run)
        except KeyboardInterrupt:
            if kept:
                _show(kept[0], file, as_json=as_json)
            msg = "stopped: the sessions that were finished are shown" if kept else "stopped: no session was finished"
            raise Interrupted(msg, "The same command times all of it.") from None
    if not kept:
        raise ModelError(NOTHING, "The warnings above say why.")
    _show(kept[0], file, as_json=as_json)


def _check_file(file: Path) -> None:
    """Refuse what could not be written in the end, before anything is timed."""
    from archbench.errors import InputError
    from archbench.files import check_folder

    if file.suffix not in SUFFIXES:
        msg = f"{file}: a file of timings ends in {', '.join(SUFFIXES)}"
        raise InputError(msg, "The suffix says what is written.")
    check_folder(file.parent, "Name another --out.")


def _warn(problem: str) -> None:
    err.print(f"warning: {problem}")


def _show(timed: Timed, file: Path | None, *, as_json: bool) -> None:
    from archbench.timing_words import setting_words, time_words, timed_notes

    if as_json:
        print_json({"rows": json_rows(timed.frame()), "notes": timed_notes(timed), "setting": setting_words(timed)})
        return
    print_table(time_words(timed.frame()), "Time of a step, median over processes, with its 95 % interval")
    out.print()
    for note in [*timed_notes(timed), setting_words(timed)]:
        out.print(note)
    if file is not None:
        out.print(f"Written: {file}")


def _write(timed: Timed, file: Path) -> None:
    import msgspec

    from archbench.exports import write_csv
    from archbench.figures import batch_figure, save
    from archbench.files import write_bytes, write_file
    from archbench.timing_words import setting_words

    frame = timed.frame()
    if file.suffix == ".csv":
        write_csv(frame, file)
    elif file.suffix == ".json":
        raw = msgspec.json.encode({
            "rows": json_rows(frame), "environment": timed.environment, "models": timed.models,
            "timings": timed.timings,
        })  # fmt: skip
        write_bytes(file, msgspec.json.format(raw))
    else:
        figure = batch_figure(frame, setting_words(timed))
        write_file(file, lambda path: save(figure, path))


def _self_test(models: list[str], settings: dict[str, Any], *, as_json: bool) -> None:
    """Time A against A. An interval that misses 1 may do so by chance: then it is timed once more."""
    from archbench import api
    from archbench.errors import InputError, ModelError
    from archbench.timing_words import self_test_words, setting_words

    if len(models) > 1:
        msg = "a self-test times one model against itself"
        raise InputError(msg, "Name one model, or none.")
    for attempt in range(2):
        timed = api.time(models, **settings)
        words = self_test_words(timed)
        if not len(words):
            raise ModelError(NOTHING, "The warnings above say why.")
        missed = words[words["holds 1"] != "yes"]
        if not len(missed):
            break
        if attempt == 0:
            found = ", ".join(f"{row['mode']} {row['A against A']}" for _, row in missed.iterrows())
            _warn(f"an interval of A against A misses 1 ({found}), as about 1 in 10 do by chance: timed once more")
    if as_json:
        print_json({"rows": json_rows(words), "setting": setting_words(timed)})
    else:
        print_table(words, f"{models[0]} against itself: what this machine can resolve")
        out.print()
        out.print(setting_words(timed))
    if len(missed):
        err.print("warning: A differs from A here; do not trust small ratios. Quiet the machine, or time longer.")
        raise typer.Exit(1)


def doctor(
    results: MaybeResults = None, refresh: Refresh = False, as_json: o.AsJson = False, debug: o.Debug = False
) -> None:
    """Show this machine, what it does at most (measured once and kept), and whether what is stored is sound."""
    from archbench import api
    from archbench.data.cache import cache_folder
    from archbench.environment import capture
    from archbench.timing_words import doctor_words

    environment = capture()
    peaks = api.doctor(refresh=refresh, on_wait=_warn)
    stores = _stores(results)
    if as_json:
        rows = [
            {"device": device, "precision": precision, "threads": threads, "gflops": found.flops_per_s / 1e9,
             "copy_gbytes_per_s": found.bytes_per_s / 1e9}
            for (device, precision, threads), found in peaks.items()
        ]  # fmt: skip
        print_json({"environment": environment, "cache": str(cache_folder()), "peaks": rows, "stores": stores})
        _fail_if_damaged(stores)
        return
    memory = "unknown" if environment.memory_bytes is None else f"{environment.memory_bytes / 2**30:.1f} GiB"
    out.print(f"{environment.machine}: {environment.cpu}, {environment.cores} cores to use, {memory} of memory")
    out.print(f"CUDA device: {environment.gpu or 'none that torch can use'}")
    out.print(f"{environment.os}; Python {environment.python}; torch {environment.torch}; "
              f"archbench {environment.archbench}")  # fmt: skip
    out.print()
    print_table(doctor_words(environment, peaks), "What it does at most")
    out.print(f"\nKept in {cache_folder()}; --refresh measures again.")
    if stores:
        out.print()
    for one in stores:
        print_health(one)
    _fail_if_damaged(stores)


def _stores(results: Path | None) -> list[Health]:
    """Return the health of the stores in a folder, by default of those in `results` if there are any."""
    from archbench.errors import StoreError
    from archbench.loading import stored_folders
    from archbench.upkeep import health

    try:
        return [health(folder) for folder in stored_folders(results or ROOT)]
    except StoreError:
        if results is not None:
            raise
        return []


def _fail_if_damaged(stores: list[Health]) -> None:
    from archbench.errors import StoreError

    if any(one.damage for one in stores):
        raise typer.Exit(StoreError.exit_code)
