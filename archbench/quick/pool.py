"""Max-pooling in bfloat16, with the activation before it, sooner on a CPU than torch's own.

torch writes down for each pixel of the result where it was found, in eight bytes; its gradient is set to zero first,
and then added to, a value at a time.
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

MOST = 255  # pixels of a window that a byte tells apart
# From which number downwards, and from which upwards, an activation is level: by their bits in bfloat16, or beyond all.
Levels = tuple[int, int]
NEVER: Levels = (-(2**16), 2**16)
LEVELS: dict[type[nn.Module], Levels] = {nn.ReLU: (0, NEVER[1]), nn.ReLU6: (0, 0x40C0)}


def is_pooling(module: nn.Module) -> TypeIs[nn.MaxPool2d]:
    """Whether a module is torch's pooling, of windows without gaps, as many as fit in whole."""
    if type(module) is not nn.MaxPool2d or module.return_indices or module.ceil_mode:
        return False
    return _pair(module.dilation) == (1, 1) and math.prod(_pair(module.kernel_size)) <= MOST


def takes(activation: nn.Module) -> bool:
    """Whether an activation can be done behind a pooling with the same result, and before it as well.

    It never falls, and passes nothing back where it is level, so it does not matter which of several equal values is
    taken for the largest.
    """
    return type(activation) in LEVELS


def pooled(pooling: nn.MaxPool2d, activation: nn.Module | None, maps: Tensor) -> Tensor:
    """Return what a usual pooling gives for maps (N, C, H, W), and an activation behind it while that trains.

    In evaluation, and for maps of another kind or order, it is torch's own.
    """
    behind = activation if activation is not None and activation.training else None
    sizes = _sizes(pooling, maps) if _fits(pooling, maps) else None
    if sizes is None:
        smaller: Tensor = nn.MaxPool2d.forward(pooling, maps)
        return smaller if behind is None else type(behind).forward(behind, smaller)
    quick: Tensor = MaxPool.apply(maps, sizes, NEVER if behind is None else LEVELS[type(behind)])
    return quick


def _fits(pooling: nn.MaxPool2d, maps: Tensor) -> bool:
    trains = pooling.training and torch.is_grad_enabled() and maps.requires_grad
    return trains and maps.dtype == torch.bfloat16 and fits(maps)


def _pair(size: Any) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _sizes(pooling: nn.MaxPool2d, maps: Tensor) -> tuple[int, ...] | None:
    """Return what `pool_loops.pool` calls sizes; None where no window fits, which torch says."""
    samples, channels, *sides = maps.shape
    window, apart, padding = (_pair(size) for size in (pooling.kernel_size, pooling.stride, pooling.padding))
    if any(2 * around > length for around, length in zip(padding, window, strict=True)):
        return None
    made = [
        (side + 2 * around - length) // step + 1
        for side, length, step, around in zip(sides, window, apart, padding, strict=True)
    ]
    return (samples, *sides, channels, *made, *window, *apart, *padding) if min(made) > 0 else None


class MaxPool(torch.autograd.Function):
    """What torch's max-pooling does, and an activation, to maps in channels-last order."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, sizes: tuple[int, ...], levels: Levels) -> Tensor:
        """Return the largest of each window, activated."""
        from archbench.quick import pool_loops as loops

        samples, _, columns, channels, height, width = sizes[:6]
        done = torch.empty((samples, channels, height, width), dtype=maps.dtype, memory_format=torch.channels_last)
        # Torch's memory begins where a wide register may: numpy's need not, and is read at half the speed then.
        chosen = torch.empty(done.numel(), dtype=torch.uint8)
        best = torch.empty((columns + 1) * channels, dtype=torch.int32)
        loops.pool(flat(maps), flat(done), chosen.numpy(), best.numpy(), sizes, *levels)
        ctx.save_for_backward(chosen)
        ctx.sizes = sizes
        return done

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the maps."""
        from archbench.quick import pool_loops as loops

        (chosen,) = ctx.saved_tensors
        samples, height, width, channels = ctx.sizes[:4]
        given = gradient.contiguous(memory_format=torch.channels_last)
        back = torch.empty((samples, channels, height, width), dtype=given.dtype, memory_format=torch.channels_last)
        if _side_by_side(ctx.sizes):
            loops.pool_back(flat(given), chosen.numpy(), flat(back), ctx.sizes)
        else:
            sums = torch.empty(loops.room(ctx.sizes))
            loops.pool_back_summed(flat(given), chosen.numpy(), flat(back), sums.numpy(), ctx.sizes)
        return back, None, None


def _side_by_side(sizes: tuple[int, ...]) -> bool:
    """Whether each pixel is in one window."""
    _, height, width, _, out_height, out_width, high, wide, *apart = sizes
    return apart == [high, wide, 0, 0] and (out_height * high, out_width * wide) == (height, width)
