"""Residual blocks of two convolutions: what is done with their normalisations, though no plain sequence shows it.

A block has one activation, between its normalisations and behind its sum. All three go over the maps once more, and the
sum and the activation write them down anew.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from archbench.quick import norm

if TYPE_CHECKING:
    from torch import Tensor, nn

# Blocks that compute `act(bn2(conv2(act(bn1(conv1(x))))) + downsample(x))`, by where they are defined, and the name of
# their activation.
BLOCKS = {("zoo.resnet", "BasicBlock"): "act", ("torchvision.models.resnet", "BasicBlock"): "relu"}


def activation_of(module: nn.Module) -> nn.Module | None:
    """Return the activation of a usual residual block; None of all else."""
    for (place, name), attribute in BLOCKS.items():
        if type(module) is getattr(sys.modules.get(place), name, object):
            activation: nn.Module = getattr(module, attribute)
            return activation if _is_usual(module, activation) else None
    return None


def _is_usual(block: Any, activation: nn.Module) -> bool:
    shape = norm.shape_of(activation)
    rises = shape is not None and shape[0] >= 0  # so that what comes tells on which side of zero it was
    return rises and all(norm.is_norm(each) for each in (block.bn1, block.bn2))


def added(block: Any, activation: nn.Module, maps: Tensor) -> Tensor:
    """Return what a usual block makes of maps; in evaluation it is its own."""
    if not (block.training and activation.training):
        whole: Tensor = type(block).forward(block, maps)
        return whole
    inner = norm.normalized(block.bn1, activation, block.conv1(maps))
    beside = maps if block.downsample is None else block.downsample(maps)
    return norm.normalized(block.bn2, activation, block.conv2(inner), beside)
