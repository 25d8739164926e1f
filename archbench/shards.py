"""Which of a study's cells are run here: a shard of them, or what a folder was asked for before.

A study is divided by what follows from it alone, on every machine alike: no two shards share a cell, and together they
have all of them.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.cost.layers import layer_table
from archbench.errors import InputError, ModelError
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from archbench.schema import Cell, Place, SizedModel

MOST = 9_999  # so that a folder's name has room for both numbers
FORM = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Shard:
    """One of the parts that a study is divided into; the only one by default.

    Attributes:
        number: which, from 1. of: how many there are.
    """

    number: int = 1
    of: int = 1

    def __call__(self, cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], bool]:
        """Return the cells of this shard, and whether it times steps: the first alone, as all stand side by side."""
        if self.of == 1:
            return tuple(cells), True
        distinct = {cell.key: cell for cell in cells}  # two cases may share a run
        hands = dict(zip(distinct, deal(_work(distinct.values()), self.of), strict=True))
        return tuple(cell for cell in cells if hands[cell.key] == self.number - 1), self.number == 1

    def __str__(self) -> str:
        return f"shard {self.number}/{self.of}"

    def named(self, folder: Path) -> Path:
        """Return a results folder with the shard behind its name, so that no two shards share a store by default."""
        return folder if self.of == 1 else folder.with_name(f"{folder.name}.{self.number}-of-{self.of}")


def parse_shard(text: str) -> Shard:
    """Return the shard that `2/8` names.

    Raises:
        InputError: it is written otherwise, or there is no such shard.
    """
    found = FORM.fullmatch(text.strip())
    shard = Shard(*map(int, found.groups())) if found else None
    if shard is None or shard.number > shard.of:
        msg = f"shard: {text[:40]!r} is not accepted"
        raise InputError(msg, f"Give 1/2 for the first of two parts, 2/2 for the second; {MOST:,} parts at most.")
    return shard


def deal(work: Sequence[int], hands: int) -> list[int]:
    """Return for each piece of work whose it is, from 0: the largest first, each to the one who has least so far.

    So no two differ by more than the largest piece.
    """
    least = [(0, hand) for hand in range(hands)]  # a heap
    dealt = [0] * len(work)
    for place in sorted(range(len(work)), key=lambda place: -work[place]):
        sum_, hand = least[0]
        dealt[place] = hand
        heapq.heapreplace(least, (sum_ + work[place], hand))
    return dealt


def _work(cells: Iterable[Cell]) -> list[int]:
    """Return the multiply-accumulates of each cell's forward passes in training, by the closed form of its layers."""
    macs: dict[str, int] = {}
    work = []
    for cell in cells:
        if cell.sized is not None and cell.sized.key not in macs:
            macs[cell.sized.key] = _macs(cell.sized)
        of_an_image = macs[cell.sized.key] if cell.sized is not None else 0
        work.append(max(1, of_an_image * cell.images[0] * cell.recipe.epochs))
    return work


def _macs(sized: SizedModel) -> int:
    """Return multiply-accumulates for an image, or the parameters of a model that has no such layers or does not run.

    Nothing of the machine goes in: neither the memory that it has, nor whether a model comes to its end in it.
    """
    try:
        return sum(layer.macs or 0 for layer in layer_table(sized)) or sized.params
    except ModelError:
        return sized.params


@dataclass(frozen=True)
class AskedFor:
    """What a results folder was asked for before, on whatever machine and with whatever torch.

    Attributes:
        keys: of its cells. places: where these stand in their study.
    """

    keys: frozenset[str]
    places: frozenset[Place]

    def __call__(self, cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], bool]:
        """Return these cells, and whether steps are timed: not without the dearest cell, which the first shard has."""
        mine = tuple(cell for cell in cells if cell.key in self.keys or cell.place in self.places)
        if len(mine) == len(cells):
            return mine, True
        work = _work(cells)
        return mine, cells[work.index(max(work))].key in {cell.key for cell in mine}

    def __str__(self) -> str:
        return "what the folder was asked for"


def words_of(part: object, mine: Sequence[Cell], cells: Sequence[Cell], *, timed: bool) -> str:
    """Return in words how much of a study a part of its cells is; empty for all of it."""
    some, all_ = ({cell.key for cell in found} for found in (mine, cells))
    if len(some) == len(all_):
        return ""
    return f"{part}: {len(some)} of {number(len(all_), 'run')}" + ("" if timed else "; the first shard times the steps")
