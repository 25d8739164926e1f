"""How error falls with size: error = a + b * x^-c, with profile intervals.

For a given c the model is linear in (a, b), and least squares has a closed form (variable projection; Golub and Pereyra
1973). So c alone is searched, over a grid and then by `scipy.optimize`. An interval holds every value whose best fit is
not much worse than the best of all: a residual sum of squares up to RSS * (1 + F / (n - 3)) with the 95 % point F of
F(1, n - 3) (Bates and Watts 1988, Nonlinear regression analysis and its applications, section 6.1), which unlike the
one of a linearised fit need not be symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench.stats.intervals import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[np.float64]]

LEAST_SIZES = 4  # three parameters go through three points, whatever they are
EXPONENTS = (0.01, 5.0)  # of c; beyond them a curve is a logarithm, or a step
STEPS = 300  # of c, evenly on a log scale
REACH = 10.0  # how far a fit may be taken beyond what was measured: one decade


@dataclass(frozen=True)
class PowerLaw:
    """A fit of error = a + b * x^-c to runs of several sizes.

    Attributes:
        xs, errors: the runs (n,).
        a, b, c: the estimates; a bound is None where the data set no limit within the exponents that are tried.
        profile: what intervals are made of.
    """

    xs: tuple[float, ...]
    errors: tuple[float, ...]
    a: Estimate
    b: Estimate
    c: Estimate
    profile: _Profile = field(repr=False, compare=False)

    def at(self, x: float) -> Estimate | None:
        """Return the expected error at a size with its interval; None more than a decade from what was measured."""
        if not min(self.xs) / REACH <= x <= max(self.xs) * REACH:
            return None
        scale = _scale(self.xs)
        return self.profile.of(lambda c: np.stack([np.ones_like(c), (x / scale) ** -c], axis=1), self.c.value)


@dataclass(frozen=True)
class _Profile:
    """The best fits for every exponent c of a grid; x is in units of the sizes' geometric mean.

    Attributes:
        cs: (grid,). coefficients: (grid, 2) of (a, b). inverses: (grid, 2, 2) of X'X. squares: (grid,) the RSS.
        limit: the RSS up to which a fit counts as not much worse than the best.
    """

    cs: Array
    coefficients: Array
    inverses: Array
    squares: Array
    limit: float
    n: int

    @classmethod
    def of_runs(cls, xs: Array, errors: Array) -> _Profile:
        from scipy import stats

        cs = np.geomspace(*EXPONENTS, STEPS)
        ratios = xs / _scale(xs.tolist())
        best = _best_exponent(ratios, errors, cs)
        cs = np.sort(np.append(cs, best))
        coefficients, inverses, squares = _solved(ratios, errors, cs)
        degrees = len(xs) - 3
        limit = squares.min() * (1 + stats.f.ppf(CONFIDENCE, 1, degrees) / degrees)
        return cls(cs, coefficients, inverses, squares, float(limit), len(xs))

    def of(self, weights: Any, best: float) -> Estimate:
        """Return the estimate of weights(c) . (a, b), over all exponents, with its profile interval.

        For each c the least RSS at which the functional has the value v is RSS(c) + (v - best)^2 / variance, so that
        the values within the limit are an interval around the best, and the profile's interval is the union of all.
        """
        rows = weights(self.cs)
        values = (rows * self.coefficients).sum(axis=1)
        variances = np.einsum("gi,gij,gj->g", rows, self.inverses, rows)
        inside = self.squares <= self.limit
        spread = np.sqrt(np.maximum(self.limit - self.squares, 0.0) * variances)[inside]
        value = float(np.interp(best, self.cs, values))
        low, high = float((values[inside] - spread).min()), float((values[inside] + spread).max())
        return Estimate(value, min(low, value), max(high, value), self.n)

    def exponent(self, best: float) -> Estimate:
        """Return c with its interval, whose ends lie where the RSS passes the limit; None at the ends of the grid."""
        inside = np.flatnonzero(self.squares <= self.limit)
        first, last = int(inside[0]), int(inside[-1])
        low = None if first == 0 else self._passing(first - 1, first)
        high = None if last == len(self.cs) - 1 else self._passing(last + 1, last)
        return Estimate(best, low, high, self.n)

    def _passing(self, outside: int, inside: int) -> float:
        """Return the exponent between two of the grid at which the RSS is the limit."""
        gap = self.squares[outside] - self.squares[inside]
        share = (self.limit - self.squares[inside]) / gap if gap > 0 else 0.0
        return float(self.cs[inside] + share * (self.cs[outside] - self.cs[inside]))


def fit_power_law(xs: Sequence[float], errors: Sequence[float]) -> PowerLaw | str:
    """Return the fit of error = a + b * x^-c, or why there is none.

    Args:
        xs: the sizes of the runs (n,), such as parameters.
        errors: their errors (n,), such as one minus the test accuracy.
    """
    sizes, errors_ = np.asarray(xs, dtype=float), np.asarray(errors, dtype=float)
    distinct = len(set(sizes.tolist()))
    if distinct < LEAST_SIZES:
        return f"a fit needs {LEAST_SIZES} sizes, and there {'is' if distinct == 1 else 'are'} {distinct}"
    profile = _Profile.of_runs(sizes, errors_)
    best = float(profile.cs[profile.squares.argmin()])
    if best in (profile.cs[0], profile.cs[-1]):
        return "no power law: the best exponent lies outside 0.01 to 5"
    scale = _scale(sizes.tolist())
    a = profile.of(lambda c: np.stack([np.ones_like(c), np.zeros_like(c)], axis=1), best)
    b = profile.of(lambda c: np.stack([np.zeros_like(c), scale**c], axis=1), best)
    if b.value <= 0:
        return "no power law: the error does not fall with size"
    c = profile.exponent(best)
    if c.low is None or c.high is None:  # then what goes with c has no end, either
        a, b = (Estimate(one.value, None, None, one.n) for one in (a, b))
    return PowerLaw(tuple(sizes.tolist()), tuple(errors_.tolist()), a, b, c, profile)


def _scale(xs: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(xs))))


def _best_exponent(ratios: Array, errors: Array, cs: Array) -> float:
    """Return the exponent of the least RSS: the best of the grid, refined between its neighbours."""
    from scipy import optimize

    place = int(_solved(ratios, errors, cs)[2].argmin())
    if place in (0, len(cs) - 1):
        return float(cs[place])
    found = optimize.minimize_scalar(
        lambda c: float(_solved(ratios, errors, np.asarray([c]))[2][0]),
        bounds=(cs[place - 1], cs[place + 1]), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    return float(found.x)


def _solved(ratios: Array, errors: Array, cs: Array) -> tuple[Array, Array, Array]:
    """Return for every exponent (grid,) the least-squares (a, b), the inverse of X'X, and the RSS."""
    powers = ratios[None, :] ** -cs[:, None]  # (grid, runs)
    n, sums, squares = len(ratios), powers.sum(axis=1), (powers**2).sum(axis=1)
    determinant = n * squares - sums**2
    inverses = np.stack([np.stack([squares, -sums], axis=1), np.stack([-sums, np.full_like(sums, n)], axis=1)], axis=1)
    inverses /= determinant[:, None, None]
    moments = np.stack([np.full_like(sums, errors.sum()), powers @ errors], axis=1)
    coefficients = np.einsum("gij,gj->gi", inverses, moments)
    residuals = errors[None, :] - coefficients[:, :1] - coefficients[:, 1:] * powers
    return coefficients, inverses, (residuals**2).sum(axis=1)
