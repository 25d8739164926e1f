"""Heads: what stands between a feature map and the logits, as one choice on any trunk that ends in a map."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call

from zoo.blocks import make_activation, make_norm, rate
from zoo.grammar import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

HEADS = ("dense2", "dense2_nodropout", "dense1", "dense1_nodropout", "conv", "gap")
SHAPE_KEEPING = (
    nn.BatchNorm2d, nn.GroupNorm, nn.Dropout, nn.Identity, nn.Softmax,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.Hardswish,
)  # fmt: skip


def make_head(
    kind: str | Sequence[int],
    feature_map: Sequence[int],
    num_classes: int,
    *,
    dense: int = 128,
    dropout: float | tuple[float, float] = (0.25, 0.5),
    act: str = "relu",
    normed: str = "none",
) -> OrderedDict[str, nn.Module]:
    """Return the layers from a (N, C, H, W) map to (N, num_classes) logits.

    `dense2` is two dense layers, `dense1` the last of them alone; both with dropout before flattening and before the
    last layer, or without. `conv` is `dense2` written as convolutions, to the parameter and the multiply-accumulate.
    `gap` averages each channel over the map before the last dense layer; numbers instead of a name are the units of
    dense layers between the two, as on top of a net that was trained on something else.

    Args:
        kind: one of `HEADS`, or units of dense layers.
        feature_map: (C, H, W) of the trunk's output, or (C,) where it is averaged already.
        num_classes: number of logits.
        dense: units of the first dense layer, or channels of the first convolution.
        dropout: rates of the two dropouts, or one for both; a dropout of rate 0 is left out.
        act: activation of the first dense layer.
        normed: norm of the first dense layer.

    Raises:
        OptionError: another kind.
    """
    units = _units(kind)
    channels, *sides = feature_map
    on_map, on_dense = (0.0, 0.0) if str(kind).endswith("_nodropout") else rate(dropout)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kind == "conv":
        layers |= {"dense": nn.Conv2d(channels, dense, (sides[0], sides[1])), **_after(dense, act, normed, dense=False)}
        layers |= _dropout("dense_dropout", on_dense)
        return layers | {"classifier": nn.Conv2d(dense, num_classes, 1), "flatten": nn.Flatten()}
    if averages(kind):
        layers |= {"pool": nn.AdaptiveAvgPool2d(1)} if sides else {}
        features = channels
    else:
        layers |= _dropout("map_dropout", on_map)
        features = channels * sides[0] * sides[1]
    layers |= {"flatten": nn.Flatten()} if sides else {}
    for index, count in enumerate(units or ([dense] if str(kind).startswith("dense2") else [])):
        name = f"dense{index + 1 if units else ''}"
        layers |= {name: nn.Linear(features, count), **_after(count, act, normed, dense=True, name=name)}
        features = count
    layers |= _dropout("dense_dropout", on_dense)
    layers["classifier"] = nn.Linear(features, num_classes)
    return layers


def with_head(
    trunk: OrderedDict[str, nn.Module],
    channels: int,
    in_chans: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    kind: str | Sequence[int],
    **options: Any,
) -> nn.Sequential:
    """Return a trunk with a head behind it that fits the trunk's map.

    Args:
        trunk: layers from images to a map.
        channels: of the map.
        in_chans: of the images.
        input_size: (H, W) of the images.
        num_classes: number of logits.
        kind: of the head.
        options: the rest of what `make_head` takes.
    """
    # An average over the map does not ask for its size.
    sides = (1, 1) if averages(kind) else map_of(nn.Sequential(trunk), in_chans, input_size)[1:]
    return nn.Sequential(trunk | make_head(kind, (channels, *sides), num_classes, **options))


def averages(kind: str | Sequence[int]) -> bool:
    """Whether a head averages each channel over the map before anything else."""
    return kind == "gap" or not isinstance(kind, str)


def map_of(trunk: nn.Module, in_chans: int, input_size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of a trunk's output for one image, without the batch: nothing is computed."""
    with torch.no_grad():
        return tuple(_through(trunk, torch.empty(1, in_chans, *input_size, device="meta")).shape[1:])


def _through(module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, nn.Sequential):
        for layer in module:
            x = _through(layer, x)
        return x
    if isinstance(module, SHAPE_KEEPING):  # slow on the meta device, and of no account
        return x
    training = module.training
    output: Tensor = functional_call(module.eval(), shapes_of(module), x)
    module.train(training)
    return output


def shapes_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's parameters and buffers as shapes alone, to be called with `torch.func.functional_call`."""
    state = itertools.chain(module.named_parameters(), module.named_buffers())
    return {name: torch.empty_like(tensor, device="meta") for name, tensor in state}


def _units(kind: str | Sequence[int]) -> tuple[int, ...]:
    if isinstance(kind, str) and kind in HEADS:
        return ()
    units = (kind,) if isinstance(kind, int) else kind
    if isinstance(units, tuple | list) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in units):
        return tuple(units)
    msg = f"{kind!r} is no head; there are {', '.join(HEADS)}, and units of dense layers such as 512-256"
    raise OptionError(msg)


def _after(count: int, act: str, normed: str, *, dense: bool, name: str = "dense") -> dict[str, nn.Module]:
    """Return what follows a layer of `count` units: a norm, where there is one, and the activation."""
    normer = {} if normed == "none" else {f"{name}_bn": make_norm(normed, count, dense=dense)}
    return {**normer, f"{name}_act": make_activation(act)}


def _dropout(name: str, probability: float) -> dict[str, nn.Module]:
    return {name: nn.Dropout(probability)} if probability else {}
