"""Which layers of a network train in the quicker way, and which of them two by two."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from archbench.quick import dropout, flatten, norm, pointwise, pool, residual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from archbench.schema import Device, Knobs


def quicken(net: nn.Module, device: Device, knobs: Knobs) -> None:
    """Let layers of a network train in the quicker way of its device; in evaluation they are torch's.

    Only torch's own classes are touched, and nothing where the network will be compiled. On the CPU they are usual
    dropouts and flattenings, and, if the knobs say so, max-poolings and batch normalisations. If nothing else can see
    what is between them, a normalisation has the activation behind it done with it, and another activation before a
    max-pooling is taken behind that, where the map is smaller. On CUDA they are convolutions of single pixels.
    """
    if knobs.compiled:
        return
    if device == "cuda":
        _quicken_on_cuda(net)
    else:
        _quicken_on_cpu(net, knobs)


def load(knobs: Knobs) -> None:
    """Load the loops that the knobs say layers are done by."""
    if knobs.quick_norm:
        from archbench.quick import norm_loops  # noqa: F401
    if knobs.quick_maps:
        from archbench.quick import dropout_loops, pool_loops  # noqa: F401


def _quicken_on_cuda(net: nn.Module) -> None:
    for module in net.modules():
        if type(module) is nn.Conv2d and pointwise.is_usual(module):
            module.forward = partial(pointwise.multiplied, module)  # type: ignore[method-assign]


def _quicken_on_cpu(net: nn.Module, knobs: Knobs) -> None:
    dropped_out = dropout.dropped_in_loops if knobs.quick_maps else dropout.dropped_out
    for module in net.modules():
        if type(module) is nn.Dropout and dropout.is_usual(module):
            module.forward = partial(dropped_out, module)  # type: ignore[method-assign]
        elif type(module) is nn.Flatten:
            module.forward = partial(flatten.flattened, module)  # type: ignore[method-assign]
        elif knobs.quick_norm and norm.is_norm(module):
            module.forward = partial(norm.normalized, module, None)  # type: ignore[method-assign]
        elif knobs.quick_maps and pool.is_pooling(module):
            module.forward = partial(pool.pooled, module, None)  # type: ignore[method-assign]
        elif knobs.quick_norm and (activation := residual.activation_of(module)):
            module.forward = partial(residual.added, module, activation)
    done = set()
    for first, second in _neighbours(net):
        if knobs.quick_norm and norm.is_norm(first) and norm.shape_of(second) is not None:
            first.forward = partial(norm.normalized, first, second)  # type: ignore[method-assign]
            second.forward = partial(_passed_on, second)
            done.add(second)
        elif _before_pool(first, second) and first not in done:
            first.forward = partial(_passed_on, first)
            quick = knobs.quick_maps and pool.is_pooling(second)
            second.forward = partial(pool.pooled if quick else _activated, second, first)  # type: ignore[arg-type]


def _neighbours(net: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield layers of which nothing but the second sees what the first gives: those of a plain sequence."""
    layers = list(_in_order(net))
    for first, second in itertools.pairwise(layers):
        if layers.count(first) == layers.count(second) == 1:
            yield first, second


def _before_pool(first: nn.Module, second: nn.Module) -> bool:
    """Whether these are an activation and a pooling that can be done in either order with the same result."""
    return pool.takes(first) and type(second) is nn.MaxPool2d and not second.return_indices


def _in_order(net: nn.Module) -> Iterator[nn.Module]:
    if type(net) is not nn.Sequential:
        yield net  # what it does with its own parts is not known
        return
    for part in net:
        yield from _in_order(part)


def _passed_on(activation: nn.Module, maps: Tensor) -> Tensor:
    whole: Tensor = maps if activation.training else type(activation).forward(activation, maps)
    return whole


def _activated(pooling: nn.Module, activation: nn.Module, maps: Tensor) -> Tensor:
    smaller: Tensor = type(pooling).forward(pooling, maps)
    whole: Tensor = type(activation).forward(activation, smaller) if activation.training else smaller
    return whole
