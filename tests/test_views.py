"""A view does what it says, in its order, changes the fingerprint, and never lets a test image into the training."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archbench.data import SPLITS, Parts, load_dataset, views
from archbench.data.preprocess import apply_steps
from archbench.data.views import preprocessed, seen, without
from archbench.errors import DataError, InputError
from archbench.schema import View
from archbench.settings import make_view

CLASSES = ("ant", "bee", "cat")


def part(*numbers):
    """1x2x2 images that each show their number, and labels that follow from it."""
    images = torch.zeros(len(numbers), 1, 2, 2, dtype=torch.uint8)
    for image, number in zip(images, numbers, strict=True):
        image[0] = torch.tensor([[number // 250, 255], [number % 250, 0]])
    return images, torch.tensor([number % len(CLASSES) for number in numbers], dtype=torch.int64)


def parts(**numbers):
    made = {name: part(*own) for name, own in numbers.items()}
    return Parts(
        {name: images for name, (images, _) in made.items()}, {name: labels for name, (_, labels) in made.items()},
        CLASSES, "made here",
    )  # fmt: skip


def numbers_of(images):
    return [int(image[0, 0, 0]) * 250 + int(image[0, 1, 0]) for image in images]


def numbers(dataset):
    return {split: numbers_of(dataset.images[split]) for split in SPLITS}


THREE = {"train": range(30), "validation": range(100, 112), "test": range(200, 212)}
TWO = {"train": range(30), "test": range(200, 212)}
ALL = {"all": range(60)}


# --- classes


@pytest.mark.parametrize("made", [THREE, TWO, ALL], ids=["three", "two", "all"])
def test_only_the_named_classes_stay_numbered_as_they_are_named(made):
    dataset = seen("made", parts(**made), View(only=("cat", "ant")))
    assert dataset.classes == ("cat", "ant")
    for split in SPLITS:
        shown = numbers_of(dataset.images[split])
        assert {number % 3 for number in shown} == {0, 2}
        assert dataset.labels[split].tolist() == [0 if number % 3 == 2 else 1 for number in shown]
    assert sum(dataset.counts) == sum(number % 3 != 1 for own in made.values() for number in own)
    assert "only cat, ant" in dataset.source


@pytest.mark.parametrize(("only", "message"), [(("dog",), "no class 'dog'"), (("ant", "ant"), "'ant' is named twice")])
def test_classes_that_cannot_be_picked(only, message):
    with pytest.raises(InputError, match=message) as caught:
        seen("made", parts(**THREE), View(only=only))
    assert "ant, bee, cat" in caught.value.remedy


# --- what is excluded


def test_what_is_excluded_is_gone_and_is_told():
    doubled = parts(train=[*range(9), 3, 200], validation=[100, 101, 102], test=[200, 201, 202])
    dataset = seen("made", doubled, View(exclude=("leaks",)))
    assert numbers(dataset) == {"train": [*range(9), 3], "validation": [100, 101, 102], "test": [200, 201, 202]}
    assert dataset.warnings == ()
    assert "excluded (leaks): 1 of 11 in train, 0 of 3 in validation, 0 of 3 in test" in dataset.source
    dataset = seen("made", doubled, View(exclude=("duplicates",)))
    assert numbers(dataset)["train"] == [*range(9)]
    assert without("made", doubled, ()) == (doubled, [])


def test_classes_are_picked_before_anything_is_excluded():
    images, labels = part(0, 0, 1, 2)[0], torch.tensor([0, 1, 1, 2])  # the first is an ant and a bee
    clash = Parts(dict.fromkeys(SPLITS, images), dict.fromkeys(SPLITS, labels), CLASSES, "made here")
    both, _ = without("made", clash, ("conflicts",))
    assert {name: len(own) for name, own in both.labels.items()} == dict.fromkeys(SPLITS, 2)
    alone = seen("made", clash, View(only=("ant", "cat"), exclude=("conflicts",)))  # what contradicts it has gone
    assert alone.counts == (2, 2, 2)


def test_a_class_or_a_split_that_is_left_empty_is_told():
    with pytest.raises(DataError, match="the test split of made is empty"):
        seen("made", parts(train=[0, 3, 1], validation=[6, 7], test=[1, 4]), View(only=("ant",)))
    with pytest.raises(DataError, match="excluding leaks leaves nothing of train of made"):
        seen("made", parts(train=[200], validation=[6], test=[200]), View(exclude=("leaks",)))


# --- splits and limits


@given(
    st.sampled_from([THREE, TWO, ALL]), st.sampled_from([None, (9, 6, 6), (12, 6, 3)]),
    st.sampled_from([None, 3, 7, 500]), st.integers(0, 3), st.sampled_from([(), ("ant", "bee")]),
    st.sampled_from([(), ("leaks",), ("duplicates", "constant")]),
)  # fmt: skip
def test_no_test_image_is_ever_trained_on(made, split, limit, seed, only, exclude):
    view = View(split=split, limit=limit, split_seed=seed, only=only, exclude=exclude)
    dataset = seen("made", parts(**made), view)
    shown = numbers(dataset)
    for one, other in itertools.combinations(SPLITS, 2):
        assert not set(shown[one]) & set(shown[other])
    assert all(len(set(own)) == len(own) for own in shown.values())
    if "test" in made:
        assert set(shown["test"]) <= set(made["test"])
        assert not set(shown["train"] + shown["validation"]) & set(made["test"])
    if split is not None:
        assert dataset.counts == tuple(min(count, limit or count) for count in split)
    assert max(dataset.counts) <= (limit or 10**9)
    names = only or CLASSES
    for own in SPLITS:
        labels = [names.index(CLASSES[number % 3]) for number in shown[own]]
        assert dataset.labels[own].tolist() == labels


def test_a_limit_is_told_however_small():
    assert "at most 6 images of each split, stratified" in seen("made", parts(**THREE), View(limit=6)).source
    assert seen("made", parts(**THREE), View(limit=2)).counts == (2, 2, 2)


# --- leakage


def test_images_that_leak_are_told_split_by_split():
    made = parts(train=[*range(9), 200], validation=[100, 5, 102], test=[200, 201, 1, 100])
    assert seen("made", made, View()).warnings == (
        "2 of 4 test images also occur in train", "1 of 3 validation images also occurs in train",
        "1 of 4 test images also occurs in validation",
    )  # fmt: skip


def test_leakage_is_that_of_the_images_that_are_used_before_they_are_preprocessed():
    made = parts(train=range(30), validation=range(100, 112), test=range(200, 212))
    dataset = seen("made", made, View(preprocess=("resize:1x1",)))  # afterwards many look alike
    assert len(torch.unique(dataset.images["train"].flatten())) < 30
    assert dataset.warnings == ()
    leaky = parts(train=[*range(9), 202], validation=[100, 101, 102], test=[200, 201, 202])
    assert seen("made", leaky, View(preprocess=("normalize",))).warnings != ()
    assert seen("made", leaky, View(only=("ant", "cat"))).warnings == ()  # the leaked one is a bee
    assert seen("made", leaky, View(exclude=("leaks",))).warnings == ()


# --- what is done to the images


def test_images_are_preprocessed_once(monkeypatch):
    dataset = seen("made", parts(**THREE), View(preprocess=("resize:3x5", "normalize")))
    plain = seen("made", parts(**THREE), View())
    for split in SPLITS:
        assert torch.equal(dataset.images[split], apply_steps(("resize:3x5", "normalize"), plain.images[split]))
    assert dataset.input_shape == (1, 3, 5)
    assert "pre-processed: resize:3x5+normalize" in dataset.source
    monkeypatch.setattr(views, "apply_steps", None)
    assert seen("made", parts(**THREE), View(preprocess=("resize:3x5", "normalize"))).sha256 == dataset.sha256
    with pytest.raises(TypeError):  # other steps, or other images, are not in the cache
        seen("made", parts(**THREE), View(preprocess=("resize:3x5",)))
    with pytest.raises(TypeError):
        preprocessed(("resize:3x5", "normalize"), plain.images["train"].flip(0))


def test_images_of_another_shape_in_the_same_bytes_are_other_images():
    square = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    flat = square.view(1, 1, 2, 8)
    for images in (square, flat):
        assert torch.equal(preprocessed(("resize:3x3",), images), apply_steps(("resize:3x3",), images))


def test_being_shown_in_another_shape_leaves_the_stored_images():
    dataset = seen("made", parts(**THREE), View(input_shape=(3, 8, 8)))
    assert dataset.input_shape == (3, 8, 8)
    assert dataset.images["train"].shape[1:] == (1, 2, 2)


# --- the fingerprint

VIEWS = [
    {}, {"only": "1,7"}, {"only": "7,1"}, {"split": "60/20/20"}, {"split": "60/20/20", "split_seed": 1},
    {"split_seed": 1}, {"limit": 30}, {"preprocess": "resize:4"}, {"preprocess": "normalize+resize:4"},
    {"preprocess": "resize:4+normalize"}, {"input": "3x8x8"}, {"input": "1x12x12"},
]  # fmt: skip


def test_every_view_has_a_fingerprint_of_its_own():
    made = [load_dataset("digits", view=make_view(**settings)).sha256 for settings in VIEWS]
    assert len(set(made)) == len(VIEWS)
    assert load_dataset("digits", view=make_view(**VIEWS[3])).sha256 == made[3]


def test_what_excludes_nothing_changes_nothing_and_what_excludes_something_does():
    clean, doubled = parts(**THREE), parts(train=[*range(30), 0], validation=range(100, 112), test=range(200, 212))
    plain, excluded = View(), View(exclude=("duplicates",))
    assert seen("made", clean, plain).sha256 == seen("made", clean, excluded).sha256
    assert seen("made", doubled, plain).sha256 != seen("made", doubled, excluded).sha256
    assert seen("made", doubled, excluded).sha256 == seen("made", clean, plain).sha256


@pytest.mark.parametrize("doubled", [{"all": [*range(60), *range(60)]}, {**TWO, "train": [*range(30), *range(30)]}])
def test_copies_that_a_split_has_torn_apart_are_leaks_too(doubled):
    made = parts(**doubled)
    assert any("also occur in train" in text for text in seen("made", made, View()).warnings)
    dataset = seen("made", made, View(exclude=("leaks",)))
    assert not dataset.warnings
    assert "once it was split" in dataset.source
    held = numbers(dataset)
    assert not set(held["train"]) & {*held["validation"], *held["test"]}


def test_a_class_that_a_split_lacks_is_told():
    made = parts(train=range(30), validation=range(100, 112), test=[200, 203, 206])  # cats alone
    assert [text for text in seen("made", made, View()).warnings if "is of" in text] == ["no test image is of ant, bee"]


def test_what_a_source_has_done_already_is_not_done_again():
    made = dataclasses.replace(parts(**THREE), applied=("normalize",), warnings=("it is cut",))
    dataset = seen("made", made, View(preprocess=("normalize", "resize:2x2")))
    assert dataset.images["train"].shape[2:] == (2, 2)
    assert dataset.warnings == ("it is cut",)
    assert "pre-processed: normalize+resize:2x2" in dataset.source
