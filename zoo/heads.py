"""Heads: what stands between a feature map and the logits, as one choice on any trunk that ends in a map."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

HEADS = ("dense2", "dense2_nodropout", "dense1", "dense1_nodropout", "conv", "gap")


def make_head(
    kind: str,
    feature_map: tuple[int, int, int],
    num_classes: int,
    *,
    dense: int = 128,
    dropout: tuple[float, float] = (0.25, 0.5),
) -> OrderedDict[str, nn.Module]:
    """Return the layers from a (N, C, H, W) map to (N, num_classes) logits.

    `dense2` is two dense layers, `dense1` the last of them alone; both with dropout before flattening and before the
    last layer, or without. `conv` is `dense2` written as convolutions, to the parameter and the multiply-accumulate.
    `gap` averages each channel over the map before one dense layer.

    Args:
        kind: one of `HEADS`.
        feature_map: (C, H, W) of the trunk's output.
        num_classes: number of logits.
        dense: units of the first dense layer, or channels of the first convolution.
        dropout: rates of the two dropouts.

    Raises:
        ValueError: another kind.
    """
    channels, height, width = feature_map
    features = channels * height * width
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kind in {"dense2", "dense1"}:
        layers["map_dropout"] = nn.Dropout(dropout[0])
    if kind.startswith("dense2"):
        layers |= {"flatten": nn.Flatten(), "dense": nn.Linear(features, dense), "dense_act": nn.ReLU()}
        features = dense
    elif kind.startswith("dense1"):
        layers["flatten"] = nn.Flatten()
    elif kind == "gap":
        layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
        features = channels
    if kind in {"dense2", "dense1"}:
        layers["dense_dropout"] = nn.Dropout(dropout[1])
    if kind == "conv":
        return OrderedDict(
            dense=nn.Conv2d(channels, dense, (height, width)),
            dense_act=nn.ReLU(),
            dense_dropout=nn.Dropout(dropout[1]),
            classifier=nn.Conv2d(dense, num_classes, 1),
            flatten=nn.Flatten(),
        )
    if kind not in HEADS:
        msg = f"{kind!r} is no head; there are {', '.join(HEADS)}"
        raise ValueError(msg)
    layers["classifier"] = nn.Linear(features, num_classes)
    return layers
