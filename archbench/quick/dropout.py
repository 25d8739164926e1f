"""Dropout that draws one number for several values, sooner on a CPU than torch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from archbench.quick.maps import channels_last

if TYPE_CHECKING:
    from torch import Tensor, nn

BYTE, SHORT = 2**8, 2**16  # values of what a dropout compares with its rate


def is_usual(dropout: nn.Dropout) -> bool:
    """Whether a dropout drops some values and keeps some, and not in place."""
    return 0 < dropout.p < 1 and not dropout.inplace


def dropped_out(dropout: nn.Dropout, values: Tensor) -> Tensor:
    """Return values as a usual dropout has them; in evaluation as they are."""
    return values * mask(values, dropout.p) if dropout.training else values


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
    if channels_last(values):
        samples, channels, height, width = values.shape
        return kept.view(samples, height, width, channels).permute(0, 3, 1, 2)
    return kept.view(values.shape)
