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
from archbench.timed import make_sweep


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


def names(**asked):
    return [case.name for case in make_study(["cnn"], **asked).settings]


def test_a_grid_is_every_combination_the_last_factor_first():
    study = make_study(["cnn"], factors={"lr": [0.1, 0.2], "preprocess": ["original", "gray+resize:12"]}, epochs=3)
    assert [case.name for case in study.cases] == [
        "lr=0.1, original", "lr=0.1, gray+resize:12", "lr=0.2, original", "lr=0.2, gray+resize:12",
    ]  # fmt: skip
    assert [(case.recipe.lr, case.view.preprocess) for case in study.cases] == [
        (lr, steps) for lr in (0.1, 0.2) for steps in ((), ("gray", "resize:12x12"))
    ]
    assert {case.recipe.epochs for case in study.cases} == {3}
    assert {case.models for case in study.cases} == {("cnn",)}


def test_what_a_factors_value_is_called_in_a_case():
    assert names(factors={"augment": [[], ["flip", "crop:2"]]}) == ["augment=", "augment=flip+crop:2"]
    assert names(factors={"dataset": ["digits", "mnist"]}) == ["digits", "mnist"]
    assert names(factors={"split": [(100, 20, 30)], "l2": [1e-4]}) == ["split=100+20+30, l2=0.0001"]
    assert names(factors={"optimizer": ("adam", "sgd")}) == ["adam", "sgd"]


def test_a_factor_replaces_the_studys_own_value():
    study = make_study(["cnn"], lr=0.5, dataset="digits", factors={"lr": [0.1], "dataset": ["mnist"]})
    (case,) = study.settings
    assert (case.recipe.lr, case.dataset, study.recipe.lr, study.dataset) == (0.1, "mnist", 0.5, "digits")
    rates = make_study(["cnn"], factors={"optimizer": ["adam", "sgd", "adadelta"]}).settings
    assert [case.recipe.lr for case in rates] == [3e-3, 0.05, 1.0]  # each optimizer's own


def test_a_case_sets_what_it_names_and_takes_the_rest_from_the_study():
    study = make_study(
        ["cnn"], ["3k"], lr=0.5, limit=50,
        cases=[
            {"name": "plain"},
            {"name": "other", "models": ["mlp@5k"], "budgets": [], "dataset": "mnist", "lr": 0.1},
        ],
    )  # fmt: skip
    plain, other = study.cases
    assert (plain.models, plain.budgets, plain.dataset, plain.recipe.lr) == (("cnn",), (3000,), "digits", 0.5)
    assert (other.models, other.budgets, other.dataset, other.recipe.lr) == (("mlp@5k",), (), "mnist", 0.1)
    assert plain.view.limit == other.view.limit == 50
    assert study.models == ("cnn", "mlp@5k")


def test_cases_and_factors_multiply():
    cases = [{"name": "a", "lr": 0.5}, {"name": "b"}]
    study = make_study(["cnn"], cases=cases, factors={"batch_size": [8, 16]}, lr=0.1)
    assert [case.name for case in study.cases] == [
        "a, batch_size=8", "a, batch_size=16", "b, batch_size=8", "b, batch_size=16",
    ]  # fmt: skip
    assert [case.recipe.lr for case in study.cases] == [0.5, 0.5, 0.1, 0.1]


def test_several_preprocessings_become_a_factor():
    study = make_study(["cnn"], preprocess="original,gray+resize:12", factors={"lr": [0.1, 0.2]})
    assert [case.name for case in study.cases] == [
        "original, lr=0.1", "original, lr=0.2", "gray+resize:12, lr=0.1", "gray+resize:12, lr=0.2",
    ]  # fmt: skip
    assert study.view.preprocess == ()
    one = make_study(["cnn"], preprocess=["gray", "resize:12"])  # a list is one chain
    assert (one.cases, one.view.preprocess) == ((), ("gray", "resize:12x12"))


def test_a_single_case_counts_even_without_a_name():
    (case,) = make_study(["cnn"], lr=0.5, cases=[{"lr": 0.1}]).settings
    assert (case.name, case.recipe.lr) == ("", 0.1)
    assert make_study(["cnn"], lr=0.5, cases=[{}]).cases == ()
    assert make_study(["cnn"]).cases == ()


def test_options_reach_the_models_of_cases():
    study = make_study(cases=[{"name": "a", "models": ["resnet18"]}, {"name": "b", "models": ["cnn"]}], head="gap")
    assert [case.models for case in study.cases] == [("resnet18[head=gap]",), ("cnn[head=gap]",)]


