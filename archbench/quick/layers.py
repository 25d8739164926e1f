"""Which layers of a network train in the quicker way, and which of them two by two."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from archbench.quick import dropout, flatten, norm, pointwise, pool, residual, winograd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from archbench.schema import Device, Knobs

    Forward = Callable[[Tensor], Tensor]


def quicken(net: nn.Module, device: Device, knobs: Knobs) -> None:
    """Let layers of a network train in the quicker way of its device; in evaluation they are torch's.

    Only torch's own classes are touched, and nothing where the network will be compiled. On the CPU they are usual
    dropouts and flattenings, and, if the knobs say so, max-poolings, batch normalisations and convolutions. If nothing
    else can see what is between them, a normalisation has the activation behind it done with it, a convolution a ReLU
    before it, and an activation before a max-pooling is taken behind that, where the map is smaller. On CUDA they are
    convolutions of single pixels.
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
    if knobs.winograd:
        from archbench.quick import winograd_loops  # noqa: F401


def takes_winograd(net: nn.Module) -> bool:
    """Whether a network has a convolution that may be done in Winograd's way."""
    return any(map(winograd.is_usual, net.modules()))


def _quicken_on_cuda(net: nn.Module) -> None:
    for module in net.modules():
        if type(module) is nn.Conv2d and pointwise.is_usual(module):
            module.forward = partial(pointwise.multiplied, module)  # type: ignore[method-assign]


def _quicken_on_cpu(net: nn.Module, knobs: Knobs) -> None:
    for module in net.modules():
        forward = _alone(module, knobs)
        if forward is not None:
            module.forward = forward
    done = set()
    for first, second in _neighbours(net):
        if first in done:
            continue
        if knobs.quick_norm and norm.is_norm(first) and norm.shape_of(second) is not None:
            first.forward = partial(norm.normalized, first, second)  # type: ignore[method-assign]
            second.forward = partial(_passed_on, second)
            done.add(second)
        elif activates := _with_activation(first, second, knobs):
            first.forward = partial(_passed_on, first)
            second.forward = partial(activates, second, first)


def _alone(module: nn.Module, knobs: Knobs) -> Forward | None:
    """Return the quicker way of a layer; None where there is none."""
    if knobs.quick_norm and norm.is_norm(module):
        return partial(norm.normalized, module, None)
    if knobs.quick_norm and (activation := residual.activation_of(module)):
        return partial(residual.added, module, activation)
    if knobs.quick_maps and pool.is_pooling(module):
        return partial(pool.pooled, module, None)
    if knobs.winograd and winograd.is_usual(module):
        return partial(winograd.convolved, module, None)
    if type(module) is nn.Dropout and dropout.is_usual(module):
        return partial(dropout.dropped_in_loops if knobs.quick_maps else dropout.dropped_out, module)
    return partial(flatten.flattened, module) if type(module) is nn.Flatten else None


def _with_activation(first: nn.Module, second: nn.Module, knobs: Knobs) -> Callable[..., Tensor] | None:
    """Return how a layer is done together with the activation before it; None where it is not."""
    if pool.takes(first) and type(second) is nn.MaxPool2d and not second.return_indices:
        return pool.pooled if knobs.quick_maps and pool.is_pooling(second) else _activated
    return winograd.convolved if knobs.winograd and winograd.takes(first) and winograd.is_usual(second) else None


def _neighbours(net: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield layers of which nothing but the second sees what the first gives: those of a plain sequence."""
    layers = list(_in_order(net))
    for first, second in itertools.pairwise(layers):
        if layers.count(first) == layers.count(second) == 1:
            yield first, second


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
