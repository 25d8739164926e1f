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
Model = Annotated[str, typer.Argument(help=f"A model: {WHAT_MODELS}")]
Trunk = Annotated[
    list[str] | None,
    typer.Option("--trunk", help="A model that every one of --heads is put on; repeatable.", metavar="MODEL"),
]
Heads = Annotated[
    str | None,
    typer.Option(
        "--heads", metavar="LIST",
        help="Heads to compare on --trunk: dense2, dense2_nodropout, dense1, dense1_nodropout, conv, gap, 512-256.",
    ),
]  # fmt: skip
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
Width = Annotated[float | None, typer.Option("--width", help="Scale the model to this width instead of to a budget.")]
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
        "--workers", "-j", min=0, rich_help_panel=MEASURING, show_default="cores / threads",
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
Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the training data.", rich_help_panel=TRAINING)]
Seeds = Annotated[str, typer.Option("--seeds", help="How many (3), or which ones (0,7,42).", rich_help_panel=TRAINING)]
Seed = Annotated[int, typer.Option("--seed", help="The seed.", min=0, rich_help_panel=TRAINING)]
BatchSize = Annotated[
    int, typer.Option("--batch-size", "-b", help="Samples a step, timed and trained.", rich_help_panel=TRAINING)
]
Lr = Annotated[
    float | None,
    typer.Option("--lr", help="Learning rate.", show_default="0.003, SGD 0.05", rich_help_panel=TRAINING),
]
Optimizer = Annotated[
    str, typer.Option("--optimizer", help="adam, adamw, sgd, adadelta or rmsprop.", rich_help_panel=TRAINING)
]
Momentum = Annotated[float, typer.Option("--momentum", help="Of SGD.", rich_help_panel=TRAINING)]
Schedule = Annotated[
    str, typer.Option("--schedule", help="cosine, constant, step or exponential.", rich_help_panel=TRAINING)
]
LrDecay = Annotated[
    float, typer.Option("--lr-decay", help="Factor an epoch of the exponential schedule.", rich_help_panel=TRAINING)
]
L2 = Annotated[
    float, typer.Option("--l2", help="Factor of the sum of squared weights in the loss.", rich_help_panel=TRAINING)
]
Scaling = Annotated[
    str,
    typer.Option(
        "--scaling",
        help="Pixels become: standard (mean 0, deviation 1), unit (0 to 1), or centered (0 to 1 less the mean image).",
        rich_help_panel=TRAINING,
    ),
]
PositionLoss = Annotated[
    str,
    typer.Option(
        "--position-loss", help="With several labels an image: mean or sum of their losses.", rich_help_panel=TRAINING
    ),
]
WeightDecay = Annotated[
    float, typer.Option("--weight-decay", help="The optimizer's weight decay.", rich_help_panel=TRAINING)
]
LabelSmoothing = Annotated[
    float, typer.Option("--label-smoothing", help="Of the cross-entropy.", rich_help_panel=TRAINING)
]
Augment = Annotated[
    str,
    typer.Option(
        "--augment",
        show_default="none",
        rich_help_panel=TRAINING,
        metavar="NAME[:AMOUNT]+...",
        help="flip, shift, crop:4, rotate:15, zoom:0.1, brightness:0.2, cutout:8, joined by +.",
    ),
]
Precision = Annotated[str, typer.Option("--precision", help="fp32 or bf16.", rich_help_panel=TRAINING)]
PrecisionOrAuto = Annotated[
    str,
    typer.Option(
        "--precision", help="fp32, bf16, or auto: bf16 where the device multiplies in it.", rich_help_panel=TRAINING
    ),
]  # fmt: skip
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", help="Model that overheads are relative to.", show_default="the first"),
]

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
Dialect = Annotated[
    str,
    typer.Option("--dialect", help="archbench, timm, markdown, latex or parquet.", metavar="NAME",
                 rich_help_panel=OUTPUT),
]  # fmt: skip
OnlyShow = Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")]
Key = Annotated[str, typer.Argument(help="The key of a run, or as much of it as tells it from others.")]
Most = Annotated[int, typer.Option("--limit", min=0, help="At most so many runs; 0 for all.")]
States = Annotated[
    str | None,
    typer.Option("--state", help="Only these: pending, running, done, failed, diverged, oom, interrupted.",
                 metavar="LIST", show_default="all"),
]  # fmt: skip
Salvage = Annotated[
    Path | None,
    typer.Option("--salvage", help="Copy all that can be read into a new results folder.", metavar="FOLDER"),
]
Folders = Annotated[
    list[Path], typer.Argument(help="Results folders: what stands in several counts as it is in the first.",
                               metavar="FOLDER...", show_default=False)
]  # fmt: skip
Whole = Annotated[
    Path, typer.Option("--out", "-o", help="The folder that they are merged into; it may hold some of it already.")
]
Where = Annotated[
    str,
    typer.Option(
        "--where", metavar="CONDITION", show_default="all",
        help="'params < 1M and accuracy > 80 %': params, macs, accuracy, loss, step_us, infer_us, memory, budget, n, "
        "model, family, case, dataset, name; and, or, not, ( ).",
    ),
]  # fmt: skip
Minimize = Annotated[
    str | None, typer.Option("--minimize", metavar="NAME", help="What is to be small, such as params or step_us.")
]
Maximize = Annotated[
    str | None, typer.Option("--maximize", metavar="NAME", help="What is to be large.", show_default="accuracy")
]
From = Annotated[Path, typer.Option("--results", help="A results folder, or a folder that holds some.")]
Open = Annotated[
    bool,
    typer.Option("--open/--no-open", help="Open the page in a browser; --open=false is --no-open.",
                 rich_help_panel=OUTPUT),
]  # fmt: skip
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks.", callback=_debug, expose_value=False, is_eager=True),
]
Results = Annotated[Path, typer.Argument(help="A results folder, or a folder that holds some.", show_default=True)]
MaybeResults = Annotated[
    Path | None,
    typer.Argument(
        help="A results folder, or a folder that holds some, to check.", show_default="results, if it is there"
    ),
]
FigureKind = Annotated[
    str | None,
    typer.Argument(metavar="[KIND]", show_default=False,
                   help="scatter, curves, overhead, heatmap, batch, weights, all; or a results folder."),
]  # fmt: skip
ResultsFrom = Annotated[
    Path | None,
    typer.Option("--from", help="A results folder, or a folder that holds some.", metavar="FOLDER",
                 show_default="results"),
]  # fmt: skip
FigureX = Annotated[
    str | None,
    typer.Option("--x", help="Against what: params, macs, train_us, infer_us, or any column of runs.csv.",
                 metavar="COLUMN", show_default="params; of a heatmap the first factor"),
]  # fmt: skip
FigureY = Annotated[
    str | None, typer.Option("--y", help="The other factor of a heatmap.", metavar="COLUMN", show_default="the second")
]
Hue = Annotated[
    str | None,
    typer.Option("--hue", help="The column of runs.csv whose values have the colours.", metavar="COLUMN",
                 show_default="a colour a line"),
]  # fmt: skip
Facet = Annotated[
    str | None, typer.Option("--facet", help="The column of runs.csv that has a panel a value.", metavar="COLUMN")
]
Style = Annotated[str, typer.Option("--style", help="paper, slides or dark.")]
FigureWidth = Annotated[
    str, typer.Option("--width", help="column (of two), text (of one column) or full (both columns).")
]
Formats = Annotated[
    str | None,
    typer.Option("--format", help="png, svg, pdf, or several: svg,pdf.", metavar="LIST",
                 show_default="png; of the usual scatter svg, too"),
]  # fmt: skip
