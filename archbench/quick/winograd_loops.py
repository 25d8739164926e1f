"""What stands before and behind the products of Winograd's convolution: loops over memory, compiled for the processor.

Maps are flat arrays in channels-last order. A tile is what four by four pixels of the result depend on, six by six of
what is convolved; tiles lie side by side but for two pixels. Row i, column j of every transformed tile, of an image's
rows of tiles one after the other, are a matrix (tiles, channels) of its own: the array of all is (36, tiles, channels).

An activation before the convolution is told by a floor, 0 for a ReLU: what is lower is taken for it, and passes nothing
back. Without one the floor is below all numbers.

Each transformation goes down the columns and then along the rows. For the latter, the pixels of a line are sorted by
their place in a tile, so that every loop goes over as many values at once as a line of tiles has, whatever the
channels; what lies beyond the maps is zero. Those that go back are the transposes of those that go forth.

The points of interpolation are 0, ±a, ±b and infinity (Lavin and Gray 2016, arXiv:1509.09308, take 1 and 2): with a
root of a half and a root of two the numbers between differ less in size, and what is rounded is less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from archbench.quick.compiling import KINDS, VECTOR, at, compiled_for, part, put, single

place = np.uint64
POINTS = (math.sqrt(0.5), math.sqrt(2.0))  # a and b, whose squares' product is one
A, B = (single(point) for point in POINTS)
A2, B2 = single(0.5), single(2)
A3, B3 = (single(point**3) for point in POINTS)
BOTH = single(2.5)  # the squares' sum
_SIZES, _NUMBER = types.UniTuple(types.int64, 10), types.int64


@part
def _into(x0: Any, x1: Any, x2: Any, x3: Any, x4: Any, x5: Any) -> Any:
    """Return the transform of six pixels: the products of x - p of all other points, from the lowest power."""
    even_a, odd_a, even_b, odd_b = x4 - B2 * x2, A * (x3 - B2 * x1), x4 - A2 * x2, B * (x3 - A2 * x1)
    return x0 - BOTH * x2 + x4, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, x1 - BOTH * x3 + x5


@part
def _into_back(t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any) -> Any:
    even_a, odd_a, even_b, odd_b = t1 + t2, A * (t1 - t2), t3 + t4, B * (t3 - t4)
    middle = -BOTH * t0 - B2 * even_a - A2 * even_b
    return t0, t5 - B2 * odd_a - A2 * odd_b, middle, odd_a + odd_b - BOTH * t5, t0 + even_a + even_b, t5


@part
def _out_of(t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any) -> Any:
    """Return four pixels of the result: the sums of values at points by the points' powers."""
    even_a, odd_a, even_b, odd_b = t1 + t2, t1 - t2, t3 + t4, t3 - t4
    return t0 + even_a + even_b, A * odd_a + B * odd_b, A2 * even_a + B2 * even_b, A3 * odd_a + B3 * odd_b + t5


@part
def _out_of_back(y0: Any, y1: Any, y2: Any, y3: Any) -> Any:
    even_a, odd_a, even_b, odd_b = y0 + A2 * y2, A * y1 + A3 * y3, y0 + B2 * y2, B * y1 + B3 * y3
    return y0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y3


@part
def _four(values: Any, first: Any, apart: Any) -> Any:
    return (
        values[place(first)], values[place(first + apart)], values[place(first + 2 * apart)],
        values[place(first + 3 * apart)],
    )  # fmt: skip


@part
def _six(values: Any, first: Any, apart: Any) -> Any:
    return (*_four(values, first, apart), values[place(first + 4 * apart)], values[place(first + 5 * apart)])


@part
def _put_four(values: Any, first: Any, apart: Any, four: Any) -> None:
    values[place(first)], values[place(first + apart)] = four[0], four[1]
    values[place(first + 2 * apart)], values[place(first + 3 * apart)] = four[2], four[3]


@part
def _put_six(values: Any, first: Any, apart: Any, six: Any) -> None:
    _put_four(values, first, apart, six[:4])
    values[place(first + 4 * apart)], values[place(first + 5 * apart)] = six[4], six[5]


@part
def _load(maps: Any, floor: Any, image: Any, sizes: Any, number: Any) -> None:
    """Load an image, activated, its pixels sorted within lines, into the middle of what is zero."""
    height, width, channels, pad_y, pad_x, _, across, _, _, _ = sizes
    sorted_by = (across + 1) * channels
    for y in range(height):
        for x in range(pad_x, width + pad_x):
            source = ((number * height + y) * width + x - pad_x) * channels
            goal = (4 * (y + pad_y) + x % 4) * sorted_by + x // 4 * channels
            for channel in range(channels):
                value = at(maps, place(source + channel))
                image[place(goal + channel)] = max(value, floor)


