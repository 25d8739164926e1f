"""Whether an option's value is one that a build takes, by the annotation of its parameter."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

from zoo.grammar import OptionError, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMS = {
    "bool": "true or false",
    "int": "a whole number from 1",
    "float": "a number",
    "str": "a word",
    "None": "none",
    "tuple[int, ...]": "whole numbers from 1",
}


def accepted(build: Callable[..., Any], name: str, value: Any, natural: Mapping[str, Any]) -> Any:
    """Return an option's value as the build takes it: one number where several are wanted stands for all of them.

    Only annotations made of `FORMS` are looked at; what else a build takes, it judges itself.

    Args:
        build: what is called with the option.
        name: of the option.
        value: as users wrote it.
        natural: values of the knobs at some width, whose lengths hold.

    Raises:
        OptionError: another value; the message says what is taken.
    """
    parameter = inspect.signature(build).parameters.get(name)
    if parameter is None or parameter.annotation is parameter.empty:
        return value
    annotation = parameter.annotation
    forms = (annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)).split(" | ")
    if not set(forms) <= set(FORMS):
        return value
    like = natural.get(name, parameter.default)
    length = len(like) if isinstance(like, tuple) and "int" not in forms else None
    if value == "none" and "None" in forms:
        return None
    if "tuple[int, ...]" in forms and "int" not in forms and _fits(value, "int"):
        return (value,) * (length or 1)
    if not any(_fits(value, form) for form in forms) or (isinstance(value, tuple) and length not in {None, len(value)}):
        many = f"{length} " if length else ""
        wanted = " or ".join(many * form.startswith("tuple") + FORMS[form] for form in forms)
        msg = f"{name}={written(value)} is not accepted; give {wanted}"
        raise OptionError(msg)
    return value


def _fits(value: Any, form: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match form:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return number and isinstance(value, int) and value >= 1
        case "float":
            return number and math.isfinite(value)
        case "tuple[int, ...]":
            return isinstance(value, tuple) and all(_fits(item, "int") for item in value)
        case _:
            return isinstance(value, str)
