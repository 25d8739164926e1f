"""Contact sheets: which images, under which words, and what pre-processing makes of them below."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archbench.data import load_dataset
from archbench.data.preprocess import apply_steps, parse_steps
from archbench.figures import save
from archbench.sheets import chosen, sheet, words_of


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 5))
def test_each_class_comes_in_turn(labels, count, seed):
    tensor = torch.tensor(labels)
    picked = chosen(tensor, count, seed)
    assert len(set(picked)) == len(picked) == min(count, len(labels))
    counts = [[labels[index] for index in picked].count(label) for label in set(labels)]
    left = [labels.count(label) for label in set(labels)]
    # No class has two more than another that still has some.
    assert all(mine <= other + 1 for mine in counts for other, all_ in zip(counts, left, strict=True) if other < all_)
    assert picked == chosen(tensor, count, seed)


def test_a_round_goes_through_the_classes_in_their_order():
    labels = torch.tensor([2, 2, 2, 0, 0, 1])
    assert [int(labels[index]) for index in chosen(labels, 6)] == [0, 1, 2, 0, 2, 2]


def test_the_seed_decides_which_and_of_several_labels_the_first_counts():
    labels = torch.arange(100) % 2
    assert len({tuple(chosen(labels, 4, seed)) for seed in range(5)}) > 1
    several = torch.stack([labels, torch.arange(100)], 1)
    assert chosen(several, 4) == chosen(labels, 4)


def test_words_are_the_classes(stripes):
    assert words_of(stripes, "train", 1) == "right"
    captchas = load_dataset("captcha[train=24,validation=8,test=8]")
    symbols = [captchas.classes[label] for label in captchas.labels["test"][3]]
    assert words_of(captchas, "test", 3) == "".join(symbols)
    pairs = replace(stripes, labels={"train": torch.tensor([[0, 1]])})
    assert words_of(pairs, "train", 0) == "left right"


def shown(figure):
    return [(ax.get_title(), ax.images[0].get_array()) for ax in figure.axes if ax.images]


def test_every_image_stands_under_its_word(stripes):
    found = shown(sheet(stripes, "train", 5))
    assert [title for title, _ in found] == ["left", "right", "left", "right", "left"]
    for title, image in found:
        assert image.shape == (8, 8)
        assert (image[:, :4].mean() > image[:, 4:].mean()) == (title == "left")


def test_what_steps_make_stands_below(stripes):
    chains = [parse_steps("normalize"), parse_steps("resize:4x8")]
    figure = sheet(stripes, "test", 3, chains)
    indices = chosen(stripes.labels["test"], 3)
    images = stripes.images["test"][indices]
    rows = [images, *(apply_steps(steps, images) for steps in chains)]
    found = shown(figure)
    assert len(found) == 9
    columns = figure.axes[0].get_gridspec().ncols
    for place in range(3):
        for below, row in enumerate(rows):
            ax = figure.axes[(place // columns * 3 + below) * columns + place % columns]
            assert np.array_equal(ax.images[0].get_array(), row[place, 0].numpy())
            assert ax.images[0].get_clim() == (0, 255)  # else a pale image would look like a strong one
            assert bool(ax.get_title()) == (below == 0)
    words = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert words == ["original", "normalize", "resize:4x8"]
    assert figure.get_suptitle() == "stripes, test; original above normalize above resize:4x8"


def test_colour_images_stay_coloured_and_gray_ones_of_them_are_gray(tmp_path):
    captchas = load_dataset("captcha[train=24,validation=8,test=8]")
    figure = sheet(captchas, "train", 2, [("gray",)])
    assert {image.shape for _, image in shown(figure)} == {(50, 130, 3), (50, 130)}
    save(figure, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


@pytest.mark.parametrize(("count", "drawn"), [(1, 1), (400, 16)])
def test_there_may_be_one_and_there_are_no_more_than_there_are(stripes, count, drawn):
    figure = sheet(stripes, "validation", count)
    figure.canvas.draw()
    assert len(shown(figure)) == drawn
    assert figure.get_suptitle() == "stripes, validation"


def test_long_words_are_cut_and_dollars_are_no_formulas(stripes):
    named = replace(stripes, classes=("a$b_$", "a very long name of a class"))
    figure = sheet(named, "train", 2)
    figure.canvas.draw()
    assert [title for title, _ in shown(figure)] == ["a$b_$", "a very long n…"]
