"""Max-pooling of maps in channels-last order, sooner on a CPU than torch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from archbench.quick.maps import channels_last

if TYPE_CHECKING:
    from torch import Tensor


def is_usual(pool: nn.MaxPool2d) -> bool:
    """Whether a pooling gives its maps alone, and its windows have no holes and do not overlap."""
    sides = zip(_pair(pool.kernel_size), _pair(pool.stride), strict=True)
    return _pair(pool.dilation) == (1, 1) and not pool.return_indices and all(side <= step for side, step in sides)


def pooled(pool: nn.MaxPool2d, maps: Tensor) -> Tensor:
    """Return maps as a usual pooling has them; in evaluation, and of another order of memory, it is torch's own."""
    if pool.training and maps.requires_grad and channels_last(maps):
        quick: Tensor = _MaxPool.apply(maps, pool)
        return quick
    whole: Tensor = nn.MaxPool2d.forward(pool, maps)
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
