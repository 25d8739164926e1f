"""The multi-layer perceptron: what is left when an image is only a list of numbers."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from zoo.blocks import listed, make_activation, make_norm, rate, scaled
from zoo.registry import register_model


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Two hidden layers, the second half as wide as the first."""
    return {"hidden": scaled(width, 1, 0.5)}


@register_model(
    shape=shape, width=128, source="proposed for the published MNIST comparison: 784-128-64-10, 109,386 parameters"
)
def mlp(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    hidden: int | tuple[int, ...],
    activation: str = "relu",
    norm: str = "none",
    dropout: float | tuple[float, float] = 0.0,
) -> nn.Module:
    """Fully connected net: two hidden layers with ReLU.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        hidden: units of each hidden layer.
        activation: of the hidden layers.
        norm: of the hidden layers.
        dropout: rate behind each hidden layer.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    features = in_chans * input_size[0] * input_size[1]
    for index, units in enumerate(listed(hidden), start=1):
        layers[f"dense{index}"] = nn.Linear(features, units)
        if norm != "none":
            layers[f"bn{index}"] = make_norm(norm, units, dense=True)
        layers[f"act{index}"] = make_activation(activation)
        if rate(dropout)[1]:
            layers[f"dropout{index}"] = nn.Dropout(rate(dropout)[1])
        features = units
    layers["classifier"] = nn.Linear(features, num_classes)
    return nn.Sequential(layers)
