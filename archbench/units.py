"""Numbers as people write them: parsing budgets, shapes and lists, and the only place that formats a number."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

THIN_SPACE = "\u202f"  # between a number and µs; no line is broken at it
MAX_COUNT = 10**12
COUNT_FORMS = "a whole number from 1 to 1e12, such as 30000, 30k, 1.6M or 2e5"
SHAPE_FORMS = "channels x height x width, such as 1x28x28 or 3x224x224"
SEED_FORMS = "how many (3 stands for 0,1,2) or which ones (0,7,42)"

_COUNT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?:(?P<suffix>[km])|e\+?(?P<exponent>[0-9]{1,2}))?", re.IGNORECASE)
_SUFFIXES = {"": 0, "k": 3, "m": 6}


def parse_count(text: str) -> int:
    """Return the whole number that `text` stands for: `30000`, `30k`, `1.6M`, `2e5`; case does not matter.

    Raises:
        InputError: anything else, a fraction of one, or a number outside 1 to 1e12.
    """
    match = _COUNT.fullmatch(text.strip()) if len(text) <= 40 else None  # nobody writes more digits
    if match:
        exponent = int(match["exponent"]) if match["exponent"] else _SUFFIXES[(match["suffix"] or "").lower()]
        value = Decimal(match["number"]).scaleb(exponent)
        if value == value.to_integral_value() and 1 <= value <= MAX_COUNT:
            return int(value)
    msg = f"{_shown(text)} is not a budget"
    raise InputError(msg, f"Give {COUNT_FORMS}.")


def parse_counts(text: str) -> tuple[int, ...]:
    """Return the numbers of a comma-separated list, in its order.

    Raises:
        InputError: an item that is none, or two that are equal.
    """
    counts = tuple(parse_count(item) for item in text.split(","))
    for count in counts:
        if counts.count(count) > 1:
            msg = f"the budget {grouped(count)} is given twice in {_shown(text)}"
            raise InputError(msg, "Name each budget once.")
    return counts


def parse_numbers(text: str, what: str) -> tuple[int, ...]:
    """Return the whole numbers from 1 of a comma-separated list, in its order, each once.

    Raises:
        InputError: anything else; `what` names the list.
    """
    items = [item.strip() for item in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}", item) and int(item) > 0 for item in items):
        msg = f"{what}: {_shown(text)} is not accepted"
        raise InputError(msg, "Give whole numbers from 1, separated by commas: 1,32,256.")
    return tuple(dict.fromkeys(int(item) for item in items))


def parse_shape(text: str) -> tuple[int, int, int]:
    """Return (channels, height, width) from `1x48x48`; `48x48x1` is taken for the same, as Keras users write it.

    The last number is read as the channels only where it is at most 4 and the first is not.

    Raises:
        InputError: not three whole numbers from 1 to 4096 joined by x.
    """
    parts = text.strip().lower().split("x")
    if len(parts) == 3 and all(re.fullmatch(r"[0-9]{1,4}", part) for part in parts):  # C, H, W
        first, second, third = (int(part) for part in parts)
        shape = (third, first, second) if third <= 4 < first else (first, second, third)  # RGBA at most
        if all(1 <= side <= 4096 for side in shape):  # a bound on typing errors
            return shape
    msg = f"{_shown(text)} is not an input shape"
    raise InputError(msg, f"Give {SHAPE_FORMS}.")


def shape_of(value: str | Sequence[int]) -> tuple[int, int, int]:
    """Return (channels, height, width) from a text, as `parse_shape` reads it, or from three numbers in that order.

    Raises:
        InputError: anything else.
    """
    if isinstance(value, str):
        return parse_shape(value)
    sides = tuple(value) if hasattr(value, "__iter__") else (value,)
    if len(sides) == 3 and all(isinstance(side, int) and 1 <= side <= 4096 for side in sides):
        return sides[0], sides[1], sides[2]
    msg = f"{sides} is not an input shape"
    raise InputError(msg, f"Give (C, H, W), or {SHAPE_FORMS}.")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return seeds from a count (`3` gives 0, 1, 2) or from a list (`0,7,42`; `7,` is the one seed 7).

    Raises:
        InputError: anything else, more than 1,000 seeds, or one given twice.
    """
    items = [item.strip() for item in text.strip().removesuffix(",").split(",")]
    if all(re.fullmatch(r"[0-9]{1,9}", item) for item in items):
        numbers = tuple(int(item) for item in items)
        seeds = numbers if "," in text else tuple(range(min(numbers[0], 1001)))
        if 1 <= len(seeds) <= 1000 and len(set(seeds)) == len(seeds):  # a bound on typing errors
            return seeds
    msg = f"{_shown(text)} names no seeds"
    raise InputError(msg, f"Give {SEED_FORMS}, each once.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")  # what fits in one line


