"""Max-pooling in bfloat16, and the activation behind it, as loops over memory, compiled for the processor.

Maps are flat arrays of bits in channels-last order, so that all channels of a pixel are compared at once, and the
pixels of a line. What is compared are marks: a number's bits as a whole number in the order of numbers, what is no
number above all, and in the lowest byte which pixel of its window it is, the first the highest. So one comparison finds
the largest, the first of equals, and where it was.

Places are unsigned: numba would ask of each whether it counts from the end, and that keeps loops out of wide registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from archbench.quick.compiling import VECTOR, at, compiled_for, part, put, single

place, byte, whole, bits = np.uint64, np.uint8, np.int32, np.uint16
NOWHERE = 255  # what is told of a pixel of the result that passes nothing back
SIGN, INFINITY = 0x8000, 0x7F80
LEAST_MARK = -(2**31)
_BITS, _BYTES, _MARKS, _SIZES = types.uint16[::1], types.uint8[::1], types.int32[::1], types.UniTuple(types.int64, 12)


@part
def _mark(raw: Any, number: Any) -> Any:
    size = whole(whole(raw) & whole(SIGN - 1))
    ordered = whole(-size) if whole(raw) >= whole(SIGN) and size <= whole(INFINITY) else size
    return whole(whole(ordered << whole(8)) | whole(number))


@part
def _best_of_columns(maps: Any, best: Any, sizes: Any, sample: Any, y: Any) -> None:
    """Mark the largest of each column that a line of windows has, from y on."""
    _, height, width, channels, _, _, high, wide = sizes[:8]
    line = width * channels
    for spot in range(line):
        best[place(spot)] = LEAST_MARK
    for row in range(max(0, -y), min(high, height - y)):
        source, number = (sample * height + y + row) * line, (high - row) * wide - 1
        for spot in range(line):
            best[place(spot)] = max(best[place(spot)], _mark(maps[place(source + spot)], number))


@part
def _best_of_window(best: Any, width: Any, channels: Any, wide: Any, x: Any) -> None:
    """Mark behind the columns the largest of those that a window has, from x on."""
    goal = width * channels
    for channel in range(channels):
        best[place(goal + channel)] = LEAST_MARK
    for column in range(max(0, -x), min(wide, width - x)):
        source = (x + column) * channels
        for channel in range(channels):
            mark = whole(best[place(source + channel)] - whole(column))
            best[place(goal + channel)] = max(best[place(goal + channel)], mark)


@compiled_for([_BITS, _BITS, _BYTES, _MARKS, _SIZES, types.int32, types.int32])
def pool(maps: Any, done: Any, chosen: Any, best: Any, sizes: Any, floor: Any, cap: Any) -> None:
    """Take the largest of each window, and activate it.

    Args:
        maps: what is pooled.
        done: (written) the largest of each window, activated.
        chosen: (written) which of its window it was, row by row; `NOWHERE` where the activation is level.
        best: ((W + 1) * C,) room for marks, of the columns of a line of windows and of a window.
        sizes: samples, height, width, channels; height and width of what comes; of a window; between windows; padding.
        floor: the number from which downwards the activation is level, in the order of numbers.
        cap: likewise upwards.
    """
    samples, _, width, channels, out_height, out_width, high, wide, down, right, pad_y, pad_x = sizes
    last = high * wide - 1
    for sample in range(samples):
        for out_y in range(out_height):
            _best_of_columns(maps, best, sizes, sample, out_y * down - pad_y)
            for out_x in range(out_width):
                _best_of_window(best, width, channels, wide, out_x * right - pad_x)
                goal = ((sample * out_height + out_y) * out_width + out_x) * channels
                for channel in range(channels):
                    mark = best[place(width * channels + channel)]
                    value, number = whole(mark >> whole(8)), whole(whole(last) - whole(mark & whole(0xFF)))
                    low, over = value <= floor, value >= cap and value <= whole(INFINITY)
                    value = floor if low else cap if over else value
                    value = whole(whole(-value) | whole(SIGN)) if value < whole(0) else value
                    done[place(goal + channel)] = bits(value)
                    chosen[place(goal + channel)] = byte(whole(NOWHERE) if low or over else number)


@compiled_for([_BITS, _BYTES, _BITS, _SIZES])
def pool_back(given: Any, chosen: Any, back: Any, sizes: Any) -> None:
    """Give each pixel what is given to the window that chose it, where windows lie side by side and cover the maps.

    Args:
        given: the gradient of what `pool` has done.
        chosen: as it was written.
        back: (written) the gradient of the maps.
        sizes: as there.
    """
    samples, height, width, channels, out_height, out_width, high, wide = sizes[:8]
    for sample in range(samples):
        for out_y in range(out_height):
            for out_x in range(out_width):
                source = ((sample * out_height + out_y) * out_width + out_x) * channels
                for row in range(high):
                    for column in range(wide):
                        number = byte(row * wide + column)
                        goal = ((sample * height + out_y * high + row) * width + out_x * wide + column) * channels
                        for channel in range(channels):
                            own = chosen[place(source + channel)] == number
                            back[place(goal + channel)] = given[place(source + channel)] if own else bits(0)


def room(sizes: tuple[int, ...]) -> int:
    """Return how many values `pool_back_summed` has to have room for: those of all lines that windows cover."""
    _, _, _, channels, out_height, out_width, high, wide, down, right, _, _ = sizes
    return ((out_height - 1) * down + high) * right * (out_width + (wide - 1) // right) * channels


@part
def _sum_up(given: Any, chosen: Any, sums: Any, sizes: Any, sample: Any) -> None:
    """Sum up what an image's windows give, its columns sorted by their place between windows.

    So what a line of windows gives to a column of each lies side by side, whatever the channels.
    """
    _, _, _, channels, out_height, out_width, high, wide, down, right, _, _ = sizes
    row, sorted_by = out_width * channels, (out_width + (wide - 1) // right) * channels
    for spot in range(len(sums)):
        sums[place(spot)] = single(0)
    for out_y in range(out_height):
        source = (sample * out_height + out_y) * row
        for number in range(high * wide):
            y, x = out_y * down + number // wide, number % wide
            goal = (y * right + x % right) * sorted_by + x // right * channels
            for spot in range(row):
                own, value = chosen[place(source + spot)] == byte(number), at(given, place(source + spot))
                sums[place(goal + spot)] += value if own else single(0)


@compiled_for([_BITS, _BYTES, _BITS, VECTOR, _SIZES])
def pool_back_summed(given: Any, chosen: Any, back: Any, sums: Any, sizes: Any) -> None:
    """Give each pixel the sum of what is given to the windows that chose it.

    Args:
        given: as above.
        chosen: likewise.
        back: (written) likewise.
        sums: room for the sums of an image, in single precision.
        sizes: likewise.
    """
    samples, height, width, channels, _, out_width, _, wide, _, right, pad_y, pad_x = sizes
    sorted_by = (out_width + (wide - 1) // right) * channels
    for sample in range(samples):
        _sum_up(given, chosen, sums, sizes, sample)
        for y in range(pad_y, height + pad_y):
            for x in range(pad_x, width + pad_x):
                goal = ((sample * height + y - pad_y) * width + x - pad_x) * channels
                line, column = y * right + x % right, x // right * channels
                if line * sorted_by >= len(sums) or column >= sorted_by:  # no window covers it
                    for channel in range(channels):
                        back[place(goal + channel)] = bits(0)
                else:
                    for channel in range(channels):
                        put(back, place(goal + channel), sums[place(line * sorted_by + column + channel)])
