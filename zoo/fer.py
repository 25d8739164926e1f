"""The published FER2013 nets: a plain CNN, a MobileNet, and the seven points of their scatter plot.

The counts are Keras totals. The points' architectures are inferred from their counts, in the templates of the two nets
that the report states; where several fit a count, one is given and `basis` says so.
"""

from __future__ import annotations

from typing import Any

from zoo.cnn import plain_cnn
from zoo.mobilenet import separable_net
from zoo.registry import register_model
from zoo.spec import Published

SOURCE = "published FER2013 comparison"


def _cnn(name: str, params: int, basis: str, **preset: Any) -> None:
    _register("cnn", "CNN", name, params, basis, preset)(plain_cnn)


def _mobilenet(name: str, params: int, basis: str, **preset: Any) -> None:
    _register("mobilenet", "MobileNet", name, params, basis, preset)(separable_net)


def _register(family: str, title: str, name: str, params: int, basis: str, preset: dict[str, Any]) -> Any:
    return register_model(
        name,
        family=family,
        summary=f"FER2013 {title} of {params:,} parameters as Keras counts",
        source=SOURCE,
        preset=preset,
        input_shape=(1, 48, 48),
        classes=7,
        published=Published(params, "keras", basis),
    )


def _groups(channels: tuple[int, ...], convolutions: int) -> tuple[tuple[int, int, int, bool], ...]:
    """Return groups of 3x3 kernels, padded but for the last."""
    last = len(channels) - 1
    return tuple((count, convolutions, 3, index < last) for index, count in enumerate(channels))


HW3 = ((32, 3, 3, True), (64, 3, 3, True), (128, 3, 2, False))
_cnn("fer_cnn", 1_332_807, "stated, batch norm after each convolution inferred", groups=HW3, dense=512)
_cnn(
    "fer_cnn_28911", 28_911, "inferred, weak: many fit", dense=32,
    groups=((4, 1, 3, True), (16, 1, 3, True), (32, 1, 2, False)),
)  # fmt: skip
_cnn("fer_cnn_218807", 218_807, "inferred, good", dense=64, groups=_groups((16, 32, 64, 96), 2))
_cnn("fer_cnn_1192679", 1_192_679, "inferred, good", dense=64, groups=_groups((32, 64, 128, 256), 2))
_cnn(
    "fer_cnn_4098087", 4_098_087, "contrived: a stand-in of that size", dense=256,
    groups=((24, 3, 3, True), (96, 3, 3, True), (320, 3, 2, True)),
)  # fmt: skip

HW8 = (16, 16, 32, 32, 64, 64, 128, 128)
STRIDES = (1, 1, 2, 1, 2, 1, 2, 1)
_mobilenet("fer_mobilenet", 73_095, "stated", stem=8, blocks=HW8, strides=STRIDES, dense=64)
_mobilenet(
    "fer_mobilenet_28775", 28_775, "inferred, strong: half the width",
    stem=4, blocks=tuple(count // 2 for count in HW8), strides=STRIDES, dense=64,
)  # fmt: skip
_mobilenet(
    "fer_mobilenet_213127", 213_127, "inferred, plausible", stem=8,
    blocks=(32, 32, 32, 64, 64, 128, 128, 256, 256), strides=(1, 1, 1, 2, 1, 2, 1, 2, 1), dense=64, last_kernel=3,
)  # fmt: skip
_mobilenet(
    "fer_mobilenet_1684535", 1_684_535, "inferred, plausible", stem=16,
    blocks=(16, 32, 32, 64, 64, 128, 128), strides=(1, 2, 1, 2, 1, 2, 1), dense=512, last_kernel=3, pool=False,
)  # fmt: skip
