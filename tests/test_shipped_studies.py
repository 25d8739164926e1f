"""The published comparisons that come with archbench: all their models are built, counted, and trained for one step."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from archbench.budget import build_model, size_model
from archbench.building import find_spec
from archbench.data import Dataset, parse_dataset
from archbench.data.preprocess import shape_after
from archbench.measures import is_share
from archbench.reference import parse_reference
from archbench.study_file import read_study, shipped, study_of
from archbench.training import train
from archbench.tuning import TUNED

SHARED = Path(__file__).parents[2] / "shared" / "published" / "published.csv"
FILES = {name: read_study(file) for name, file in shipped().items()}
SCALES = ("quick", "full")
IMAGES = 4  # a step's batch, and all that there is to train on
FIGURES = {
    "bf16-equivalence": 0, "captcha-resnet18": 150, "cifar10-fc-vs-cnn": 5, "cifar10-two-layer": 5,
    "fer2013-cnn-vs-mobilenet": 20, "mnist-heads": 25, "mnist-hyperparameters": 130, "transfer-resnet50": 5,
    "transfer-xception": 40,
}  # the least of each  # fmt: skip

# What is held against the table of all published figures: the experiments of a study, and what of them is left out.
TABLE = {
    "mnist-heads": ("000", ("",), {"loss_difference_vs_base"}),
    "fer2013-cnn-vs-mobilenet": ("001", ("",), {"test (mean)"}),
    "mnist-hyperparameters": ("002", ("HW2-1",), set()),
    "captcha-resnet18": ("002", ("HW2-2",), {"target_params_max", "target_accuracy_min", "params_claim"}),
    "cifar10-two-layer": (
        "003",
        ("baseline", "tuned", "hyper-parameter", "NN vs SVM"),
        {"loss"},
    ),
    "cifar10-fc-vs-cnn": ("004", ("Q2",), {"time_per_epoch_max"}),
}


def source_of(case):
    return parse_dataset(case.dataset)[0]


def shape_of(case):
    return case.view.input_shape or shape_after(case.view.preprocess, source_of(case).input_shape)


def classes_of(case):
    return len(case.view.only) or source_of(case).classes


def positions_of(case):
    return 4 if source_of(case).name == "captcha" else 1


def random_start(reference):
    """Return a model without its trained weights, which need not be on this machine."""
    name, options = zoo.split_options(parse_reference(reference)[0])
    return zoo.join_options(name, {key: value for key, value in options.items() if key != "weights"})


def outputs(model, case):
    return classes_of(case) * positions_of(case) // find_spec(model).positions


def cells(name):
    """Return every distinct (model, outputs, input shape, classes, positions, recipe) of a study at both its scales."""
    found = {}
    for scale in SCALES:
        for case in study_of(FILES[name], scale, device="cpu").settings:
            recipe = replace(case.recipe, epochs=1, batch_size=IMAGES)
            for reference in case.models:
                model = random_start(reference)
                place = (shape_of(case), classes_of(case), positions_of(case))
                found[model, outputs(model, case), place, recipe] = None
    return list(found)


def images_seen(case):
    """Return how many images are trained on in all; where no number is asked for, there are more than in any split."""
    split, limit = case.view.split, case.view.limit
    return case.recipe.epochs * (split[0] if split else limit or 10**6)


def noise(shape, classes, positions):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, *shape), dtype=torch.uint8, generator=generator)
    labels = (torch.arange(IMAGES)[:, None] + torch.arange(positions)) % classes
    labels = labels if positions > 1 else labels[:, 0]
    held = ("validation", "test")  # one image is enough
    parts = {"train": images} | dict.fromkeys(held, images[:1])
    answers = {"train": labels} | dict.fromkeys(held, labels[:1])
    return Dataset("noise", parts, answers, tuple(map(str, range(classes))), "made in the test")


def counted(model, case):
    """Return a network's parameters as torch and as Keras counts them, and those that take a gradient."""
    name, options = zoo.split_options(model)
    channels, *sides = shape_of(case)
    net = zoo.create_model(
        name, num_classes=outputs(model, case), in_chans=channels, input_size=tuple(sides), **options
    )
    params = sum(parameter.numel() for parameter in net.parameters())
    norms = sum(2 * layer.num_features for layer in net.modules() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d))
    trained = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    return {
        "params": params, "params_keras": params + norms, "trainable_params": trained,
        "frozen_params": params + norms - trained,
    }  # fmt: skip


