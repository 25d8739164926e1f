"""The published FER2013 nets: a plain CNN, a MobileNet, and the seven points of their scatter plot.

The counts are Keras totals. The points' architectures are inferred from their counts, in the templates of the two nets
that the report states; where several fit a count, one is given and `basis` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cnn import Group, plain_cnn
from zoo.mobilenet import STRIDES, separable_net
from zoo.registry import register_model
from zoo.spec import Published

if TYPE_CHECKING:
    from torch import nn

SOURCE = "published FER2013 comparison"


def fer_cnn(*, groups: tuple[tuple[int, int, int, bool], ...], dense: int, **place: Any) -> nn.Module:
    """FER2013 CNN: groups of (channels, convolutions, kernel, padded) and a dense layer."""
    return plain_cnn([Group(*group) for group in groups], dense, **place)


def fer_mobilenet(
    *, stem: int, blocks: tuple[int, ...], strides: tuple[int, ...], dense: int, **rest: Any
) -> nn.Module:
    """FER2013 MobileNet: a first convolution, depthwise-separable blocks and a dense layer."""
    return separable_net(stem, blocks, strides, dense, **rest)


def _register(build: Any, name: str, params: int, basis: str, **preset: Any) -> None:
    register_model(
        name,
        family="cnn" if build is fer_cnn else "mobilenet",
        summary=f"FER2013 {'CNN' if build is fer_cnn else 'MobileNet'} of {params:,} parameters as Keras counts",
        source=SOURCE,
        preset=preset,
        input_shape=(1, 48, 48),
        classes=7,
        published=Published(params, "keras", basis),
    )(build)


def _groups(channels: tuple[int, ...], convolutions: int) -> tuple[tuple[int, int, int, bool], ...]:
    """Return groups of 3x3 kernels, padded but for the last."""
    last = len(channels) - 1
    return tuple((count, convolutions, 3, index < last) for index, count in enumerate(channels))


HW3 = ((32, 3, 3, True), (64, 3, 3, True), (128, 3, 2, False))
_register(fer_cnn, "fer_cnn", 1_332_807, "stated, batch norm after each convolution inferred", groups=HW3, dense=512)
_register(
    fer_cnn, "fer_cnn_28911", 28_911, "inferred, weak: many fit", dense=32,
    groups=((4, 1, 3, True), (16, 1, 3, True), (32, 1, 2, False)),
)  # fmt: skip
_register(fer_cnn, "fer_cnn_218807", 218_807, "inferred, good", dense=64, groups=_groups((16, 32, 64, 96), 2))
_register(fer_cnn, "fer_cnn_1192679", 1_192_679, "inferred, good", dense=64, groups=_groups((32, 64, 128, 256), 2))
_register(
    fer_cnn, "fer_cnn_4098087", 4_098_087, "contrived: a stand-in of that size", dense=256,
    groups=((24, 3, 3, True), (96, 3, 3, True), (320, 3, 2, True)),
)  # fmt: skip

HW8 = (16, 16, 32, 32, 64, 64, 128, 128)
_register(fer_mobilenet, "fer_mobilenet", 73_095, "stated", stem=8, blocks=HW8, strides=STRIDES, dense=64)
_register(
    fer_mobilenet, "fer_mobilenet_28775", 28_775, "inferred, strong: half the width",
    stem=4, blocks=tuple(count // 2 for count in HW8), strides=STRIDES, dense=64,
)  # fmt: skip
_register(
    fer_mobilenet, "fer_mobilenet_213127", 213_127, "inferred, plausible", stem=8,
    blocks=(32, 32, 32, 64, 64, 128, 128, 256, 256), strides=(1, 1, 1, 2, 1, 2, 1, 2, 1), dense=64, last_kernel=3,
)  # fmt: skip
_register(
    fer_mobilenet, "fer_mobilenet_1684535", 1_684_535, "inferred, plausible", stem=16,
    blocks=(16, 32, 32, 64, 64, 128, 128), strides=(1, 2, 1, 2, 1, 2, 1), dense=512, last_kernel=3, pool=False,
)  # fmt: skip
