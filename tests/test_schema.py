from __future__ import annotations

import dataclasses
import subprocess
import sys

import msgspec
import pytest

from archbench.schema import (
    Budget,
    Cell,
    Cost,
    Count,
    Environment,
    Epoch,
    Metrics,
    Recipe,
    Record,
    SizedModel,
    Training,
)

SIZED = SizedModel("cnn", "cnn", {"channels": (6, 15), "dense": 9}, 7.2, (1, 8, 8), 10, 29_989, "abc", Budget(30_000))
CELL = Cell("cnn", Budget(30_000), "digits", "d" * 64, Recipe(), "cpu", "a CPU", 1, "2.14", SIZED)
ENVIRONMENT = Environment("box", "linux", "a CPU", 2, 10**9, None, "3.11", "2.14", "0.1", None, None)
TRAINING = Training((Epoch(1, Metrics(None, 0.1, 0.2), Metrics(2.0, 0.3, 0.4), 1.5, 0.5),), 3, None, 2.0, 1, "f" * 64)
COST = Cost(10, 9, 8, 7, 6, (Count("torch", "2", "flops", 14), Count("x", "", "macs", None, ("aten::a",), 0.1, "why")))
RECORD = Record(CELL, "diverged", ENVIRONMENT, COST, TRAINING, error="why", finished_at="2026-01-01T00:00:00+00:00")


def test_a_record_survives_json():
    back = msgspec.json.decode(msgspec.json.encode(RECORD), type=Record)
    assert back.cell.key == RECORD.cell.key
    assert back.cell.sized.key == SIZED.key
    assert dataclasses.replace(back, cell=CELL) == RECORD


@pytest.mark.parametrize(
    "change",
    [
        {"model": "mlp"}, {"budget": None}, {"dataset": "mnist"}, {"data_sha256": "e" * 64}, {"device": "cuda"},
        {"device_name": "another CPU"}, {"threads": 2}, {"torch": "2.15"}, {"result_version": 99}, {"sized": None},
        {"recipe": Recipe(seed=1)}, {"recipe": Recipe(lr=0.1)}, {"recipe": Recipe(epochs=3)},
        {"recipe": Recipe(precision="bf16")}, {"recipe": Recipe(augment=("flip",))},
        {"sized": dataclasses.replace(SIZED, options={"channels": (6, 15), "dense": 10})},
        {"sized": dataclasses.replace(SIZED, source_sha256="another")},
    ],
)  # fmt: skip
def test_whatever_can_change_the_result_changes_the_key(change):
    assert dataclasses.replace(CELL, **change).key != CELL.key


def test_what_cannot_change_the_result_does_not_change_the_key():
    assert dataclasses.replace(CELL, problem="x").key == CELL.key
    here, there = (dataclasses.replace(CELL, dataset=f"folder:{path}") for path in ("a/b", "/moved/b"))
    assert here.key == there.key != CELL.key
    assert dataclasses.replace(CELL, sized=dataclasses.replace(SIZED, width=7.3)).key == CELL.key
    SIZED.key  # noqa: B018 - a key that was asked for before is no part of the next
    assert dataclasses.replace(CELL, recipe=Recipe()).key == CELL.key


def test_the_relative_error_and_the_budget():
    assert SIZED.rel_error == pytest.approx(-11 / 30_000)
    assert SIZED.within_budget
    assert not dataclasses.replace(SIZED, params=30_301).within_budget
    assert dataclasses.replace(SIZED, budget=None).rel_error is None


def test_the_nouns_need_no_heavy_library():
    code = "import sys, archbench.store, archbench.cli; print({'torch', 'pandas', 'scipy', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
