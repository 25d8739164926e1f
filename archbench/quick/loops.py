"""Batch normalisation and the activation behind it as loops over memory, compiled for the processor that runs them.

Maps are flat arrays in channels-last order: float32, or bfloat16 as the bits that numpy has no type for. They are gone
over in blocks of whole pixels, many registers wide, so that 7 channels keep a processor as busy as 16: what belongs to
a channel is written out for every pixel of a block. Sums are taken in single precision within a few blocks, and of
those in double precision; squares are taken of distances from a value near the mean.

An activation is a slope below zero and a cap: (1, inf) leaves values as they are, (0, inf) is a ReLU, (0, 6) a ReLU6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, types
from numba.extending import overload

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTER = 16  # values in a processor's widest register
LEAST = 512  # values of a block, below which its loop is too short
TOGETHER = 32  # blocks that are summed up in single precision
SAMPLED = 64  # blocks that tell about where a mean is

single, word, bits = np.float32, np.uint32, np.uint16
_OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "nogil": True}
_NUMBER, _VECTOR = types.float64, types.float32[::1]


def _compiled(maps: int, *further: types.Type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a function as its module is imported, for so many maps of either kind, and what else it is given.

    It is compiled once on a machine: other processes find it in a cache, beside its file or among the user's.
    """
    kinds = (types.float32[::1], types.uint16[::1])
    signatures = [types.void(*[kind] * maps, *further) for kind in kinds]

    def compiling(function: Callable[..., None]) -> Callable[..., None]:
        try:
            kept: Callable[..., None] = njit(signatures, cache=True, **_OPTIONS)(function)
        except Exception:  # noqa: BLE001 - of the cache: no folder can be written, the disk is full, a file is damaged
            kept = njit(signatures, **_OPTIONS)(function)
        return kept

    return compiling


