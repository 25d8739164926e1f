"""A ConvNeXt (Liu et al. 2022, arXiv:2201.03545): large depthwise kernels, layer norms, and few of either."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

from zoo.blocks import deepened, make_activation, scaled
from zoo.heads import averages, with_head
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import Tensor

BLOCKS = (1, 1, 3, 1)  # the paper's proportions; its tiny net has three times as many
KERNEL = 7
PATCH = 4  # side of the patches on images of 64 pixels and more
LEAST_SIDE = 7  # pixels that a stride leaves: as many as on the 224 of the paper
EXPANSION = 4
LAYER_SCALE = 1e-6
EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LayerScale(nn.Module):
    """A factor for each channel, small at first (Touvron et al. 2021, arXiv:2103.17239)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels, 1, 1), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return x * self.factor


class Block(nn.Module):
    """A 7x7 depthwise convolution, then two dense layers at each pixel, scaled channel by channel; a shortcut."""

    def __init__(self, channels: int, activation: str) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
        self.norm = ChannelNorm(channels, eps=EPSILON)
        self.expand = nn.Conv2d(channels, EXPANSION * channels, 1)
        self.act = make_activation(activation)
        self.project = nn.Conv2d(EXPANSION * channels, channels, 1)
        self.scale = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: Tensor = x + self.scale(self.project(self.act(self.expand(self.norm(self.depthwise(x))))))
        return out


def shape(width: float) -> dict[str, tuple[int, ...]]:
    """Channels in the ratio 1 : 2 : 4 : 8."""
    return {"channels": scaled(width, 1, 2, 4, 8)}


def depth(multiple: float) -> dict[str, tuple[int, ...]]:
    """Blocks of each stage."""
    return {"blocks": deepened(multiple, *BLOCKS)}


@register_model(
    shape=shape,
    width=24,
    depth=depth,
    source="arXiv:2201.03545; the tiny net, channels 96-192-384-768 and blocks 3-3-9-3, has 28,589,128",
)
def convnext(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    channels: tuple[int, ...],
    blocks: tuple[int, ...] = BLOCKS,
    head: str | tuple[int, ...] = "gap",
    dense: int = 128,
    first_kernel: int | None = None,
    activation: str = "gelu",
    dropout: float | tuple[float, float] = 0.0,
) -> nn.Module:
    """ConvNeXt-like: patches, four stages of depthwise 7x7 blocks with layer norm, global average pooling.

    Stochastic depth is left out. Patches are 4x4 from images of 64 pixels on, 2x2 below, single pixels below 16; the
    2x2 convolutions between stages have their stride only while the map stays at least 7 pixels wide.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: of the four stages.
        blocks: of each stage.
        head: one of `zoo.heads.HEADS`, or units of dense layers; the layer norm before it normalises the pooled
            channels with `gap` and dense layers by units, each pixel with the others.
        dense: units of the head's first dense layer, where it has one.
        first_kernel: side of the patches.
        activation: of every block.
        dropout: rate in the head.
    """
    side = min(input_size)
    patch = first_kernel or (PATCH if side >= 64 else 2 if side >= 16 else 1)
    side //= patch
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        patches=nn.Conv2d(in_chans, channels[0], patch, patch), patches_norm=ChannelNorm(channels[0], eps=EPSILON)
    )
    chans = channels[0]
    for stage, (width, count) in enumerate(zip(channels, blocks, strict=True), start=1):
        if stage > 1:
            layers[f"stage{stage}_norm"] = ChannelNorm(chans, eps=EPSILON)
            if side // 2 >= LEAST_SIDE:
                layers[f"stage{stage}_down"] = nn.Conv2d(chans, width, 2, 2)
                side //= 2
            else:
                layers[f"stage{stage}_pad"] = nn.ZeroPad2d((0, 1, 0, 1))
                layers[f"stage{stage}_down"] = nn.Conv2d(chans, width, 2)
            chans = width
        layers[f"stage{stage}"] = nn.Sequential(*(Block(chans, activation) for _ in range(count)))
    if averages(head):  # the paper's order: pool, norm, dense
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["norm"] = ChannelNorm(chans, eps=EPSILON)
    for layer in layers.values():
        for module in layer.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return with_head(
        layers, chans, in_chans, input_size, num_classes, kind=head, dense=dense, dropout=dropout, act=activation
    )
