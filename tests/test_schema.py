from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys

import msgspec
import pytest

from archbench.schema import (
    RESULT_VERSION,
    Budget,
    Case,
    Cell,
    Cost,
    Count,
    Environment,
    Epoch,
    Metrics,
    Recipe,
    Record,
    SizedModel,
    Study,
    Training,
    View,
    changed,
    digest,
    fields,
)

SIZED = SizedModel("cnn", "cnn", {"channels": (6, 15), "dense": 9}, 7.2, (1, 8, 8), 10, 29_989, "abc", Budget(30_000))
CELL = Cell("cnn", Budget(30_000), "digits", "d" * 64, Recipe(), "cpu", "a CPU", 1, "2.14", SIZED)
ENVIRONMENT = Environment("box", "linux", "a CPU", 2, 10**9, None, "3.11", "2.14", "0.1", None, None)
TRAINING = Training((Epoch(1, Metrics(None, 0.1, 0.2), Metrics(2.0, 0.3, 0.4), 1.5, 0.5),), 3, None, 2.0, 1, "f" * 64)
COST = Cost(10, 9, 8, 7, 6, (Count("torch", "2", "flops", 14), Count("x", "", "macs", None, ("aten::a",), 0.1, "why")))
RECORD = Record(CELL, "diverged", ENVIRONMENT, COST, TRAINING, error="why", finished_at="2026-01-01T00:00:00+00:00")
DONE = dataclasses.replace(
    RECORD, status="done", error=None, training=dataclasses.replace(TRAINING, test=Metrics(0.1, 0.9, 1))
)


def cell_of(seed):
    return dataclasses.replace(CELL, recipe=Recipe(seed=seed))


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


def test_what_a_result_is_told_apart_by_does_not_change_the_key():
    seen = {"case": "a", "images": (1, 2, 3), "warnings": ("w",), "view": View(limit=10)}  # the view is in the data's
    assert dataclasses.replace(CELL, **seen).key == CELL.key


@pytest.mark.parametrize(
    "change",
    [{"momentum": 0.5}, {"lr_decay": 0.9}, {"l2": 1e-4}, {"scaling": "unit"}, {"position_loss": "sum"}],
)
def test_settings_that_were_added_later_change_the_key_where_they_are_set(change):
    assert dataclasses.replace(CELL, recipe=Recipe(**change)).key != CELL.key
    assert dataclasses.replace(CELL, tested=False).key != CELL.key


def test_a_field_at_its_default_is_no_part_of_a_key():
    later = dataclasses.make_dataclass("Later", [("added", int, 0)], bases=(Recipe,), frozen=True)
    assert digest(changed(later(lr=0.1))) == digest(changed(Recipe(lr=0.1)))
    assert digest(changed(later(lr=0.1, added=1))) != digest(changed(Recipe(lr=0.1)))
    assert changed(Recipe()) == {}
    assert changed(Recipe(seed=3, augment=("flip",))) == {"seed": 3, "augment": ("flip",)}


def test_a_default_that_changes_needs_another_result_version():
    # What is left out of a key stands for these: with other defaults, old results would be taken for new ones.
    assert RESULT_VERSION == 2
    assert fields(Recipe()) == {
        "optimizer": "adam", "lr": 3e-3, "schedule": "cosine", "batch_size": 64, "epochs": 15, "weight_decay": 0.0,
        "label_smoothing": 0.0, "augment": (), "precision": "fp32", "seed": 0, "momentum": 0.9, "lr_decay": 0.95,
        "l2": 0.0, "scaling": "standard", "position_loss": "mean",
    }  # fmt: skip


def test_fields_without_a_default_are_always_part_of_a_key():
    assert changed(Budget(30_000)) == {"target": 30_000}
    assert fields(Budget(30_000)) == {"target": 30_000, "quantity": "params", "tolerance": 0.01}
    assert set(changed(Study(("cnn",)))) >= {"models"}


def test_keys_that_are_stored_stay_what_they_are():
    # Written out by hand: whoever changes what is hashed makes every stored result be trained again.
    sized = (
        '{"budget":null,"classes":10,"family":"cnn","input_shape":[1,8,8],"model":"cnn",'
        '"options":{"channels":[6,15],"dense":9},"params":29989,"source_sha256":"abc","width":null}'
    )
    assert SIZED.key == hashlib.sha256(sized.encode()).hexdigest()
    cell = (
        '{"budget":{"quantity":"params","target":30000,"tolerance":0.01},"data_sha256":"' + "d" * 64 + '",'
        '"dataset":"digits","device":"cpu","device_name":"a CPU","model":"cnn","recipe":{"lr":0.1},'
        f'"result_version":{RESULT_VERSION},"sized":"{SIZED.key}","threads":1,"torch":"2.14"}}'
    )
    assert dataclasses.replace(CELL, recipe=Recipe(lr=0.1)).key == hashlib.sha256(cell.encode()).hexdigest()


def test_a_study_without_cases_is_its_own_only_case():
    study = Study(("cnn",), (3000,), dataset="mnist", recipe=Recipe(lr=0.1), view=View(limit=5))
    (case,) = study.settings
    assert case == Case("", ("cnn",), (3000,), "mnist", View(limit=5), Recipe(lr=0.1))
    assert dataclasses.replace(study, cases=(case, case)).settings == (case, case)


def test_the_relative_error_and_the_budget():
    assert SIZED.rel_error == pytest.approx(-11 / 30_000)
    assert SIZED.within_budget
    assert not dataclasses.replace(SIZED, params=30_301).within_budget
    assert dataclasses.replace(SIZED, budget=None).rel_error is None


def test_the_nouns_need_no_heavy_library():
    code = "import sys, archbench.store, archbench.cli; print({'torch', 'pandas', 'scipy', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
