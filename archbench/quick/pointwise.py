"""Convolutions of single pixels, as products of matrices: what they are where channels come last.

cuDNN takes gradients of their filters without dividing the sum over pixels among a card's processors where the numbers
of channels are odd, as sizing to a budget makes them: on an H100 those of 67 channels at 11x11 in bfloat16 took 292 µs,
by cuBLAS 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import channels_last, nn
from torch.nn.functional import linear

if TYPE_CHECKING:
    from torch import Tensor

ONE, NONE = (1, 1), (0, 0)


def is_usual(conv: nn.Conv2d) -> bool:
    """Whether each pixel of the result depends on one alone, by all channels."""
    whole = conv.groups == 1 and conv.kernel_size == conv.stride == ONE
    return whole and conv.padding in {NONE, "valid", "same"}


def multiplied(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """Return what the layer gives for maps (N, C, H, W), in channels-last order where these are."""
    if not (conv.training and maps.ndim == 4 and maps.is_contiguous(memory_format=channels_last)):
        return nn.Conv2d.forward(conv, maps)
    samples, channels, height, width = maps.shape
    pixels = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    made = linear(pixels, conv.weight.flatten(1), conv.bias)
    return made.view(samples, height, width, -1).permute(0, 3, 1, 2)
