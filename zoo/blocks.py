"""What families share: activations and norms by name, the unit of convolution, norm and activation, whole widths."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import nn

from zoo.grammar import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

LEAK = 0.3  # negative slope where none is given: that of the published FER2013 nets
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(dim=1),  # over the channels or the units
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
}
NORMS = ("none", "batch", "group")
MOST_GROUPS = 32  # as in the paper of group norm
LEAST_OF_A_GROUP = 4  # channels that share statistics, where there are as many


def make_activation(name: str) -> nn.Module:
    """Return an activation: one of `ACTIVATIONS`, or `leaky_relu(slope)`.

    Raises:
        OptionError: another name.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]()
    leaky = re.fullmatch(r"leaky_relu(?:\((?P<slope>[0-9]*\.?[0-9]+(e-?[0-9]+)?)\))?", str(name))
    if leaky:
        return nn.LeakyReLU(float(leaky["slope"] or LEAK))
    msg = f"{name!r} is no activation; there are {', '.join(ACTIVATIONS)} and leaky_relu({LEAK})"
    raise OptionError(msg)


def make_norm(name: str, channels: int, *, dense: bool = False) -> nn.Module:
    """Return a norm over `channels`: `batch`, `group` (Wu and He 2018, arXiv:1803.08494) or `none`.

    Groups are as many as divide the channels, 32 at most, each of 4 channels at least.

    Args:
        name: one of `NORMS`.
        channels: of the map, or units of the dense layer.
        dense: whether it stands behind a dense layer, on (N, channels).

    Raises:
        OptionError: another name.
    """
    if name == "batch":
        return nn.BatchNorm1d(channels) if dense else nn.BatchNorm2d(channels)
    if name == "group":
        most = max(1, min(MOST_GROUPS, channels // LEAST_OF_A_GROUP))
        return nn.GroupNorm(next(groups for groups in range(most, 0, -1) if channels % groups == 0), channels)
    if name == "none":
        return nn.Identity()
    msg = f"{name!r} is no norm; there are {', '.join(NORMS)}"
    raise OptionError(msg)


def conv_unit(
    in_chans: int,
    out_chans: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    padding: int | None = None,
    act: str | None = "relu",
    normed: str = "batch",
    bias: bool | None = None,
) -> nn.Sequential:
    """Return convolution, norm and activation.

    Args:
        in_chans: input channels.
        out_chans: output channels.
        kernel: its side.
        stride: of the convolution.
        groups: of the convolution; `in_chans` for a depthwise one.
        padding: of the convolution; by default half the kernel, which keeps the size of the map at stride 1.
        act: name of the activation; None for none.
        normed: name of the norm.
        bias: whether the convolution has one; by default only where no norm follows.
    """
    bias = normed == "none" if bias is None else bias
    padding = kernel // 2 if padding is None else padding
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(in_chans, out_chans, kernel, stride, padding, groups=groups, bias=bias)
    )
    if normed != "none":
        layers["bn"] = make_norm(normed, out_chans)
    if act is not None:
        layers["act"] = make_activation(act)
    return nn.Sequential(layers)


def scaled(width: float, *ratios: float) -> tuple[int, ...]:
    """Return whole channel counts in the given ratios to `width`, each at least 1; in single channels, not eights."""
    return tuple(max(1, round(width * ratio)) for ratio in ratios)


def deepened(depth: float, *layers: int) -> tuple[int, ...]:
    """Return numbers of layers multiplied by `depth`, rounded up, each at least 1 (as EfficientNet rounds)."""
    return tuple(max(1, math.ceil(round(depth * count, 6))) for count in layers)


def listed(sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return sizes as a tuple, where one may be given as a number."""
    return (sizes,) if isinstance(sizes, int) else tuple(sizes)


def rate(dropout: float | tuple[float, float]) -> tuple[float, float]:
    """Return the two rates that an option `dropout` stands for: both, or one for both.

    Raises:
        OptionError: not one or two numbers from 0 to below 1.
    """
    rates = dropout if isinstance(dropout, tuple | list) else (dropout, dropout)
    good = [isinstance(r, int | float) and not isinstance(r, bool) and 0 <= r < 1 for r in rates]
    if len(rates) == 2 and all(good):
        return rates[0], rates[1]
    msg = f"dropout={dropout} is not accepted; give a rate from 0 to below 1, or two as (0.25, 0.5)"
    raise OptionError(msg)


def he_normal(net: nn.Module, mode: str = "fan_out") -> None:
    """Draw the weights of all convolutions as He et al. 2015 (arXiv:1502.01852), and set their biases to 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
            if module.bias is not None:
                nn.init.zeros_(module.bias)