@compiled_for(*([kind, types.float32, VECTOR, VECTOR, VECTOR, _SIZES, _NUMBER, _NUMBER] for kind in KINDS))
def into_tiles(maps: Any, floor: Any, image: Any, strip: Any, tiles: Any, sizes: Any, first: Any, count: Any) -> None:
    """Transform the tiles of some images.

    Args:
        maps: what is convolved, once it is activated.
        floor: of the activation.
        image: room for an image with what is beyond it, 4 * C * (4 * down + 2) * (across + 1) values, zero at first.
        strip: room for a row of tiles, 24 * C * (across + 1) values.
        tiles: (36, count * down * across, C) (written) the tiles transformed.
        sizes: height, width, channels, padding of both; rows of tiles, tiles in a row; height, width, channels of what
            comes.
        first: the image to begin with.
        count: how many.
    """
    channels, down, across = sizes[2], sizes[5], sizes[6]
    sorted_by, row = (across + 1) * channels, across * channels
    line, matrix = 4 * sorted_by, count * down * row
    for number in range(count):
        _load(maps, floor, image, sizes, first + number)
        for tile_y in range(down):
            for spot in range(line):
                _put_six(strip, spot, line, _into(*_six(image, 4 * tile_y * line + spot, line)))
            for i in range(6):
                goal = 6 * i * matrix + (number * down + tile_y) * row
                for spot in range(row):
                    source = i * line + spot
                    x4, x5 = strip[place(source + channels)], strip[place(source + sorted_by + channels)]
                    _put_six(tiles, goal + spot, matrix, _into(*_four(strip, source, sorted_by), x4, x5))


@part
def _store(lines: Any, bias: Any, done: Any, sizes: Any, line: Any) -> None:
    """Store a line of all images' lines, whose pixels are sorted, with what is added."""
    width, channels, row = sizes[8], sizes[9], sizes[6] * sizes[9]
    for x in range(width):
        source, goal = x % 4 * row + x // 4 * channels, (line * width + x) * channels
        for channel in range(channels):
            put(done, place(goal + channel), lines[place(source + channel)] + bias[place(channel)])


@compiled_for(*([VECTOR, VECTOR, VECTOR, VECTOR, kind, _SIZES, _NUMBER, _NUMBER] for kind in KINDS))
def out_of_tiles(tiles: Any, bias: Any, strip: Any, lines: Any, done: Any, sizes: Any, first: Any, count: Any) -> None:
    """Make the result of some images of their tiles.

    Args:
        tiles: (36, count * down * across, K) products of transformed tiles and filters.
        bias: (K,) what is added.
        strip: room for a row of tiles, 24 * K * across values.
        lines: room for a line, 4 * K * across values.
        done: (written) the result.
        sizes: as above.
        first: likewise.
        count: likewise.
    """
    down, across, height, channels = sizes[5], sizes[6], sizes[7], sizes[9]
    row = across * channels
    matrix = count * down * row
    for number in range(count):
        for tile_y in range(down):
            for j in range(6):
                source = j * matrix + (number * down + tile_y) * row
                for spot in range(row):
                    _put_four(strip, j * row + spot, 6 * row, _out_of(*_six(tiles, source + spot, 6 * matrix)))
            for y in range(min(4, height - 4 * tile_y)):
                for spot in range(row):
                    _put_four(lines, spot, row, _out_of(*_six(strip, 6 * y * row + spot, row)))
                _store(lines, bias, done, sizes, (first + number) * height + 4 * tile_y + y)


@part
def _load_back(given: Any, lines: Any, sums: Any, sizes: Any, line: Any, y: Any) -> None:
    """Load a line of all images' lines, its pixels sorted, as one of four; and add it up."""
    width, channels, row = sizes[8], sizes[9], sizes[6] * sizes[9]
    for x in range(width):
        source, goal = (line * width + x) * channels, (4 * y + x % 4) * row + x // 4 * channels
        for channel in range(channels):
            lines[place(goal + channel)] = at(given, place(source + channel))
        for channel in range(len(sums)):
            sums[place(channel)] += at(given, place(source + channel))


@part
def _zero(values: Any, first: Any, count: Any) -> None:
    for spot in range(first, first + count):
        values[place(spot)] = single(0)


