"""Weights for `weights=pretrained`: ImageNet's where they are, else those of a training that is made once."""

from __future__ import annotations

import os

import pytest
import torch

import archbench.pretraining as module
from archbench.budget import build_model
from archbench.errors import DataError, InputError, Interrupted, ModelError, OutputError
from archbench.plan import make_plan
from archbench.pretraining import with_pretrained
from archbench.study import make_study
from archbench.study_schema import PretrainTable
from zoo import weights
from zoo.grammar import OptionError

NET = "torchvision:squeezenet1_1"
ASKED = f"{NET}[weights=pretrained]"


def study(models=(ASKED,), **settings):
    return make_study(list(models), **{"epochs": 1, "seeds": 1, "split": "30/10/10", "input": "3x32x32", **settings})


def table(**settings):
    return PretrainTable(
        **{"model": NET, "dataset": "digits", "epochs": 1, "split": "20/10/10", "input": "3x32x32", **settings}
    )


@pytest.fixture
def no_imagenet(monkeypatch):
    """Make sure that no weights of ImageNet are found, whatever lies on this machine."""
    located = weights.locate

    def locate(library, name, asked, *, download=False):
        if asked == weights.IMAGENET:
            msg = "not on this machine"
            raise OptionError(msg)
        return located(library, name, asked, download=download)

    monkeypatch.setattr(weights, "locate", locate)


@pytest.fixture
def trainings(monkeypatch):
    """Return what is trained, as it is; nothing really is, and the net that is kept is a fresh one."""
    made = []

    def train(build, dataset, recipe, device, on_epoch, *, tested, on_trained):
        made.append((dataset, recipe, tested))
        on_trained(build())

    monkeypatch.setattr(module, "train", train)
    return made


def file_of(done):
    (reference,) = done.models
    return reference.partition("weights='")[2].partition("'")[0]


def test_what_nobody_asks_for_is_not_trained(tmp_path, trainings, no_imagenet):
    plain = study([NET, f"{NET}[freeze=backbone]"])
    assert with_pretrained(plain, table(), tmp_path) is plain
    assert with_pretrained(plain, None, tmp_path) is plain
    assert trainings == []


def test_the_word_is_replaced_everywhere(tmp_path, no_imagenet, trainings):
    asked = study(
        [ASKED, "mlp@3k", f"{NET}[freeze=backbone,weights=pretrained]", f"{NET}[weights='mine.pt']"],
        baseline=ASKED, factors={"lr": [0.1, 0.01]},
    )  # fmt: skip
    done = with_pretrained(asked, table(), tmp_path)
    (file,) = tmp_path.glob("pretrained-*.pt")
    named = (
        f"{NET}[weights={str(file)!r}]", "mlp@3000", f"{NET}[freeze=backbone,weights={str(file)!r}]",
        f"{NET}[weights='mine.pt']",
    )  # fmt: skip
    assert done.models == named
    assert [case.models for case in done.cases] == [named, named]
    assert done.baseline == named[0]
    assert len(trainings) == 1


def test_imagenets_are_taken_where_they_are_or_where_nothing_else_is_said(tmp_path, monkeypatch, trainings):
    found = []
    monkeypatch.setattr(weights, "locate", lambda *asked, download: found.append((*asked, download)) or tmp_path)
    for done in (with_pretrained(study(), table(), tmp_path), with_pretrained(study(), None, tmp_path)):
        assert done.models == (f"{NET}[weights=imagenet]",)
    with_pretrained(study(download=True), table(), tmp_path)
    assert found == [("torchvision", "squeezenet1_1", "imagenet", download) for download in (False, True)]
    assert trainings == []


