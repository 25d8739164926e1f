"""The command of a report asks for the very cells: it is parsed by the command line itself."""

from __future__ import annotations

import json
import shlex

import pytest
from test_cli import invoke

from archbench.plan import make_plan
from archbench.reporting.command import command_of
from archbench.study import make_study

ASKED = [
    {"models": ["mlp", "mobilenet"], "budgets": ["5k", "20k"]},
    {"models": ["mlp[activation=gelu]@5k", "linear"], "seeds": "7,"},
    {"models": ["mlp@5k"], "seeds": [0, 3], "epochs": 3, "optimizer": "sgd", "momentum": 0.5, "lr": 0.1},
    {"models": ["mlp@5k"], "preprocess": "original,resize:4+normalize", "limit": 300, "only": "0,1,2"},
    {"models": ["mlp@5k"], "input": "3x16x16", "augment": "crop:1+rotate:10", "split": "1000/300/400", "split_seed": 3},
    {"models": ["mlp", "linear"], "budgets": "5k", "baseline": "linear", "exclude": "duplicates", "l2": 1e-4,
     "schedule": "exponential", "lr_decay": 0.9, "scaling": "unit", "weight_decay": 0.01, "label_smoothing": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED, ids=range(len(ASKED)))
def test_the_command_asks_for_the_same_cells(monkeypatch, capsys, asked):
    study = make_study(**{"device": "cpu", **asked})
    words = shlex.split(command_of(study))
    code, out, err = invoke(monkeypatch, capsys, *words[1:], "--dry-run", "--json")
    assert (code, err) == (0, "")
    assert [cell["key"] for cell in json.loads(out)["cells"]] == [cell.key for cell in make_plan(study).cells]


def test_a_shipped_study_is_reproduced_and_a_file_is_run():
    study = make_study(["mlp@5k"], device="cpu")
    named = study.__class__(**{
        **{name: getattr(study, name) for name in study.__dataclass_fields__}, "name": "mnist-heads", "scale": "quick",
    })  # fmt: skip
    shipped = command_of(named, shipped=True)
    assert shipped == "archbench reproduce mnist-heads --scale quick --seeds 3 --device cpu"
    assert command_of(named).startswith("archbench run mnist-heads.toml --scale quick")


def test_where_the_data_lay_is_not_told():
    study = make_study(["mlp@5k"], device="cpu", data_root="/home/somebody/data")
    assert "somebody" not in command_of(study)
    assert "--data-root DIR" in command_of(study)


def test_a_grid_from_python_has_no_command():
    assert command_of(make_study(["mlp@5k"], device="cpu", factors={"lr": [0.1, 0.2]})) is None
