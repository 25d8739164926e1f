"""The options, declared once and shared by the commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from archbench.cli.show import err

TRAINING, MEASURING, OUTPUT, VARIANT = "Training", "Data and device", "Output", "Variants of models"


@dataclass
class State:
    """What outlives the parsing: whether tracebacks are wanted."""

    debug: bool = False


state = State()


def _debug(value: bool) -> None:
    state.debug = state.debug or value


def import_plugins(names: list[str] | None) -> tuple[str, ...]:
    """Import the modules that register models; a broken one is named and does not stop the rest."""
    if names:
        import zoo

        for name in names:
            try:
                zoo.import_models(name)
            except (zoo.ModelImportError, zoo.DuplicateModelError) as error:
                err.print(f"warning: {error}")
                if state.debug:
                    err.print_exception()
    return tuple(names or ())


WHAT_MODELS = (
    "names of `archbench list`, torchvision:NAME, timm:NAME or module:attribute; "
    "with options and a budget of its own: 'cnn\\[activation=sigmoid,dropout=0.2]@200k'."
)
Models = Annotated[list[str], typer.Argument(help=f"Models: {WHAT_MODELS}", metavar="MODEL...")]
MaybeModels = Annotated[
    list[str] | None, typer.Argument(help=f"Models: {WHAT_MODELS}", metavar="MODEL...", show_default=False)
]
Head = Annotated[
    str | None,
    typer.Option("--head", help="A head for all models that take one: a name as in --heads, or 1024,512.",
                 metavar="HEAD", rich_help_panel=VARIANT),
]  # fmt: skip
Scale = Annotated[
    str | None,
    typer.Option("--scale", help="How models meet a budget: by width, depth or compound (both).",
                 show_default="width", rich_help_panel=VARIANT),
]  # fmt: skip
Weights = Annotated[
    str | None,
    typer.Option("--weights", help="Trained weights for torchvision: and timm: models: imagenet, or a file.",
                 metavar="imagenet|FILE", rich_help_panel=VARIANT),
]  # fmt: skip
Freeze = Annotated[
    str | None,
    typer.Option("--freeze", help="What of such models is not trained: none, backbone, or the first N parts.",
                 metavar="none|backbone|N", rich_help_panel=VARIANT),
]  # fmt: skip
ShownAs = Annotated[
    str | None,
    typer.Option("--input", help="Bring the images to channels x height x width: 3x64x64.", metavar="CxHxW",
                 show_default="as they are", rich_help_panel=MEASURING),
]  # fmt: skip
Budgets = Annotated[
    str | None,
    typer.Option("--budgets", help="Parameter budgets, comma-separated: 30000, 30k, 1.6M, 2e5.", metavar="LIST"),
]
Budget = Annotated[
    str | None, typer.Option("--budget", help="Size the model to so many parameters: 30k, 1.6M.", metavar="PARAMS")
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input", help="Input as channels x height x width: 1x28x28.", metavar="CxHxW",
        show_default="as published, else 3x32x32",
    ),
]  # fmt: skip
Classes = Annotated[
    int | None,
    typer.Option("--classes", help="Number of outputs.", min=1, max=1_000_000, show_default="as published, else 10"),
]

Dataset = Annotated[
    str, typer.Option("--dataset", "-d", help="A name of `archbench datasets`.", rich_help_panel=MEASURING)
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", help="Folder of data sets; else $ARCHBENCH_DATA.", rich_help_panel=MEASURING),
]
Download = Annotated[
    bool,
    typer.Option("--download", help="Download data and trained weights that are missing.", rich_help_panel=MEASURING),
]
Preprocess = Annotated[
    str,
    typer.Option(
        "--preprocess",
        metavar="STEPS",
        show_default="original",
        rich_help_panel=MEASURING,
        help="original, gray, denoise, denoise2, letterbox:S, resize:S, normalize; a chain is joined by +, "
        "and several separated by commas are compared.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Images in train/validation/test: 48000/6000/10000.",
        metavar="N/N/N",
        show_default="the source's own",
        rich_help_panel=MEASURING,
    ),
]
SplitSeed = Annotated[int, typer.Option("--split-seed", help="Of stratified splits.", min=0, rich_help_panel=MEASURING)]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        help="At most so many images of each split, stratified: a quick look.",
        min=1,
        show_default="all",
        rich_help_panel=MEASURING,
    ),
]
Only = Annotated[
    str,
    typer.Option("--only", help="Only these classes, comma-separated.", metavar="CLASS,...", show_default="all",
                 rich_help_panel=MEASURING),
]  # fmt: skip
Exclude = Annotated[
    str,
    typer.Option(
        "--exclude",
        metavar="WHAT+...",
        show_default="nothing",
        rich_help_panel=MEASURING,
        help="Leave out duplicates, conflicts, constant or leaks, joined by + (`archbench datasets check`).",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, or cpu,cuda to time on both.", rich_help_panel=MEASURING)
]
Threads = Annotated[
    int, typer.Option("--threads", help="Threads a step, in timing and in each worker.", rich_help_panel=MEASURING)
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes", min=0, max=100, rich_help_panel=MEASURING,
        help="Fresh processes that time the models in turns; 0 times in this one.",
    ),
]  # fmt: skip
MaxSeconds = Annotated[
    float,
    typer.Option(
        "--max-seconds", min=0, rich_help_panel=MEASURING,
        help="A session of timing ends after this long, its warm-up apart, or as soon as its intervals are narrow.",
    ),
]  # fmt: skip
Retime = Annotated[bool, typer.Option("--retime", help="Time again what is timed already.", rich_help_panel=MEASURING)]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-j", min=0, rich_help_panel=MEASURING, show_default="cores / threads, on CUDA 4 at most",
        help="Training processes at a time; 0 trains in this one.",
    ),
]  # fmt: skip
Retry = Annotated[
    str,
    typer.Option(
        "--retry", metavar="LIST", rich_help_panel=MEASURING,
        help="Which runs are tried again that came to nothing: failed, oom, diverged, or none.",
    ),
]  # fmt: skip
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", min=0, metavar="SECONDS", rich_help_panel=MEASURING,
        help="A run that makes no step for this long is ended and fails; 0 waits for ever.",
    ),
]  # fmt: skip
Tune = Annotated[
    str,
    typer.Option(
        "--tune", metavar="auto|off", rich_help_panel=MEASURING,
        help="Long trainings take their steps in the quickest way, found by a short trial; off: all the usual way.",
    ),
]  # fmt: skip
Shard = Annotated[
    str,
    typer.Option(
        "--shard", metavar="I/N", show_default="all of it", rich_help_panel=MEASURING,
        help="Only the I-th of N parts of the runs, which are the same on every machine: 1/2 here, 2/2 elsewhere.",
    ),
]  # fmt: skip
Executor = Annotated[
    str,
    typer.Option(
        "--executor", metavar="local|ray", rich_help_panel=MEASURING,
        help="Where runs are done: on this machine, or on the nodes of a Ray cluster.",
    ),
]  # fmt: skip
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address", metavar="ADDRESS", rich_help_panel=MEASURING, show_default="Ray is started here",
        help="The cluster that this machine is a node of: auto, or host:port.",
    ),
]  # fmt: skip
Seeds = Annotated[str, typer.Option("--seeds", help="How many (3), or which ones (0,7,42).", rich_help_panel=TRAINING)]

Name = Annotated[
    str | None,
    typer.Option("--name", help="Name of the run: results/NAME.", show_default="the data set", rich_help_panel=OUTPUT),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Results folder, instead of results/NAME.", rich_help_panel=OUTPUT)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="JSON on standard output, progress on standard error.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show sizes and runs to do; train nothing.", rich_help_panel=OUTPUT)
]
Imports = Annotated[
    list[str] | None,
    typer.Option("--import", help="A module (or .py file) that registers models; repeatable.", metavar="PKG.MODULE"),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks.", callback=_debug, expose_value=False, is_eager=True),
]
Results = Annotated[Path, typer.Argument(help="A results folder, or a folder that holds some.", show_default=True)]
