"""MobileNet (Howard et al. 2017, arXiv:1704.04861): depthwise-separable convolutions, in a small published form."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from zoo.blocks import LEAK, dense_head, scaled
from zoo.registry import register_model

DROPOUT = 0.2
STRIDES = (1, 1, 2, 1, 2, 1, 2, 1)


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

    Depthwise kernels are 3x3, padded at stride 1 and not at stride 2; the last is 2x2. A block strides only while the
    map stays at least 2 pixels wide, and the 2x2 kernel and pool are left out on a map of 1 pixel, so that inputs from
    8x8 up work.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: channels of the first convolution, then of each pair of blocks.
        dense: units of the dense layer.
    """
    stem, *pairs = channels
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=_conv(in_chans, stem, 3, padding=1))
    in_chans = stem
    height, width = input_size
    for block, stride in enumerate(STRIDES, start=1):
        out_chans = pairs[(block - 1) // 2]
        last = block == len(STRIDES)
        if stride == 2 and min(height, width) < 5:  # a 3x3 kernel at stride 2 leaves 2 pixels of 5
            stride = 1  # noqa: PLW2901 - the published stride gives way to a small map
        kernel = min(2, height, width) if last else 3
        padding = 1 if stride == 1 and not last else 0
        layers[f"block{block}_depthwise"] = _conv(
            in_chans, in_chans, kernel, stride=stride, padding=padding, groups=in_chans
        )
        layers[f"block{block}_pointwise"] = _conv(in_chans, out_chans, 1)
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        in_chans = out_chans
    pool = min(2, height, width)
    layers |= {"pool": nn.MaxPool2d(pool), "dropout": nn.Dropout(DROPOUT)}
    return nn.Sequential(
        layers | dense_head(in_chans * (height // pool) * (width // pool), dense, num_classes, DROPOUT)
    )


def _conv(
    in_chans: int, out_chans: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_chans, out_chans, kernel, stride, padding, groups=groups),
            bn=nn.BatchNorm2d(out_chans),
            act=nn.LeakyReLU(LEAK),
        )
    )
