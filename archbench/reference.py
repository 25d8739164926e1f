"""What users call a model -> one name for it: `cnn[activation=sigmoid]@200k`, and options given beside many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import zoo
from archbench.building import find_spec
from archbench.errors import InputError, ModelError
from archbench.markup import visible
from archbench.units import compact, parse_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUOTE = "Quote the whole for the shell."


def parse_reference(text: str) -> tuple[str, int | None]:
    """Return the model's name, its options in one order and spelling, and the budget that follows an `@`, if any.

    >>> parse_reference("cnn[dropout=.2, activation='sigmoid'] @ 200k")
    ('cnn[activation=sigmoid,dropout=0.2]', 200000)

    Raises:
        InputError: the options or the budget are malformed.
    """
    model, target = text.strip(), None
    before, at, budget = model.rpartition("@")
    if at and not set("]/:") & set(budget):  # else it belongs to an option or to a path
        model, target = before.strip(), parse_count(budget)
    try:
        return zoo.join_options(*zoo.split_options(model)), target
    except zoo.OptionError as error:
        raise InputError(visible(str(error)), QUOTE) from error


def refuse_budget(model: str, target: int | None) -> None:
    """Refuse a budget of its own for a model of one size.

    Raises:
        InputError: it has one.
    """
    if target is not None and not find_spec(model).scalable:
        msg = f"{model} has one size: it cannot be sized to {compact(target)}"
        raise InputError(msg, f"Leave @{compact(target)} out; `archbench list` shows what scales.")


def canonical(text: str) -> str:
    """Return a reference in its one spelling, its budget included."""
    model, target = parse_reference(text)
    return model if target is None else f"{model}@{compact(target)}"


def with_options(references: Sequence[str], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the references with options added to those models that take them and do not name them already.

    Args:
        references: as users write them.
        wanted: options by name; None is no option.

    Raises:
        InputError: none of the models takes an option, or one that is sized cannot be scaled as asked.
    """
    options = {name: _read(name, value) for name, value in wanted.items() if value is not None}
    added, taken = [], set()
    for reference in references:
        model, target = parse_reference(reference)
        name, own = zoo.split_options(model)
        new = {
            key: value
            for key, value in options.items()
            if key not in own and _takes(name, key, options.get("scale"), alone=len(references) == 1)
        }
        taken |= set(new) | (set(own) & set(options))
        full = zoo.join_options(name, own | new)
        added.append(full if target is None else f"{full}@{compact(target)}")
    if untaken := [name for name in options if name not in taken]:
        msg = f"no model here takes {untaken[0]}={zoo.written(options[untaken[0]])}: {', '.join(references)}"
        raise InputError(msg, "Leave it out, or name a model that takes it; the README shows which.")
    return tuple(added)


def _read(name: str, value: Any) -> Any:
    """Return an option's value from the text of a command line."""
    if name == "head" and isinstance(value, str):
        return parse_head(value)
    if name == "freeze" and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return tuple(value) if isinstance(value, list) else value


def _takes(name: str, option: str, scale: Any = None, *, alone: bool = False) -> bool:
    try:
        spec = find_spec(name)
    except ModelError:
        if alone:
            raise
        return False  # it cannot be had, which is told in its own place
    if option == "scale" and spec.scalable and spec.depth is None and scale != "width":
        msg = f"{name} has no depth to scale by"
        raise InputError(msg, f"Leave {name} out, or scale the others alone, as in 'resnet18[scale=depth]'.")
    if option == "scale":
        return spec.depth is not None
    return option in spec.accepts if spec.accepts is not None else alone


def heads_on(trunks: Sequence[str], heads: str | Sequence[Any]) -> list[str]:
    """Return a reference for every head on every trunk.

    Raises:
        InputError: a head without a trunk or the other way round, or a trunk that takes no head.
    """
    kinds: list[Any] = [kind.strip() for kind in heads.split(",")] if isinstance(heads, str) else list(heads)
    kinds = [kind for kind in kinds if kind]
    if bool(trunks) != bool(kinds):
        msg = "heads are compared on a trunk" if kinds else "a trunk is compared with several heads"
        raise InputError(msg, "Give both: --trunk cnn_mnist --heads dense2,dense1,conv,gap.")
    references = []
    for trunk in trunks:
        model, target = parse_reference(trunk)
        name, own = zoo.split_options(model)
        if not _takes(name, "head", alone=True):
            msg = f"{name} takes no head"
            takers = [known for known in zoo.list_models() if "head" in (zoo.model_spec(known).accepts or ())]
            raise InputError(msg, f"Trunks that do: {', '.join(takers)}.")
        for kind in kinds:
            full = zoo.join_options(name, own | {"head": _read("head", kind)})
            references.append(full if target is None else f"{full}@{compact(target)}")
    return references


def parse_head(text: str) -> str | tuple[int, ...]:
    """Return a head: its name, or the units of dense layers from `1024,512` or `1024-512`.

    Raises:
        InputError: units that are not whole numbers.
    """
    parts = text.replace("-", ",").split(",")
    if text[:1] not in "0123456789":
        return text
    if not text.isascii() or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        msg = f"{text!r} is no head"
        raise InputError(msg, "Give a name, such as gap, or the units of dense layers: 1024,512,256.")
    return tuple(int(part) for part in parts)


def shown(model: str) -> str:
    """Return a model's name as tables and legends show it: of a file of weights the name alone, without its folder."""
    return re.sub(r"weights='[^']*/([^'/]+)'", r"weights=\1", model)
