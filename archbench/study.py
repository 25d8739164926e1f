"""What users write -> Study: names, texts and numbers checked and resolved, for the command line and Python alike."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from archbench.environment import resolve_devices, usable_cores
from archbench.errors import InputError
from archbench.reference import canonical, heads_on, parse_reference, with_options
from archbench.schema import Recipe, Study
from archbench.units import grouped, parse_count, parse_counts, parse_seeds, shape_of

RESULTS = Path("results")
DEFAULT_LR = {"adam": 3e-3, "adamw": 3e-3, "sgd": 0.05}
AUGMENTATIONS = ("flip", "shift")


def make_study(
    models: Sequence[str] = (),
    budgets: Sequence[str | int] | str = (),
    *,
    trunk: str | Sequence[str] = (),
    heads: str | Sequence[str] = (),
    scale: str | None = None,
    weights: str | Path | None = None,
    freeze: str | int | None = None,
    head: str | Sequence[int] | None = None,
    input: str | Sequence[int] | None = None,  # noqa: A002 - what users call it
    seeds: int | str | Sequence[int] = 3,
    dataset: str = "digits",
    data_root: str | Path | None = None,
    download: bool = False,
    epochs: int = Recipe.epochs,
    batch_size: int = Recipe.batch_size,
    lr: float | None = None,
    optimizer: str = Recipe.optimizer,
    schedule: str = Recipe.schedule,
    weight_decay: float = Recipe.weight_decay,
    label_smoothing: float = Recipe.label_smoothing,
    augment: str | Sequence[str] = (),
    precision: str = Recipe.precision,
    device: str = "auto",
    threads: int = 1,
    baseline: str | None = None,
    plugins: Sequence[str] = (),
) -> Study:
    """Return a study from what a user gave.

    Args:
        models: names of the zoo, `torchvision:NAME`, `timm:NAME` or `module:attribute`; options and a budget of its own
            may follow, as in `cnn[activation=sigmoid]@200k`.
        trunk: models that each of the `heads` is put on, beside `models`.
        heads: of `zoo.heads.HEADS`, as `"dense2,gap"` or a list.
        scale: `width`, `depth` or `compound`, for the models that have a depth.
        weights: `imagenet` or a file, for the models that take trained weights.
        freeze: `none`, `backbone` or a number of parts, for the same.
        head: a head's name or the units of its dense layers, for the models that take one.
        input: (C, H, W) that the images are brought to, as `"3x64x64"` or numbers.
        budgets: parameters, as `"30k,200k"`, `["30k", "200k"]` or `[30_000, 200_000]`.
        seeds: how many, or which (`"0,7,42"`, `[0, 7, 42]`).
        dataset: a data set's name.
        data_root: the folder of data sets.
        download: whether missing data may be downloaded.
        epochs: passes over the training data.
        batch_size: samples a step, in training and in timing.
        lr: learning rate; by default 3e-3 for Adam and AdamW, 0.05 for SGD.
        optimizer: `adam`, `adamw` or `sgd` (momentum 0.9).
        schedule: `cosine`, `constant` or `step`.
        weight_decay: of the optimizer.
        label_smoothing: of the cross-entropy.
        augment: `flip`, `shift`, or both.
        precision: `fp32` or `bf16` (autocast).
        device: `auto`, `cpu`, `cuda`, or `cpu,cuda` to time on both and train on CUDA.
        threads: torch's intra-op threads, in timing and in each training process.
        baseline: the model that overheads are relative to.
        plugins: modules that register models.

    Raises:
        InputError: a value that is not accepted.
    """
    if isinstance(budgets, str):
        budgets = parse_counts(budgets)
    targets = tuple(parse_count(str(budget)) for budget in budgets)
    for target in targets:
        if targets.count(target) > 1:
            msg = f"the budget {grouped(target)} is given twice"
            raise InputError(msg, "Name each budget once.")
    augmentations = tuple(augment.split("+")) if isinstance(augment, str) and augment else tuple(augment)
    recipe = Recipe(
        optimizer=_one_of("optimizer", optimizer, Recipe),
        lr=_number("learning rate", DEFAULT_LR.get(optimizer, 0.0) if lr is None else lr, above=0),
        schedule=_one_of("schedule", schedule, Recipe),
        batch_size=_whole("batch size", batch_size, 2, 65_536),
        epochs=_whole("epochs", epochs, 1, 100_000),
        weight_decay=_number("weight decay", weight_decay, least=0),
        label_smoothing=_number("label smoothing", label_smoothing, least=0, below=1),
        augment=_augmentations(augmentations),  # type: ignore[arg-type]
        precision=_one_of("precision", precision, Recipe),
    )
    devices = resolve_devices(device)
    trunks = (trunk,) if isinstance(trunk, str) else tuple(trunk)
    variant = {
        "scale": scale,
        "weights": None if weights is None else str(weights),
        "freeze": freeze,
        "head": tuple(head) if head is not None and not isinstance(head, str) else head,
    }
    named = [*models, *heads_on(trunks, heads)]
    references = with_options(named, variant)
    return Study(
        models=references,
        budgets=targets,
        seeds=parse_seeds(",".join(map(str, seeds)) + ",")
        if isinstance(seeds, Sequence) and not isinstance(seeds, str)
        else parse_seeds(str(seeds)),
        dataset=dataset,
        data_root=None if data_root is None else str(data_root),
        download=download,
        input_shape=None if input is None else shape_of(input),
        recipe=recipe,
        device=devices[-1],
        timing_devices=devices,
        threads=_whole("threads", threads, 1, max(usable_cores(), 1)),
        baseline=None if baseline is None else _baseline(baseline, named, references),
        plugins=tuple(plugins),
    )


def _baseline(text: str, named: Sequence[str], references: Sequence[str]) -> str:
    """Return the compared model that a baseline names, as it was written or as its options made it."""
    models = {canonical(given): parse_reference(full)[0] for given, full in zip(named, references, strict=True)}
    model, target = parse_reference(text)
    if target is not None and canonical(text) not in {*models, *references}:
        msg = f"the baseline {text!r} is not among the compared models"
        raise InputError(msg, f"Name one of {', '.join(sorted(models.values()))}.")
    return models.get(canonical(text), models.get(model, model))


def results_folder(dataset: str, name: str | None = None, out: str | Path | None = None) -> Path:
    """Return where a run's files go: `out`, else results/<name>, else results/<data set>.

    Raises:
        InputError: a name that would leave the folder `results`.
    """
    if out is not None:
        return Path(out)
    if name is None:
        base, _, argument = dataset.partition(":")
        name = f"{base}-{Path(argument).resolve().name}" if argument else base
        name = re.sub(r"[^\w.-]+", "_", name)
    if not re.fullmatch(r"[\w][\w .+=@-]{0,99}", name):
        msg = f"{name[:40]!r} is no name for a run"
        raise InputError(msg, "Use letters, digits, spaces and . _ - + = @, 100 at most; --out names any folder.")
    return RESULTS / name


def _one_of(what: str, value: str, holder: type) -> Any:
    accepted = get_args(get_type_hints(holder)[what])
    if value not in accepted:
        msg = f"{value!r} is no {what}"
        raise InputError(msg, f"Give one of {', '.join(accepted)}.")
    return value


def _whole(what: str, value: int, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        msg = f"{what}: {value} is not accepted"
        raise InputError(msg, f"Give a whole number from {least:,} to {most:,}.")
    return int(value)


def _number(
    what: str, value: float, *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value >= least and above < value < below):
        msg = f"{what}: {value} is not accepted"
        bounds = [f"above {above:g}"] * (above > -math.inf) + [f"at least {least:g}"] * (least > -math.inf)
        raise InputError(msg, f"Give a number {' and '.join(bounds + [f'below {below:g}'] * (below < math.inf))}.")
    return float(value)


def _augmentations(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in AUGMENTATIONS or names.count(name) > 1:
            msg = f"{'+'.join(names)!r} is no augmentation"
            raise InputError(msg, f"Give {' or '.join(AUGMENTATIONS)}, or both as {'+'.join(AUGMENTATIONS)}.")
    return tuple(sorted(names))
