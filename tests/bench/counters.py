"""What each counter costs and whether it agrees, on ResNet18 and on a net of 30k: `python tests/bench/counters.py`.

The seconds are the least of three counts, as `archbench cost` reports them. A residual is what is left of a counter's
figure once every named difference to our MACs is taken from it. Nothing is asserted.
"""

from __future__ import annotations

from figures import Row, keep

import archbench
from archbench.cost import measure_cost
from archbench.cost.reconcile import reconcile

ASKED = {
    "torchvision:resnet18": archbench.size("torchvision:resnet18"),
    "cnn@30k on 1x28x28": archbench.size("cnn", "30k", input="1x28x28"),
}
REPEATS = 3


def main() -> None:
    """Print a row a net and counter: the least seconds of three counts, its figure, and the residual against ours."""
    rows: list[Row] = []
    for name, sized in ASKED.items():
        costs = [measure_cost(sized) for _ in range(REPEATS)]
        least = [
            min(counts, key=lambda count: count.seconds) for counts in zip(*(c.counters for c in costs), strict=True)
        ]
        for count, found in zip(least, reconcile(costs[0]), strict=True):
            rows.append({
                "net": name, "counter": count.counter, "unit": count.unit, "seconds": count.seconds,
                "its figure": count.value, "residual": found.residual,
                "coverage, %": count.coverage and 100 * count.coverage,
            })  # fmt: skip
    keep("counters", {"Counters": rows})


if __name__ == "__main__":
    main()
