"""Runs over two settings, and what became of them: what several tests of figures stand on."""

from __future__ import annotations

import dataclasses

from test_tables import record


def changed(one, case="", **recipe):
    cell = dataclasses.replace(one.cell, recipe=dataclasses.replace(one.cell.recipe, **recipe), case=case)
    return dataclasses.replace(one, cell=cell)


GRID = [
    changed(
        record("cnn", 1000, seed, 0.5 + lr + size / 1000 + seed / 100),
        f"{lr} {size}", lr=lr, batch_size=size, seed=seed,
    )
    for lr in (0.1, 0.2) for size in (8, 16, 32) for seed in range(2)
]  # fmt: skip


def failed(records):
    return [dataclasses.replace(one, status="failed", training=None) for one in records]
