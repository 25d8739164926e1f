"""The audit finds what was planted, no more; what is found by cleverness is compared with brute force."""

from __future__ import annotations

import itertools
import tarfile

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archbench.data.audit import Audit, Leak, audit, leaks
from archbench.data.duplicates import NEIGHBOURS, collect, describe
from archbench.data.exclusions import CONSTANT_STD, EXCLUSIONS, kept, parse_exclusions
from archbench.errors import DataError, InputError

SPLITS = ("train", "validation", "test")
CLASSES = ("a", "b", "c")


def noise(count, shape=(1, 6, 7), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype("uint8")


def tensors(arrays, dtype=None):
    return {split: torch.from_numpy(np.asarray(array, dtype)) for split, array in arrays.items()}


def sets(train, validation, test, labels=None):
    """Three splits that hold the numbered ones of 40 different images, labelled 0 unless said otherwise."""
    pool = noise(40)
    numbers = dict(zip(SPLITS, (train, validation, test), strict=True))
    images = tensors({split: pool[list(chosen)] for split, chosen in numbers.items()})
    return images, tensors(labels or {split: [0] * len(chosen) for split, chosen in numbers.items()}, "int64")


# A B A C | B D A | A E E, the second A of train labelled otherwise than the others.
PLANTED = sets(
    [0, 1, 0, 2], [1, 3, 0], [0, 4, 4], {"train": [0, 1, 2, 2], "validation": [1, 0, 0], "test": [0, 1, 1]}
)  # fmt: skip


# --- what each split holds


def test_a_split_is_summed_up():
    images = tensors({split: noise(20, (3, 5, 4), seed) // 2 + 9 for seed, split in enumerate(SPLITS)})
    labels = tensors({"train": [0, 1, 2, 2] * 5, "validation": [2] * 20, "test": [1, 2] * 10})
    found = audit(images, labels, CLASSES)
    assert [part.split for part in found.splits] == list(SPLITS)
    assert [part.counts for part in found.splits] == [(5, 5, 10), (0, 0, 20), (0, 10, 10)]
    assert [part.absent for part in found.splits] == [(), ("a", "b"), ("a",)]
    for part in found.splits:
        tensor = images[part.split]
        assert (part.images, part.shape) == (20, (3, 5, 4))
        assert (part.low, part.high) == (int(tensor.min()), int(tensor.max()))
        assert part.mean == pytest.approx(float(tensor.double().mean()))


def test_several_labels_an_image_are_all_counted():
    found = audit({"all": torch.from_numpy(noise(3))}, {"all": torch.tensor([[0, 1], [1, 1], [0, 1]])}, CLASSES)
    assert found.splits[0].counts == (2, 4, 0)
    assert found.splits[0].absent == ("c",)
    assert found.leaks == ()


def test_an_empty_split_has_no_values():
    images, labels = sets([0, 1], [], [0])
    found = audit(images, labels, CLASSES)
    assert (found.splits[1].images, found.splits[1].low, found.splits[1].mean) == (0, None, None)
    assert [leak.sentence for leak in leaks(images)] == ["1 of 1 test images also occurs in train"]


def test_what_was_found_can_be_written_and_read_as_json():
    found = audit(*PLANTED, CLASSES)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Audit) == found


# --- constant images


def test_constant_images_are_those_that_show_nothing():
    level = np.full((1, 6, 6), 100, "uint8")
    checkered = np.indices((6, 6)).sum(0) % 2 * 2 - 1  # deviates by exactly 1
    red = np.stack([np.full((6, 6), value, "uint8") for value in (200, 30, 10)])
    ramp = np.broadcast_to(np.arange(6, dtype="uint8") * 4, (1, 6, 6))  # deviates by 6.8
    gray = np.stack([level, level + 2 * checkered, level + 3 * checkered, ramp]).astype("uint8")
    assert CONSTANT_STD == 2
    found = audit({"all": torch.from_numpy(gray)}, {"all": torch.zeros(4, dtype=torch.int64)}, CLASSES)
    assert found.constant == (("all", 0), ("all", 1))
    assert found.splits[0].constant == 2
    part_red = red.copy()
    part_red[0, :3] = 100
    found = audit({"all": torch.from_numpy(np.stack([part_red, red]))}, {"all": torch.tensor([0, 1])}, CLASSES)
    assert found.constant == (("all", 1),)


def test_the_spread_of_an_image_is_numpys_largest_of_a_channel():
    images = noise(30, (3, 7, 5)) // np.arange(1, 31, dtype="uint8")[:, None, None, None]
    collection = collect({"all": torch.from_numpy(images)})
    assert collection.deviations() == pytest.approx(images.std(axis=(2, 3)).max(axis=1))


# --- identical images


def test_groups_of_identical_images_are_counted_over_all_splits():
    found = audit(*PLANTED, CLASSES).duplicates
    assert (found.groups, found.images, found.within, found.across) == (3, 8, 1, 2)
    assert found.conflicting == 1
    everywhere = (("train", 0), ("train", 2), ("validation", 2), ("test", 0))
    assert found.examples == (everywhere, (("train", 1), ("validation", 0)), (("test", 1), ("test", 2)))
    assert found.conflicts == (everywhere,)


def test_labels_conflict_where_one_position_differs():
    images = {"all": torch.from_numpy(noise(2)[[0, 0, 1, 1]])}
    found = audit(images, {"all": torch.tensor([[0, 1], [0, 2], [1, 2], [1, 2]])}, CLASSES)
    assert found.duplicates.conflicts == ((("all", 0), ("all", 1)),)


def test_leaks_say_what_occurs_where():
    images, labels = PLANTED
    expected = (
        Leak("test", "train", 1, 3, ((0, 0),)),
        Leak("validation", "train", 2, 3, ((0, 1), (2, 0))),
        Leak("test", "validation", 1, 3, ((0, 2),)),
    )
    assert leaks(images) == expected
    assert audit(images, labels, CLASSES).leaks == expected
    assert [leak.sentence for leak in expected] == [
        "1 of 3 test images also occurs in train",
        "2 of 3 validation images also occur in train",
        "1 of 3 test images also occurs in validation",
    ]
    assert Leak("test", "train", 1288, 3589, ()).sentence == "1,288 of 3,589 test images also occur in train"


def test_every_copy_that_leaks_counts_and_no_leak_is_none():
    images, labels = sets([0, 1], [2], [0, 0, 0])
    assert [(leak.images, leak.of) for leak in leaks(images)] == [(3, 3)]
    assert [leak.images for leak in audit(images, labels, CLASSES).leaks] == [3, 0, 0]
    assert leaks({"all": torch.from_numpy(noise(1)[[0, 0]])}) == ()


def test_how_a_tensor_lies_in_memory_changes_nothing():
    images, _ = sets([0, 1, 2], [3], [2, 1])
    turned = {split: tensor.mT.contiguous().mT for split, tensor in images.items()}
    assert leaks(turned) == leaks(images) != ()


def test_ten_examples_are_enough():
    images, labels = sets(range(20), [30], range(20))
    found = audit(images, labels, CLASSES)
    assert found.duplicates.groups == 20
    assert len(found.duplicates.examples) == len(found.leaks[0].examples) == 10
    blank = {"all": torch.zeros(300, 1, 4, 4, dtype=torch.uint8)}
    found = audit(blank, {"all": torch.arange(300) % 3}, CLASSES)
    assert (found.splits[0].constant, len(found.constant), len(found.duplicates.conflicts[0])) == (300, 10, 10)


# --- nearly identical images


def distances(images):
    """RMS differences of all pairs, by definition."""
    flat = images.reshape(len(images), -1).astype("float64")
    return np.sqrt(((flat[:, None] - flat[None]) ** 2).mean(axis=2))


def clustered(seed, shape, count):
    """Few motifs, each with copies that differ by a little, by a lot, by an even shift or not at all."""
    rng = np.random.default_rng(seed)
    base = rng.integers(20, 230, (max(1, count // 4), *shape))[rng.integers(0, max(1, count // 4), count)]
    change = rng.integers(-1, 2, base.shape) * rng.integers(0, 8, (count, 1, 1, 1))
    change += rng.integers(0, 6, (count, 1, 1, 1))
    change *= rng.integers(0, 2, (count, 1, 1, 1))
    return (base + change).clip(0, 255).astype("uint8")


SHAPES = st.tuples(st.sampled_from([1, 2, 3, 5]), st.integers(1, 11), st.integers(1, 11))


@given(st.integers(0, 10**6), SHAPES, st.integers(2, 30))
def test_descriptions_never_lie_further_apart_than_the_images(seed, shape, count):
    images = clustered(seed, shape, count)
    points = describe(images)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert (apart <= distances(images) + 1e-9).all()


@settings(max_examples=60)
@given(st.integers(0, 10**6), SHAPES, st.integers(6, 40), st.sampled_from([0.5, 1.0, 3.0, 7.5, 40.0]))
def test_near_duplicates_are_those_of_brute_force(seed, shape, count, near):
    images = clustered(seed, shape, count)
    owner = np.random.default_rng(seed).integers(0, 3, count)
    owner[:3] = range(3)
    places = [(SPLITS[split], int((owner[:i] == split).sum())) for i, split in enumerate(owner)]
    parts = tensors({name: images[owner == split] for split, name in enumerate(SPLITS)})
    found = audit(parts, tensors({s: [0] * len(p) for s, p in parts.items()}, "int64"), CLASSES, near=near).near

    varied = images.astype("float64").std(axis=(2, 3)).max(axis=1) > CONSTANT_STD
    apart = distances(images)
    is_near = (apart > 0) & (apart <= near) & varied[:, None] & varied[None]
    pairs = [(i, j) for i, j in itertools.combinations(range(count), 2) if is_near[i, j]]
    within = sum(owner[i] == owner[j] for i, j in pairs)
    assert (found.within, found.across, found.capped) == (within, len(pairs) - within, 0)
    for leak in found.leaks:
        split, other = SPLITS.index(leak.split), SPLITS.index(leak.other)
        there = owner == other
        judged = [i for i in range(count) if owner[i] == split and not (apart[i, there] == 0).any()]
        nearest = {places[i][1]: apart[i, there & is_near[i]].min() for i in judged if is_near[i, there].any()}
        assert (leak.images, leak.of, leak.near) == (len(nearest), (owner == split).sum(), near)
        for one, two in leak.examples:
            assert apart[places.index((leak.split, one)), places.index((leak.other, two))] == nearest[one]
    for one, two, distance in found.examples:
        assert apart[places.index(one), places.index(two)] == pytest.approx(distance)
    unlike = {(images[i].tobytes(), images[j].tobytes()): apart[i, j] for i, j in pairs}
    shown = sorted({frozenset(key): value for key, value in unlike.items()}.values())[:10]
    assert [distance for *_, distance in found.examples] == pytest.approx(shown)


def near_set(*shifts):
    image = noise(1) // 2
    return np.concatenate([image + np.uint8(shift) for shift in shifts])


def test_the_distance_itself_is_near_and_a_level_more_is_not():
    images = tensors({"train": near_set(0), "test": near_set(3, 7)})
    labels = tensors({"train": [0], "test": [0, 0]})
    found = audit(images, labels, CLASSES, near=3).near
    assert (found.within, found.across) == (0, 1)
    assert found.examples == ((("train", 0), ("test", 0), 3.0),)
    assert [leak.sentence for leak in found.leaks] == [
        "1 of 2 test images differs from one in train by at most 3 levels of 255"
    ]
    assert audit(images, labels, CLASSES, near=4).near.leaks[0].sentence.startswith("1 of 2 test images differs")
    assert audit(images, labels, CLASSES, near=0).near is None


def test_every_copy_of_a_near_duplicate_makes_a_pair_and_an_exact_leak_is_not_counted_twice():
    images = tensors({"train": near_set(0, 0, 1), "test": near_set(0, 2)})
    found = audit(images, tensors({"train": [0] * 3, "test": [0] * 2}), CLASSES)
    assert found.leaks[0].images == 1
    # 0, 0 near 1 in train; 0 near 2 in test; 0, 0, 1 near 2 and 1 near 0 across.
    assert (found.near.within, found.near.across) == (3, 4)
    assert (found.near.leaks[0].images, found.near.leaks[0].examples) == (1, ((1, 2),))


def test_the_example_of_a_near_leak_is_the_nearest():
    images = tensors({"train": near_set(1, 0), "validation": near_set(2, 1), "test": near_set(0)})
    labels = tensors({"train": [0, 0], "validation": [0, 0], "test": [0]})
    in_validation = audit(images, labels, CLASSES).near.leaks[2]
    assert (in_validation.split, in_validation.other, in_validation.examples) == ("test", "validation", ((0, 1),))


def test_a_crowd_of_near_duplicates_is_capped_and_says_so():
    rng = np.random.default_rng(0)
    crowd = rng.integers(50, 200, (1, 1, 8, 8)) + rng.integers(0, 2, (3 * NEIGHBOURS[-1], 1, 8, 8))
    count = len(crowd) // 2
    images = tensors({"train": crowd[:count], "test": crowd[count:]}, "uint8")
    found = audit(images, tensors({"train": [0] * count, "test": [0] * count}), CLASSES).near
    assert found.capped == 2 * count
    assert len(crowd) * NEIGHBOURS[-1] / 2 <= found.within + found.across <= len(crowd) * NEIGHBOURS[-1]
    assert found.leaks[0].images == count


def test_a_crowd_below_the_cap_is_complete():
    rng = np.random.default_rng(0)
    crowd = rng.integers(50, 200, (1, 1, 8, 8)) + rng.integers(0, 2, (NEIGHBOURS[-1], 1, 8, 8))
    found = audit(
        {"all": torch.from_numpy(crowd.astype("uint8"))}, {"all": torch.zeros(len(crowd), dtype=int)}, CLASSES
    )
    assert NEIGHBOURS[0] < len(crowd)
    assert (found.near.within, found.near.capped) == (len(crowd) * (len(crowd) - 1) // 2, 0)


def test_near_constant_images_are_no_near_duplicates():
    images = {"all": torch.from_numpy(np.arange(6, dtype="uint8").repeat(16).reshape(6, 1, 4, 4))}
    found = audit(images, {"all": torch.zeros(6, dtype=torch.int64)}, CLASSES)
    assert found.splits[0].constant == 6
    assert (found.near.within, found.near.examples) == (0, ())


# --- what to leave out


def remaining(images, labels, *exclude):
    index = kept(images, labels, exclude)
    return [{s: part[index[s]] for s, part in parts.items()} for parts in (images, labels)]


@pytest.mark.parametrize(
    ("exclude", "train", "validation", "test"),
    [
        ([], [0, 1, 2, 3], [0, 1, 2], [0, 1, 2]),
        (["conflicts"], [1, 3], [0, 1], [1, 2]),
        (["duplicates"], [3], [0, 1], [1]),
        (["leaks"], [3], [0, 1], [0, 1, 2]),
        (["leaks", "conflicts"], [3], [0, 1], [1, 2]),
        (["constant"], [0, 1, 2, 3], [0, 1, 2], [0, 1, 2]),
    ],
)
def test_each_exclusion_drops_what_it_says(exclude, train, validation, test):
    index = kept(*PLANTED, exclude)
    assert {split: chosen.tolist() for split, chosen in index.items()} == {
        "train": train, "validation": validation, "test": test
    }  # fmt: skip
    assert {chosen.dtype for chosen in index.values()} == {torch.int64}


def test_constant_images_are_dropped_everywhere():
    images, labels = sets([0, 1], [2, 3], [4, 5])
    images["train"][1], images["test"][0] = 7, 200
    index = kept(images, labels, ["constant"])
    assert {split: chosen.tolist() for split, chosen in index.items()} == {
        "train": [0], "validation": [0, 1], "test": [1]
    }  # fmt: skip


def test_repeats_in_a_split_are_left_alone_but_by_duplicates():
    images, labels = sets([0, 0, 1, 1, 2], [3, 3], [1, 4, 4])
    assert {s: i.tolist() for s, i in kept(images, labels, ["leaks"]).items()} == {
        "train": [0, 1, 4], "validation": [0, 1], "test": [0, 1, 2]
    }  # fmt: skip
    assert {s: i.tolist() for s, i in kept(images, labels, ["duplicates"]).items()} == {
        "train": [0, 4], "validation": [0], "test": [0, 1]
    }  # fmt: skip


def test_the_copy_that_is_tested_is_kept_in_whatever_order_the_splits_come():
    images, labels = sets([0, 1], [0, 2], [0, 3])
    turned = dict(reversed(images.items()))
    assert kept(turned, labels, ["duplicates"])["test"].tolist() == [0, 1]
    assert kept(turned, labels, ["leaks"])["train"].tolist() == [1]
    assert leaks(turned) == leaks(images)


def test_a_set_without_splits_keeps_the_first_of_each():
    images = {"all": torch.from_numpy(noise(3)[[2, 0, 2, 1, 0]])}
    labels = {"all": torch.tensor([0, 1, 0, 2, 1])}
    assert kept(images, labels, ["duplicates"])["all"].tolist() == [0, 1, 3]
    assert kept(images, labels, ["leaks"])["all"].tolist() == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.sampled_from(SPLITS)), min_size=1, max_size=40))
def test_nothing_is_left_of_what_was_excluded_and_nothing_else_is_dropped(drawn):
    pool = noise(9)
    pool[0] = 5
    images = tensors({s: pool[[image for image, _, split in drawn if split == s]] for s in SPLITS})
    labels = tensors({s: [label for _, label, split in drawn if split == s] for s in SPLITS}, "int64")
    by_image = {image: [(s, label) for other, label, s in drawn if other == image] for image, *_ in drawn}
    believed = [places for places in by_image.values() if len({label for _, label in places}) == 1]

    left = remaining(images, labels, "duplicates")
    assert audit(*left, CLASSES).duplicates.groups == 0
    lasts = [max(SPLITS.index(split) for split, _ in places) for places in believed]
    assert [len(left[0][split]) for split in SPLITS] == [lasts.count(i) for i in range(3)]

    left = remaining(images, labels, "conflicts")
    assert audit(*left, CLASSES).duplicates.conflicting == 0
    assert sum(map(len, left[0].values())) == sum(map(len, believed))

    left = remaining(images, labels, "leaks")
    assert leaks(left[0]) == ()
    last = {image: max(SPLITS.index(split) for split, _ in places) for image, places in by_image.items()}
    assert sum(map(len, left[0].values())) == sum(SPLITS.index(split) == last[image] for image, _, split in drawn)

    left = remaining(images, labels, "constant")
    assert audit(*left, CLASSES).constant == ()
    assert sum(map(len, left[0].values())) == sum(image != 0 for image, *_ in drawn)

    together = kept(images, labels, EXCLUSIONS)
    alone = [kept(images, labels, [word]) for word in EXCLUSIONS]
    for split in SPLITS:
        assert set(together[split].tolist()) == set.intersection(*(set(index[split].tolist()) for index in alone))


# --- what users write


@given(st.lists(st.sampled_from(EXCLUSIONS), max_size=6), st.sampled_from(["+", " + "]))
def test_exclusions_are_read_once_each_in_one_order(words, plus):
    assert parse_exclusions(plus.join(words)) == tuple(word for word in EXCLUSIONS if word in words)


@pytest.mark.parametrize("text", ["duplicate", "leaks,constant", "leaks+", "+", "LEAKS", "leaks++constant"])
def test_unknown_exclusions_bring_what_is_accepted(text):
    with pytest.raises(InputError, match="is no exclusion") as caught:
        parse_exclusions(text)
    assert all(word in caught.value.remedy for word in EXCLUSIONS)


def test_an_unknown_exclusion_is_refused_from_python_too():
    with pytest.raises(InputError, match="'blurred' is no exclusion"):
        kept(*PLANTED, ["leaks", "blurred"])


@pytest.mark.parametrize("near", [-1.0, float("nan"), float("inf")])
def test_no_distance_is_refused(near):
    with pytest.raises(InputError, match="is no distance between near duplicates"):
        audit(*PLANTED, CLASSES, near=near)


def test_images_and_labels_that_do_not_fit_are_refused():
    images, labels = PLANTED
    with pytest.raises(DataError, match="labels of train lie outside of 0 to 1"):
        audit(images, labels, ("a", "b"))
    for wrong in (
        {"train": labels["train"]},
        labels | {"test": labels["test"][:1]},
        labels | {"test": torch.zeros(3, 2, dtype=torch.int64)},
        labels | {"test": torch.tensor(0)},
    ):
        with pytest.raises(DataError, match="do not fit the images"):
            audit(images, wrong, CLASSES)
        with pytest.raises(DataError, match="do not fit the images"):
            kept(images, wrong, ["leaks"])
    for wrong in (images["test"].float(), images["test"][:, 0], images["test"][..., :3]):
        with pytest.raises(DataError, match="the test images are torch") as caught:
            leaks(images | {"test": wrong})
        assert "uint8 (N, C, H, W)" in caught.value.remedy


# --- real images


@pytest.mark.shared
def test_the_known_faults_of_fer2013_are_found():
    from conftest import SHARED

    images = {split: [] for split in SPLITS}
    labels = {split: [] for split in SPLITS}
    with tarfile.open(SHARED / "data" / "fer2013-jpeg.tar.gz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                split, name, _ = member.name.split("/")[-3:]
                images[split].append(np.asarray(Image.open(archive.extractfile(member)))[None])
                labels[split].append(name)
    classes = tuple(sorted(set(labels["train"])))
    numbered = tensors({split: [classes.index(name) for name in names] for split, names in labels.items()})
    found = audit(tensors({split: np.stack(part) for split, part in images.items()}), numbered, classes)
    assert [part.images for part in found.splits] == [28_709, 3_589, 3_589]
    assert sum(part.constant for part in found.splits) == 13
    assert (found.duplicates.groups, found.duplicates.conflicting) == (1_516, 57)
    assert {(leak.split, leak.other): leak.images for leak in found.leaks} == {
        ("test", "train"): 288, ("validation", "train"): 280, ("test", "validation"): 44
    }  # fmt: skip
    assert found.leaks[0].sentence == "288 of 3,589 test images also occur in train"


def test_of_images_that_nearly_agree_one_stays():
    base = np.full((4, 4), 90)
    ramp = np.arange(16).reshape(4, 4) * 8

    def image(offset):  # all of its pixels moved by so many levels
        return (base + ramp + offset).astype("uint8")[None]

    images = tensors({"train": [image(0), image(2), image(40), image(44)], "test": [image(1), image(80), image(80)]})
    labels = tensors({"train": [0] * 4, "test": [0] * 3}, "int64")
    # Both of train's first two resemble the first of test, 44 is 4 levels from 40; the two of 80 are identical.
    assert {s: i.tolist() for s, i in kept(images, labels, ["near"]).items()} == {"train": [2, 3], "test": [0, 1, 2]}
    # A chain goes no further than its kept links: 0 stays, 2 goes, and so 4 stays.
    chain = {"all": torch.tensor(np.stack([image(0), image(2), image(4)]))}
    assert kept(chain, {"all": torch.zeros(3, dtype=torch.int64)}, ["near"])["all"].tolist() == [0, 2]
