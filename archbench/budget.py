"""Family + budget -> SizedModel: the solver.

A family's parameter count is a polynomial in its integer knobs (channels, dense units), since every side of every
weight is a constant or a multiple of one knob. Building the family once on the meta device, with a large prime of its
own for each knob, therefore reveals the polynomial: a side that is divisible by a knob's prime is a multiple of that
knob. The polynomial is searched instead of the models, and the answer is built once more, on the meta device.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

import zoo
from archbench.errors import InputError, ModelError, reason
from archbench.schema import Budget, SizedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

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
MAX_WIDTH = 2.0**24  # wider than anything that could be built
REACH = 2  # how far each knob but the finest is tried around its natural value
STRETCHES = (0.05, 0.1, 0.25, 1.0, math.inf)  # how far proportions give way, step by step
CLOSE_ENOUGH = 0.2  # of the tolerance: proportions give way no further


def find_spec(model: str) -> zoo.ModelSpec:
    """Return the specification of a model by name.

    Raises:
        InputError: unknown; the remedy holds the nearest names, or why a plugin that may hold it is broken.
        ModelError: a `module:attribute` that cannot be imported.
    """
    try:
        return zoo.model_spec(model)
    except zoo.UnknownModelError as error:
        broken = "".join(f" The plugin {name} is broken: {reason(why)}." for name, why in zoo.load_plugins().items())
        known = f"Did you mean {' or '.join(error.near)}?" if error.near else f"Known: {', '.join(zoo.list_models())}."
        raise InputError(str(error), f"{known} `archbench list` shows all.{broken}") from error
    except zoo.ModelImportError as error:
        raise ModelError(str(error), "Give module:attribute, where the attribute builds a model.") from error


def size_model(
    model: str,
    budget: Budget | None,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float | None = None,
) -> SizedModel:
    """Fix every integer of a model.

    A scalable family with a budget gets the closest size that it reaches in its natural proportions; they give way,
    step by step, only as far as the budget needs. Without a budget, or for a fixed model, it is built as it is.

    Args:
        model: a name of the zoo or `module:attribute`.
        budget: the target; None for the model's own size.
        input_shape: (C, H, W).
        classes: number of outputs.
        width: the size of a scalable family where there is no budget; its own by default.

    Raises:
        InputError: the model is unknown.
        ModelError: it cannot be built.
    """
    spec = find_spec(model)
    if width is not None and not spec.scalable:
        msg = f"{model} has one size: it takes no width"
        raise InputError(msg, "Leave the width out.")
    if width is not None and not (math.isfinite(width) and 0 < width < MAX_WIDTH and budget is None):
        msg = f"the width {width} is not accepted{'' if budget is None else ' beside a budget'}"
        raise InputError(msg, "Give a number above 0, or a budget instead.")
    try:
        options = spec.options(width)
        if budget is not None and spec.scalable:
            width, options = _solve(spec, budget, input_shape, classes)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        msg = f"the shape of {model} fails: {reason(error)}"
        raise ModelError(msg, "It maps a width to integers or tuples of them, by name.") from error
    net = _skeleton(spec, options, input_shape, classes)
    return SizedModel(
        model=model,
        family=spec.family,
        options=options,
        width=spec.width if width is None else width,
        input_shape=input_shape,
        classes=classes,
        params=_params(net),
        source_sha256=spec.source_sha256(net),
        budget=budget if spec.scalable else None,
    )


def build_model(sized: SizedModel) -> nn.Module:
    """Build the network of a sized model, with weights from torch's global generator.

    Raises:
        ModelError: it cannot be built.
    """
    spec = find_spec(sized.model)
    return _build(spec, sized.options, sized.input_shape, sized.classes)


def _skeleton(spec: zoo.ModelSpec, options: Mapping[str, Any], input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return the network without memory on the meta device or, where it refuses that, a real one."""
    try:
        with zoo.skeletons():
            return _build(spec, options, input_shape, classes)
    except ModelError:
        return _build(spec, options, input_shape, classes)


