"""Batch normalisation, with the activation behind it, sooner on a CPU than torch's own.

torch goes over maps in channels-last order a pixel at a time, and most of what an instruction could do is idle where a
network was sized to 7 channels, or 17; and it goes over them once more for the activation, and writes that down anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from archbench import quick_kernels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

LEAST_VALUES = 2**16  # below which what a call costs is more than is gained
MOST_THREADS = 2  # with more of them torch's own are quicker: ours has one
AS_IT_IS = (1.0, math.inf)
KINDS = {torch.float32, torch.bfloat16}


def is_usual(norm: nn.BatchNorm2d) -> bool:
    """Whether a normalisation learns a weight and a bias, and keeps running statistics by a momentum."""
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def shape_of(activation: nn.Module | None) -> tuple[float, float] | None:
    """Return an activation's slope below zero and its cap; None if it is of another kind."""
    if activation is None:
        return AS_IT_IS
    if type(activation) is nn.LeakyReLU:
        return activation.negative_slope, math.inf
    return {nn.ReLU: (0.0, math.inf), nn.ReLU6: (0.0, 6.0)}.get(type(activation))


def normalized(norm: nn.BatchNorm2d, activation: nn.Module | None, maps: Tensor) -> Tensor:
    """Return maps (N, C, H, W) as a usual normalisation has them, and an activation behind it while that trains.

    In evaluation, and for maps of another kind or order, it is torch's own.
    """
    behind = activation if activation is not None and activation.training else None
    shape = shape_of(behind)
    if shape is None or not (norm.training and torch.is_grad_enabled() and _fits(maps)):
        whole: Tensor = nn.BatchNorm2d.forward(norm, maps)
        return whole if behind is None else type(behind).forward(behind, whole)
    assert norm.num_batches_tracked is not None  # noqa: S101 - as running statistics are tracked
    norm.num_batches_tracked.add_(1)
    quick: Tensor = BatchNorm.apply(
        maps, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps, *shape
    )
    return quick


def _fits(maps: Tensor) -> bool:
    return (
        maps.ndim == 4
        and maps.dtype in KINDS
        and maps.numel() >= max(LEAST_VALUES, 2 * maps.shape[1])  # of one pixel there is no variance: torch says so
        and maps.is_contiguous(memory_format=torch.channels_last)
        and torch.get_num_threads() <= MOST_THREADS
    )


class BatchNorm(torch.autograd.Function):
    """What torch's batch normalisation does in training, and an activation, to maps in channels-last order."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
        slope: float,
        cap: float,
    ) -> Tensor:
        """Return the maps normalised and activated; the running statistics are brought up to date."""
        done, mean, scale = torch.empty_like(maps), torch.empty_like(running_mean), torch.empty_like(running_mean)
        ctx.size = quick_kernels.block(maps.shape[1])
        ctx.slope, ctx.cap = slope, cap
        learned = (each.detach().numpy() for each in (weight, bias, running_mean, running_var))
        quick_kernels.forward(
            _flat(maps), _flat(done), ctx.size, *learned, momentum, eps, slope, cap, mean.numpy(), scale.numpy()
        )
        ctx.save_for_backward(maps, weight, bias, mean, scale)
        return done

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the maps, the weight and the bias."""
        maps, weight, bias, *statistics = ctx.saved_tensors
        given = gradient.contiguous(memory_format=torch.channels_last)
        back, weight_grad, bias_grad = (torch.empty_like(each) for each in (maps, weight, bias))
        known = (each.detach().numpy() for each in (weight, bias, *statistics))
        quick_kernels.backward(
            _flat(given), _flat(maps), _flat(back), ctx.size, *known, ctx.slope, ctx.cap,
            weight_grad.numpy(), bias_grad.numpy(),
        )  # fmt: skip
        return back, weight_grad, bias_grad, *[None] * 6


def _flat(maps: Tensor) -> np.ndarray[Any, Any]:
    """Return the memory of maps (N, C, H, W) in channels-last order; bfloat16 as its bits."""
    flat = maps.detach().permute(0, 2, 3, 1).reshape(-1)
    whole: np.ndarray[Any, Any] = (flat if flat.dtype == torch.float32 else flat.view(torch.uint16)).numpy()
    return whole