def test_the_training_is_made_once_and_never_tested(tmp_path, no_imagenet, trainings):
    told = []
    first = with_pretrained(study(), table(), tmp_path, told.append)
    assert with_pretrained(study(), table(), tmp_path) == first
    ((dataset, recipe, tested),) = trainings
    assert dataset.counts == (20, 10, 10)
    assert (recipe.epochs, tested) == (1, False)
    assert told[0].detail.startswith("pretraining on scikit-learn's digits")
    others = [table(lr=0.5), table(epochs=2), table(split="30/10/10"), table(input="3x40x40")]
    assert len({file_of(with_pretrained(study(), other, tmp_path)) for other in [table(), *others]}) == 5
    assert len(trainings) == 5


def test_what_is_trained_first_is_what_the_models_start_from(tmp_path, no_imagenet):
    told = []
    done = with_pretrained(study([f"{NET}[weights=pretrained]"]), table(), tmp_path, told.append)
    (file,) = tmp_path.glob("pretrained-*.pt")
    state = torch.load(file, weights_only=True)
    (sized,) = make_plan(done).sized.values()
    built = build_model(sized).state_dict()
    same = [name for name, tensor in built.items() if torch.equal(tensor, state[name])]
    assert "features.0.weight" in same
    assert {name for name in built if name not in same} <= {"classifier.1.weight", "classifier.1.bias"}
    assert told[-1].finished
    assert told[-1].detail.startswith("epoch 1/1, validation accuracy ")


def test_a_dry_run_trains_nothing_and_takes_what_there_is(tmp_path, no_imagenet, trainings):
    out = tmp_path / "out"
    assert with_pretrained(study(), table(), out, dry=True).models == (NET,)
    assert trainings == []
    assert not out.exists()
    made = with_pretrained(study(), table(), out)
    assert with_pretrained(study(), table(), out, dry=True) == made
    assert len(trainings) == 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "mlp"}, InputError, "mlp cannot be pretrained"),
        ({"model": "torchvision:"}, InputError, "torchvision: cannot be pretrained"),
        ({"model": "torchvision:squeezenet9"}, InputError, "unknown model"),
        ({"dataset": "digit"}, InputError, "unknown data set"),
        ({"dataset": "mnist"}, DataError, "no data root"),
        ({"epochs": 0}, InputError, "epochs: 0"),
    ],
)
def test_a_table_that_cannot_be_trained_says_why(tmp_path, no_imagenet, trainings, settings, error, message):
    with pytest.raises(error, match=message):
        with_pretrained(study(), table(**settings), tmp_path)
    assert trainings == []


def test_a_table_without_a_model_says_so(tmp_path):
    with pytest.raises(InputError, match="nothing cannot be pretrained") as caught:
        with_pretrained(study(), PretrainTable(epochs=1), tmp_path)
    assert "torchvision:resnet50" in caught.value.remedy


def test_a_training_that_diverges_leaves_no_weights(tmp_path, no_imagenet, monkeypatch):
    monkeypatch.setattr(module, "train", lambda *_, **__: None)  # on_trained is not called
    with pytest.raises(ModelError, match="diverged") as caught:
        with_pretrained(study(), table(), tmp_path)
    assert "smaller lr" in caught.value.remedy
    assert not list(tmp_path.glob("*.pt"))


@pytest.mark.parametrize(
    ("raised", "error", "message"),
    [
        (RuntimeError("too small"), ModelError, "failed: RuntimeError: too small"),
        (OutputError("the disk is full"), OutputError, "the disk is full"),
        (KeyboardInterrupt(), Interrupted, "stopped: the pretraining of torchvision:squeezenet1_1 is not finished"),
    ],
)
def test_whatever_ends_a_training_is_told(tmp_path, no_imagenet, monkeypatch, raised, error, message):
    def train(*_, **__):
        raise raised

    monkeypatch.setattr(module, "train", train)
    with pytest.raises(error, match=message):
        with_pretrained(study(), table(), tmp_path)


def test_a_folder_that_cannot_be_written_is_told_before_the_training(tmp_path, no_imagenet, trainings):
    with pytest.raises(OutputError, match="cannot be written"):
        with_pretrained(study(), table(), type(tmp_path)(os.devnull) / "out")
    assert trainings == []