def test_a_baseline_may_stand_in_any_case():
    cases = [{"name": "a", "models": ["cnn[dropout=.5]"]}, {"name": "b", "models": ["mlp@3k"]}]
    assert make_study(cases=cases, baseline="cnn[dropout=0.5]").baseline == "cnn[dropout=0.5]"
    assert make_study(cases=cases, baseline="mlp").baseline == "mlp"
    with pytest.raises(InputError, match="'cnn@9k' is not among"):
        make_study(cases=cases, baseline="cnn@9k")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"factors": {"lr": []}}, "the factor lr has no list of values"),
        ({"factors": {"lr": 0.1}}, "the factor lr has no list of values"),
        ({"factors": {"optimizer": "adam"}}, "the factor optimizer has no list of values"),
        ({"factors": {"learning": [1]}}, "'learning' is no setting"),
        ({"factors": {"seeds": [1, 2]}}, "'seeds' is no setting"),
        ({"factors": {"lr": [0.1, -1.0]}}, "-1.0 is not accepted"),
        ({"factors": {"lr": [0.1, 0.1]}}, "two cases are named 'lr=0.1'"),
        ({"cases": [{"name": "a"}, {"name": "a", "lr": 1.0}]}, "two cases are named 'a'"),
        ({"cases": [{"lr": 0.1}, {"lr": 0.2}]}, "two cases are named ''"),
        ({"cases": [{"learning": 1}]}, "'learning' is no setting"),
        ({"cases": [{"dataset": "mnits"}]}, "unknown data set 'mnits'"),
        ({"cases": [{"budgets": ["3kk"]}]}, "'3kk' is not a budget"),
        ({"preprocess": "gray,grey"}, "unknown pre-processing step 'grey'"),
        ({"learning": 1}, "'learning' is no setting"),
    ],
)
def test_cases_and_factors_that_cannot_be(asked, message):
    with pytest.raises(InputError, match=message) as caught:
        make_study(["cnn"], **asked)
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
        "Interrupted": 130, "Terminated": 143,
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"tune": "fast"}, "tune: 'fast'"),
        ({"retry": "done"}, "retry: 'done'"),
        ({"executor": "slurm"}, "executor: 'slurm'"),
        ({"ray_address": "auto"}, "ray"),
    ],
)
def test_a_manner_that_is_none_is_refused_from_python_too(words, said, tmp_path):
    with pytest.raises(InputError, match=said):
        archbench.compare("mlp", "3k", out=tmp_path / "out", **words)
    with pytest.raises(InputError, match=said):
        archbench.reproduce("mnist-heads", out=tmp_path / "out", **words)
    with pytest.raises(InputError, match=said):
        archbench.tune("mlp", 1, out=tmp_path / "out", **words)
    assert not (tmp_path / "out").exists()


def test_no_overhead_against_what_was_not_compared(filled):
    with pytest.raises(InputError, match="'nope' is not among"):
        filled.overhead("nope")
    assert archbench.load(str(filled.folder)).complete


@pytest.mark.parametrize(
    ("text", "device", "able", "expected"),
    [
        ("fp32", "cpu", {"amx_bf16": True}, "fp32"), ("auto", "cpu", {"amx_bf16": True}, "bf16"),
        ("auto", "cpu", {"avx512_bf16": True}, "bf16"), ("auto", "cpu", {"avx512_f": True}, "fp32"),
        ("auto", "cpu", {}, "fp32"), ("auto", "cuda", (8, 0), "bf16"), ("auto", "cuda", (7, 5), "fp32"),
    ],
)  # fmt: skip
def test_auto_is_the_precision_that_the_device_multiplies_in(monkeypatch, text, device, able, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: able)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert make_study(["cnn"], "3k", device=device, precision=text).recipe.precision == expected


def test_what_is_no_precision_is_told_with_all_that_is_accepted():
    with pytest.raises(InputError, match="'fp8' is no precision") as told:
        make_study(["cnn"], "3k", precision="fp8")
    assert told.value.remedy == "Give one of fp32, tf32, bf16, or auto."


@pytest.mark.parametrize("devices", ["cuda", "cpu", "cpu,cuda"])
def test_tf32_is_for_cuda_alone(monkeypatch, devices):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if devices == "cuda":
        assert make_study(["cnn"], "3k", device=devices, precision="tf32").recipe.precision == "tf32"
        assert make_sweep(("cuda",), precision="tf32").recipe.precision == "tf32"
        return
    for make in (
        lambda: make_study(["cnn"], "3k", device=devices, precision="tf32"),
        lambda: make_sweep(tuple(devices.split(",")), precision="tf32"),
        lambda: archbench.memory_of(archbench.size("mlp", "3k", input="1x8x8", classes=2), precision="tf32"),
    ):
        with pytest.raises(InputError, match="tf32 is how CUDA devices multiply") as told:
            make()
        assert told.value.remedy == "Use --device cuda, or fp32, bf16 or auto."
