from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage, stats

from archbench.data import glyphs
from archbench.data.glyphs import ALPHABET, HEIGHT, WIDTH, draw
from archbench.errors import InputError


def plans(count=30, difficulty=1.0):
    return [glyphs._plan(0, 0, index, difficulty) for index in range(count)]


def test_images_and_labels_have_the_announced_shapes():
    images, labels = draw(7, split="train")
    assert (images.shape, images.dtype) == ((7, 3, 50, 130), np.uint8)
    assert (labels.shape, labels.dtype) == ((7, 4), np.int64)
    assert [len(part) for part in draw(0, split="test")] == [0, 0]


def test_an_image_does_not_depend_on_how_many_are_drawn():
    few, many = draw(5, split="train"), draw(12, split="train")
    assert all(np.array_equal(some, more[:5]) for some, more in zip(few, many, strict=True))


def test_an_image_does_not_depend_on_the_number_of_processes(monkeypatch):
    alone = draw(30, split="train", workers=1)
    monkeypatch.setattr(glyphs, "ALONE", 10)
    monkeypatch.setattr(glyphs, "BATCH", 7)
    together = draw(30, split="train", workers=2)
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_splits_seeds_and_indices_give_different_images():
    drawn = [draw(4, split=split, seed=seed)[0] for split in glyphs.SPLITS for seed in (0, 1)]
    assert len({image.tobytes() for images in drawn for image in images}) == 24


def test_the_same_call_gives_the_same_images():
    assert np.array_equal(draw(4, split="test", seed=3)[0], draw(4, split="test", seed=3)[0])


def test_labels_are_uniform_and_independent():
    _, labels = draw(1500, split="train", difficulty=0, workers=1)
    counts = [np.bincount(position, minlength=len(ALPHABET)) for position in labels.T]
    assert min(stats.chisquare(count).pvalue for count in counts) > 1e-3
    for left, right in ((0, 1), (1, 2), (2, 3), (0, 3)):
        table = np.zeros((len(ALPHABET), len(ALPHABET)))
        np.add.at(table, (labels[:, left], labels[:, right]), 1)
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_difficulty_and_cleaning_change_no_label():
    drawn = [
        draw(20, split="train", difficulty=level, clean=clean)[1] for level in (0, 1, 3) for clean in (True, False)
    ]
    assert all(np.array_equal(labels, drawn[0]) for labels in drawn)


def test_the_glyphs_are_those_of_the_labels():
    file = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    font = ImageFont.truetype(str(file), 70)

    def template(symbol, size):
        canvas = Image.new("L", (140, 140))
        ImageDraw.Draw(canvas).text((30, 30), symbol, fill=255, font=font)
        return np.asarray(canvas.crop(canvas.getbbox()).resize(size, Image.Resampling.BILINEAR), float).ravel()

    def read(box):
        size = box.shape[::-1]
        fits = [np.corrcoef(template(symbol, size), box.ravel())[0, 1] for symbol in ALPHABET]
        return int(np.argmax(fits))

    images, labels = draw(25, split="validation", difficulty=0)
    for image, label in zip(images, labels, strict=True):
        darkness = image.max() - image.astype(float).mean(0)
        parts, found = ndimage.label(darkness > 40, np.ones((3, 3)))
        boxes = sorted(ndimage.find_objects(parts), key=lambda box: box[1].start)
        assert found == 4
        assert [read(darkness[box]) for box in boxes] == label.tolist()


def test_without_difficulty_there_is_nothing_to_clean():
    assert np.array_equal(
        draw(10, split="train", difficulty=0)[0], draw(10, split="train", difficulty=0, clean=True)[0]
    )


def test_a_clean_image_has_one_ground_one_ink_and_their_mixtures():
    for image in draw(20, split="train", clean=True)[0].astype(float):
        ground = image[:, 0, 0]
        ink = image.reshape(3, -1)[:, image.sum(0).argmin()]
        share = ((image - ground[:, None, None]) * (ink - ground)[:, None, None]).sum(0) / ((ink - ground) ** 2).sum()
        mixture = ground[:, None, None] + share * (ink - ground)[:, None, None]
        assert np.abs(mixture - image).max() < 1.5  # levels
        assert ground.min() > 215
        assert ink @ [0.299, 0.587, 0.114] < 130


@pytest.mark.parametrize("difficulty", [0, 1, 3])
def test_no_glyph_touches_the_edge(difficulty):
    images, _ = draw(150, split="train", difficulty=difficulty, clean=True)
    border = np.concatenate([images[:, :, [0, -1]].reshape(150, 3, -1), images[..., [0, -1]].reshape(150, 3, -1)], 2)
    assert (border == border[:, :, :1]).all()


def test_the_arc_is_a_parabola_of_2_to_3_pixels_from_edge_to_edge():
    rows = np.arange(HEIGHT)[:, None]
    for plan in plans():
        curve = (plan.arc * rows).sum(0) / plan.arc.sum(0)
        parabola = np.polynomial.Polynomial.fit(np.arange(WIDTH), curve, 2)
        assert np.abs(parabola(np.arange(WIDTH)) - curve).max() < 0.2
        thickness = plan.arc.sum(0) / np.hypot(1, parabola.deriv()(np.arange(WIDTH)))
        assert thickness.min() > 1.9
        assert thickness.max() < 3.1


def test_the_arc_crosses_the_glyphs():
    assert all(((plan.arc > 0.5) & (plan.glyphs > 0.5)).sum() > 20 for plan in plans(100))


def test_arc_and_speckles_and_jitter_grow_with_difficulty():
    levels = [plans(20, difficulty) for difficulty in (0, 0.5, 1, 2, 3)]
    for measure in (
        lambda plan: plan.arc.sum(),
        lambda plan: (plan.speckled != plan.ground[:, None, None]).any(0).mean(),
        lambda plan: plan.jitter.std(),
    ):
        means = [np.mean([measure(plan) for plan in level]) for level in levels]
        assert means[0] == 0
        assert means == sorted(means)
        assert means[2] > 1.3 * means[1]


@pytest.mark.parametrize("difficulty", [-0.1, 3.01, float("nan"), float("inf")])
def test_difficulties_that_cannot_be_drawn_are_refused(difficulty):
    with pytest.raises(InputError, match="is not a difficulty") as caught:
        draw(1, split="train", difficulty=difficulty)
    assert "from 0 (clean) to 3" in caught.value.remedy


def test_other_faults_are_named():
    with pytest.raises(InputError, match="'valid' is not a split") as caught:
        draw(1, split="valid")
    assert "validation" in caught.value.remedy
    with pytest.raises(InputError, match="-1 images"):
        draw(-1, split="train")
    with pytest.raises(InputError, match="seed -1"):
        draw(1, split="train", seed=-1)
