"""Options that several commands have: each group is declared once, and given to commands by a decorator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archbench.cli import options as o
from archbench.cli import recipe_options as r
from archbench.manner import make_manner

if TYPE_CHECKING:
    from archbench.timing import Protocol

Command = Callable[..., None]


def sharing(*groups: Command) -> Callable[[Command], Command]:
    """Give a command the options of groups, behind its own.

    Args:
        groups: functions whose parameters are the options. A command names those that it needs by themselves as
            keyword-only parameters, and takes the others in its `**` parameter.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        shared = [p for group in groups for p in inspect.signature(group, eval_str=True).parameters.values()]
        parameters = [*(p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD), *shared]

        def run(**given: Any) -> None:
            given.pop("debug", None)  # acts while it is parsed
            for group, name, make in ((timing, "protocol", _protocol), (running, "manner", make_manner)):
                if group in groups:
                    named = inspect.signature(group).parameters
                    given[name] = make(**{option: given.pop(option) for option in named})
            command(**given)

        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=p.KEYWORD_ONLY) for p in parameters]
        )
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def naming(name: o.Name = None) -> None:
    """What the results folder is called."""


def outputs(
    out_folder: o.Out = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Where results go, and what is shown."""


def source(data_root: o.DataRoot = None, download: o.Download = False) -> None:
    """Where data and trained weights come from."""


def machine(device: o.Device = "auto", threads: o.Threads = 1) -> None:
    """What is trained and timed on."""


def timing(processes: o.Processes = 5, max_seconds: o.MaxSeconds = 30, retime: o.Retime = False) -> None:
    """How steps are timed; the command gets one `protocol`."""


def _protocol(processes: int, max_seconds: float, retime: bool) -> Protocol:
    from archbench.timing import Protocol

    return Protocol(processes=processes, max_seconds=max_seconds, again=retime)


def running(
    workers: o.Workers = None,
    retry: o.Retry = "failed,oom",
    timeout: o.Timeout = 1800,
    tune: o.Tune = "auto",
    executor: o.Executor = "local",
    ray_address: o.RayAddress = None,
) -> None:
    """How runs are run, under the names of `archbench.manner.make_manner`; the command gets one `manner`."""


def steps(preprocess: o.Preprocess = "") -> None:
    """What is done to the images."""


def view(
    only: o.Only = "",
    split: o.Split = None,
    split_seed: o.SplitSeed = 0,
    limit: o.Limit = None,
    exclude: o.Exclude = "",
) -> None:
    """Which images of a data set are seen, in which splits, under the names of `archbench.settings.make_view`."""


def sizing(
    budget: o.Budget = None,
    scale: o.Scale = None,
    head: o.Head = None,
    freeze: o.Freeze = None,
    input_shape: o.Input = None,
    classes: o.Classes = None,
) -> None:
    """What models are built as, where nothing is trained; `sized_as` reads them."""


def sized_as(models: Sequence[str], options: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return models under the names that `sizing` gives them, and its other options as `archbench.api.size` takes."""
    from archbench.reference import with_options

    names = list(with_options(models, {name: options[name] for name in ("scale", "head", "freeze")}))
    return names, {"budget": options["budget"], "input": options["input_shape"], "classes": options["classes"]}


def variants(scale: o.Scale = None, head: o.Head = None, weights: o.Weights = None, freeze: o.Freeze = None) -> None:
    """Options of models, under the names of `archbench.study.make_study`."""


def recipe(
    dataset: o.Dataset = "digits",
    input: o.ShownAs = None,  # noqa: A002 - what users call it
    epochs: r.Epochs = 15,
    batch_size: r.BatchSize = 64,
    lr: r.Lr = None,
    optimizer: r.Optimizer = "adam",
    momentum: r.Momentum = 0.9,
    schedule: r.Schedule = "cosine",
    lr_decay: r.LrDecay = 0.95,
    weight_decay: r.WeightDecay = 0.0,
    l2: r.L2 = 0.0,
    label_smoothing: r.LabelSmoothing = 0.0,
    augment: r.Augment = "",
    precision: r.PrecisionOrAuto = "fp32",
    scaling: r.Scaling = "standard",
    position_loss: r.PositionLoss = "mean",
) -> None:
    """How models are trained and on what, under the names of `archbench.settings.make_recipe`."""


# Of every command that trains by options.
TRAINING = (variants, recipe, source, steps, view, machine, timing, running, naming, outputs)
