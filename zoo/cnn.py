"""The plain CNN: three groups of three convolutions, then a dense layer."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from zoo.blocks import LEAK, dense_head, scaled
from zoo.registry import register_model

DROPOUT = 0.3


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Channels in the ratio 1 : 2 : 4 and a dense layer 16 times the width."""
    return {"channels": scaled(width, 1, 2, 4), "dense": scaled(width, 16)[0]}


@register_model(
    shape=shape, width=32, source="published FER2013 comparison, plain CNN (1,330,439 parameters at 1x48x48)"
)
def cnn(
    *, num_classes: int, in_chans: int, input_size: tuple[int, int], channels: tuple[int, ...], dense: int
) -> nn.Module:
    """Plain CNN: 3 groups of 3 convolutions with batch norm, LeakyReLU, max-pooling and dropout; one dense layer.

    Each group ends in a 2x2 max-pool. The kernels are 3x3 with padding in the first two groups and 2x2 without in the
    last, as published; where the map is too small for that (inputs up to 16 pixels), 3x3 with padding there too.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: channels of the three groups.
        dense: units of the dense layer.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    height, width = input_size
    for group, out_chans in enumerate(channels, start=1):
        unpadded = group == len(channels) and min(height, width) >= 5  # three 2x2 kernels and a pool leave 1 pixel of 5
        kernel, padding = (2, 0) if unpadded else (3, 1)
        for index in range(1, 4):
            layers[f"group{group}_conv{index}"] = nn.Conv2d(in_chans, out_chans, kernel, padding=padding)
            layers[f"group{group}_bn{index}"] = nn.BatchNorm2d(out_chans)
            layers[f"group{group}_act{index}"] = nn.LeakyReLU(LEAK)
            in_chans = out_chans
        layers[f"group{group}_pool"] = nn.MaxPool2d(2, ceil_mode=not unpadded)
        layers[f"group{group}_dropout"] = nn.Dropout(DROPOUT)
        shrink = 3 * (kernel - 1 - 2 * padding)
        height, width = ((side - shrink + (0 if unpadded else 1)) // 2 for side in (height, width))
    return nn.Sequential(layers | dense_head(in_chans * height * width, dense, num_classes, DROPOUT))
