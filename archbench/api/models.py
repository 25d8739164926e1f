"""One model: its size, its cost, its memory, its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zoo
from archbench.budget import size_model
from archbench.building import find_spec
from archbench.catalog import home
from archbench.cost import measure_cost
from archbench.cost.layers import layer_table
from archbench.environment import check_precision, resolve_devices
from archbench.errors import InputError, ModelError
from archbench.reference import parse_reference, refuse_budget, with_options
from archbench.schema import Budget
from archbench.settings import make_recipe
from archbench.timed import random_images
from archbench.timing.memory import measure_memory
from archbench.units import compact, parse_count, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.cost.layers import Layer
    from archbench.schema import Cost, Memory, SizedModel


def import_plugins(plugins: Sequence[str]) -> None:
    """Import modules that register models.

    Raises:
        ModelError: one cannot be imported.
    """
    for plugin in plugins:
        try:
            zoo.import_models(plugin)
        except zoo.ModelImportError as error:
            raise ModelError(str(error), "Mend the module, or leave it out of plugins.") from error


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
    made = make_recipe(batch_size=batch_size, **recipe)
    check_precision(made.precision, (where,))
    return measure_memory(sized, random_images(sized.input_shape, sized.classes), made, where)


def layers_of(model: str, budget: str | int | None = None, **settings: Any) -> list[Layer]:
    """Return a model's layers in the order they run; `settings` as for `size`."""
    return layer_table(size(model, budget, **settings))
