"""Residual blocks: what is done with their normalisations, though no plain sequence shows it.

A block has one activation, behind each of its normalisations and behind its sum. Each goes over the maps once more, and
writes them down anew.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from archbench.quick import norm

if TYPE_CHECKING:
    from torch import Tensor, nn

# Blocks of convolutions conv1, conv2, ..., each with a normalisation bn1, ... and an activation behind it, the last one
# behind the sum with what `downsample` makes of the input; by where they are defined, and the name of the activation.
BLOCKS = {
    ("zoo.resnet", "BasicBlock"): "act",
    ("torchvision.models.resnet", "BasicBlock"): "relu",
    ("torchvision.models.resnet", "Bottleneck"): "relu",
}
MOST = 3  # convolutions


def activation_of(module: nn.Module) -> nn.Module | None:
    """Return the activation of a usual residual block; None of all else."""
    for (place, name), attribute in BLOCKS.items():
        if type(module) is getattr(sys.modules.get(place), name, object):
            activation: nn.Module = getattr(module, attribute)
            return activation if _is_usual(module, activation) else None
    return None


def _layers(block: Any) -> list[tuple[nn.Module, nn.Module]]:
    numbers = [number for number in range(1, MOST + 1) if hasattr(block, f"conv{number}")]
    return [(getattr(block, f"conv{number}"), getattr(block, f"bn{number}")) for number in numbers]


def _is_usual(block: Any, activation: nn.Module) -> bool:
    shape = norm.shape_of(activation)
    rises = shape is not None and shape[0] >= 0  # so that what comes tells on which side of zero it was
    return rises and all(norm.is_norm(each) for _, each in _layers(block))


def added(block: Any, activation: nn.Module, maps: Tensor) -> Tensor:
    """Return what a usual block makes of maps; in evaluation it is its own."""
    if not (block.training and activation.training):
        whole: Tensor = type(block).forward(block, maps)
        return whole
    *inner, (conv, last) = _layers(block)
    made = maps
    for convolution, normalisation in inner:
        made = norm.normalized(normalisation, activation, convolution(made))  # type: ignore[arg-type]
    beside = maps if block.downsample is None else block.downsample(maps)
    return norm.normalized(last, activation, conv(made), beside)  # type: ignore[arg-type]
