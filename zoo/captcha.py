"""The published CAPTCHA nets: four characters of 19 symbols, so that the logits are (N, 4, 19)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from zoo.registry import register_model
from zoo.resnet import resnet
from zoo.spec import Published

SOURCE = "published CAPTCHA comparison"
POSITIONS = 4
BASELINE_CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
POOL_AFTER = (2, 4, 6, 7, 8)


def _published(params: int, in_chans: int, basis: str = "stated") -> dict[str, Any]:
    """Return what the four share: 50x130 images, 19 symbols, their source and their count."""
    return {
        "family": "captcha",
        "source": SOURCE,
        "input_shape": (in_chans, 50, 130),
        "classes": 19,
        "positions": POSITIONS,
        "published": Published(params, "torch", basis),
    }


def _by_position(symbols: int) -> nn.Module:
    return nn.Unflatten(1, (POSITIONS, symbols))


@register_model(**_published(4_845_196, 3, "inferred, not unique; a softmax stands before the loss, as its losses say"))
def captcha_baseline(
    *, num_classes: int, in_chans: int, input_size: tuple[int, int], softmax: bool = True
) -> nn.Module:
    """CAPTCHA Baseline: eight 3x3 convolutions with five max-pools, batch norm, dropout, four heads.

    Args:
        num_classes: symbols.
        in_chans: input channels.
        input_size: (H, W), each at least 32.
        softmax: whether probabilities come out instead of logits, the published fault.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, out_chans in enumerate(BASELINE_CHANNELS, start=1):
        layers |= {f"conv{index}": nn.Conv2d(in_chans, out_chans, 3, padding=1), f"act{index}": nn.ReLU()}
        in_chans = out_chans
        if index in POOL_AFTER:
            layers[f"pool{index}"] = nn.MaxPool2d(2)
    features = in_chans * (input_size[0] // 2 ** len(POOL_AFTER)) * (input_size[1] // 2 ** len(POOL_AFTER))
    layers |= {
        "flatten": nn.Flatten(),
        "bn": nn.BatchNorm1d(features),
        "dropout": nn.Dropout(0.5),
        "heads": nn.Linear(features, POSITIONS * num_classes),  # four heads of one input are one matrix
        "by_position": _by_position(num_classes),
    }
    if softmax:
        layers["softmax"] = nn.Softmax(dim=2)
    return nn.Sequential(layers)


@register_model(**_published(12_674_508, 1))
def captcha_simple_cnn(*, num_classes: int, in_chans: int, input_size: tuple[int, int]) -> nn.Module:
    """CAPTCHA SimpleCNN: two padded 5x5 convolutions with max-pooling, two dense layers."""
    height, width = (side // 4 for side in input_size)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_chans, 32, 5, padding=2),
            act1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(32, 64, 5, padding=2),
            act2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense=nn.Linear(64 * height * width, 512),
            dense_act=nn.ReLU(),
            classifier=nn.Linear(512, POSITIONS * num_classes),
            by_position=_by_position(num_classes),
        )
    )


def _resnet(channels: tuple[int, ...], symbols: int, **place: Any) -> nn.Module:
    net = resnet(channels=channels, num_classes=POSITIONS * symbols, **place)
    return nn.Sequential(OrderedDict(resnet=net, by_position=_by_position(symbols)))


@register_model(**_published(11_209_228, 1))
def captcha_resnet18(*, num_classes: int, in_chans: int, input_size: tuple[int, int]) -> nn.Module:
    """CAPTCHA ResNet18: torchvision's layout with a one-channel stem and one dense layer for the four positions."""
    return _resnet((64, 128, 256, 512), num_classes, in_chans=in_chans, input_size=input_size)


@register_model(**_published(95_164, 3))
def captcha_resnet18_mod(*, num_classes: int, in_chans: int, input_size: tuple[int, int]) -> nn.Module:
    """CAPTCHA ResNet18_mod: channels 16, 16, 32, 32 behind a stem of 16."""
    return _resnet((16, 16, 32, 32), num_classes, in_chans=in_chans, input_size=input_size)
