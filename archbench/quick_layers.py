"""Layers that do what torch's own do, sooner on a CPU: found where a training step spent its time.

What a max-pooling passes back is the same to the bit, and so is a ReLU behind it instead of before. A dropout drops as
often, but draws other numbers. Batch normalisation, in a module of its own, is the same but for rounding.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from archbench.quick_norm import is_usual, normalized, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

BYTE, SHORT = 2**8, 2**16  # values of what a dropout compares with its rate


def quicken(net: nn.Module) -> None:
    """Let layers of a network on the CPU train in the quicker way; in evaluation they are torch's.

    Only torch's own classes are touched: dropouts, poolings whose windows do not overlap, batch normalisations. If
    nothing else can see what is between them, a normalisation has the activation behind it done with it, and another
    activation before a pooling is taken behind that, where the map is smaller.
    """
    for module in net.modules():
        if type(module) is nn.Dropout and 0 < module.p < 1 and not module.inplace:
            module.forward = partial(_dropout, module)  # type: ignore[method-assign]
        elif type(module) is nn.MaxPool2d and _apart(module):
            module.forward = partial(_max_pool, module)  # type: ignore[method-assign]
        elif type(module) is nn.BatchNorm2d and is_usual(module):
            module.forward = partial(normalized, module, None)  # type: ignore[method-assign]
    done = set()
    for first, second in _neighbours(net):
        if type(first) is nn.BatchNorm2d and is_usual(first) and shape_of(second) is not None:
            first.forward = partial(normalized, first, second)  # type: ignore[method-assign]
            second.forward = partial(_passed_on, second)
            done.add(second)
        elif _before_pool(first, second) and first not in done:
            first.forward = partial(_passed_on, first)
            second.forward = partial(_activated, second, second.forward, first)


def _neighbours(net: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield layers of which nothing but the second sees what the first gives: those of a plain sequence."""
    layers = list(_in_order(net))
    for first, second in itertools.pairwise(layers):
        if layers.count(first) == layers.count(second) == 1:
            yield first, second


def _before_pool(first: nn.Module, second: nn.Module) -> bool:
    """Whether these are an activation and a pooling that can be done in either order with the same result.

    The activations never fall, and pass nothing back where they are level, so it does not matter which of several
    equal values is taken for the largest.
    """
    return type(first) in {nn.ReLU, nn.ReLU6} and type(second) is nn.MaxPool2d and not second.return_indices


def _in_order(net: nn.Module) -> Iterator[nn.Module]:
    if type(net) is not nn.Sequential:
        yield net  # what it does with its own parts is not known
        return
    for part in net:
        yield from _in_order(part)


def _passed_on(activation: nn.Module, maps: Tensor) -> Tensor:
    whole: Tensor = maps if activation.training else type(activation).forward(activation, maps)
    return whole


def _activated(pool: nn.Module, pooled: Callable[[Tensor], Tensor], activation: nn.Module, maps: Tensor) -> Tensor:
    smaller = pooled(maps)
    whole: Tensor = type(activation).forward(activation, smaller) if pool.training else smaller
    return whole


def _apart(pool: nn.MaxPool2d) -> bool:
    sides = zip(_pair(pool.kernel_size), _pair(pool.stride), strict=True)
    return _pair(pool.dilation) == (1, 1) and not pool.return_indices and all(side <= step for side, step in sides)


def _dropout(module: nn.Dropout, values: Tensor) -> Tensor:
    if not module.training:
        return values
    return values * mask(values, module.p)


def mask(values: Tensor, rate: float) -> Tensor:
    """Return what a dropout multiplies with: 0 at the rate, else what makes up for it, in the order of the values.

    The numbers are bytes, eight to each that is drawn, where the rate is so many 256ths, else pairs of bytes; torch
    draws one number for each value, which takes longer than the layer behind it.
    """
    levels, kind = (BYTE, torch.uint8) if (rate * BYTE).is_integer() else (SHORT, torch.int16)
    dropped = round(rate * levels)
    count = values.numel()
    drawn = torch.empty(-(-count * kind.itemsize // 8), dtype=torch.int64).random_(-(2**63), None).view(kind)[:count]
    kept = (drawn >= (dropped if kind is torch.uint8 else dropped - SHORT // 2)).to(values.dtype)
    kept = kept.mul_(levels / (levels - dropped))
    if _channels_last(values):
        samples, channels, height, width = values.shape
        return kept.view(samples, height, width, channels).permute(0, 3, 1, 2)
    return kept.view(values.shape)


def _channels_last(maps: Tensor) -> bool:
    return maps.ndim == 4 and maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def _max_pool(module: nn.MaxPool2d, maps: Tensor) -> Tensor:
    if module.training and maps.requires_grad and _channels_last(maps):
        pooled: Tensor = _MaxPool.apply(maps, module)
        return pooled
    whole: Tensor = nn.MaxPool2d.forward(module, maps)
    return whole


class _MaxPool(torch.autograd.Function):
    """A max-pooling of maps in channels-last order, whose backward pass writes each gradient to its place at once.

    torch's own goes over maps of the larger size five times.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, module: nn.MaxPool2d) -> Tensor:
        pooled, places = torch.ops.aten.max_pool2d_with_indices(
            maps, _pair(module.kernel_size), _pair(module.stride), _pair(module.padding), (1, 1), module.ceil_mode
        )
        ctx.save_for_backward(places)
        ctx.shape = maps.shape
        return pooled  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        samples, channels, height, width = ctx.shape
        passed = gradient.new_zeros(samples, height * width, channels)
        flat = (tensor.permute(0, 2, 3, 1).reshape(samples, -1, channels) for tensor in (places, gradient))
        passed.scatter_(1, *flat)
        return passed.view(samples, height, width, channels).permute(0, 3, 1, 2), None
