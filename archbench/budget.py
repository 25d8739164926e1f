"""Family + budget -> SizedModel, and a SizedModel -> its network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from archbench.building import build, find_spec, params_of, skeleton
from archbench.errors import InputError, ModelError, reason
from archbench.schema import Budget, SizedModel
from archbench.solver import solve, without_inert

if TYPE_CHECKING:
    from torch import nn

MAX_WIDTH = 2.0**24  # wider than anything that could be built


def size_model(
    model: str,
    budget: Budget | None,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float | None = None,
) -> SizedModel:
    """Fix every integer of a model.

    A scalable family with a budget gets the closest size that it reaches in its natural proportions; they give way,
    step by step, only as far as the budget needs. Without a budget, or for a fixed model, it is built as it is.

    Args:
        model: a name of the zoo or `module:attribute`.
        budget: the target; None for the model's own size.
        input_shape: (C, H, W).
        classes: number of outputs.
        width: the size of a scalable family where there is no budget; its own by default.

    Raises:
        InputError: the model is unknown.
        ModelError: it cannot be built.
    """
    spec = find_spec(model)
    if width is not None and not spec.scalable:
        msg = f"{model} has one size: it takes no width"
        raise InputError(msg, "Leave the width out.")
    if width is not None and not (math.isfinite(width) and 0 < width < MAX_WIDTH and budget is None):
        msg = f"the width {width} is not accepted{'' if budget is None else ' beside a budget'}"
        raise InputError(msg, "Give a number above 0, or a budget instead.")
    try:
        options = spec.options(width)
        if budget is not None and spec.scalable:
            width, options = solve(spec, budget, input_shape, classes)
        options = without_inert(spec, options, input_shape, classes)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        msg = f"the shape of {model} fails: {reason(error)}"
        raise ModelError(msg, "It maps a width to integers or tuples of them, by name.") from error
    net = skeleton(spec, options, input_shape, classes)
    return SizedModel(
        model=spec.name,
        family=spec.family,
        options=options,
        width=spec.width if width is None else width,
        input_shape=input_shape,
        classes=classes,
        params=params_of(net),
        source_sha256=spec.source_sha256(net),
        budget=budget if spec.scalable else None,
    )


def build_model(sized: SizedModel) -> nn.Module:
    """Build the network of a sized model, with weights from torch's global generator.

    Raises:
        ModelError: it cannot be built.
    """
    spec = find_spec(sized.model)
    return build(spec, sized.options, sized.input_shape, sized.classes)
