"""The published MNIST nets: six heads on one trunk, a larger first kernel, and two small proposals."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from zoo.blocks import conv_unit, make_activation, scaled
from zoo.heads import HEADS, with_head
from zoo.mlp import mlp
from zoo.registry import register_model
from zoo.spec import Published

SOURCE = "published MNIST comparison of heads"
COUNTS = {"dense2": 1_199_882, "dense1": 110_986, "conv": 1_199_882, "gap": 19_466}


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Channels in the ratio 1 : 2 and a dense layer 4 times the width."""
    return {"channels": scaled(width, 1, 2), "dense": scaled(width, 4)[0]}


@register_model(family="cnn_mnist", shape=shape, width=32, source=SOURCE)
def cnn_mnist(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    channels: tuple[int, ...],
    dense: int = 128,
    head: str | tuple[int, ...] = "dense2",
    first_kernel: int = 3,
    activation: str = "relu",
    norm: str = "none",
    dropout: float | tuple[float, float] = (0.25, 0.5),
) -> nn.Module:
    """Two unpadded convolutions with ReLU, a max-pool, and a head of two dense layers.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8 with a first kernel of 3.
        channels: of the two convolutions.
        dense: units of the first dense layer of the head, where it has one.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        first_kernel: side of the first kernel.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rates of the head's two dropouts, or one for both.
    """
    first, second = channels
    trunk = OrderedDict(
        conv1=conv_unit(in_chans, first, first_kernel, padding=0, act=activation, normed=norm),
        conv2=conv_unit(first, second, 3, padding=0, act=activation, normed=norm),
        pool=nn.MaxPool2d(2),
    )
    return with_head(
        trunk, second, in_chans, input_size, num_classes,
        kind=head, dense=dense, dropout=dropout, act=activation, normed=norm,
    )  # fmt: skip


def _published(name: str, params: int, basis: str, **preset: object) -> None:
    register_model(
        name,
        family="cnn_mnist",
        summary=f"MNIST CNN, {', '.join(f'{option} {value}' for option, value in preset.items())}",
        source=SOURCE,
        preset={"channels": (32, 64), "dense": 128} | preset,
        input_shape=(1, 28, 28),
        classes=10,
        published=Published(params, "torch", basis),
    )(cnn_mnist)


for kind in HEADS:
    _published(
        f"mnist_{kind}",
        COUNTS[kind.removesuffix("_nodropout")],
        "computed" if kind == "gap" else "stated",
        head=kind,
    )
_published("mnist_9x9", 72_970, "computed", head="dense1", first_kernel=9, dropout=(0.25, 0.25))


register_model(
    "mnist_fc",
    family="mlp",
    summary="MNIST fully connected net 784-128-64-10.",
    source="proposed for the published MNIST study of hyper-parameters, which states no counts",
    preset={"hidden": (128, 64)},
    input_shape=(1, 28, 28),
    classes=10,
    published=Published(109_386, "torch", "proposed"),
)(mlp)


@register_model(
    family="cnn_mnist",
    source="proposed for the published MNIST study of hyper-parameters, which states no counts",
    input_shape=(1, 28, 28),
    classes=10,
    published=Published(28_938, "torch", "proposed"),
)
def mnist_conv5(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    head: str | tuple[int, ...] = "dense1",
    dense: int = 128,
    activation: str = "relu",
    dropout: float | tuple[float, float] = 0.0,
) -> nn.Module:
    """MNIST CNN of two padded 5x5 convolutions with max-pooling and one dense layer."""
    trunk: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(in_chans, 16, 5, padding=2),
        act1=make_activation(activation),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 5, padding=2),
        act2=make_activation(activation),
        pool2=nn.MaxPool2d(2),
    )
    return with_head(
        trunk, 32, in_chans, input_size, num_classes, kind=head, dense=dense, dropout=dropout, act=activation
    )
