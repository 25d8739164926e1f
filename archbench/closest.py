"""What a run differs in from the stored one that is closest to it: why a result is not taken from the store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from archbench.schema import fields
from archbench.units import number, options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archbench.schema import Budget, Cell

OF_A_CELL = ("dataset", "device", "device_name", "threads", "torch", "result_version")
NAMES = {"device_name": "processor", "result_version": "archbench's results"}


def differences(cell: Cell, other: Cell) -> dict[str, tuple[Any, Any]]:
    """Return what of two runs' keys differs, by name, as (other's, cell's); what is only a long hash has no value."""
    found = {}
    mine, theirs = _parts(cell), _parts(other)
    for name, value in mine.items():
        if theirs[name] != value:
            found[name] = (theirs[name], value)
    return found


def _parts(cell: Cell) -> dict[str, Any]:
    sized = cell.sized
    parts = {NAMES.get(name, name): getattr(cell, name) for name in OF_A_CELL}
    parts["dataset"] = cell.dataset.partition(":")[0]  # where a folder lies is no part of the key
    parts |= fields(cell.recipe)
    parts |= {"data": cell.data_sha256, "source of the model": sized and sized.source_sha256}
    parts |= {"options": sized and options(sized.options), "input": sized and sized.input_shape}
    return parts


def closest_words(cell: Cell, others: Iterable[Cell]) -> str:
    """Return what the closest of other runs of the same model and budget differs in; empty where there is none.

    A run that only differs in its seed is no surprise, and no word is lost on it.
    """
    found = min((differences(cell, other) for other in others), key=len, default={})
    if set(found) <= {"seed"}:
        return ""
    return ", ".join(_words(name, *values) for name, values in found.items() if name != "seed")


def notes(cells: Iterable[Cell], others: Iterable[Cell]) -> list[str]:
    """Return a line for each way in which runs that are to be done differ from what is stored of the same models."""
    alike: dict[tuple[str, Budget | None], dict[str, Cell]] = {}
    for other in others:  # one of each setting: seeds make no difference
        alike.setdefault((other.model, other.budget), {}).setdefault(_setting(other), other)
    said: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for cell in cells:
        place = f"{cell.model} {cell.budget} {_setting(cell)}"
        if place not in said:
            said[place] = closest_words(cell, alike.get((cell.model, cell.budget), {}).values())
        counts[said[place]] += 1
    return [
        f"{number(count, 'run')} to do: the closest stored differs in {what}" for what, count in counts.items() if what
    ]


def _setting(cell: Cell) -> str:
    return repr({name: value for name, value in _parts(cell).items() if name != "seed"})


def _words(name: str, old: object, new: object) -> str:
    if name in {"data", "source of the model"}:
        return f"{'what the data are' if name == 'data' else 'the source of the model'}"
    return f"{name} ({old}, now {new})"
