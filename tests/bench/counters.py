"""What each counter costs and whether it agrees, on ResNet18 and on a net of 30k: `python tests/bench/counters.py`.

The seconds are the least of three counts, as `archbench cost` reports them. A residual is what is left of a counter's
figure once every named difference to our MACs is taken from it. Nothing is asserted.
"""

from __future__ import annotations

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
    print(f"{'net':22} {'counter':14} {'s':>7} {'its figure':>14} {'unit':>6} {'residual':>9} {'coverage':>9}")
    for name, sized in ASKED.items():
        costs = [measure_cost(sized) for _ in range(REPEATS)]
        least = [
            min(counts, key=lambda count: count.seconds) for counts in zip(*(c.counters for c in costs), strict=True)
        ]
        for count, found in zip(least, reconcile(costs[0]), strict=True):
            coverage = "" if count.coverage is None else f"{count.coverage:.0%}"
            print(f"{name:22} {count.counter:14} {count.seconds:7.3f} {count.value:14,} {count.unit:>6} "
                  f"{found.residual:9,} {coverage:>9}")  # fmt: skip


if __name__ == "__main__":
    main()