def grouped(count: float) -> str:
    """Return a whole number with its thousands grouped: 28,775."""
    return f"{round(count):,}"


def number(count: int, noun: str) -> str:
    """Return `1 seed`, `3 seeds`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def either(texts: Iterable[str]) -> str:
    """Return the distinct texts in their order: `5 epochs`, `5 epochs or 10 epochs`."""
    return " or ".join(dict.fromkeys(texts))


def short(count: float) -> str:
    """Return a count in three significant digits: 950, 28.8k, 1.60M, 1.81G."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= factor * 0.9995:
            return f"{float(f'{count / factor:.3g}'):.{max(0, 2 - int(math.log10(count / factor * 1.0005)))}f}{suffix}"
    return f"{count:.3g}"


def short_number(value: float) -> str:
    """Return a number as an axis shows it, in three digits at most: 30k, 1.6M, 0.05."""
    if value < 1 or value >= 1e12:
        return f"{value:.3g}"
    rounded = float(f"{value:.3g}")
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= factor:
            return f"{rounded / factor:g}{suffix}"
    return f"{rounded:g}"


def compact(count: int) -> str:
    """Return the shortest form that `parse_count` reads back as the same number: 30k, 1.6M, 28775."""
    for factor, suffix in ((10**6, "M"), (10**3, "k")):
        if count >= factor and count * 100 % factor == 0:
            return f"{Decimal(count) / factor:f}{suffix}"
    return str(count)


def briefest(count: float) -> str:
    """Return a count as a budget where it is one, else in three significant digits: 30k, 1.6M, 28.8k."""
    budget = compact(round(count))
    return budget if budget[-1].isalpha() else short(count)


def with_interval(value: float | None, half_width: float | None, *, sign: bool = False) -> str:
    """Return `value ± half_width`, percentages or points, with the digits that the interval leaves meaningful.

    The half-width keeps two significant digits, at most four decimals; without one the value has one decimal. A missing
    value gives an empty string.
    """
    if value is None or not math.isfinite(value):
        return ""
    plus = "+" if sign else ""
    if half_width is None or not math.isfinite(half_width):
        return f"{value:{plus}.1f}"
    decimals = 1 if half_width == 0 else min(4, max(0, 1 - math.floor(math.log10(half_width))))
    return f"{value:{plus}.{decimals}f} ± {half_width:.{decimals}f}"


def within(value: float, low: float, high: float) -> str:
    """Return `96.0 [94.6, 97.0]`, percentages whose interval is not symmetric, such as that of a share of images."""
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def micros(value: float | None) -> str:
    """Return microseconds in three significant digits, thousands grouped; empty where there is no value."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"  # three digits


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return `1.45x [1.40, 1.51]`, without the interval where there is none; empty where there is no value.

    A ratio under 0.1 has three significant digits: `0.0123x`; a narrow interval shows as many as it resolves: `1.004x
    [1.002, 1.006]`.
    """
    if value is None or not math.isfinite(value):
        return ""
    decimals = 2 if value >= 0.1 or value <= 0 else min(9, 2 - math.floor(math.log10(value)))
    if low is None or high is None:
        return f"{value:.{decimals}f}x"
    if 0 < high - low < 0.02:  # less than two units of the second decimal
        decimals = max(decimals, min(4, 1 - math.floor(math.log10(high - low))))
    return f"{value:.{decimals}f}x [{low:.{decimals}f}, {high:.{decimals}f}]"


def percent(fraction: float | None, decimals: int = 2) -> str:
    """Return a signed percentage: +0.13 %."""
    return "" if fraction is None else f"{100 * fraction:+.{decimals}f} %"


def seconds(value: float) -> str:
    """Return a duration as 8.2 s, 2 min 5 s or 1 h 12 min."""
    if value < 60:  # a minute
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shape(sides: tuple[int, ...]) -> str:
    """Return 1x28x28 for (1, 28, 28)."""
    return "x".join(str(side) for side in sides)


def options(values: Mapping[str, Any]) -> str:
    """Return a model's options as `channels=6-15-29, dense=117`."""
    plain = {k: "-".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for k, v in values.items()}
    return ", ".join(f"{name}={value}" for name, value in plain.items())
