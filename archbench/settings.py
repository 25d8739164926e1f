"""What users write about a run, checked: values -> Recipe and View, for the command line, Python and study files."""

from __future__ import annotations

import inspect
import math
import sys
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from archbench.choices import nearest
from archbench.data.exclusions import parse_exclusions
from archbench.data.preprocess import parse_steps
from archbench.data.splits import parse_split
from archbench.data.transforms import parse_augment
from archbench.errors import InputError
from archbench.markup import visible
from archbench.optimizers import DEFAULT_LR
from archbench.schema import Recipe, View
from archbench.units import shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def divided(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a recipe and those of a view.

    Raises:
        InputError: one that is neither; the remedy holds the nearest names.
    """
    recipe, view = (inspect.signature(make).parameters for make in (make_recipe, make_view))
    for name in settings:
        if name not in recipe and name not in view:
            msg = f"{name!r} is no setting"
            raise InputError(msg, nearest(name, [*recipe, *view]))
    return (
        {name: value for name, value in settings.items() if name in recipe},
        {name: value for name, value in settings.items() if name in view},
    )


def make_recipe(
    *,
    epochs: int = Recipe.epochs,
    batch_size: int = Recipe.batch_size,
    lr: float | None = None,
    optimizer: str = Recipe.optimizer,
    momentum: float = Recipe.momentum,
    schedule: str = Recipe.schedule,
    lr_decay: float = Recipe.lr_decay,
    weight_decay: float = Recipe.weight_decay,
    l2: float = Recipe.l2,
    label_smoothing: float = Recipe.label_smoothing,
    augment: str | Sequence[str] = (),
    precision: str = Recipe.precision,
    scaling: str = Recipe.scaling,
    position_loss: str = Recipe.position_loss,
) -> Recipe:
    """Return a recipe.

    Args:
        epochs: passes over the training data.
        batch_size: samples a step, in training and in timing.
        lr: learning rate; by default that of `archbench.optimizers.DEFAULT_LR`.
        optimizer: `adam`, `adamw`, `sgd`, `adadelta` or `rmsprop`.
        momentum: of SGD.
        schedule: `cosine`, `constant`, `step` or `exponential`.
        lr_decay: factor an epoch of the exponential schedule.
        weight_decay: of the optimizer.
        l2: factor of the sum of squared weights that is added to the loss.
        label_smoothing: of the cross-entropy.
        augment: names of `archbench.data.transforms.AUGMENTATIONS` with their amounts, as `"flip+crop:4"` or a list.
        precision: `fp32`, `tf32` (CUDA) or `bf16` (autocast).
        scaling: `standard`, `unit` or `centered`.
        position_loss: `mean` or `sum` over the positions of images with several labels.

    Raises:
        InputError: a value that is not accepted.
    """
    optimizer = one_of("optimizer", optimizer, Recipe)
    return Recipe(
        optimizer=optimizer,  # type: ignore[arg-type]
        lr=number("learning rate", DEFAULT_LR[optimizer] if lr is None else lr, above=0),
        momentum=number("momentum", momentum, least=0, below=1),
        schedule=one_of("schedule", schedule, Recipe),
        lr_decay=number("lr_decay", lr_decay, above=0, most=1),
        batch_size=whole("batch size", batch_size, 2, 65_536),
        epochs=whole("epochs", epochs, 1, 100_000),
        weight_decay=number("weight decay", weight_decay, least=0),
        l2=number("l2", l2, least=0),
        label_smoothing=number("label smoothing", label_smoothing, least=0, below=1),
        augment=parse_augment(augment),
        precision=one_of("precision", precision, Recipe),
        scaling=one_of("scaling", scaling, Recipe),
        position_loss=one_of("position_loss", position_loss, Recipe),
    )


def make_view(
    *,
    only: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    split: str | Sequence[int] | None = None,
    split_seed: int = View.split_seed,
    limit: int | None = None,
    preprocess: str | Sequence[str] = (),
    input: str | Sequence[int] | None = None,  # noqa: A002 - what users call it
) -> View:
    """Return how a data set is to be seen.

    Args:
        only: names of the classes that stay, as `"cat,dog"` or a list; all by default.
        exclude: of `archbench.data.exclusions.EXCLUSIONS`, as `"duplicates+constant"` or a list.
        split: images in train, validation and test, as `"48000/6000/10000"` or numbers.
        split_seed: of stratified splits.
        limit: most images of each split.
        preprocess: steps of `archbench.data.preprocess`, as `"gray+resize:24"` or a list.
        input: (C, H, W) that batches are brought to, as `"3x64x64"` or numbers.

    Raises:
        InputError: a value that is not accepted.
    """
    return View(
        only=tuple(name.strip() for name in (only.split(",") if isinstance(only, str) else only) if name.strip()),
        exclude=parse_exclusions(exclude if isinstance(exclude, str) else "+".join(exclude)),
        split=None if split is None else parse_split(split if isinstance(split, str) else "/".join(map(str, split))),
        split_seed=whole("split seed", split_seed, 0, 2**32 - 1),
        limit=None if limit is None else whole("limit", limit, 1, 10**9),
        preprocess=parse_steps(preprocess if isinstance(preprocess, str) else "+".join(preprocess) or "original"),
        input_shape=None if input is None else shape_of(input),
    )


def one_of(what: str, value: str, holder: type) -> Any:
    """Return a value that is one of those that the field `what` of a noun may have."""
    accepted = get_args(get_type_hints(holder)[what])
    if value not in accepted:
        msg = f"{value!r} is no {what}"
        raise InputError(msg, f"Give one of {', '.join(accepted)}.")
    return value


def whole(what: str, value: int, least: int, most: int) -> int:
    """Return a whole number between bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        msg = f"{what}: {_said(value)} is not accepted"
        raise InputError(msg, f"Give a whole number from {least:,} to {most:,}.")
    return int(value)


def number(
    what: str,
    value: float,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """Return a finite number between bounds."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    largest = sys.float_info.max
    if not (plain and -largest <= value <= largest and least <= value <= most and above < value < below):
        msg = f"{what}: {_said(value)} is not accepted"
        limits = {"above": above, "at least": least, "below": below, "at most": most}
        bounds = [f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit)]
        raise InputError(msg, f"Give a number {' and '.join(bounds)}.")
    return float(value)


def _said(value: Any) -> str:
    """Return a value as it stands in a message of one line."""
    try:
        text = visible(str(value))
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number as long as that"
    return text if len(text) <= 40 else f"{text[:37]}..."
