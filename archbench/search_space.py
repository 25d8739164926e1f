"""What a search tries: ranges and lists of values by name, as users write them and as Optuna is asked for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench.building import find_spec
from archbench.choices import nearest
from archbench.errors import InputError
from archbench.reference import parse_reference
from archbench.schema import Recipe, fields
from archbench.settings import make_recipe, whole
from archbench.units import parse_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from archbench.schema import Study

WIDE = 10.0  # ranges that span this factor are searched by their logarithm
DIGITS = 3  # of what is tried
SIZE = "params"


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; whole ones where both are written so."""

    low: float
    high: float

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def log(self) -> bool:
        """Whether equal ratios count alike rather than equal differences."""
        return self.low > 0 and self.high / self.low >= WIDE


Space = dict[str, "Range | tuple[Any, ...]"]


def parse_search(texts: Sequence[str]) -> Space:
    """Return a search space from `lr=1e-4:1e-1` (a range) and `batch_size=32,64` (a list).

    Raises:
        InputError: it cannot be read.
    """
    named: dict[str, str] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not (name and equals and values) or name in named:
            msg = f"{text!r} is no part of a search" + (": it is named twice" if name in named else "")
            raise InputError(msg, "Write NAME=LOW:HIGH or NAME=VALUE,VALUE, as in lr=1e-4:1e-1.")
        named[name] = values
    return parse_space(named)


def parse_space(named: Mapping[str, str | Sequence[Any]]) -> Space:
    """Return a search space from ranges and lists by name: `{"lr": "1e-4:1e-1", "batch_size": [32, 64]}`.

    Raises:
        InputError: a range cannot be read.
    """
    return {
        name: _values(f"{name}={values}", values) if isinstance(values, str) else tuple(values)
        for name, values in named.items()
    }


def _values(text: str, values: str) -> Range | tuple[Any, ...]:
    bounds = [_number(part) for part in values.split(":")]
    if len(bounds) == 2:
        low, high = bounds
        if isinstance(low, int | float) and isinstance(high, int | float) and -math.inf < low < high < math.inf:
            return Range(low, high)
        msg = f"{text!r} is no range of numbers"
        raise InputError(msg, "Write NAME=LOW:HIGH, the lower one first.")
    return tuple(_number(part) for part in values.split(","))


def _number(text: str) -> Any:
    text = text.strip()
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        return parse_count(text)  # 30k
    except InputError:
        return text


def ends(values: Range | tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a search may come to at its ends: both of a range, or every value of a list."""
    return (values.low, values.high) if isinstance(values, Range) else values


def check_range(name: str, values: Range | tuple[Any, ...]) -> None:
    """Check the ends of what is searched, where it is a setting of the recipe or the size.

    Raises:
        InputError: there is none, or one is not accepted.
    """
    if not ends(values):
        msg = f"{name} has no value to try"
        raise InputError(msg, "Give a range such as 1e-4:1e-1, or a list of values.")
    for value in ends(values):
        if name == SIZE:
            whole(SIZE, value, 1, 10**12)
        elif name in fields(Recipe()):
            make_recipe(**{name: value})


def check_names(model: str, names: Iterable[str]) -> None:
    """Check that what is searched is a setting of the recipe, an option of the model, or its size.

    Raises:
        InputError: one is not, or the model has one size; the remedy holds what there is.
    """
    base, own = parse_reference(model)
    spec = find_spec(base)
    scalable = spec.scalable and own is None
    known = [*(name for name in fields(Recipe()) if name != "seed"), *(spec.accepts or ()), *([SIZE] * scalable)]
    for name in names:
        if name == SIZE and not scalable:
            msg = f"{model} has one size, which cannot be searched"
            raise InputError(msg, f"Leave {SIZE} out of the search, or the budget out of the model.")
        if name not in known and spec.accepts is not None:
            msg = f"{name} cannot be searched for {model}"
            raise InputError(msg, nearest(name, known))


def default_space(model: str, study: Study) -> Space:
    """Return what is searched where nothing is said: learning rate, regularisation, and the size where it is free.

    Raises:
        InputError: the model does not learn by gradient descent, so that none of these is of use.
    """
    name, own = parse_reference(model)
    spec = find_spec(name)
    lr = study.recipe.lr
    if not spec.by_gradient:
        msg = f"{model} has neither a learning rate nor weight decay to search"
        raise InputError(msg, f"Say what to search with --search; it takes {', '.join(spec.accepts or ())}.")
    space: Space = {"lr": Range(lr / 30, lr * 30), "weight_decay": Range(1e-6, 1e-2)}
    if "dropout" in (spec.accepts or ()) and "dropout" not in spec.preset:
        space["dropout"] = Range(0.0, 0.5)
    if spec.scalable and own is None and not study.budgets:
        space[SIZE] = Range(5_000, 500_000)
    return space


def space_words(space: Space) -> str:
    """Return a search space as it is written: `lr=0.0001:0.1, batch_size=32,64`."""
    return "; ".join(
        f"{name}={values.low:g}:{values.high:g}"
        if isinstance(values, Range)
        else f"{name}={','.join(map(str, values))}"
        for name, values in space.items()
    )


def suggest(trial: Any, name: str, values: Range | tuple[Any, ...]) -> Any:
    """Return what an Optuna trial proposes, floats in three digits."""
    if isinstance(values, Range):
        propose: Callable[..., Any] = trial.suggest_int if values.whole else trial.suggest_float
        value = propose(name, values.low, values.high, log=values.log)
        short = min(max(float(f"{value:.{DIGITS}g}"), values.low), values.high)  # as it will be written into a command
        return int(short) if values.whole else short
    return trial.suggest_categorical(name, values)
