"""A family and a budget -> its integers.

A family's parameter count is a polynomial in its integer knobs (channels, dense units), since every side of every
weight is a constant or a multiple of one knob. Building the family once on the meta device, with a large prime of its
own for each knob, therefore reveals the polynomial: a side that is divisible by a knob's prime is a multiple of that
knob. The polynomial is searched instead of the models, and the answer is built once more, on the meta device.
"""

from __future__ import annotations

import inspect
import itertools
import math
from bisect import bisect
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import zoo
from archbench.building import build, params_of, skeleton
from archbench.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from archbench.schema import Budget

    Knobs = Mapping[str, int | tuple[int, ...]]

PRIMES = (
    10007,
    10009,
    10037,
    10039,
    10061,
    10067,
    10069,
    10079,
    10091,
    10093,
    10099,
    10103,
    10111,
    10133,
    10139,
    10141,
)
REACH = 2  # how far a knob is tried around its natural value
TRIED = 5  # knobs that are tried, those of the smallest steps, beside the finest
DEEPEST = 8.0  # multiples of a family's own depth: ResNet-152 has six times the blocks of ResNet-18
ALPHA, BETA = 1.2, 1.1  # depth and width of compound scaling (arXiv:1905.11946), images left as they are
PHI = 40.0  # the bounds of its coefficient: widths from 1/45 to 45 times the own
STRETCHES = (0.1, 0.2, 0.34, 0.5, 1.0, 2.0, 4.0, 10.0, math.inf)  # how far proportions give way, step by step
CLOSE_ENOUGH = 0.2  # of the tolerance: proportions give way no further


def solve(
    spec: zoo.ModelSpec, budget: Budget, input_shape: tuple[int, int, int], classes: int
) -> tuple[float | None, dict[str, Any]]:
    """Return the width and the options that come closest to the budget."""
    layers = _layers(spec, budget, input_shape, classes)
    if not spec.knobs(1.0):  # depth alone is free
        return None, spec.options(None, **layers)
    polynomial = closed_form(spec, input_shape, classes, tuple(layers.items()))
    if polynomial is not None:
        width = _bisect(lambda w: polynomial.at(_flat(spec.knobs(w))), budget.target)
        natural = spec.knobs(width)
        knobs = _refine(polynomial, _flat(natural), budget)
        options = spec.options(width, **layers, **_unflat(natural, knobs))
        if params_of(skeleton(spec, options, input_shape, classes)) == polynomial.at(knobs):
            return width, options
    # Sides that are sums or roundings of knobs: count real shapes instead, and take the family as it scales.
    count = lru_cache(lambda w: params_of(skeleton(spec, spec.options(w, **layers), input_shape, classes)))
    width = _bisect(count, budget.target)
    return width, spec.options(width, **layers)


def _layers(
    spec: zoo.ModelSpec, budget: Budget, input_shape: tuple[int, int, int], classes: int
) -> dict[str, int | tuple[int, ...]]:
    """Return the depth that the budget asks for by the family's scale: none by width.

    By depth it is the one that comes closest at the family's own width; compound, the one at which depth and width have
    grown from the own by powers of `ALPHA` and `BETA` with one exponent. The width then takes what the steps of the
    depth leave, and all where the depth has come to its end.
    """
    own = spec.width or 1.0

    def layers(multiple: float) -> dict[str, int | tuple[int, ...]]:
        return {k: v for k, v in spec.layers(min(multiple, DEEPEST)).items() if k not in spec.preset}

    def count(multiple: float, width: float) -> int:
        fixed, knobs = layers(multiple), spec.knobs(width)
        polynomial = closed_form(spec, input_shape, classes, tuple(fixed.items()))
        if polynomial is not None:
            return int(polynomial.at(_flat(knobs)))
        return params_of(skeleton(spec, spec.options(width, **fixed), input_shape, classes))

    if spec.scale == "depth":
        return layers(_bisect(lambda multiple: count(multiple, own), budget.target, most=DEEPEST))
    if spec.scale == "compound":
        phi = bisect(
            range(round(-100 * PHI), round(100 * PHI)), budget.target,
            key=lambda percents: count(ALPHA ** (percents / 100), own * BETA ** (percents / 100)),
        ) / 100 - PHI  # fmt: skip
        return layers(ALPHA**phi)
    return {}


