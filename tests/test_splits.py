"""Splits on labels made here: how many, of which class, from which part, and never twice."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from archbench.data import SPLITS, Parts, load_dataset, splits
from archbench.data.splits import divide, parse_split, stratified
from archbench.data.views import seen
from archbench.errors import DataError, InputError
from archbench.schema import View

COUNTS = st.integers(1, 10**9)


def counted(part, labels):
    """Images that carry their index, so that each can be told from all others."""
    index = torch.arange(len(labels))
    return torch.stack([index // 256, index % 256, torch.full_like(index, part)], 1).to(torch.uint8).view(-1, 3, 1, 1)


def parts_of(**labels):
    images = {part: counted(number, own) for number, (part, own) in enumerate(labels.items())}
    return Parts(images, labels, tuple("abcde"), "made here")


def identities(images):
    return {tuple(image) for image in images.flatten(1).tolist()}


# --- what users write


@given(COUNTS, COUNTS, COUNTS, st.sampled_from(["{}", " {} ", "{:,}", "{:_}"]))
def test_a_split_is_three_counts(train, validation, test, form):
    text = "/".join(form.format(count) for count in (train, validation, test))
    assert parse_split(text) == (train, validation, test)


@given(st.text(max_size=30) | st.text("0123456789/,-. ", max_size=30))
def test_any_other_text_is_refused_or_is_three_counts(text):
    try:
        counts = parse_split(text)
    except InputError as error:
        assert "48000/6000/10000" in error.remedy
    else:
        assert len(counts) == 3
        assert min(counts) > 0


@pytest.mark.parametrize("text", ["", "1/2", "1/2/3/4", "0/1/1", "1/-1/1", "1.5/1/1", "1e3/1/1", "a/b/c", "²/1/1"])
def test_these_are_no_splits(text):
    with pytest.raises(InputError, match="is no split"):
        parse_split(text)


# --- drawing by class


@given(st.lists(st.integers(8, 60), min_size=2, max_size=5), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_each_class_keeps_its_share(sizes, share, seed):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    count = round(len(labels) * share)
    assume(len(sizes) <= count <= len(labels) - len(sizes))
    rest, chosen = stratified(labels, count, seed)
    assert len(chosen) == count
    assert torch.equal(torch.cat([rest, chosen]).sort().values, torch.arange(len(labels)))
    expected = torch.tensor(sizes) * count / len(labels)
    assert (torch.bincount(labels[chosen], minlength=len(sizes)) - expected).abs().max() < 1 + 1e-6
    assert torch.equal(chosen, chosen.sort().values)
    assert torch.equal(chosen, stratified(labels, count, seed)[1])


def test_all_or_none_need_no_draw():
    labels = torch.tensor([0, 1, 2])
    assert [index.tolist() for index in stratified(labels, 3, 0)] == [[], [0, 1, 2]]
    assert [index.tolist() for index in stratified(labels, 0, 0)] == [[0, 1, 2], []]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.integers(1, 60), st.integers(0, 99))
def test_classes_that_are_too_small_keep_their_shares_as_nearly_as_can_be(sizes, count, seed):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    count = min(count, len(labels))
    rest, chosen = stratified(labels, count, seed)
    assert len(chosen) == count
    assert torch.equal(torch.cat([rest, chosen]).sort().values, torch.arange(len(labels)))
    if len(labels) - count >= len(sizes) or count < len(sizes):  # else what is left is drawn at random
        expected = torch.tensor(sizes) * count / len(labels)
        assert (torch.bincount(labels[chosen], minlength=len(sizes)) - expected).abs().max() < 1 + 1e-6


def test_a_quick_look_may_be_smaller_than_the_number_of_classes():
    labels = torch.tensor([0] * 100 + [1] * 3)
    assert torch.bincount(labels[stratified(labels, 10, 0)[1]]).tolist() == [10]  # 9.7 and 0.3
    assert torch.bincount(labels[stratified(labels, 20, 0)[1]]).tolist() == [19, 1]  # 19.4 and 0.6
    few = stratified(torch.arange(100) % 10, 3, 0)[1]
    assert len(few) == len(set((few % 10).tolist())) == 3


def test_images_with_several_labels_are_drawn_without_regard_to_class():
    labels = torch.randint(0, 19, (100, 4), generator=torch.Generator().manual_seed(0))
    rest, chosen = stratified(labels, 20, 0)
    assert sorted([*rest.tolist(), *chosen.tolist()]) == list(range(100))
    assert len(chosen) == 20


# --- dividing what a source gives


def classes(count, kinds=5):
    return torch.arange(count) % kinds


def test_a_source_with_three_splits_keeps_them():
    parts = parts_of(train=classes(50), validation=classes(20), test=classes(30))
    made = seen("made", parts, View())
    for split in SPLITS:
        assert torch.equal(made.images[split], parts.images[split])
    assert made.source == "made here"


def test_a_source_without_validation_holds_out_a_stratified_tenth_of_train():
    parts = parts_of(train=classes(200), test=classes(30))
    made = seen("made", parts, View())
    assert torch.bincount(made.labels["validation"]).tolist() == [4] * 5
    assert torch.bincount(made.labels["train"]).tolist() == [36] * 5
    assert torch.equal(made.images["test"], parts.images["test"])
    assert made.source == "made here; 20 of its training images, stratified, are the validation split"


def test_a_source_without_splits_is_split_60_20_20_by_class():
    made = seen("made", parts_of(all=classes(500)), View())
    by_class = {split: torch.bincount(made.labels[split]).tolist() for split in SPLITS}
    assert by_class == {"train": [60] * 5, "validation": [20] * 5, "test": [20] * 5}
    digits = load_dataset("digits")
    assert {split: len(digits.labels[split]) for split in SPLITS} == {"train": 1079, "validation": 359, "test": 359}
    for split, labels in digits.labels.items():
        assert (torch.bincount(labels) / len(labels) - 0.1).abs().max() < 0.01, split


LAYOUTS = [
    {"all": 300},
    {"train": 200, "test": 100},
    {"train": 150, "validation": 50, "test": 100},
]


@pytest.mark.parametrize("sizes", LAYOUTS, ids="+".join)
@given(split=st.tuples(*[st.integers(5, 70)] * 3), seed=st.integers(0, 99))
def test_asked_for_counts_are_met_without_an_image_twice(sizes, split, seed):
    assume("validation" not in sizes or split[1] <= 45)  # what is left over has each class
    parts = parts_of(**{part: classes(size) for part, size in sizes.items()})
    made = seen("made", parts, View(split=split, split_seed=seed))
    assert tuple(len(made.labels[name]) for name in SPLITS) == split
    drawn = {name: identities(made.images[name]) for name in SPLITS}
    assert len(set.union(*drawn.values())) == sum(split)
    for name, off in (("test", 1), ("validation", 2), ("train", 4)):  # each draw rounds what earlier ones left
        counts = torch.bincount(made.labels[name], minlength=5)
        assert (counts - counts.sum() / 5).abs().max() < off
        index = made.images[name][:, 0, 0, 0].int() * 256 + made.images[name][:, 1, 0, 0].int()
        assert torch.equal(made.labels[name], index % 5)
    if "test" in sizes:
        assert drawn["test"] <= identities(parts.images["test"])
        assert not (drawn["train"] | drawn["validation"]) & identities(parts.images["test"])


def test_the_seed_decides_which_images():
    parts = parts_of(all=classes(300))
    made = [seen("made", parts, View(split=(100, 50, 50), split_seed=seed)).sha256 for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    source = seen("made", parts, View(split=(100, 50, 50), split_seed=1)).source
    assert source == "made here; split 100/50/50, stratified, seed 1"


def test_more_than_there_are_is_refused():
    labels = {"train": classes(100), "test": classes(50)}
    for split, said in (((90, 20, 50), "made has 100 images in train, not 110"), ((50, 10, 51), "50 images in test")):
        with pytest.raises(DataError, match=said) as caught:
            divide("made", labels, View(split=split))
        assert "--split" in caught.value.remedy
    taken, _ = divide("made", labels, View(split=(80, 20, 50)))
    assert {split: part for split, (part, _) in taken.items()} == {
        "train": "train", "validation": "train", "test": "test"
    }  # fmt: skip


def test_a_limit_keeps_the_shares_of_the_classes():
    labels = torch.tensor([0] * 150 + [1] * 50)
    made = seen("made", parts_of(train=labels, validation=labels, test=labels[100:]), View(limit=40))
    assert {split: torch.bincount(made.labels[split]).tolist() for split in SPLITS} == {
        "train": [30, 10], "validation": [30, 10], "test": [20, 20]
    }  # fmt: skip
    assert "at most 40 images of each split" in made.source
    assert seen("made", parts_of(all=classes(300)), View(limit=1000)).sha256 == (
        seen("made", parts_of(all=classes(300)), View()).sha256
    )


def test_the_smallest_sets_can_be_split_and_smaller_ones_say_what_is_missing():
    assert seen("made", parts_of(train=classes(2), test=classes(1)), View()).counts == (1, 1, 1)
    assert seen("made", parts_of(all=classes(3)), View()).counts == (1, 1, 1)
    with pytest.raises(DataError, match="the train split of made is empty: train has 1 image") as caught:
        seen("made", parts_of(train=classes(1), test=classes(1)), View())
    assert caught.value.remedy == "Give it at least 2."
    with pytest.raises(DataError, match="the train split of made is empty: all has 2 images") as caught:
        seen("made", parts_of(all=classes(2)), View())
    assert caught.value.remedy == "Give it at least 3."


def test_splits_of_two_shapes_and_empty_ones_are_refused():
    def made(**sides):
        images = {part: torch.zeros(count, 1, side, side, dtype=torch.uint8) for part, (count, side) in sides.items()}
        labels = {part: classes(count, 2) for part, (count, _) in sides.items()}
        return seen("made", Parts(images, labels, ("a", "b"), ""), View())

    with pytest.raises(DataError, match=r"\(1, 8, 8\) in train and \(1, 9, 9\) in test"):
        made(train=(40, 8), test=(10, 9))
    with pytest.raises(DataError, match="the validation split of made is empty"):
        made(train=(40, 8), validation=(0, 8), test=(10, 8))


@pytest.mark.parametrize("shape", [(2000,), (1200, 4)])
def test_a_draw_of_many_images_is_kept_and_is_the_same(monkeypatch, tmp_path, shape):
    labels = torch.randint(5, shape, generator=torch.Generator().manual_seed(0))
    first = stratified(labels, 300, 7)
    monkeypatch.setattr(splits, "_drawn", lambda *of: pytest.fail("it was drawn again"))
    assert all(map(torch.equal, stratified(labels, 300, 7), first))
    monkeypatch.undo()
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "other"))
    assert all(map(torch.equal, stratified(labels, 300, 7), first))
    others = [stratified(labels, 300, 8), stratified(labels, 301, 7)]
    if labels.ndim == 1:  # several labels an image play no part
        others.append(stratified(labels.flip(0), 300, 7))
    assert not any(torch.equal(first[1], other[1]) for other in others)
    assert all(len(rest) + len(chosen) == len(labels) for rest, chosen in others)
