"""Convolutions of three by three pixels by a quarter of the multiplications, sooner on a CPU than torch's own.

Winograd's way for four by four pixels of the result at a time (Lavin and Gray 2016, arXiv:1509.09308): pixels and
filters are transformed, multiplied, and the products transformed back, all in single precision whatever the maps are
of. A backward pass is the transpose of each step. What comes is rounded about twice as much as by torch in single
precision; less than by torch in bfloat16, to which only the end is rounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from archbench.quick.maps import fits, flat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from typing_extensions import TypeIs

TILE, STEP = 6, 4  # pixels of a tile, and between tiles, in each direction
# What is not multiplied, by how it came out on an EPYC (Zen 4): to transform a value takes as long as to multiply it by
# so many channels, somewhat longer at the ends of rows; the filters take as long as so many tiles.
TRANSFORMED, FILTERS = 16, 128
# What the multiplications saved have to come to, that counted. Processors that multiply in bfloat16 do so twice as
# fast, or faster still: a trial will tell.
LEAST_GAIN = {torch.float32: 1.25, torch.bfloat16: 2.0}
TOGETHER = 2**20  # values of tiles, before and behind their products, that are kept near the processor


class Sizes(NamedTuple):
    """What `winograd_loops` call sizes: of maps, of what is beyond them, of tiles, and of what comes."""

    height: int
    width: int
    inner: int
    pad_y: int
    pad_x: int
    down: int
    across: int
    out_height: int
    out_width: int
    outer: int


def is_usual(conv: nn.Module) -> TypeIs[nn.Conv2d]:
    """Whether a module is torch's convolution of three by three pixels, all channels by all, without gaps or steps."""
    if type(conv) is not nn.Conv2d or conv.groups != 1 or conv.padding_mode != "zeros":
        return False
    return conv.kernel_size == (3, 3) and conv.stride == conv.dilation == (1, 1)


def takes(activation: nn.Module) -> bool:
    """Whether an activation can be done with the convolution behind it."""
    return type(activation) is nn.ReLU


def convolved(conv: nn.Conv2d, activation: nn.ReLU | None, maps: Tensor) -> Tensor:
    """Return what a usual convolution gives for maps (N, C, H, W), and for an activation before it while that trains.

    In evaluation, for maps of another kind or order, and where it does not pay, it is torch's own.
    """
    before = activation if activation is not None and activation.training else None
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
    if kind in LEAST_GAIN and conv.training and torch.is_grad_enabled() and _fits(conv, maps):
        sizes = sizes_of(conv, *maps.shape[2:])
        if gain(sizes, len(maps)) >= LEAST_GAIN[kind]:
            floor = -math.inf if before is None else 0.0
            quick: Tensor = Winograd.apply(maps.to(kind), conv.weight, conv.bias, floor, sizes)
            return quick
    return nn.Conv2d.forward(conv, maps if before is None else nn.ReLU.forward(before, maps))


def _fits(conv: nn.Conv2d, maps: Tensor) -> bool:
    return fits(maps) and maps.shape[1] == conv.in_channels and conv.weight.dtype == torch.float32


