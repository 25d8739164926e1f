"""What several families share: the rounding of widths and the two-layer head."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

LEAK = 0.3  # negative slope of the published FER2013 nets


def scaled(width: float, *ratios: float) -> tuple[int, ...]:
    """Return whole channel counts in the given ratios to `width`, each at least 1; in single channels, not eights."""
    return tuple(max(1, round(width * ratio)) for ratio in ratios)


def dense_head(features: int, dense: int, num_classes: int, dropout: float) -> OrderedDict[str, nn.Module]:
    """Return the layers from a (N, C, H, W) map of `features` values to (N, num_classes) logits."""
    return OrderedDict(
        flatten=nn.Flatten(),
        dense=nn.Linear(features, dense),
        dense_bn=nn.BatchNorm1d(dense),
        dense_dropout=nn.Dropout(dropout),
        dense_act=nn.LeakyReLU(LEAK),
        classifier=nn.Linear(dense, num_classes),
    )