def _part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function as it is first called by one that is compiled, and into that."""
    whole: Callable[..., Any] = njit(**_OPTIONS)(function)
    return whole


def _at(maps: Any, place: Any) -> Any:
    """Return a value of maps in single precision."""
    raise NotImplementedError


@overload(_at, inline="always")
def _at_kind(maps: Any, place: Any) -> Any:  # noqa: ARG001 - as what it stands for
    def widened(maps: Any, place: Any) -> Any:
        return word(word(maps[place]) << word(16)).view(single)

    def as_it_is(maps: Any, place: Any) -> Any:
        return maps[place]

    return widened if maps.dtype == types.uint16 else as_it_is


def _put(maps: Any, place: Any, value: Any) -> None:
    """Put a value into maps, rounded to the nearest that there is."""
    raise NotImplementedError


@overload(_put, inline="always")
def _put_kind(maps: Any, place: Any, value: Any) -> Any:  # noqa: ARG001 - as what it stands for
    def rounded(maps: Any, place: Any, value: Any) -> None:
        whole = single(value).view(word)
        half = word(word(0x7FFF) + word(word(whole >> word(16)) & word(1)))  # ties go to the even one
        maps[place] = bits(word(word(whole + half) >> word(16))) if value == value else bits(0x7FC0)  # noqa: PLR0124

    def as_it_is(maps: Any, place: Any, value: Any) -> None:
        maps[place] = value

    return rounded if maps.dtype == types.uint16 else as_it_is


def block(channels: int) -> int:
    """Return how many values of so many channels are taken together: whole pixels, and whole registers of them."""
    least = channels * REGISTER // math.gcd(REGISTER, channels)
    return least * -(-LEAST // least)


@_part
def _near(maps: Any, channels: int, size: int) -> Any:
    """Return a value near the mean of each channel, for every value of a block."""
    sums, pixels = np.zeros(size), 0
    for start in range(0, len(maps), size * max(1, len(maps) // size // SAMPLED)):
        piece = maps[start : min(start + size, len(maps))]
        pixels += len(piece) // channels
        for place in range(len(piece)):
            sums[place] += _at(piece, place)
    for channel in range(channels):
        sums[channel::channels] = sums[channel::channels].sum() / pixels
    return sums.astype(single)


@_part
def _flush(sums: Any, wholes: Any) -> None:
    for place in range(len(sums)):
        wholes[place] += sums[place]
        sums[place] = 0


@_part
def _count(piece: Any, near: Any, sums: Any, squares: Any) -> None:
    for place in range(len(piece)):
        distance = _at(piece, place) - near[place]
        sums[place] += distance
        squares[place] += distance * distance


@_part
def _activate(piece: Any, factor: Any, level: Any, slope: Any, cap: Any, done: Any) -> None:
    for place in range(len(piece)):
        value = _at(piece, place) * factor[place] + level[place]
        value = value if value > single(0) else value * slope
        _put(done, place, min(value, cap))


@_compiled(2, types.int64, *[_VECTOR] * 4, *[_NUMBER] * 4, *[_VECTOR] * 2)
def normalize(
    maps: Any,
    done: Any,
    size: int,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float,
    eps: float,
    slope: float,
    cap: float,
    mean: Any,
    scale: Any,
) -> None:
    """Normalise maps by their own statistics, which are brought into the running ones, and activate them.

    Args:
        maps: what is normalised.
        done: (written) the same, normalised and activated.
        size: of a block.
        weight: (C,).
        bias: (C,).
        running_mean: (C,) (written).
        running_var: (C,) (written).
        momentum: the share of these maps in the running statistics.
        eps: what is added to a variance.
        slope: of the activation, below zero.
        cap: of the activation.
        mean: (C,) (written).
        scale: (C,) (written) one by the square root of the variance.
    """
    channels, end = len(weight), len(maps)
    count = end // channels
    near = _near(maps, channels, size)
    sums, squares = np.zeros(size, single), np.zeros(size, single)
    all_sums, all_squares = np.zeros(size), np.zeros(size)
    for first in range(0, end, size * TOGETHER):
        last = min(first + size * TOGETHER, end)
        for start in range(first, last, size):
            _count(maps[start : min(start + size, last)], near, sums, squares)
        _flush(sums, all_sums)
        _flush(squares, all_squares)
    factor, level = np.empty(size, single), np.empty(size, single)
    for channel in range(channels):
        apart = all_sums[channel::channels].sum() / count
        var = max(all_squares[channel::channels].sum() / count - apart * apart, 0.0)
        center = near[channel] + apart
        mean[channel], scale[channel] = center, 1 / math.sqrt(var + eps)
        running_mean[channel] += momentum * (center - running_mean[channel])
        running_var[channel] += momentum * (var * count / (count - 1) - running_var[channel])
        factor[channel::channels] = weight[channel] * scale[channel]
        level[channel::channels] = bias[channel] - mean[channel] * factor[channel]
    for start in range(0, end, size):
        stop = min(start + size, end)
        _activate(maps[start:stop], factor, level, single(slope), single(cap), done[start:stop])


@_part
def _passed(gradient: Any, value: Any, slope: Any, cap: Any) -> Any:
    """Return what an activation of a value passes back of a gradient."""
    inner = gradient if value > single(0) else gradient * slope
    return single(0) if value >= cap else inner


@_part
def _count_back(
    given: Any, piece: Any, factor: Any, level: Any, near: Any, slope: Any, cap: Any, sums: Any, products: Any
) -> None:
    for place in range(len(piece)):
        value = _at(piece, place)
        passed = _passed(_at(given, place), value * factor[place] + level[place], slope, cap)
        sums[place] += passed
        products[place] += passed * (value - near[place])


@_part
def _pass_back(
    given: Any, piece: Any, factor: Any, level: Any, slant: Any, offset: Any, slope: Any, cap: Any, back: Any
) -> None:
    for place in range(len(piece)):
        value = _at(piece, place)
        passed = _passed(_at(given, place), value * factor[place] + level[place], slope, cap)
        _put(back, place, passed * factor[place] + (value * slant[place] + offset[place]))


@_compiled(3, types.int64, *[_VECTOR] * 4, *[_NUMBER] * 2, *[_VECTOR] * 2)
def normalize_back(
    given: Any,
    maps: Any,
    back: Any,
    size: int,
    weight: Any,
    bias: Any,
    mean: Any,
    scale: Any,
    slope: float,
    cap: float,
    weight_grad: Any,
    bias_grad: Any,
) -> None:
    """Return what of a gradient gets through activation and normalisation, and what of it weight and bias get.

    Args:
        given: the gradient of what `normalize` has done.
        maps: what it was given.
        back: (written) their gradient.
        size: of a block.
        weight: (C,).
        bias: (C,).
        mean: (C,).
        scale: (C,).
        slope: of the activation, below zero.
        cap: of the activation.
        weight_grad: (C,) (written).
        bias_grad: (C,) (written).
    """
    channels, end = len(weight), len(maps)
    count = end // channels
    near, factor, level = np.empty(size, single), np.empty(size, single), np.empty(size, single)
    for channel in range(channels):
        near[channel::channels] = mean[channel]
        factor[channel::channels] = weight[channel] * scale[channel]
        level[channel::channels] = bias[channel] - mean[channel] * factor[channel]
    below, top = single(slope), single(cap)
    sums, products = np.zeros(size, single), np.zeros(size, single)
    all_sums, all_products = np.zeros(size), np.zeros(size)
    for first in range(0, end, size * TOGETHER):
        last = min(first + size * TOGETHER, end)
        for start in range(first, last, size):
            stop = min(start + size, last)
            _count_back(given[start:stop], maps[start:stop], factor, level, near, below, top, sums, products)
        _flush(sums, all_sums)
        _flush(products, all_products)
    # The gradient of the maps is factor * (passed - (bias_grad + (maps - mean) * scale * weight_grad) / count).
    slant, offset = np.empty(size, single), np.empty(size, single)
    for channel in range(channels):
        bias_grad[channel] = all_sums[channel::channels].sum()
        weight_grad[channel] = all_products[channel::channels].sum() * scale[channel]
        slant[channel::channels] = -factor[channel] * scale[channel] * weight_grad[channel] / count
        offset[channel::channels] = -factor[channel] * bias_grad[channel] / count - slant[channel] * mean[channel]
    for start in range(0, end, size):
        stop = min(start + size, end)
        _pass_back(
            given[start:stop], maps[start:stop], factor, level, slant, offset, below, top, back[start:stop]
        )  # fmt: skip
