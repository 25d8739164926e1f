"""Batch normalisation and the activation behind it as loops over memory, compiled for the processor that runs them.

Maps are flat arrays in channels-last order. They are gone over in blocks of whole pixels, many registers wide, so that
7 channels keep a processor as busy as 16: what belongs to a channel is written out for every pixel of a block. Sums are
taken in single precision within a few blocks, and of those in double precision; squares are taken of distances from a
value near the mean.

An activation is a slope below zero and a cap: (1, inf) leaves values as they are, (0, inf) is a ReLU, (0, 6) a ReLU6.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from archbench.quick.compiling import NUMBER, VECTOR, at, compiled, part, put, single

REGISTER = 16  # values in a processor's widest register
LEAST = 512  # values of a block, below which its loop is too short
TOGETHER = 32  # blocks that are summed up in single precision
SAMPLED = 64  # blocks that tell about where a mean is


def block(channels: int) -> int:
    """Return how many values of so many channels are taken together: whole pixels, and whole registers of them."""
    least = channels * REGISTER // math.gcd(REGISTER, channels)
    return least * -(-LEAST // least)


@part
def _near(maps: Any, channels: int, size: int) -> Any:
    """Return a value near the mean of each channel, for every value of a block."""
    sums, pixels = np.zeros(size), 0
    for start in range(0, len(maps), size * max(1, len(maps) // size // SAMPLED)):
        piece = maps[start : min(start + size, len(maps))]
        pixels += len(piece) // channels
        for place in range(len(piece)):
            sums[place] += at(piece, place)
    for channel in range(channels):
        sums[channel::channels] = sums[channel::channels].sum() / pixels
    return sums.astype(single)


@part
def _flush(sums: Any, wholes: Any) -> None:
    for place in range(len(sums)):
        wholes[place] += sums[place]
        sums[place] = 0


@part
def _count(piece: Any, near: Any, sums: Any, squares: Any) -> None:
    for place in range(len(piece)):
        distance = at(piece, place) - near[place]
        sums[place] += distance
        squares[place] += distance * distance


@part
def _activate(piece: Any, factor: Any, level: Any, slope: Any, cap: Any, done: Any) -> None:
    for place in range(len(piece)):
        value = at(piece, place) * factor[place] + level[place]
        value = value if value > single(0) else value * slope
        put(done, place, min(value, cap))


@part
def _activate_sum(piece: Any, beside: Any, factor: Any, level: Any, slope: Any, cap: Any, done: Any) -> None:
    for place in range(len(piece)):
        value = at(piece, place) * factor[place] + level[place] + at(beside, place)
        value = value if value > single(0) else value * slope
        put(done, place, min(value, cap))


@compiled(3, types.int64, *[VECTOR] * 4, *[NUMBER] * 4, *[VECTOR] * 2)
def normalize(
    maps: Any,
    beside: Any,
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
        beside: what is added before they are activated, of as many values, or of none.
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
        if len(beside):
            _activate_sum(
                maps[start:stop], beside[start:stop], factor, level, single(slope), single(cap), done[start:stop]
            )
        else:
            _activate(maps[start:stop], factor, level, single(slope), single(cap), done[start:stop])


@part
def _passed(gradient: Any, value: Any, slope: Any, cap: Any) -> Any:
    """Return what an activation of a value passes back of a gradient."""
    inner = gradient if value > single(0) else gradient * slope
    return single(0) if value >= cap else inner


@part
def _count_back(
    given: Any, piece: Any, factor: Any, level: Any, near: Any, slope: Any, cap: Any, sums: Any, products: Any
) -> None:
    for place in range(len(piece)):
        value = at(piece, place)
        passed = _passed(at(given, place), value * factor[place] + level[place], slope, cap)
        sums[place] += passed
        products[place] += passed * (value - near[place])


@part
def _pass_back(
    given: Any, piece: Any, factor: Any, level: Any, slant: Any, offset: Any, slope: Any, cap: Any, back: Any
) -> None:
    for place in range(len(piece)):
        value = at(piece, place)
        passed = _passed(at(given, place), value * factor[place] + level[place], slope, cap)
        put(back, place, passed * factor[place] + (value * slant[place] + offset[place]))


@part
def _pass_sum(given: Any, done: Any, slope: Any, cap: Any, passed: Any) -> None:
    for place in range(len(given)):
        put(passed, place, _passed(at(given, place), at(done, place), slope, cap))


@compiled(5, types.int64, *[VECTOR] * 4, *[NUMBER] * 2, *[VECTOR] * 2)
def normalize_back(
    given: Any,
    maps: Any,
    done: Any,
    back: Any,
    beside_back: Any,
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
        done: what it made of maps and what is beside them; of no values where nothing is.
        back: (written) the gradient of the maps.
        beside_back: (written) that of what is beside them; of as many values as `done`.
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
    if len(done):
        for start in range(0, end, size):
            stop = min(start + size, end)
            _pass_sum(given[start:stop], done[start:stop], below, top, beside_back[start:stop])
        given, below, top = beside_back, single(1), single(np.inf)
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
