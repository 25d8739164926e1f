"""Cost -> why a counter's figure is another than ours: named parts that add up to the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.cost import PRODUCTS

if TYPE_CHECKING:
    from archbench.schema import Cost, Count

TWO = "two for each multiply-accumulate"


@dataclass(frozen=True)
class Reconciliation:
    """A counter's figure and ours.

    Attributes:
        count: the counter's.
        macs: ours.
        parts: what the counter adds to ours (or, below zero, leaves out), by name, in its own unit.
        residual: what remains unexplained: its figure less ours less the parts.
    """

    count: Count
    macs: int
    parts: dict[str, int]
    residual: int


def reconcile(cost: Cost) -> list[Reconciliation]:
    """Return how each counter that came to a figure differs from `cost.macs`; none where that is not known.

    A counter of FLOPs counts two for each of its products. What it adds is what it counts beside products; what it
    misses are the products of operations that it does not know. A residual is left where its own products are not those
    of the operations that it does know.
    """
    found = []
    for count in cost.counters:
        if count.value is None or cost.macs is None:
            continue
        unit = 2 if count.unit == "flops" else 1
        parts = {TWO: cost.macs} if unit == 2 else {}
        parts |= {name: figure for name, figure in count.parts.items() if name != PRODUCTS and figure}
        parts |= {f"{name}, not seen": -unit * macs for name, macs in count.missed.items()}
        residual = count.value - cost.macs - sum(parts.values())
        found.append(Reconciliation(count, cost.macs, parts, residual))
    return found
