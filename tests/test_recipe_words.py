from __future__ import annotations

import pytest

from archbench.errors import InputError
from archbench.recipe_words import recipe_words
from archbench.study_file import read_study, shipped, study_of

FILE = """
title = "A comparison"
source = "a report"
models = ["mlp@3k"]
assumed = ["momentum", "split"]
settings = { epochs = 10, optimizer = "sgd", momentum = 0.0, lr = 0.05, split = "900/100/300" }
cases = [{ name = "slow", lr = 0.01 }, { name = "plain" }, { name = "small", preprocess = "gray+resize:4" }]
scales.quick = { epochs = 1, label_smoothing = 0.1 }
"""


def recipe(tmp_path, text=FILE, scale="full"):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    file = read_study(path)
    table = recipe_words(file, study_of(file, scale, device="cpu"), study_of(file, device="cpu"))
    return {row.setting: (row.value, row.basis) for row in table.itertuples()}


def test_every_setting_says_whose_choice_it_is(tmp_path):
    table = recipe(tmp_path)
    assert table.pop("all else")[1] == "archbench default"
    assert table == {
        "optimizer": ("sgd", "as published"),
        "lr": ("0.05; 0.01 in slow", "as published"),
        "epochs": ("10", "as published"),
        "momentum": ("0", "assumed: not published"),
        "split": ("900/100/300", "assumed: not published"),
        "preprocess": ("original; gray+resize:4x4 in small", "as published"),
    }


def test_what_nobody_sets_shares_a_row(tmp_path):
    value, _ = recipe(tmp_path)["all else"]
    assert "batch_size 64" in value
    assert "label_smoothing 0, " in value
    assert "augment none" in value
    assert "seed" not in value.split(", ")  # runs differ by it


def test_what_a_scale_changes_is_its_own(tmp_path):
    table = recipe(tmp_path, scale="quick")
    assert table["epochs"] == ("1", "quick scale")
    assert table["label_smoothing"] == ("0.1", "quick scale")
    assert table["optimizer"] == ("sgd", "as published")


def test_a_study_that_repeats_nobodys_publishes_nothing(tmp_path):
    bases = {basis for _, basis in recipe(tmp_path, FILE.replace('source = "a report"', "")).values()}
    assert bases == {"set by the study", "assumed: not published", "archbench default"}


@pytest.mark.parametrize("name", ["momentun", "l2"])
def test_what_is_assumed_is_a_setting_of_the_study(tmp_path, name):
    with pytest.raises(InputError, match=rf"line 5, assumed\[1\]: {name} is assumed, and the study does not set it"):
        recipe(tmp_path, FILE.replace('"split"]', f'"{name}"]'))


@pytest.mark.parametrize("name", shipped())
def test_published_comparisons_tell_what_they_assume(name):
    file = read_study(shipped()[name])
    bases = set(recipe_words(file, study_of(file, "quick", device="cpu"), study_of(file, device="cpu"))["basis"])
    assert {"assumed: not published", "quick scale", "archbench default"} <= bases
