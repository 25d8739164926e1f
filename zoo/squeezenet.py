"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360): fire modules."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

from zoo.blocks import conv_unit, deepened, he_normal, scaled
from zoo.heads import with_head
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import Tensor

EXPAND = 4  # channels of each branch, to those of the squeeze layer
FIRES = (2, 2, 2, 2)
POOLED = 2  # runs of fire modules that have a max-pool behind them, as the stem has
LEAST_SIDE = 7  # pixels that a stride leaves: as many as on the 224 of the paper


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, in_chans: int, squeezed: int, activation: str, norm: str) -> None:
        super().__init__()
        self.squeeze = conv_unit(in_chans, squeezed, 1, act=activation, normed=norm)
        self.expand1 = conv_unit(squeezed, EXPAND * squeezed, 1, act=activation, normed=norm)
        self.expand3 = conv_unit(squeezed, EXPAND * squeezed, 3, act=activation, normed=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_chans, H, W) to (N, 2 * EXPAND * squeezed, H, W)."""
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Stem of the width, squeeze layers in the ratio 1 : 2 : 3 : 4 up to the width."""
    return {"stem": scaled(width, 1)[0], "squeeze": scaled(width, 1 / 4, 1 / 2, 3 / 4, 1)}


def depth(multiple: float) -> dict[str, tuple[int, ...]]:
    """Fire modules of each width."""
    return {"fires": deepened(multiple, *FIRES)}


@register_model(shape=shape, width=64, depth=depth, source="arXiv:1602.07360, version 1.1; 1,235,496 at 1,000 classes")
def squeezenet(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    stem: int,
    squeeze: tuple[int, ...],
    fires: tuple[int, ...] = FIRES,
    head: str | tuple[int, ...] = "gap",
    dense: int = 128,
    first_kernel: int = 3,
    activation: str = "relu",
    norm: str = "none",
    dropout: float | tuple[float, float] = 0.5,
) -> nn.Module:
    """SqueezeNet 1.1: a convolution, 8 fire modules with three max-pools, global average pooling.

    The paper's last layer is a 1x1 convolution before the pooling; here it is the same layer behind it, which gives the
    same logits at fewer operations, and has no ReLU on the logits, under which a class may die. The stem's stride and
    the pools are there only while the map stays at least 7 pixels wide, so that small images are learned from.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        stem: channels of the first convolution.
        squeeze: channels of the squeeze layers of each run of fire modules.
        fires: fire modules of each run.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        dense: units of the head's first dense layer, where it has one.
        first_kernel: side of the first kernel.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rate in the head.
    """
    side = min(input_size)
    stride = 2 if (side - first_kernel) // 2 + 1 >= LEAST_SIDE else 1
    side = (side - first_kernel) // stride + 1
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=conv_unit(in_chans, stem, first_kernel, stride, padding=0, act=activation, normed=norm)
    )

    def pool(name: str) -> None:
        nonlocal side
        pooled = -(-(side - 3) // 2) + 1
        if pooled >= LEAST_SIDE:
            layers[name] = nn.MaxPool2d(3, 2, ceil_mode=True)
            side = pooled

    pool("stem_pool")
    chans = stem
    for run, (squeezed, count) in enumerate(zip(squeeze, fires, strict=True), start=1):
        for index in range(1, count + 1):
            layers[f"run{run}_fire{index}"] = Fire(chans, squeezed, activation, norm)
            chans = 2 * EXPAND * squeezed
        if run <= POOLED:
            pool(f"run{run}_pool")
    he_normal(nn.ModuleList(layers.values()), "fan_in")
    return with_head(
        layers, chans, in_chans, input_size, num_classes,
        kind=head, dense=dense, dropout=dropout, act=activation, normed=norm,
    )  # fmt: skip
