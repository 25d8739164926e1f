"""The command itself, with the moments of its progress written down: `python tests/bench/watched.py FILE compare ...`.

A line of JSON a step: the seconds of the machine's monotonic clock, the stage, what is worked on, whether it is over.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from archbench.cli import compare, main
from archbench.cli.show import Display
from archbench.schema import Progress


class Watched(Display):
    """Progress that is shown as it is otherwise, and written down."""

    def __call__(self, step: Progress) -> None:
        print(json.dumps([time.monotonic(), step.stage, step.label, step.finished]), file=steps, flush=True)
        super().__call__(step)


if __name__ == "__main__":
    with Path(sys.argv.pop(1)).open("w", encoding="utf-8") as steps:
        compare.Display = Watched
        main()
