"""MobileNet (Howard et al. 2017, arXiv:1704.04861): depthwise-separable convolutions, in a small published form."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import nn

from zoo.blocks import conv_unit, deepened, scaled
from zoo.cnn import LEAKY
from zoo.grammar import OptionError
from zoo.heads import with_head
from zoo.registry import register_model

if TYPE_CHECKING:
    from collections.abc import Sequence

DROPOUT = 0.2
REPEATS = (2, 2, 2, 2)


def separable_net(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    stem: int,
    blocks: Sequence[int],
    strides: Sequence[int],
    dense: int = 64,
    last_kernel: int = 2,
    pool: bool = True,
    head: str | tuple[int, ...] = "dense2",
    first_kernel: int = 3,
    activation: str = LEAKY,
    norm: str = "batch",
    dropout: float | tuple[float, float] = DROPOUT,
) -> nn.Module:
    """One convolution, depthwise-separable blocks, a max-pool if wanted, and a head.

    Depthwise kernels are 3x3, padded at stride 1 and not at stride 2; a last kernel of 2x2 is not padded. A block
    strides only while the map stays at least 2 pixels wide, and the 2x2 kernel and pool are left out on a map of 1
    pixel, so that inputs from 8x8 up work.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        stem: channels of the first convolution.
        blocks: channels of each block.
        strides: of each block.
        dense: units of the head's first dense layer, where it has one.
        last_kernel: side of the last depthwise kernel, 2 or 3.
        pool: whether a 2x2 max-pool stands before the head.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        first_kernel: side of the first kernel, odd.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rate on the map and in the head.
    """
    if last_kernel not in {2, 3}:
        msg = f"last_kernel={last_kernel} is not accepted; give 2 or 3"
        raise OptionError(msg)

    def unit(out_chans: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1) -> nn.Module:
        return conv_unit(
            chans, out_chans, kernel, stride, groups=groups, padding=padding, act=activation, normed=norm, bias=True
        )

    chans = in_chans
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=unit(stem, first_kernel, padding=first_kernel // 2))
    chans = stem
    height, width = (side + 2 * (first_kernel // 2) - first_kernel + 1 for side in input_size)
    for block, (out_chans, wanted) in enumerate(zip(blocks, strides, strict=True), start=1):
        stride = wanted if min(height, width) >= 5 else 1  # a 3x3 kernel at stride 2 leaves 2 pixels of 5
        kernel = min(last_kernel, height, width) if block == len(blocks) and last_kernel == 2 else 3
        padding = 1 if stride == 1 and kernel == 3 else 0
        layers[f"block{block}_depthwise"] = unit(chans, kernel, stride, padding, groups=chans)
        layers[f"block{block}_pointwise"] = unit(out_chans, 1)
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        chans = out_chans
    if pool:
        layers["pool"] = nn.MaxPool2d(min(2, height, width))
    return with_head(
        layers, chans, in_chans, input_size, num_classes,
        kind=head, dense=dense, dropout=dropout, act=activation, normed=norm,
    )  # fmt: skip


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """Channels in the ratio 1 : 2 : 4 : 8 : 16 and a dense layer 8 times the width."""
    return {"channels": scaled(width, 1, 2, 4, 8, 16), "dense": scaled(width, 8)[0]}


def depth(multiple: float) -> dict[str, tuple[int, ...]]:
    """Blocks of each width, 2 at the family's own depth."""
    return {"repeats": deepened(multiple, *REPEATS)}


@register_model(
    shape=shape,
    width=8,
    depth=depth,
    source="arXiv:1704.04861; published FER2013 comparison (71,271 parameters at 1x48x48)",
)
def mobilenet(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    channels: tuple[int, ...],
    dense: int = 64,
    repeats: tuple[int, ...] = REPEATS,
    head: str | tuple[int, ...] = "dense2",
    first_kernel: int = 3,
    activation: str = LEAKY,
    norm: str = "batch",
    dropout: float | tuple[float, float] = DROPOUT,
) -> nn.Module:
    """MobileNet: one convolution, 8 depthwise-separable blocks with batch norm and LeakyReLU, a dense layer.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        channels: channels of the first convolution, then of each run of blocks.
        dense: units of the dense layer.
        repeats: blocks of each width; the first block of each width but the first has stride 2.
        head: one of `zoo.heads.HEADS`, or units of dense layers.
        first_kernel: side of the first kernel, odd.
        activation: of every layer but the last.
        norm: of every layer but the last.
        dropout: rate on the map and in the head.
    """
    stem, *widths = channels
    runs = list(zip(widths, repeats, strict=True))
    blocks = [width for width, count in runs for _ in range(count)]
    strides = [2 if run and not index else 1 for run, (_, count) in enumerate(runs) for index in range(count)]
    return separable_net(
        num_classes=num_classes, in_chans=in_chans, input_size=input_size, stem=stem, blocks=blocks,
        strides=strides, dense=dense, head=head, first_kernel=first_kernel, activation=activation,
        norm=norm, dropout=dropout,
    )  # fmt: skip
