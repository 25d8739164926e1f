"""What several stores were asked for -> one study: the shards of a study are the whole of it again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from archbench.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from archbench.schema import Cell, Study
    from archbench.store.merge import Source
    from archbench.store.records import Asked


class Apart(NamedTuple):
    """Cells of a folder that do not stand beside the others, and what they differ in."""

    folder: Path
    cells: int
    why: str


def united(sources: Sequence[Source]) -> tuple[Asked | None, list[Apart]]:
    """Return the study of the first source that has one, with its cells in all that have the same, in its order.

    Cells that were run on another kind of processor, with another torch, other data or another source of their model
    are left out: no table may set them beside the others.
    """
    first = next((source.asked for source in sources if source.asked is not None), None)
    if first is None:
        return None, []
    kind: dict[tuple[object, ...], Any] = {}
    cells: dict[tuple[str, str], Cell] = {}
    apart: Counter[tuple[Path, str]] = Counter()
    for source in sources:
        if source.asked is None or _plain(source.asked.study) != _plain(first.study):
            continue
        for key, case in source.asked.cells:
            cell = source.cells[key].in_case(case)
            why = _unlike(cell, kind)
            if why:
                apart[source.folder, why] += 1
            else:
                cells.setdefault((key, case), cell)
    rank = _rank(first.study)
    keys = sorted(cells, key=lambda key: rank(cells[key]))
    return first._replace(cells=keys), [Apart(folder, count, why) for (folder, why), count in apart.items()]


def _plain(study: Study) -> Study:
    """Return a study without how its data came here."""
    return replace(study, data_root=None, download=False)


def _unlike(cell: Cell, kind: dict[tuple[object, ...], Any]) -> str:
    """Return what tells a cell from those before it that it would be pooled with; what is new is noted in `kind`."""
    unseeded = replace(cell, recipe=replace(cell.recipe, seed=0))
    facts: dict[tuple[object, ...], Any] = {
        ("processor",): cell.device_name,
        ("torch",): cell.torch,
        ("version of archbench's results",): cell.result_version,
        ("data", cell.case): cell.data_sha256,
        ("source of the model", *unseeded.place): unseeded.key,
    }
    for what, fact in facts.items():
        if kind.setdefault(what, fact) != fact:
            named = {"processor", "torch"} & {what[0]}
            return f"{what[0]} ({fact}, not {kind[what]})" if named else str(what[0])
    return ""


def _rank(study: Study) -> Callable[[Cell], tuple[int, int]]:
    """Return what puts cells in the order in which a study lays them out: cases, models, budgets, seeds."""
    sizes: dict[tuple[str, str, int | None], int] = {}
    for case in study.settings:
        for reference in case.models:
            model, own = parse_reference(reference)
            for target in [own] if own is not None else [*case.budgets, None]:
                sizes.setdefault((case.name, model, target), len(sizes))
    seeds = {seed: place for place, seed in enumerate(study.seeds)}

    def rank(cell: Cell) -> tuple[int, int]:
        *size, seed = cell.place
        return sizes.get(tuple(size), len(sizes)), seeds.get(seed, len(seeds))  # type: ignore[arg-type]

    return rank
