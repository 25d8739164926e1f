"""How long it takes to size a family to a budget, beside building it once: `python tests/bench/sizing.py`.

Both are timed side by side in one run, by the protocol of archbench; look at the ratio. Nothing is asserted.
"""

from __future__ import annotations

from figures import Row, keep

import zoo
from archbench.budget import size_model
from archbench.schema import Budget
from archbench.solver import closed_form
from archbench.timing.clock import CpuClock
from archbench.timing.estimate import geometric, hierarchical
from archbench.timing.protocol import Bench, Protocol

SHAPE, CLASSES, TARGET = (3, 32, 32), 10, 200_000
SECONDS = 15


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
    bench = Bench(list(candidates.values()), CpuClock(), Protocol(block_us=10_000, warmup_us=1e5))
    bench.warm_up()
    rounds = bench.turn(SECONDS * 1e6)
    samples = {key: [one[place].us for one in rounds] for place, key in enumerate(candidates)}
    rows: list[Row] = []
    for family in families:
        sized, built = (samples[family, work] for work in (size, build))
        ratio = geometric([[s / b for s, b in zip(sized, built, strict=True)]])
        rows.append({
            "family": family, "size, ms": hierarchical([sized]).value / 1e3,
            "build, ms": hierarchical([built]).value / 1e3, "ratio": ratio.value,
        })  # fmt: skip
    keep("sizing", {f"Sized to {TARGET:,} parameters, and built once": rows})


if __name__ == "__main__":
    main()