def without_inert(
    spec: zoo.ModelSpec, options: dict[str, Any], input_shape: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    """Leave out the knobs that change nothing, such as the dense layer's units under a head without one."""
    knobs = spec.knobs(spec.width or 1.0)
    polynomial = closed_form(spec, input_shape, classes) if len(knobs) > 1 else None
    if polynomial is None:
        return options
    used = {index for monomial in polynomial.coefficients for index in monomial}
    indices = iter(range(len(_flat(knobs))))
    own = {name: set(itertools.islice(indices, len(_flat({name: value})))) for name, value in knobs.items()}
    inert = {name for name in knobs if not used & own[name]}
    defaults = {name for name, p in inspect.signature(spec.build).parameters.items() if p.default is not p.empty}
    return {name: value for name, value in options.items() if name not in inert & defaults}


@dataclass(frozen=True)
class Polynomial:
    """A parameter count: coefficients by monomial, a monomial being the sorted indices of the knobs it multiplies."""

    coefficients: Mapping[tuple[int, ...], int]

    def at(self, knobs: Sequence[Any]) -> Any:
        """Evaluate for numbers, or elementwise for arrays."""
        return sum(c * math.prod(knobs[i] for i in monomial) for monomial, c in self.coefficients.items())


@lru_cache(maxsize=256)
def closed_form(
    spec: zoo.ModelSpec, input_shape: tuple[int, int, int], classes: int, fixed: tuple[tuple[str, Any], ...] = ()
) -> Polynomial | None:
    """Return the parameter count as a polynomial in the knobs of `spec`, or None where a build shows none.

    Args:
        spec: the model.
        input_shape: (C, H, W).
        classes: number of outputs.
        fixed: options that the build has beside the knobs and the preset, as pairs.
    """
    natural = spec.knobs(spec.width or 1.0)
    size = len(_flat(natural))
    if size > len(PRIMES):
        return None
    options = spec.options(None, **dict(fixed), **_unflat(natural, PRIMES[:size]))
    try:
        with zoo.skeletons():
            net = build(spec, options, input_shape, classes)
    except ModelError:
        return None
    coefficients: Counter[tuple[int, ...]] = Counter()
    for parameter in net.parameters():
        sides, monomial = math.prod(parameter.shape), []
        for index, prime in enumerate(PRIMES[:size]):
            while sides and sides % prime == 0:
                sides //= prime
                monomial.append(index)
        coefficients[tuple(monomial)] += sides
    return Polynomial(coefficients) if any(coefficients) else None


def _bisect(count: Callable[[float], int], target: int, most: float = 2.0**24) -> float:
    """Return the width whose natural shape comes closest to the target; `count` must not fall with the width."""
    low, high = 2.0**-10, 1.0
    while count(high) < target and high < most:
        low, high = high, high * 2
    while high - low > 1e-3 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if count(middle) < target else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - target))


def _refine(polynomial: Polynomial, natural: Sequence[int], budget: Budget) -> list[int]:
    """Return the knobs around the natural ones that come closest to the budget.

    The `TRIED` next to the finest, whose next unit adds least, are tried up to `REACH` away; that one is then solved
    for, as the count is at most quadratic in it.
    """
    here = polynomial.at(natural)
    step = [polynomial.at([n + (i == k) for i, n in enumerate(natural)]) - here for k in range(len(natural))]
    order_of_step = sorted((k for k in range(len(natural)) if step[k]), key=lambda k: step[k])
    if not order_of_step:
        return list(natural)
    finest, *rest = order_of_step
    varied = rest[:TRIED]
    tried = [range(max(1, n - REACH), n + REACH + 1) if k in varied else range(n, n + 1) for k, n in enumerate(natural)]
    grid = np.array(list(itertools.product(*tried)), dtype=float).T
    at_0, at_1, at_2 = (polynomial.at(list(_with(grid, finest, x))) for x in (0.0, 1.0, 2.0))
    square = (at_2 - 2 * at_1 + at_0) / 2
    slope = at_1 - at_0 - square
    root = _positive_root(square, slope, at_0 - budget.target)
    knobs = np.concatenate(
        [_with(grid, finest, np.maximum(1, rounded(root))) for rounded in (np.floor, np.ceil)], axis=1
    )
    error = np.abs(polynomial.at(list(knobs)) / budget.target - 1)
    start = np.array(natural, dtype=float)[:, None]
    stretch = np.abs(knobs - start) / start
    for limit in STRETCHES:
        allowed = stretch.max(axis=0) <= limit
        if not allowed.any():
            continue
        # Of equal errors the least stretched: the same count in better proportions.
        order = np.lexsort((stretch.sum(axis=0)[allowed], error[allowed]))
        best = np.flatnonzero(allowed)[order[0]]
        if error[best] <= budget.tolerance * CLOSE_ENOUGH:
            break
    if stretch.max(axis=0)[best] > STRETCHES[-2]:  # beyond all steps, the least stretched that is close enough
        far = np.where(error <= max(error.min(), budget.tolerance * CLOSE_ENOUGH), stretch.max(axis=0), math.inf)
        best = np.argmin(far)
    return [int(knob) for knob in knobs[:, best]]


def _with(grid: NDArray[np.float64], knob: int, value: Any) -> NDArray[np.float64]:
    """Return a copy of the grid (knobs, candidates) in which one knob has the given value or values."""
    changed = grid.copy()
    changed[knob] = value
    return changed


def _positive_root(square: NDArray[np.float64], slope: NDArray[np.float64], free: NDArray[np.float64]) -> Any:
    """Return the larger root of square*x² + slope*x + free, elementwise; 1 where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        discriminant = np.sqrt(np.maximum(slope**2 - 4 * square * free, 0))
        return np.nan_to_num(-2 * free / (slope + discriminant), nan=1.0, posinf=1.0, neginf=1.0)


def _flat(knobs: Knobs) -> list[int]:
    return [n for value in knobs.values() for n in (value if isinstance(value, tuple) else (value,))]


def _unflat(like: Knobs, flat: Sequence[int]) -> dict[str, int | tuple[int, ...]]:
    rest = iter(flat)
    return {
        name: tuple(itertools.islice(rest, len(value))) if isinstance(value, tuple) else next(rest)
        for name, value in like.items()
    }
