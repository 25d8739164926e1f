"""How long it takes to size a family to a budget, beside building it once: `python tests/bench/sizing.py`.

Both are timed side by side in one run, by the protocol of archbench; look at the ratio. Nothing is asserted.
"""

from __future__ import annotations

import zoo
from archbench.budget import size_model
from archbench.schema import Budget
from archbench.solver import closed_form
from archbench.stats import median
from archbench.timing.clock import CpuClock
from archbench.timing.protocol import Protocol, interleave

SHAPE, CLASSES, TARGET = (3, 32, 32), 10, 200_000


def size(family: str) -> None:
    """Solve from nothing: the polynomial is read off a build each time."""
    closed_form.cache_clear()
    size_model(family, Budget(TARGET), SHAPE, CLASSES)


def build(family: str) -> None:
    """Build the same family for real at its own width."""
    zoo.create_model(family, in_chans=SHAPE[0], input_size=SHAPE[1:], num_classes=CLASSES)


def main() -> None:
    """Print a row a family: both times as medians in milliseconds, and the median of their ratios."""
    families = [name for name in zoo.list_models() if zoo.model_spec(name).scalable]
    candidates = {(f, work): (lambda f=f, work=work: work(f)) for f in families for work in (size, build)}
    samples = interleave(candidates, CpuClock(), Protocol(rounds=15, block_us=10_000))
    print(f"{'family':14} {'size, ms':>9} {'build, ms':>10} {'ratio':>6}")
    for family in families:
        sized, built = (samples[family, work].values_us for work in (size, build))
        ratio = median([s / b for s, b in zip(sized, built, strict=True)])
        print(f"{family:14} {median(sized).value / 1e3:9.2f} {median(built).value / 1e3:10.2f} {ratio.value:6.2f}")


if __name__ == "__main__":
    main()
