"""MobileNet (Howard et al. 2017, arXiv:1704.04861): depthwise-separable convolutions, in a small published form."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import nn

from zoo.blocks import LEAK, dense_head, scaled
from zoo.registry import register_model

if TYPE_CHECKING:
    from collections.abc import Sequence

DROPOUT = 0.2
STRIDES = (1, 1, 2, 1, 2, 1, 2, 1)


def separable_net(
    stem: int,
    blocks: Sequence[int],
    strides: Sequence[int],
    dense: int,
    *,
    in_chans: int,
    input_size: tuple[int, int],
    num_classes: int,
    last_kernel: int = 2,
    pool: bool = True,
) -> nn.Module:
    """Return one convolution, depthwise-separable blocks, a max-pool if wanted, and a dense head.

    Depthwise kernels are 3x3, padded at stride 1 and not at stride 2; a last kernel of 2x2 is not padded. A block
    strides only while the map stays at least 2 pixels wide, and the 2x2 kernel and pool are left out on a map of 1
    pixel, so that inputs from 8x8 up work.

    Args:
        stem: channels of the first convolution.
        blocks: channels of each block.
        strides: of each block.
        dense: units of the dense layer.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        num_classes: outputs.
        last_kernel: side of the last depthwise kernel.
        pool: whether a 2x2 max-pool stands before the head.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=_conv(in_chans, stem, 3, padding=1))
    in_chans = stem
    height, width = input_size
    for block, (out_chans, wanted) in enumerate(zip(blocks, strides, strict=True), start=1):
        stride = wanted if min(height, width) >= 5 else 1  # a 3x3 kernel at stride 2 leaves 2 pixels of 5
        kernel = min(last_kernel, height, width) if block == len(blocks) and last_kernel == 2 else 3
        padding = 1 if stride == 1 and kernel == 3 else 0
        layers[f"block{block}_depthwise"] = _conv(in_chans, in_chans, kernel, stride, padding, groups=in_chans)
        layers[f"block{block}_pointwise"] = _conv(in_chans, out_chans, 1)
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        in_chans = out_chans
    if pool:
        side = min(2, height, width)
        layers["pool"] = nn.MaxPool2d(side)
        height, width = height // side, width // side
    layers["dropout"] = nn.Dropout(DROPOUT)
    return nn.Sequential(layers | dense_head(in_chans * height * width, dense, num_classes, DROPOUT))


def _conv(in_chans: int, out_chans: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_chans, out_chans, kernel, stride, padding, groups=groups),
            bn=nn.BatchNorm2d(out_chans),
            act=nn.LeakyReLU(LEAK),
        )
    )


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Channels in the ratio 1 : 2 : 4 : 8 : 16 and a dense layer 8 times the width."""
    return {"channels": scaled(width, 1, 2, 4, 8, 16), "dense": scaled(width, 8)[0]}


@register_model(
    shape=shape, width=8, source="arXiv:1704.04861; published FER2013 comparison (71,271 parameters at 1x48x48)"
)
def mobilenet(
    *, num_classes: int, in_chans: int, input_size: tuple[int, int], channels: tuple[int, ...], dense: int
) -> nn.Module:
    """MobileNet: one convolution, 8 depthwise-separable blocks with batch norm and LeakyReLU, a dense layer.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: channels of the first convolution, then of each pair of blocks.
        dense: units of the dense layer.
    """
    stem, *pairs = channels
    blocks = [pair for pair in pairs for _ in range(2)]
    return separable_net(
        stem, blocks, STRIDES, dense, in_chans=in_chans, input_size=input_size, num_classes=num_classes
    )