def sizes_of(conv: nn.Conv2d, height: int, width: int) -> Sizes:
    """Return the sizes of a usual convolution of maps so high and wide."""
    padding = {"valid": (0, 0), "same": (1, 1)}[conv.padding] if isinstance(conv.padding, str) else conv.padding
    pad_y, pad_x = padding
    made = (height + 2 * pad_y - 2, width + 2 * pad_x - 2)
    down, across = (-(-side // STEP) for side in made)
    return Sizes(height, width, conv.in_channels, pad_y, pad_x, down, across, *made, conv.out_channels)


def gain(sizes: Sizes, samples: int) -> float:
    """Return about how many times as fast it is in single precision as torch's way; 0 where nothing comes."""
    if min(sizes.out_height, sizes.out_width) < 1:
        return 0.0
    products, values = sizes.inner * sizes.outer, (sizes.inner + sizes.outer) * (1 + 1 / sizes.across)
    usual = 9 * samples * sizes.out_height * sizes.out_width * products
    tiles = samples * sizes.down * sizes.across + FILTERS
    return usual / (TILE**2 * tiles * (products + TRANSFORMED * values))


def filter_transform() -> Tensor:
    """Return the matrix (36, 9) that transforms filters: powers of points, divided by their distances from the others.

    The points are those of `winograd_loops`, the last one infinity.
    """
    from archbench.quick.winograd_loops import POINTS

    points = np.array([0.0, *(sign * point for point in POINTS for sign in (1, -1))])
    distances = points[:, None] - points
    np.fill_diagonal(distances, 1)
    finite = points[:, None] ** np.arange(3) / distances.prod(axis=1, keepdims=True)
    along = np.vstack([finite, [0, 0, 1]])
    return torch.from_numpy(np.kron(along, along)).float()


class Winograd(torch.autograd.Function):
    """What torch's convolution does to maps in channels-last order, and a ReLU before it."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, floor: float, sizes: Sizes) -> Tensor:
        """Return the maps activated, from a floor upwards, and convolved."""
        from archbench.quick import winograd_loops as loops

        shape = (len(maps), sizes.outer, sizes.out_height, sizes.out_width)
        done = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
        added = torch.zeros(sizes.outer) if bias is None else bias.detach()
        image, strip, lines = _image(sizes), _strip(sizes), _strip(sizes)
        source, goal, offsets, numbers = flat(maps), flat(done), flat(added), tuple(sizes)
        with torch.autocast("cpu", enabled=False):
            by_place = weight.detach().permute(2, 3, 0, 1).reshape(9, -1)
            filters = torch.mm(filter_transform(), by_place).view(-1, sizes.outer, sizes.inner)
            for images, tiles, products in _parts(len(maps), sizes):
                loops.into_tiles(source, floor, image, strip, tiles.values, numbers, *images)
                torch.bmm(tiles.matrices, filters.mT, out=products.matrices)
                loops.out_of_tiles(products.values, offsets, strip, lines, goal, numbers, *images)
        ctx.save_for_backward(maps, filters)
        ctx.sizes, ctx.floor, ctx.adds = sizes, floor, bias is not None
        return done

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the maps, of the filters and of what is added; of the first two where they learn."""
        from archbench.quick import winograd_loops as loops

        (maps, filters), sizes = ctx.saved_tensors, ctx.sizes
        back = torch.empty_like(maps) if ctx.needs_input_grad[0] else None
        filters_grad, bias_grad = torch.zeros_like(filters), torch.zeros(sizes.outer, dtype=torch.float64)
        sums = torch.zeros(sizes.outer if ctx.adds else 0)
        image, strip, lines = _image(sizes), _strip(sizes), _strip(sizes)
        given, source = flat(gradient.contiguous(memory_format=torch.channels_last)), flat(maps)
        numbers = tuple(sizes)  # as the loops were compiled for
        goal, summed = None if back is None else flat(back), flat(sums)
        with torch.autocast("cpu", enabled=False):
            for images, tiles, products in _parts(len(maps), sizes):
                loops.back_into_tiles(given, strip, lines, products.values, summed, numbers, *images)
                if goal is not None:
                    torch.bmm(products.matrices, filters, out=tiles.matrices)
                    loops.back_out_of_tiles(tiles.values, strip, lines, source, ctx.floor, goal, numbers, *images)
                if ctx.needs_input_grad[1]:
                    loops.into_tiles(source, ctx.floor, image, strip, tiles.values, numbers, *images)
                    torch.baddbmm(filters_grad, products.matrices.mT, tiles.matrices, out=filters_grad)
                bias_grad[: len(sums)] += sums
            by_place = torch.mm(filter_transform().T, filters_grad.view(TILE**2, -1))
        weight_grad = by_place.view(3, 3, sizes.outer, sizes.inner).permute(2, 3, 0, 1)
        added_grad = bias_grad.float() if ctx.adds else None
        return back, weight_grad if ctx.needs_input_grad[1] else None, added_grad, None, None


class Matrices(NamedTuple):
    """One matrix (tiles, channels) for each pixel of a tile, and the memory of all."""

    matrices: Tensor
    values: np.ndarray[Any, Any]


def _parts(samples: int, sizes: Sizes) -> Iterator[tuple[tuple[int, int], Matrices, Matrices]]:
    """Yield for some images at a time: the first and how many, and room for their tiles and the tiles' products."""
    tiles = sizes.down * sizes.across
    together = min(samples, max(1, TOGETHER // (TILE**2 * tiles * (sizes.inner + sizes.outer))))
    room = [torch.empty(TILE**2 * together * tiles * channels) for channels in (sizes.inner, sizes.outer)]
    both: list[Matrices] = []
    for first in range(0, samples, together):
        count = min(together, samples - first)
        if not both or count < together:
            used = (whole[: len(whole) // together * count] for whole in room)
            both = [Matrices(each.view(TILE**2, count * tiles, -1), each.numpy()) for each in used]
        yield (first, count), both[0], both[1]


def _image(sizes: Sizes) -> np.ndarray[Any, Any]:
    """Return room for an image and what is beyond it, zero; torch's memory begins where a wide register may."""
    whole: np.ndarray[Any, Any] = torch.zeros(4 * sizes.inner * (4 * sizes.down + 2) * (sizes.across + 1)).numpy()
    return whole


def _strip(sizes: Sizes) -> np.ndarray[Any, Any]:
    """Return room for a row of tiles: six lines of six pixels a tile."""
    whole: np.ndarray[Any, Any] = torch.empty(TILE**2 * max(sizes.inner, sizes.outer) * (sizes.across + 1)).numpy()
    return whole
