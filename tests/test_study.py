from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archbench
from archbench import environment
from archbench.environment import capture, device_name, resolve_devices
from archbench.errors import ArchbenchError, InputError
from archbench.schema import Recipe
from archbench.study import make_study, results_folder


def test_budgets_and_seeds_are_taken_as_people_write_them():
    for budgets in ("30k,1.6M", ["30k", "1.6M"], [30_000, 1_600_000], ("30000", 1_600_000)):
        assert make_study(["cnn"], budgets).budgets == (30_000, 1_600_000)
    for seeds in (3, "3", range(3), [0, 1, 2], (0, 1, 2), "0,1,2"):
        assert make_study(["cnn"], seeds=seeds).seeds == (0, 1, 2)
    assert make_study(["cnn"], seeds=[7]).seeds == (7,)
    with pytest.raises(InputError, match="30,000 is given twice"):
        make_study(["cnn"], ["30k", 30_000])


def test_defaults_are_the_recipes_and_the_rate_the_optimizers():
    study = make_study(["cnn"], ["30k"])
    assert study.recipe == Recipe()
    assert study.threads == 1
    assert make_study(["cnn"], optimizer="sgd").recipe.lr == 0.05
    assert make_study(["cnn"], optimizer="sgd", lr=0.2).recipe.lr == 0.2
    assert make_study(["cnn"], augment="shift+flip").recipe.augment == ("flip", "shift")


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0}, {"epochs": -1}, {"batch_size": 1}, {"lr": 0.0}, {"lr": float("inf")}, {"weight_decay": -1.0},
        {"label_smoothing": 1.0}, {"optimizer": "x"}, {"schedule": "x"}, {"precision": "fp8"}, {"augment": "flip+flip"},
        {"device": "cpu,cpu"}, {"device": ""}, {"threads": 0}, {"seeds": []},
        {"epochs": 1.9}, {"epochs": "1"}, {"lr": "0.1"},
    ],
)  # fmt: skip
def test_what_is_not_accepted_says_what_is(settings):
    with pytest.raises(InputError) as caught:
        make_study(["cnn"], **settings)
    assert caught.value.remedy


def test_names_of_results_folders():
    assert results_folder("digits") == Path("results/digits")
    assert results_folder("folder:/data/My Cats") == Path("results/folder-My_Cats")
    assert results_folder("digits", "run 1") == Path("results/run 1")
    assert results_folder("digits", "x", "/some/where") == Path("/some/where")


@given(st.text(max_size=120))
def test_no_name_leaves_the_folder_of_results(name):
    try:
        folder = results_folder("digits", name)
    except InputError:
        return
    assert (Path.cwd() / folder).resolve().parent == (Path.cwd() / "results").resolve()


@pytest.mark.parametrize(
    ("text", "cuda", "devices"),
    [("auto", False, ("cpu",)), ("auto", True, ("cpu", "cuda")), ("cpu", True, ("cpu",)), ("cuda", True, ("cuda",)),
     ("cuda,cpu", True, ("cpu", "cuda")), ("CPU", False, ("cpu",))],
)  # fmt: skip
def test_devices(monkeypatch, text, cuda, devices):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert resolve_devices(text) == devices


def test_nothing_falls_back_to_another_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA device"):
        resolve_devices("cpu,cuda")


def test_the_environment_is_that_of_this_machine():
    here = capture()
    assert here.torch == torch.__version__
    assert here.cores >= 1
    assert here.cpu
    assert device_name(here, "cpu") == here.cpu
    commit, dirty = environment._commit()
    assert (commit is None) == (dirty is None)
    assert commit is None or len(commit) == 40


def test_an_environment_without_git_has_no_commit(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.run", missing)
    assert environment._commit() == (None, None)


def test_errors_have_one_root_and_their_exit_codes():
    from archbench import errors

    children = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, ArchbenchError)]
    assert {c.__name__: c.exit_code for c in children} == {
        "ArchbenchError": 1, "InputError": 2, "ModelError": 3, "StoreError": 4, "DataError": 5, "OutputError": 6,
        "Interrupted": 130,
    }  # fmt: skip
    assert errors.reason(ValueError("a\nb")) == "ValueError: a"
    assert errors.reason(ValueError()) == "ValueError"
    assert errors.reason(InputError("a b")) == "a b"


def test_size_cost_and_layers_from_python():
    sized = archbench.size("mlp", "109386", input="1x28x28")
    assert archbench.cost_of("mlp", width=128, input="1x28x28").params == 109_386
    assert sum(layer.params for layer in archbench.layers_of("mlp", input=(1, 28, 28))) == 109_386
    assert abs(sized.rel_error) < 0.003


def test_plugins_are_imported_from_python_too():
    with pytest.raises(ArchbenchError, match="importing no_such_plugin failed"):
        archbench.compare("mlp", "3k", plugins=["no_such_plugin"])


def test_no_overhead_against_what_was_not_compared(filled):
    with pytest.raises(InputError, match="'nope' is not among"):
        filled.overhead("nope")
    assert archbench.load(str(filled.folder)).complete
