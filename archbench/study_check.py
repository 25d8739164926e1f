"""What a study file says, checked value by value, so that the one at fault can be named."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.errors import InputError
from archbench.plan import find_spec_or_problem
from archbench.reference import canonical, parse_reference, refuse_budget
from archbench.search_space import check_range, parse_space
from archbench.settings import divided, make_recipe, make_view, whole
from archbench.study import make_study
from archbench.study_schema import CaseTable, Settings
from archbench.tuning import MOST_TRIALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Key = tuple[str | int, ...]

TABLES = ("settings", "scales", "quick", "full", "tune", "pretrain")


class StudyError(InputError):
    """A value that is not accepted.

    Attributes:
        place: keys and indices that lead to it.
    """

    def __init__(self, place: Key, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.place = place


@contextmanager
def at(place: Key) -> Iterator[None]:
    """Within: what is not accepted is a fault of this place."""
    try:
        yield
    except InputError as error:
        raise StudyError(place, str(error), error.remedy) from error
    except msgspec.ValidationError as error:
        raise StudyError(place, str(error).partition(" - at")[0]) from error


def check_values(data: Mapping[str, Any]) -> None:
    """Check every value by itself: settings, models, budgets, seeds, data sets, factors, what is searched.

    Args:
        data: a study file as it was parsed, of the schema's types.

    Raises:
        StudyError: one is not accepted.
    """
    _check_table((), data, registered=not data.get("plugins"))


def _check_table(place: Key, table: Mapping[str, Any], *, registered: bool) -> None:
    for key, value in table.items():
        _check_value((*place, key), key, value, registered=registered)


def _check_value(place: Key, key: str, value: Any, *, registered: bool) -> None:
    """Check a value; models by name only where all are `registered`, as a plugin's are known once it is imported."""
    match key:
        case "cases":
            names = [case.get("name", "") for case in value]
            for index, case in enumerate(value):
                if names.index(names[index]) < index:
                    msg = f"two cases are named {names[index]!r}"
                    raise StudyError((*place, index), msg, "Give each case a name of its own.")
                _check_table((*place, index), case, registered=registered)
        case "factors":
            for name, values in value.items():
                _check_factor((*place, name), name, values, registered=registered)
        case "models":
            _check_models(place, value, registered=registered)
        case "search":
            for name, values in value.items():
                with at((*place, name)):
                    check_range(name, parse_space({name: values})[name])
        case _ if key in TABLES:
            _check_table(place, value, registered=registered)
        case _:
            with at(place):
                _check_setting(key, value)


def _check_models(place: Key, references: Sequence[str], *, registered: bool) -> None:
    if not references:
        msg = "no model is named"
        raise StudyError(place, msg, "Name at least one; `archbench list` shows them.")
    named: dict[str, int] = {}
    for index, reference in enumerate(references):
        with at((*place, index)):
            model, budget = parse_reference(reference)
            if registered and find_spec_or_problem(model) is None:
                refuse_budget(model, budget)
            if canonical(reference) in named:
                msg = f"{reference} is named twice"
                raise InputError(msg, "Name each model once.")
            named[canonical(reference)] = index


def _check_setting(key: str, value: Any) -> None:
    if key in {"budgets", "seeds", "dataset"}:
        make_study(device="cpu", **{key: value})
    elif key == "trials":
        whole("trials", value, 1, MOST_TRIALS)
    elif key in Settings.__struct_fields__:
        recipe, view = divided({key: value})
        make_recipe(**recipe)
        make_view(**view)


def _check_factor(place: Key, name: str, values: Sequence[Any], *, registered: bool) -> None:
    with at(place):
        if name not in {*CaseTable.__struct_fields__} - {"name", "assumed"}:
            divided({name: values})
        if not values:
            make_study(device="cpu", factors={name: values})
    for index, value in enumerate(values):
        with at((*place, index)):
            msgspec.convert({name: value}, CaseTable)
        _check_value((*place, index), name, value, registered=registered)
        if value in values[:index]:
            msg = f"{name} takes {value} twice"
            raise StudyError((*place, index), msg, "Give each value once.")
