"""Which stored timings belong to a comparison: those of one session, as only they were taken side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from archbench.schema import Environment, Recipe, Record, Timing


def by_session(timings: Iterable[Timing]) -> dict[str, list[Timing]]:
    """Group timings by their session, in the order given."""
    sessions: dict[str, list[Timing]] = {}
    for timing in timings:
        sessions.setdefault(timing.session, []).append(timing)
    return sessions


def fits(timing: Timing, recipe: Recipe, threads: int, environment: Environment) -> bool:
    """Whether a timing was taken with this recipe and number of threads, with this torch on this processor."""
    return (
        timing.batch_size == recipe.batch_size
        and timing.optimizer == recipe.optimizer
        and timing.precision == recipe.precision
        and timing.threads == threads
        and timing.torch == environment.torch
        and timing.device_name == (environment.cpu if timing.device == "cpu" else environment.gpu)
    )


def side_by_side(timings: Iterable[Timing], records: Collection[Record]) -> dict[str, tuple[Timing, ...]]:
    """Return each record's timings by the record's key.

    Of all sessions on a device, the one that holds most of the records' models is taken, the last of equals; a model
    that it does not hold has no timing there.
    """
    chosen: dict[str, list[Timing]] = {record.cell.key: [] for record in records}
    for device in ("cpu", "cuda"):
        best: list[tuple[Record, list[Timing]]] = []
        for session in by_session(t for t in timings if t.device == device).values():
            held = [(record, _of(record, session)) for record in records]
            held = [(record, found) for record, found in held if found]
            if len(held) >= len(best):
                best = held
        for record, found in best:
            chosen[record.cell.key] += found
    return {key: tuple(found) for key, found in chosen.items()}


def _of(record: Record, session: Iterable[Timing]) -> list[Timing]:
    cell, sized = record.cell, record.cell.sized
    return [
        timing
        for timing in session
        if sized is not None
        and timing.sized_key == sized.key
        and fits(timing, cell.recipe, cell.threads, record.environment)
    ]
