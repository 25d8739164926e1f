"""Flattening of maps in channels-last order, whose gradient comes back in that order.

torch hands it on in the order of the flat values, and all layers before, up to the next convolution, then take two
orders at once: behind 64 channels of 12x12, 128 images in bfloat16, on an EPYC, a ReLU 1.7 ms instead of 0.2, and a
max-pooling 9.7 instead of 2.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from archbench.quick.maps import channels_last

if TYPE_CHECKING:
    from torch import Tensor


def flattened(flatten: nn.Flatten, maps: Tensor) -> Tensor:
    """Return maps as torch flattens them."""
    if flatten.training and maps.requires_grad and channels_last(maps):
        maps = _InOrder.apply(maps)
    whole: Tensor = nn.Flatten.forward(flatten, maps)
    return whole


class _InOrder(torch.autograd.Function):
    """Maps as they are; their gradient in channels-last order."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:  # noqa: ARG004 - as autograd calls it
        return maps.view_as(maps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004 - likewise
        return gradient.contiguous(memory_format=torch.channels_last)
