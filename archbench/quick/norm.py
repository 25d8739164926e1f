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

from archbench.quick.maps import fits, flat

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

AS_IT_IS = (1.0, math.inf)


def is_norm(module: nn.Module) -> TypeIs[nn.BatchNorm2d]:
    """Whether a module is torch's normalisation, learns a weight and a bias, and keeps running statistics."""
    usual = type(module) is nn.BatchNorm2d and module.affine and module.track_running_stats
    return usual and module.momentum is not None


def shape_of(activation: nn.Module | None) -> tuple[float, float] | None:
    """Return an activation's slope below zero and its cap; None if it is of another kind."""
    if activation is None:
        return AS_IT_IS
    if type(activation) is nn.LeakyReLU:
        return activation.negative_slope, math.inf
    return {nn.ReLU: (0.0, math.inf), nn.ReLU6: (0.0, 6.0)}.get(type(activation))


def normalized(
    norm: nn.BatchNorm2d, activation: nn.Module | None, maps: Tensor, beside: Tensor | None = None
) -> Tensor:
    """Return maps (N, C, H, W) as a usual normalisation has them, and an activation behind it while that trains.

    What stands beside the maps is added to them before they are activated. In evaluation, and for maps of another kind
    or order, it is torch's own.
    """
    behind = activation if activation is not None and activation.training else None
    shape = shape_of(behind)
    if shape is None or not (norm.training and torch.is_grad_enabled() and _fits(maps, beside)):
        whole: Tensor = nn.BatchNorm2d.forward(norm, maps)
        whole = whole if beside is None else whole + beside
        return whole if behind is None else type(behind).forward(behind, whole)
    assert norm.num_batches_tracked is not None  # noqa: S101 - as running statistics are tracked
    norm.num_batches_tracked.add_(1)
    quick: Tensor = BatchNorm.apply(
        maps, beside, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps, *shape
    )
    return quick


def _fits(maps: Tensor, beside: Tensor | None) -> bool:
    alike = beside is None or (fits(beside) and beside.shape == maps.shape and beside.dtype == maps.dtype)
    return alike and fits(maps) and maps.numel() > maps.shape[1]  # of one pixel there is no variance: torch says so


class BatchNorm(torch.autograd.Function):
    """What torch's batch normalisation does in training, a sum and an activation, to maps in channels-last order."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        beside: Tensor | None,
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
        from archbench.quick import norm_loops as loops

        done, mean, scale = torch.empty_like(maps), torch.empty_like(running_mean), torch.empty_like(running_mean)
        ctx.size = loops.block(maps.shape[1])
        ctx.slope, ctx.cap = slope, cap
        none = maps.new_empty(0)
        learned = (each.detach().numpy() for each in (weight, bias, running_mean, running_var))
        loops.normalize(
            flat(maps), flat(none if beside is None else beside), flat(done), ctx.size, *learned, momentum, eps, slope,
            cap, mean.numpy(), scale.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(maps, none if beside is None else done, weight, bias, mean, scale)
        return done

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the maps, of what is beside them, the weight and the bias."""
        from archbench.quick import norm_loops as loops

        maps, done, weight, bias, *statistics = ctx.saved_tensors
        given = gradient.contiguous(memory_format=torch.channels_last)
        back, beside_back, weight_grad, bias_grad = (torch.empty_like(each) for each in (maps, done, weight, bias))
        known = (each.detach().numpy() for each in (weight, bias, *statistics))
        loops.normalize_back(
            flat(given), flat(maps), flat(done), flat(back), flat(beside_back), ctx.size, *known, ctx.slope, ctx.cap,
            weight_grad.numpy(), bias_grad.numpy(),
        )  # fmt: skip
        return back, beside_back if len(done) else None, weight_grad, bias_grad, *[None] * 6
