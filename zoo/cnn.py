"""The plain CNN: groups of convolutions with a norm and an activation each, max-pooling, then a head."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from zoo.blocks import LEAK, deepened, make_activation, make_norm, rate, scaled
from zoo.heads import with_head
from zoo.registry import register_model

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAKY = f"leaky_relu({LEAK})"
DROPOUT = 0.3
CONVOLUTIONS = (3, 3, 3)


class Group(NamedTuple):
    """Convolutions of one width and the max-pool behind them.

    Padded ones keep the size of the map, and their pool rounds up.
    """

    channels: int
    convolutions: int
    kernel: int
    padded: bool


def plain_cnn(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    groups: Sequence[tuple[int, int, int, bool]],
    dense: int = 512,
    head: str | tuple[int, ...] = "dense2",
    first_kernel: int | None = None,
    activation: str = LEAKY,
    norm: str = "batch",
    dropout: float | tuple[float, float] = DROPOUT,
) -> nn.Module:
    """Groups of convolution, norm and activation with a max-pool and dropout each, and a head.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        groups: (channels, convolutions, kernel, padded) of each, as `Group`.
        dense: units of the head's first dense layer, where it has one.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        first_kernel: side of the first kernel; by default its group's.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rate behind each group and in the head.
    """
    rates = rate(dropout)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    chans = in_chans
    for number, group in enumerate((Group(*group) for group in groups), start=1):
        for index in range(1, group.convolutions + 1):
            name = f"group{number}_{{}}{index}".format
            kernel = first_kernel if first_kernel and not layers else group.kernel
            if group.padded and kernel % 2 == 0:  # the odd row and column go to the right and the bottom
                before = kernel // 2 - 1
                layers[name("pad")] = nn.ZeroPad2d((before, kernel - 1 - before) * 2)
            padding = kernel // 2 if group.padded and kernel % 2 else 0
            layers[name("conv")] = nn.Conv2d(chans, group.channels, kernel, padding=padding)
            if norm != "none":
                layers[name("bn")] = make_norm(norm, group.channels)
            layers[name("act")] = make_activation(activation)
            chans = group.channels
        layers[f"group{number}_pool"] = nn.MaxPool2d(2, ceil_mode=group.padded)
        if rates[0]:
            layers[f"group{number}_dropout"] = nn.Dropout(rates[0])
    # The last group's dropout is the one on the map.
    return with_head(
        layers, chans, in_chans, input_size, num_classes,
        kind=head, dense=dense, dropout=(0.0, rates[1]), act=activation, normed=norm,
    )  # fmt: skip


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Channels in the ratio 1 : 2 : 4 and a dense layer 16 times the width."""
    return {"channels": scaled(width, 1, 2, 4), "dense": scaled(width, 16)[0]}


def depth(multiple: float) -> dict[str, tuple[int, ...]]:
    """Convolutions of each group, 3 at the family's own depth."""
    return {"convolutions": deepened(multiple, *CONVOLUTIONS)}


@register_model(
    shape=shape,
    width=32,
    depth=depth,
    source="published FER2013 comparison, plain CNN (1,330,439 parameters at 1x48x48)",
)
def cnn(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    channels: tuple[int, ...],
    dense: int = 512,
    convolutions: tuple[int, ...] = CONVOLUTIONS,
    head: str | tuple[int, ...] = "dense2",
    first_kernel: int = 3,
    activation: str = LEAKY,
    norm: str = "batch",
    dropout: float | tuple[float, float] = DROPOUT,
) -> nn.Module:
    """Plain CNN: 3 groups of 3 convolutions with batch norm, LeakyReLU, max-pooling and dropout; one dense layer.

    Each group ends in a 2x2 max-pool. The kernels are 3x3 with padding in all groups but the last, which has 2x2
    without, as published; where the map is too small for that (inputs up to 16 pixels), 3x3 with padding there too.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: channels of each group.
        dense: units of the dense layer.
        convolutions: number of them in each group.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        first_kernel: side of the first kernel.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rate behind each group and in the head.
    """
    smallest = min(input_size)
    for _ in channels[1:]:
        smallest = -(-smallest // 2)
    # Each 2x2 kernel takes a pixel, and the pool needs two.
    last = (2, False) if smallest >= convolutions[-1] + 2 else (3, True)
    kernels = [(3, True)] * (len(channels) - 1) + [last]
    return plain_cnn(
        num_classes=num_classes, in_chans=in_chans, input_size=input_size, dense=dense, head=head,
        groups=[
            Group(count, convs, *kernel)
            for count, convs, kernel in zip(channels, convolutions, kernels, strict=True)
        ],
        first_kernel=first_kernel, activation=activation, norm=norm, dropout=dropout,
    )  # fmt: skip
