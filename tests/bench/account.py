"""What the seconds of a comparison went into: its training, its timing, and archbench's own overhead.

Overhead is what is left of the wall time without the blocks of steps that were timed, without the steps by which the
processes that time warm up, and without the time in which at least one process was stepping or evaluating. The seconds
of all are in the store; when a run ended, and when a stage did, `watched.py` wrote down. So overhead is imports, sizes,
counts, memory, the start and the building of the processes that time, checkpoints, commits, tables and figures.
"""

from __future__ import annotations

import json
from pathlib import Path

from figures import Row

import archbench
from archbench.plan import label
from archbench.schema import Record
from archbench.store import Store
from archbench.timing import Protocol


def account(results: Path, watched: Path, begun: float, finished: float) -> Row:
    """Return the seconds of each kind.

    Args:
        results: the folder of the comparison.
        watched: what `watched.py` wrote.
        begun: when its process was started, by the monotonic clock.
        finished: when it was over.
    """
    steps = [json.loads(line) for line in watched.read_text(encoding="utf-8").splitlines()]
    stages = {stage: [at for at, its, *_ in steps if its == stage] for stage in ("size", "count", "time", "train")}
    ended = {run: at for at, stage, run, over in steps if stage == "train" and over}
    spans = []
    for record in archbench.load(results).records:
        end = ended[f"{label(record.cell.model, record.cell.budget)} seed {record.cell.recipe.seed}"]
        spans.append((end - stepping_seconds(record), end))
    training, (timing, warming) = union(spans), block_seconds(results)
    sized, launched, timed, trained = stages["size"][-1], stages["time"][0], stages["time"][-1], stages["train"][-1]
    counted = max(at for at in stages["count"] if at < launched)  # a trial of the knobs counts, too, and comes later
    parts = {
        "imports, data, sizes": sized - begun,
        "counts, memory, a warm process to fork from": counted - sized,
        "processes that time: started": launched - counted,
        "processes that time: built, between blocks": timed - launched - timing - warming,
        "training: processes, checkpoints, the store": trained - timed - training,
        "tables, figures, the end": finished - trained,
    }
    wall = finished - begun
    spent = {"wall": wall, "training": training, "timing": timing, "warming": warming}
    return {**spent, "overhead": wall - training - timing - warming, "parts": parts}


def stepping_seconds(record: Record) -> float:
    """Return what a run spent on steps and evaluations; the test images are as quick as those of the validation."""
    epochs = record.training.epochs
    spent = sum(epoch.train_seconds + epoch.validation_seconds for epoch in epochs)
    if record.training.test is None:
        return spent
    _, validation, test = record.cell.images
    return spent + epochs[-1].validation_seconds / validation * test


def block_seconds(results: Path) -> tuple[float, float]:
    """Return what the blocks of timed steps took, and the steps before them, of warm-ups and of each turn.

    Blocks of the pipeline are taken to be no longer than they must.
    """
    with Store(results) as store:
        timings = store.timings()
    steps = sum(sum((*t.samples_us, *t.twin_us)) * t.steps_per_sample for t in timings)
    pipeline = max((len(t.data_us) for t in timings), default=0) * Protocol().block_us
    sessions = {t.session: t.conditions.untimed_s or 0.0 for t in timings}
    return (steps + pipeline) / 1e6, sum(sessions.values())


def union(spans: list[tuple[float, float]]) -> float:
    """Return the time that is covered by at least one span.

    >>> union([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    covered, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return covered


def rows_of(found: Row) -> list[Row]:
    """Return the table of an account."""
    kinds = {"at least one process trains": found["training"], "blocks of timed steps": found["timing"]}
    kinds |= {"steps that warm up for them": found["warming"]}
    kinds |= {"overhead": found["overhead"]} | {f"- {part}": value for part, value in found["parts"].items()}
    return [
        {"archbench's time": kind, "seconds": value, "%": 100 * value / found["wall"]} for kind, value in kinds.items()
    ]
