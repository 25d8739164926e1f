"""Dropout that draws one number for several values, sooner on a CPU than torch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from archbench.quick.maps import KINDS, channels_last, flat

if TYPE_CHECKING:
    from torch import Tensor, nn

BYTE, SHORT = 2**8, 2**16  # values of what a dropout compares with its rate


class Draw(NamedTuple):
    """What decides which values are kept.

    Attributes:
        numbers: one for each value, in the order of memory.
        least: from which on a value is kept. scale: what makes up for the others.
    """

    numbers: Tensor
    least: int
    scale: float


def is_usual(dropout: nn.Dropout) -> bool:
    """Whether a dropout drops some values and keeps some, and not in place."""
    return 0 < dropout.p < 1 and not dropout.inplace


def dropped_out(dropout: nn.Dropout, values: Tensor) -> Tensor:
    """Return values as a usual dropout has them; in evaluation as they are."""
    return values * mask(values, dropout.p) if dropout.training else values


def dropped_in_loops(dropout: nn.Dropout, values: Tensor) -> Tensor:
    """Return the same, to the bit; for values of a kind and an order that there is a loop for, sooner still."""
    dense = values.is_contiguous() or channels_last(values)
    if not (dropout.training and torch.is_grad_enabled() and dense and values.dtype in KINDS):
        return dropped_out(dropout, values)
    quick: Tensor = Dropout.apply(values, draw(values.numel(), dropout.p))
    return quick


def draw(count: int, rate: float) -> Draw:
    """Draw for so many values.

    The numbers are bytes, eight to each that is drawn, where the rate is so many 256ths, else pairs of bytes; torch
    draws one number for each value, which takes longer than the layer behind it.
    """
    levels, kind = (BYTE, torch.uint8) if (rate * BYTE).is_integer() else (SHORT, torch.int16)
    dropped = round(rate * levels)
    drawn = torch.empty(-(-count * kind.itemsize // 8), dtype=torch.int64).random_(-(2**63), None).view(kind)[:count]
    return Draw(drawn, dropped if kind is torch.uint8 else dropped - SHORT // 2, levels / (levels - dropped))


def mask(values: Tensor, rate: float) -> Tensor:
    """Return what a dropout multiplies with: 0 at the rate, else what makes up for it, in the order of the values."""
    numbers, least, scale = draw(values.numel(), rate)
    kept = (numbers >= least).to(values.dtype).mul_(scale)
    if channels_last(values):
        samples, channels, height, width = values.shape
        return kept.view(samples, height, width, channels).permute(0, 3, 1, 2)
    return kept.view(values.shape)


class Dropout(torch.autograd.Function):
    """Some of the values, scaled."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, drawn: Draw) -> Tensor:
        """Return what is kept."""
        ctx.save_for_backward(drawn.numbers)
        ctx.least, ctx.scale = drawn.least, float(torch.tensor(drawn.scale, dtype=values.dtype))
        ctx.order = torch.channels_last if channels_last(values) else torch.contiguous_format
        return _dropped(values, drawn.numbers, ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the values."""
        (numbers,) = ctx.saved_tensors
        return _dropped(gradient.contiguous(memory_format=ctx.order), numbers, ctx), None


def _dropped(values: Tensor, numbers: Tensor, ctx: Any) -> Tensor:
    from archbench.quick import dropout_loops as loops

    done = torch.empty_like(values)
    loops.drop(flat(values), numbers.numpy(), flat(done), ctx.least, ctx.scale)
    return done
