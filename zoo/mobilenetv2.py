"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381): inverted residuals, with squeeze-and-excite as an option."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import nn

from zoo.blocks import conv_unit, deepened, he_normal, make_activation, scaled
from zoo.heads import with_head
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import Tensor

EXPANSION = (1, 6, 6, 6, 6, 6, 6)  # table 2 of the paper
REPEATS = (1, 2, 3, 4, 3, 3, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
RATIOS = (1, 1 / 2, 3 / 4, 1, 2, 3, 5, 10, 40)  # of stem, stages and last convolution, to the stem's 32
LEAST_SIDE = 7  # pixels that a stride leaves: as many as on the 224 of the paper


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole map says (Hu et al. 2017, arXiv:1709.01507)."""

    def __init__(self, channels: int, squeezed: int, activation: str) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.act = make_activation(activation)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        weighted: Tensor = x * self.gate(self.fc2(self.act(self.fc1(self.pool(x)))))
        return weighted


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project without an activation; a shortcut where the shape stays."""

    def __init__(
        self, in_chans: int, out_chans: int, stride: int, expansion: int, *, squeeze: bool, act: str, normed: str
    ) -> None:
        super().__init__()
        hidden = in_chans * expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            layers["expand"] = conv_unit(in_chans, hidden, 1, act=act, normed=normed)
        layers["depthwise"] = conv_unit(hidden, hidden, 3, stride, groups=hidden, act=act, normed=normed)
        if squeeze:
            layers["squeeze_excite"] = SqueezeExcite(hidden, in_chans, act)
        layers["project"] = conv_unit(hidden, out_chans, 1, act=None, normed=normed)
        self.residual = nn.Sequential(layers)
        self.shortcut = stride == 1 and in_chans == out_chans

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_chans, H, W) to (N, out_chans, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = x + self.residual(x) if self.shortcut else self.residual(x)
        return out


def shape(width: float) -> dict[str, tuple[int, ...]]:
    """Channels of stem, seven stages and the last convolution in the paper's proportions."""
    return {"channels": scaled(width, *RATIOS)}


def depth(multiple: float) -> dict[str, tuple[int, ...]]:
    """Blocks of each stage."""
    return {"repeats": deepened(multiple, *REPEATS)}


@register_model(shape=shape, width=32, depth=depth, source="arXiv:1801.04381; 3,504,872 parameters at 1,000 classes")
def mobilenetv2(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    channels: tuple[int, ...],
    repeats: tuple[int, ...] = REPEATS,
    squeeze_excite: bool = False,
    head: str | tuple[int, ...] = "gap",
    dense: int = 128,
    first_kernel: int = 3,
    activation: str = "relu6",
    norm: str = "batch",
    dropout: float | tuple[float, float] = 0.2,
) -> nn.Module:
    """MobileNetV2: a convolution, 17 inverted residuals in 7 stages, a 1x1 convolution, global average pooling.

    A layer has its stride only while the map stays at least 7 pixels wide, so that small images are learned from; no
    count depends on it.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: of the first convolution, the seven stages, and the last convolution.
        repeats: blocks of each stage.
        squeeze_excite: whether each block weighs its channels, through as many units as it has input channels.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        dense: units of the head's first dense layer, where it has one.
        first_kernel: side of the first kernel, odd.
        activation: of every layer but projections and the last.
        norm: of every layer but the last.
        dropout: rate in the head.
    """
    side = min(input_size)

    def stride_of(wanted: int) -> int:
        nonlocal side
        stride = wanted if -(-side // wanted) >= LEAST_SIDE else 1
        side = -(-side // stride)
        return stride

    stem, *widths, last = channels
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=conv_unit(in_chans, stem, first_kernel, stride_of(2), act=activation, normed=norm)
    )
    chans = stem
    for stage, (width, count, wanted) in enumerate(zip(widths, repeats, STRIDES, strict=True), start=1):
        for block in range(1, count + 1):
            stride = stride_of(wanted) if block == 1 else 1
            layers[f"stage{stage}_block{block}"] = InvertedResidual(
                chans, width, stride, EXPANSION[stage - 1], squeeze=squeeze_excite, act=activation, normed=norm
            )
            chans = width
    layers["last"] = conv_unit(chans, last, 1, act=activation, normed=norm)
    he_normal(nn.ModuleList(layers.values()))
    return with_head(
        layers, last, in_chans, input_size, num_classes,
        kind=head, dense=dense, dropout=dropout, act=activation, normed=norm,
    )  # fmt: skip