def test_every_study_says_what_it_is_and_what_it_takes():
    assert FILES.keys() == FIGURES.keys()
    for name, file in FILES.items():
        assert file.title, name
        assert file.source, name
        assert file.scales.quick.about, name
        assert file.scales.full.about, name


@pytest.mark.parametrize("name", FILES)
def test_the_quick_scale_trains_less_of_the_same_cases(name):
    quick, full = ({case.name: case for case in study_of(FILES[name], s, device="cpu").settings} for s in SCALES)
    assert quick.keys() <= full.keys() | {"small"}  # what takes hours in full may have a small case of its own
    for case in quick.keys() & full.keys():
        assert images_seen(quick[case]) <= images_seen(full[case])
        assert set(quick[case].models) <= set(full[case].models)
        assert quick[case].dataset == full[case].dataset


@pytest.mark.parametrize("name", FILES)
def test_shares_are_fractions_and_nothing_else_is_below_zero(name):
    values = [item for published in FILES[name].published for item in published.values.items()]
    assert len(values) >= FIGURES[name]
    for metric, value in values:
        assert math.isfinite(value)
        assert value >= 0, metric
        assert value <= 1 or not is_share(metric), metric


@pytest.mark.parametrize("name", FILES)
def test_a_place_has_a_metric_once(name):
    places = [
        (p.case, p.model, p.epoch, metric) for p in FILES[name].published if not p.not_comparable for metric in p.values
    ]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", FILES)
def test_published_counts_are_those_of_the_networks(name):
    cases = {case.name: case for case in study_of(FILES[name], "full", device="cpu").settings}
    for published in FILES[name].published:
        if published.case == TUNED:
            continue  # what a search finds has no count before it
        case = cases[published.case]
        found = None
        for metric in published.values.keys() & {"params", "params_keras", "trainable_params", "frozen_params"}:
            found = found or counted(random_start(published.model or case.models[0]), case)
            assert published.values[metric] == found[metric], (published.model, metric)


@pytest.mark.parametrize("name", FILES)
def test_every_model_of_a_study_takes_a_step_with_its_recipe(name):
    for model, classes, place, recipe in cells(name):
        sized = size_model(model, None, place[0], classes)
        trained = train(lambda sized=sized: build_model(sized), noise(*place), recipe, tested=False)
        assert trained.diverged_epoch is None, model
        assert trained.epochs[0].train.loss > 0, model


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_file(), reason=f"{SHARED} is not there")
@pytest.mark.parametrize("name", TABLE)
def test_every_published_figure_that_has_a_place_is_in_its_study(name):
    report, experiments, left_out = TABLE[name]
    present = {round(value, 4) for published in FILES[name].published for value in published.values.values()}
    missing = []
    with SHARED.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["report"] != report or not row["experiment"].startswith(experiments):
                continue
            said_before = "claim" in row["metric"] or "rounded" in row["note"]
            if said_before or not row["value"] or {row["metric"], row["split"]} & left_out:
                continue
            value = float(row["value"]) / (100 if row["unit"] == "%" else 1)
            digits = 2 if row["metric"] == "elapsed_time" else 4
            if not any(math.isclose(round(value, digits), found, abs_tol=1.01e-4) for found in present):
                missing.append((row["model"], row["metric"], row["value"], row["note"]))
    assert missing == []
