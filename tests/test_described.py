"""A study file, run: trained first, compared, searched, and held against what was published."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import QUICK

import archbench
from archbench import pretraining
from archbench.described import run_described
from archbench.errors import DataError, InputError
from archbench.manner import Manner
from archbench.study_file import read_study, study_of
from zoo import registry

STUDY = """
title = "two nets on digits"
source = "nobody"
models = ["mlp@3k", "linear"]
seeds = 2

[settings]
epochs = 1
split = "60/20/20"

[scales.quick]
about = "one seed"
seeds = 1

[[published]]
model = "linear"
values = { params = 650, test_accuracy = 0.99 }
source = "page 1"

[[published]]
model = "mlp"
values = { params = 1 }
source = "page 2"

[[claims]]
text = "the linear model has fewer than a thousand parameters"
kind = "value"
metric = "params"
of = { model = "linear" }
below = 1000
"""
TUNE = """
[tune]
trials = 2
models = ["mlp@3k"]
epochs = 2
optimizer = "sgd"
limit = 30
search = { lr = "1e-3:1e-1" }
"""
NET = "torchvision:squeezenet1_1"
PRETRAIN = f"""
title = "transfer"
models = ["{NET}[freeze=backbone,weights=pretrained]"]
seeds = 1

[settings]
epochs = 1
split = "20/10/10"
input = "3x32x32"

[pretrain]
model = "{NET}"
epochs = 1
split = "20/10/10"
input = "3x32x32"

[tune]
trials = 1
models = ["{NET}[weights=pretrained,freeze=backbone]"]
search = {{ lr = [0.01] }}
"""


def described(text, folder, scale="full", **settings):
    Path("study.toml").write_text(text)
    file = read_study(Path("study.toml"))
    study = study_of(file, scale, name="study", device="cpu")
    return run_described(file, study, folder, **{"manner": Manner(0), "protocol": QUICK, **settings})


def test_a_file_is_run_and_held_against_what_was_published(tmp_path, trained):
    found = described(STUDY, tmp_path / "out")
    assert len(found.comparison.records) == len(trained) == 4
    assert found.tuning is None
    table = found.published().set_index(["model", "metric"])
    assert table.loc[("linear", "params"), "verdict"] == "agrees"  # 64 x 10 + 10
    assert table.loc[("mlp", "params"), "verdict"] == "differs"
    assert table.loc[("linear", "test_accuracy"), "measured"] == pytest.approx(
        sum(r.training.test.top1 for r in found.comparison.records[2:]) / 2
    )
    assert found.claims()["verdict"].tolist() == ["holds"]
    assert [file.name for file in found.write()] == ["published.csv", "claims.csv", "published.md"]
    assert pd.read_csv(tmp_path / "out" / "published.csv")["verdict"].tolist() == found.published()["verdict"].tolist()
    assert "the linear model has fewer" in (tmp_path / "out" / "published.md").read_text()
    trained.clear()
    described(STUDY, tmp_path / "out")
    assert trained == []


def test_a_scale_sets_parts_of_it(tmp_path):
    found = described(STUDY, tmp_path, "quick")
    assert len(found.comparison.records) == 2
    assert (
        found.published().set_index(["model", "metric"]).loc[("linear", "test_accuracy"), "verdict"] == "not comparable"
    )
    assert "Scale: one seed" in found.markdown()
    with pytest.raises(InputError, match="no scale 'slow'"):
        described(STUDY, tmp_path, "slow")


def test_a_search_has_its_own_settings_and_folder(tmp_path, trained):
    found = described(STUDY + TUNE, tmp_path, "quick")
    assert [trial.model for trial in found.tuning.trials] == ["mlp@3k"] * 2
    (record,) = found.tuning.comparison.records
    assert (record.cell.recipe.epochs, record.cell.recipe.optimizer) == (2, "sgd")
    assert (record.cell.case, record.cell.images) == ("tuned", (30, 20, 20))
    assert found.tuning.comparison.folder == tmp_path / "tune"
    assert {r.cell.recipe.epochs for r in found.comparison.records} == {1}
    assert {"tuning.csv", "tuning.png"} <= {file.name for file in found.write() if file.parent == tmp_path}
    trained.clear()
    assert described(STUDY + TUNE, tmp_path, "quick").tuning.trials == found.tuning.trials
    assert trained == []


def test_what_is_trained_first_is_there_for_the_comparison_and_for_the_search(tmp_path, monkeypatch):
    trainings = []

    def train(build, dataset, recipe, device, on_epoch, *, tested, on_trained):
        trainings.append(dataset)
        torch.manual_seed(5)
        on_trained(build())

    monkeypatch.setattr(pretraining, "train", train)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no_weights"))
    found = described(PRETRAIN, tmp_path / "out")
    (file,) = (tmp_path / "out").glob("pretrained-*.pt")
    assert len(trainings) == 1
    (searched,) = found.tuning.comparison.records
    for record in (*found.comparison.records, searched):
        assert str(file) in record.cell.model
        assert record.status == "done"
        assert record.training.cached_features
    described(PRETRAIN, tmp_path / "out")
    assert len(trainings) == 1


def test_a_study_can_be_reproduced_from_python(tmp_path, monkeypatch):
    Path("mine.toml").write_text(STUDY)
    found = archbench.reproduce("mine.toml", "quick", workers=0)
    assert found.comparison.folder == Path("results/mine-quick")
    assert (found.comparison.study.name, found.comparison.study.scale) == ("mine", "quick")
    other = archbench.reproduce(Path("mine.toml"), out="elsewhere", seeds=1, workers=0)  # the full scale
    assert other.comparison.folder == Path("elsewhere")
    assert len(other.comparison.records) == 2
    with pytest.raises(InputError, match="no study is named 'mnits'"):
        archbench.reproduce("mnits")
    with pytest.raises(DataError, match="no data root"):
        archbench.reproduce("mine.toml", dataset="mnist")


def test_a_file_may_bring_its_own_models(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_nets.py").write_text(
        "from torch import nn\n"
        "import zoo\n"
        "@zoo.register_model\n"
        "def own_net_of_a_study(*, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    Path("own.toml").write_text(
        'title = "own"\nmodels = ["own_net_of_a_study"]\nplugins = ["own_nets"]\nseeds = 1\n'
        '[settings]\nepochs = 1\nsplit = "60/20/20"\n'
    )
    assert archbench.reproduce("own.toml", "full", workers=0).comparison.complete
