"""Which stored timings belong to a comparison: those of one session, as only they were taken side by side."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from archbench.schema import Device, Environment, Mode, Recipe, Record, Timing


Stepping = tuple[int, str, str, float, tuple[str, ...], str]


def stepping(recipe: Recipe) -> Stepping:
    """Return what of a recipe the times of a step and of the making of its batch depend on."""
    return (recipe.batch_size, recipe.optimizer, recipe.precision, recipe.l2, recipe.augment, recipe.scaling)


def by_session(timings: Iterable[Timing]) -> dict[str, list[Timing]]:
    """Group timings by their session, in the order given."""
    sessions: dict[str, list[Timing]] = {}
    for timing in timings:
        sessions.setdefault(timing.session, []).append(timing)
    return sessions


def eager(record: Record) -> dict[tuple[Device, Mode], Timing]:
    """Return a record's timings by device and mode, steps being run op by op."""
    return {(timing.device, timing.mode): timing for timing in record.timings if timing.engine == "eager"}


def fits(timing: Timing, recipe: Recipe, threads: int, environment: Environment) -> bool:
    """Whether a timing was taken with this recipe and number of threads, with this torch on this processor."""
    return (
        all(noted in {None, asked} for noted, asked in zip(_noted(timing), stepping(recipe), strict=True))
        and timing.threads == threads
        and timing.torch == environment.torch
        and timing.device_name == (environment.cpu if timing.device == "cpu" else environment.gpu)
    )


def _noted(timing: Timing) -> tuple[object, ...]:
    return (timing.batch_size, timing.optimizer, timing.precision, timing.l2, timing.augment, timing.scaling)


def side_by_side(timings: Collection[Timing], records: Collection[Record]) -> dict[str, tuple[Timing, ...]]:
    """Return each record's timings by the record's key.

    Of all sessions on a device, the one that holds most of the records' models is taken, the last of equals; a model
    that it does not hold has no timing there. Records of another way to step have a session of their own.
    """
    chosen: dict[str, list[Timing]] = {record.cell.key: [] for record in records}
    groups: dict[Stepping, list[Record]] = {}
    for record in records:
        groups.setdefault(stepping(record.cell.recipe), []).append(record)
    for device, group in itertools.product(("cpu", "cuda"), groups.values()):
        best: list[tuple[Record, list[Timing]]] = []
        for session in by_session(t for t in timings if t.device == device).values():
            held = [(record, _of(record, session)) for record in group]
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
