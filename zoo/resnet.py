"""ResNet-18 (He et al. 2015, arXiv:1512.03385) in torchvision's layout, and the narrow published variant of it."""

from __future__ import annotations

import torch
from torch import nn

from zoo.blocks import scaled
from zoo.registry import register_model


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, which is a 1x1 projection where the shape changes."""

    def __init__(self, in_chans: int, out_chans: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, out_chans, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_chans)
        self.conv2 = nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_chans)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_chans != out_chans:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_chans, out_chans, 1, stride, bias=False), nn.BatchNorm2d(out_chans)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_chans, H, W) to (N, out_chans, ceil(H / stride), ceil(W / stride))."""
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out: torch.Tensor = self.relu(residual + self.downsample(x))
        return out


class ResNet(nn.Module):
    """Stem of 7x7 stride 2 and max-pool, four stages of two basic blocks, global average pooling, one linear layer."""

    def __init__(self, channels: tuple[int, ...], in_chans: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, channels[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        previous = channels[0]
        for stage, out_chans in enumerate(channels, start=1):
            stride = 1 if stage == 1 else 2
            blocks = nn.Sequential(BasicBlock(previous, out_chans, stride), BasicBlock(out_chans, out_chans, 1))
            self.add_module(f"layer{stage}", blocks)
            previous = out_chans
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(previous, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015 (arXiv:1502.01852), as the architecture's paper uses
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) images to (N, classes) logits."""
        for layer in self.children():
            x = layer(x)
        return x


def _resnet18_shape(width: float) -> dict[str, tuple[int, ...]]:
    return {"channels": scaled(width, 1, 2, 4, 8)}


def _resnet18_mod_shape(width: float) -> dict[str, tuple[int, ...]]:
    return {"channels": scaled(width, 1, 1, 2, 2)}


@register_model(
    family="resnet", shape=_resnet18_shape, width=64, source="arXiv:1512.03385; 11,689,512 parameters at 1,000 classes"
)
def resnet18(*, num_classes: int, in_chans: int, input_size: tuple[int, int], channels: tuple[int, ...]) -> nn.Module:
    """ResNet-18 in torchvision's layout: channels 64, 128, 256, 512 at its own width.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W); any, the net ends in global average pooling.
        channels: channels of the four stages; the stem has those of the first.
    """
    del input_size
    return ResNet(channels, in_chans, num_classes)


@register_model(
    family="resnet",
    shape=_resnet18_mod_shape,
    width=16,
    source="published CAPTCHA comparison, ResNet18_mod (95,164 parameters at 3x50x130, 4 x 19 outputs)",
)
def resnet18_mod(
    *, num_classes: int, in_chans: int, input_size: tuple[int, int], channels: tuple[int, ...]
) -> nn.Module:
    """ResNet-18 with narrow, nearly even stages: channels 16, 16, 32, 32 behind a stem of 16.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W); any, the net ends in global average pooling.
        channels: channels of the four stages; the stem has those of the first.
    """
    del input_size
    return ResNet(channels, in_chans, num_classes)