@compiled_for(*([kind, VECTOR, VECTOR, VECTOR, VECTOR, _SIZES, _NUMBER, _NUMBER] for kind in KINDS))
def back_into_tiles(
    given: Any, strip: Any, lines: Any, tiles: Any, sums: Any, sizes: Any, first: Any, count: Any
) -> None:
    """Make the gradient of the products of the gradient of the result.

    Args:
        given: the gradient of what `out_of_tiles` has done.
        strip: room for a row of tiles, 24 * K * across values.
        lines: room for four lines, 16 * K * across values.
        tiles: (36, count * down * across, K) (written) the gradient of the products.
        sums: (K,) (written) the gradient of the bias, of these images; or empty.
        sizes: as above.
        first: likewise.
        count: likewise.
    """
    down, across, height, channels = sizes[5], sizes[6], sizes[7], sizes[9]
    row = across * channels
    line, matrix = 4 * row, count * down * row
    _zero(lines, 0, 4 * line)
    _zero(sums, 0, len(sums))
    for number in range(count):
        for tile_y in range(down):
            for y in range(4):
                if 4 * tile_y + y < height:
                    _load_back(given, lines, sums, sizes, (first + number) * height + 4 * tile_y + y, y)
                else:
                    _zero(lines, y * line, line)
            for spot in range(line):
                _put_six(strip, spot, line, _out_of_back(*_four(lines, spot, line)))
            for i in range(6):
                goal = 6 * i * matrix + (number * down + tile_y) * row
                for spot in range(row):
                    _put_six(tiles, goal + spot, matrix, _out_of_back(*_four(strip, i * line + spot, row)))


@part
def _in_order(lines: Any, ordered: Any, sizes: Any, y: Any) -> None:
    """Put a line's pixels in their order, those of two tiles added up."""
    width, channels, pad_x, across = sizes[1], sizes[2], sizes[4], sizes[6]
    row = across * channels
    for x in range(pad_x, width + pad_x):
        goal, own = (x - pad_x) * channels, (6 * y + x % 4) * row + x // 4 * channels
        left = own + 4 * row - channels  # the fifth or sixth pixel of the tile to the left
        if x >= 4 * across:
            for channel in range(channels):
                ordered[place(goal + channel)] = lines[place(left + channel)]
        elif x >= 4 and x % 4 < 2:
            for channel in range(channels):
                ordered[place(goal + channel)] = lines[place(own + channel)] + lines[place(left + channel)]
        else:
            for channel in range(channels):
                ordered[place(goal + channel)] = lines[place(own + channel)]


@part
def _store_back(ordered: Any, maps: Any, floor: Any, back: Any, sizes: Any, line: Any) -> None:
    """Store a line of all images' lines, where the activation passes it back."""
    length = sizes[1] * sizes[2]
    for spot in range(length):
        passed = single(1) if at(maps, place(line * length + spot)) > floor else single(0)
        put(back, place(line * length + spot), ordered[place(spot)] * passed)


@compiled_for(*([VECTOR, VECTOR, VECTOR, kind, types.float32, kind, _SIZES, _NUMBER, _NUMBER] for kind in KINDS))
def back_out_of_tiles(
    tiles: Any, strip: Any, lines: Any, maps: Any, floor: Any, back: Any, sizes: Any, first: Any, count: Any
) -> None:
    """Make the gradient of the maps of the gradient of their tiles.

    Args:
        tiles: (36, count * down * across, C) the gradient of what `into_tiles` has written.
        strip: room for a row of tiles, 36 * C * across values, or for a line of the maps.
        lines: room for six lines, likewise.
        maps: as there.
        floor: likewise.
        back: (written) the gradient of the maps, before they were activated.
        sizes: likewise.
        first: likewise.
        count: likewise.
    """
    height, channels, pad_y, down, across = sizes[0], sizes[2], sizes[3], sizes[5], sizes[6]
    row = across * channels
    line, matrix = 6 * row, count * down * row
    for number in range(count):
        _zero(lines, 4 * line, 2 * line)
        for tile_y in range(down):
            for i in range(6):
                source = 6 * i * matrix + (number * down + tile_y) * row
                for spot in range(row):
                    _put_six(strip, i * line + spot, row, _into_back(*_six(tiles, source + spot, matrix)))
            for spot in range(2 * line):  # the lines that the tiles above have, too
                lines[place(spot)] = lines[place(4 * line + spot)]
            for spot in range(line):
                six = _into_back(*_six(strip, spot, line))
                lines[place(spot)] += six[0]
                lines[place(line + spot)] += six[1]
                _put_four(lines, 2 * line + spot, line, six[2:])
            above = 4 * tile_y - pad_y
            for y in range(max(0, -above), min(6 if tile_y == down - 1 else 4, height - above)):
                _in_order(lines, strip, sizes, y)
                _store_back(strip, maps, floor, back, sizes, (first + number) * height + above + y)