def _params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _build(spec: zoo.ModelSpec, options: Mapping[str, Any], input_shape: Sequence[int], classes: int) -> nn.Module:
    channels, height, width = input_shape
    try:
        net: Any = zoo.create_model(
            spec.name, num_classes=classes, in_chans=channels, input_size=(height, width), **options
        )
        if not isinstance(net, nn.Module):
            msg = f"it gives a {type(net).__name__}, not a network"
            raise TypeError(msg)
        if any(is_lazy(parameter) for parameter in net.parameters()):
            with torch.no_grad():
                net.eval()(torch.zeros(1, *input_shape))  # lazy layers take their sizes from the first input
        return net.train()
    except (Exception, SystemExit) as error:
        msg = f"{spec.name} cannot be built at {channels}x{height}x{width}: {reason(error)}"
        raise ModelError(msg, "Try a larger input or budget, or mend the model.") from error


def _solve(
    spec: zoo.ModelSpec, budget: Budget, input_shape: tuple[int, int, int], classes: int
) -> tuple[float, dict[str, Any]]:
    """Return the width and the options that come closest to the budget."""
    assert spec.shape is not None  # noqa: S101 - size_model asks only for scalable ones
    polynomial = closed_form(spec, input_shape, classes)
    if polynomial is not None:
        width = _bisect(lambda w: polynomial.at(_flat(spec.shape(w))), budget.target)  # type: ignore[misc]
        natural = spec.shape(width)
        knobs = _refine(polynomial, _flat(natural), budget)
        options = spec.options(width, **_unflat(natural, knobs))
        if _params(_skeleton(spec, options, input_shape, classes)) == polynomial.at(knobs):
            return width, options
    # Sides that are sums or roundings of knobs: count real shapes instead, and take the family as it scales.
    count = lru_cache(lambda w: _params(_skeleton(spec, spec.options(w), input_shape, classes)))
    width = _bisect(count, budget.target)
    return width, spec.options(width)


@dataclass(frozen=True)
class Polynomial:
    """A parameter count: coefficients by monomial, a monomial being the sorted indices of the knobs it multiplies."""

    coefficients: Mapping[tuple[int, ...], int]

    def at(self, knobs: Sequence[Any]) -> Any:
        """Evaluate for numbers, or elementwise for arrays."""
        return sum(c * math.prod(knobs[i] for i in monomial) for monomial, c in self.coefficients.items())


@lru_cache(maxsize=256)
def closed_form(spec: zoo.ModelSpec, input_shape: tuple[int, int, int], classes: int) -> Polynomial | None:
    """Return the parameter count as a polynomial in the knobs of `spec.shape`, or None where a build shows none."""
    assert spec.shape is not None  # noqa: S101 - asked only for scalable ones
    natural = spec.shape(spec.width or 1.0)
    size = len(_flat(natural))
    if size > len(PRIMES):
        return None
    options = spec.options(None, **_unflat(natural, PRIMES[:size]))
    try:
        with zoo.skeletons():
            net = _build(spec, options, input_shape, classes)
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


def _bisect(count: Callable[[float], int], target: int) -> float:
    """Return the width whose natural shape comes closest to the target; `count` must not fall with the width."""
    low, high = 2.0**-10, 1.0
    while count(high) < target and high < 2**24:
        low, high = high, high * 2
    while high - low > 1e-3 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if count(middle) < target else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - target))


def _refine(polynomial: Polynomial, natural: Sequence[int], budget: Budget) -> list[int]:
    """Return the knobs around the natural ones that come closest to the budget.

    All but the finest, whose next unit adds least, are tried up to `REACH` away; that one is then solved for, as the
    count is at most quadratic in it.
    """
    step = [polynomial.at([n + (i == k) for i, n in enumerate(natural)]) for k in range(len(natural))]
    finest = int(np.argmin(step))
    tried = [range(max(1, n - REACH), n + REACH + 1) if k != finest else range(1) for k, n in enumerate(natural)]
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
    stretch = np.maximum(np.abs(knobs - start) - 1, 0) / start  # one unit either way is rounding, not stretching
    for limit in STRETCHES:
        allowed = stretch.max(axis=0) <= limit
        if not allowed.any():
            continue
        # Of equal errors the least stretched: the same count in better proportions.
        order = np.lexsort((stretch.sum(axis=0)[allowed], error[allowed]))
        best = np.flatnonzero(allowed)[order[0]]
        if error[best] <= budget.tolerance * CLOSE_ENOUGH:
            break
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
