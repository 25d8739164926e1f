"""ResNet-18 (He et al. 2015, arXiv:1512.03385) in torchvision's layout, and the narrow published variant of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import nn

from zoo.blocks import deepened, he_normal, make_activation, make_norm, scaled
from zoo.heads import with_head
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import Tensor

BLOCKS = (2, 2, 2, 2)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a norm beside a shortcut, which is a 1x1 projection where the shape changes."""

    def __init__(self, in_chans: int, out_chans: int, stride: int, activation: str, norm: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv1 = nn.Conv2d(in_chans, out_chans, 3, stride, padding=1, bias=bias)
        self.bn1 = make_norm(norm, out_chans)
        self.conv2 = nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=bias)
        self.bn2 = make_norm(norm, out_chans)
        self.act = make_activation(activation)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_chans != out_chans:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_chans, out_chans, 1, stride, bias=bias), make_norm(norm, out_chans)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_chans, H, W) to (N, out_chans, ceil(H / stride), ceil(W / stride))."""
        residual = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        out: Tensor = self.act(residual + self.downsample(x))
        return out


def resnet(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    channels: tuple[int, ...],
    blocks: tuple[int, ...] = BLOCKS,
    small_stem: bool = False,
    head: str | tuple[int, ...] = "gap",
    dense: int = 128,
    first_kernel: int | None = None,
    activation: str = "relu",
    norm: str = "batch",
    dropout: float | tuple[float, float] = 0.0,
) -> nn.Module:
    """Stem of 7x7 stride 2 and max-pool, four stages of basic blocks, global average pooling, one linear layer.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W); any with the head of global average pooling.
        channels: channels of the stages; the stem has those of the first.
        blocks: basic blocks of each stage.
        small_stem: one 3x3 convolution of stride 1 instead of the stem, as the paper has it for CIFAR-10's 32x32.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        dense: units of the head's first dense layer, where it has one.
        first_kernel: side of the first kernel; by default 7, and 3 in the small stem.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rate in the head.
    """
    kernel = first_kernel or (3 if small_stem else 7)
    stem = nn.Conv2d(in_chans, channels[0], kernel, 1 if small_stem else 2, kernel // 2, bias=norm == "none")
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=stem, bn1=make_norm(norm, channels[0]), act=make_activation(activation)
    )
    if not small_stem:
        layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    previous = channels[0]
    for stage, (out_chans, count) in enumerate(zip(channels, blocks, strict=True), start=1):
        chain: list[nn.Module] = []
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            chain.append(BasicBlock(previous, out_chans, stride, activation, norm))
            previous = out_chans
        layers[f"layer{stage}"] = nn.Sequential(*chain)
    he_normal(nn.ModuleList(layers.values()))  # as the architecture's paper has it
    return with_head(
        layers, previous, in_chans, input_size, num_classes,
        kind=head, dense=dense, dropout=dropout, act=activation, normed=norm,
    )  # fmt: skip


def resnet18_shape(width: float) -> dict[str, tuple[int, ...]]:
    """Channels in the ratio 1 : 2 : 4 : 8."""
    return {"channels": scaled(width, 1, 2, 4, 8)}


def resnet18_mod_shape(width: float) -> dict[str, tuple[int, ...]]:
    """Channels in the ratio 1 : 1 : 2 : 2."""
    return {"channels": scaled(width, 1, 1, 2, 2)}


def depth(multiple: float) -> dict[str, tuple[int, ...]]:
    """Blocks of each stage, 2 at the family's own depth."""
    return {"blocks": deepened(multiple, *BLOCKS)}


register_model(
    "resnet18",
    family="resnet",
    summary="ResNet-18 in torchvision's layout: channels 64, 128, 256, 512 at its own width.",
    source="arXiv:1512.03385; 11,689,512 parameters at 1,000 classes",
    shape=resnet18_shape,
    width=64,
    depth=depth,
)(resnet)
register_model(
    "resnet18_mod",
    family="resnet",
    summary="ResNet-18 with narrow, nearly even stages: channels 16, 16, 32, 32 behind a stem of 16.",
    source="published CAPTCHA comparison, ResNet18_mod (95,164 parameters at 3x50x130, 4 x 19 outputs)",
    shape=resnet18_mod_shape,
    width=16,
    depth=depth,
)(resnet)
