"""The published CIFAR-10 nets: a two-layer net of any width, and fully connected against convolutional."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from zoo.blocks import make_activation
from zoo.heads import with_head
from zoo.mlp import mlp
from zoo.registry import register_model
from zoo.spec import Published

INITIAL_DEVIATION = 1e-4  # of the two-layer net's weights, as published


def two_layer(*, num_classes: int, in_chans: int, input_size: tuple[int, int], hidden: int) -> nn.Module:
    """One hidden layer with ReLU, weights drawn with deviation 1e-4 and biases 0.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        hidden: units of the hidden layer.
    """
    net = mlp(num_classes=num_classes, in_chans=in_chans, input_size=input_size, hidden=(hidden,))
    for name, parameter in net.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(parameter, std=INITIAL_DEVIATION)
        else:
            nn.init.zeros_(parameter)
    return net


for units in (36, 128, 900, 950):
    register_model(
        f"cifar_two_layer_{units}",
        family="two_layer",
        summary=f"CIFAR-10 two-layer net 3072-{units}-10",
        source="published CIFAR-10 study, 3072-H-10",
        preset={"hidden": units},
        input_shape=(3, 32, 32),
        classes=10,
        published=Published(3083 * units + 10, "torch", "stated as its layers"),
    )(two_layer)


register_model(
    "cifar_fc",
    family="mlp",
    summary="CIFAR-10 fully connected net 3072-128-128-256-10.",
    source="published CIFAR-10 comparison",
    preset={"hidden": (128, 128, 256)},
    input_shape=(3, 32, 32),
    classes=10,
    published=Published(445_450, "torch", "stated"),
)(mlp)


@register_model(
    family="cnn_cifar",
    source="published CIFAR-10 comparison",
    input_shape=(3, 32, 32),
    classes=10,
    published=Published(227_146, "torch", "stated"),
)
def cifar_cnn(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    head: str | tuple[int, ...] = "dense2",
    dense: int = 256,
    activation: str = "relu",
    dropout: float | tuple[float, float] = 0.0,
) -> nn.Module:
    """CIFAR-10 CNN: three unpadded 3x3 convolutions of 32, 64 and 128 with max-pooling, dense 256."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    chans = in_chans
    for index, out_chans in enumerate((32, 64, 128), start=1):
        layers |= {
            f"conv{index}": nn.Conv2d(chans, out_chans, 3),
            f"act{index}": make_activation(activation),
            f"pool{index}": nn.MaxPool2d(2),
        }
        chans = out_chans
    return with_head(
        layers, chans, in_chans, input_size, num_classes, kind=head, dense=dense, dropout=dropout, act=activation
    )
