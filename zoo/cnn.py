"""The plain CNN: groups of convolutions with batch norm, then a dense layer."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from zoo.blocks import LEAK, dense_head, scaled
from zoo.registry import register_model

if TYPE_CHECKING:
    from collections.abc import Sequence

DROPOUT = 0.3


class Group(NamedTuple):
    """Convolutions of one width and the max-pool behind them.

    Padded ones keep the size of the map, and their pool rounds up.
    """

    channels: int
    convolutions: int
    kernel: int
    padded: bool


def plain_cnn(
    groups: Sequence[Group], dense: int, *, in_chans: int, input_size: tuple[int, int], num_classes: int
) -> nn.Module:
    """Return groups of convolution, batch norm and LeakyReLU with a max-pool and dropout each, and a dense head."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    sides = input_size
    for number, group in enumerate(groups, start=1):
        for index in range(1, group.convolutions + 1):
            if group.padded and group.kernel % 2 == 0:  # the odd row and column go to the right and the bottom
                layers[f"group{number}_pad{index}"] = nn.ZeroPad2d((0, group.kernel - 1, 0, group.kernel - 1))
            padding = group.kernel // 2 if group.padded and group.kernel % 2 else 0
            layers[f"group{number}_conv{index}"] = nn.Conv2d(in_chans, group.channels, group.kernel, padding=padding)
            layers[f"group{number}_bn{index}"] = nn.BatchNorm2d(group.channels)
            layers[f"group{number}_act{index}"] = nn.LeakyReLU(LEAK)
            in_chans = group.channels
        layers[f"group{number}_pool"] = nn.MaxPool2d(2, ceil_mode=group.padded)
        layers[f"group{number}_dropout"] = nn.Dropout(DROPOUT)
        shrink = 0 if group.padded else group.convolutions * (group.kernel - 1)
        sides = (_halved(sides[0] - shrink, up=group.padded), _halved(sides[1] - shrink, up=group.padded))
    return nn.Sequential(layers | dense_head(in_chans * sides[0] * sides[1], dense, num_classes, DROPOUT))


def _halved(side: int, *, up: bool) -> int:
    return (side + up) // 2


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
    smallest = min(input_size)
    for _ in channels[1:]:
        smallest = _halved(smallest, up=True)
    last = (2, False) if smallest >= 5 else (3, True)  # three 2x2 kernels and a pool leave 1 pixel of 5
    groups = [Group(count, 3, 3, padded=True) for count in channels[:-1]] + [Group(channels[-1], 3, *last)]
    return plain_cnn(groups, dense, in_chans=in_chans, input_size=input_size, num_classes=num_classes)
