"""Generated CAPTCHAs as a data set: any number on request, and the same image i however many there are."""

from __future__ import annotations

import pytest
import torch

from archbench.data import SPLITS, canonical_dataset, captcha, load_dataset, load_parts, sources
from archbench.data.glyphs import draw
from archbench.errors import InputError
from archbench.settings import make_view

TINY = "captcha[train=24,validation=8,test=8]"


def test_images_and_labels_are_those_that_are_drawn():
    dataset = load_dataset(TINY)
    assert dataset.counts == (24, 8, 8)
    assert dataset.input_shape == (3, 50, 130)
    assert dataset.positions == 4
    assert len(dataset.classes) == 19
    assert dataset.warnings == ()
    for split in SPLITS:
        images, labels = draw(len(dataset.labels[split]), split=split)
        assert torch.equal(dataset.images[split], torch.from_numpy(images))
        assert torch.equal(dataset.labels[split], torch.from_numpy(labels))


def test_an_image_is_the_same_however_many_are_asked_for():
    few, more = load_parts(TINY), load_parts("captcha[train=31,validation=9,test=8]")
    for split in SPLITS:
        count = len(few.labels[split])
        assert torch.equal(few.images[split], more.images[split][:count])
        assert torch.equal(few.labels[split], more.labels[split][:count])


def test_a_list_knows_how_many_there_are_by_default_without_drawing_them(monkeypatch):
    asked = []

    def drawn(count, **settings):
        asked.append((settings["split"], count))
        return draw(1, **settings)

    monkeypatch.setattr(captcha, "draw", drawn)
    load_parts("captcha[seed=77]")
    assert asked == list(zip(SPLITS, sources()["captcha"].counts, strict=True))
    assert sources()["captcha"].counts == (4000, 1000, 3000)


def test_a_split_is_drawn_as_large_as_it_is_asked_for():
    dataset = load_dataset("captcha", view=make_view(split="31/9/8"))
    assert dataset.counts == (31, 9, 8)
    assert torch.equal(dataset.images["train"], load_parts("captcha[train=31,validation=9,test=8]").images["train"])
    of_more = load_dataset("captcha[train=31]", view=make_view(split="24/8/8"))
    assert of_more.counts == (24, 8, 8)
    drawn = {image.numpy().tobytes() for image in dataset.images["train"]}
    assert {image.numpy().tobytes() for image in of_more.images["train"]} < drawn


def test_seed_and_difficulty_change_the_images_and_difficulty_no_label():
    plain = load_parts(TINY)
    other, easy = (
        load_parts(f"captcha[train=24,validation=8,test=8,{option}]") for option in ("seed=1", "difficulty=0")
    )
    assert not torch.equal(plain.labels["train"], other.labels["train"])
    assert torch.equal(plain.labels["train"], easy.labels["train"])
    assert not torch.equal(plain.images["train"], easy.images["train"])
    assert "seed 1" in other.source
    assert "difficulty 0" in easy.source


def test_what_was_drawn_is_not_drawn_again(monkeypatch):
    first = load_dataset(TINY)
    monkeypatch.setattr(captcha, "draw", None)
    again = load_dataset("captcha[test=8,train=24,validation=8,difficulty=1]")
    assert again.sha256 == first.sha256


def test_a_name_has_one_spelling():
    assert canonical_dataset("captcha[validation=8, train=24,test=8]") == "captcha[test=8,train=24,validation=8]"
    assert canonical_dataset("captcha") == "captcha"


@pytest.mark.parametrize(
    ("options", "message", "remedy"),
    [
        ("train=0", "train: 0 is not accepted", "whole number from 1"),
        ("train=1.5", "train: 1.5 is not accepted", "whole number from 1"),
        ("test=true", "test: True is not accepted", "whole number from 1"),
        ("test=many", "test: 'many' is not accepted", "whole number from 1"),
        ("validation=20000000", "validation: 20000000 is not accepted", "to 10,000,000"),
        ("seed=-1", "seed: -1 is not accepted", "whole number from 0"),
        ("difficulty=hard", "difficulty: 'hard' is not accepted", "from 0 to 3"),
        ("difficulty=true", "difficulty: True is not accepted", "from 0 to 3"),
        ("difficulty=4,train=1,test=1", "4.0 is not a difficulty", "to 3"),
        ("speed=1", "has no option 'speed'", "difficulty: 0 for plain letters"),
        ("seed", "cannot be read", "captcha[difficulty=2,seed=1]"),
    ],
)
def test_faults_say_what_is_accepted(options, message, remedy):
    with pytest.raises(InputError) as caught:
        load_dataset(f"captcha[{options}]")
    assert message in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_part_of_the_symbols_cannot_be_picked():
    with pytest.raises(InputError, match="several labels, so that no class can be picked"):
        load_dataset(TINY, view=make_view(only="A,C"))
    with pytest.raises(InputError, match="not how the data set captcha is named"):
        load_dataset("captcha:here")


def test_a_limit_keeps_so_many_of_each_split():
    assert load_dataset(TINY, view=make_view(limit=5)).counts == (5, 5, 5)
