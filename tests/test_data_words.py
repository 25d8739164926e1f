"""What a check found, as people read it: counted by hand on small sets."""

from __future__ import annotations

import torch

from archbench.data.audit import audit
from archbench.data_words import audit_words, splits_words

CLASSES = ("ant", "bee")


def images(*levels):
    """1x2x2 images of one bright corner each; 0 is a constant one."""
    made = torch.zeros(len(levels), 1, 2, 2, dtype=torch.uint8)
    made[:, 0, 0, 0] = torch.tensor(levels)
    return made


def found(train, test, train_labels=None, test_labels=None, near=0.0, classes=CLASSES):
    labels = [train_labels or [i % 2 for i in range(len(train))], test_labels or [i % 2 for i in range(len(test))]]
    return audit(
        {"train": images(*train), "test": images(*test)},
        {"train": torch.tensor(labels[0]), "test": torch.tensor(labels[1])}, classes, near=near,
    )  # fmt: skip


def test_a_row_a_split():
    table = splits_words(found([40, 80, 120], [0, 200]))
    assert table["split"].tolist() == ["train", "test"]
    assert table["images"].tolist() == ["3", "2"]
    assert table["shape"].tolist() == ["1x2x2", "1x2x2"]
    assert table["values"].tolist() == ["0 to 120, mean 20.0", "0 to 200, mean 25.0"]
    assert table["constant"].tolist() == ["0", "1"]
    assert table["images by class"].tolist() == ["ant 2, bee 1", "ant 1, bee 1"]


def test_many_classes_are_summed_up():
    names = tuple(f"class {number}" for number in range(21))
    table = splits_words(found([40, 80, 120], [200], [0, 0, 20], [3], classes=names))
    assert table["images by class"].tolist() == ["21 classes of 0 to 2", "21 classes of 0 to 1"]


def test_a_clean_set_says_so():
    assert audit_words(found([40, 80], [120, 160])) == [
        "nothing was found: no constant image, no identical ones",
        "Near duplicates were not looked for.",
    ]
    assert audit_words(found([40, 80], [120, 160], near=1)) == [
        "nothing was found: no constant image, no identical ones, none that differ by at most 1 levels of 255"
    ]


def test_every_finding_has_a_line_with_places():
    lines = audit_words(found([40, 80, 40, 0], [120, 80], [0, 1, 1, 0], [1, 1]))
    assert lines == [
        "test has no image of ant",
        "1 (near-)constant image, such as train 3",
        (
            "2 groups of identical images, 4 images in all: 1 inside a split, 1 across splits; "
            "such as train 0, train 2; train 1, test 1"
        ),
        "1 group of them with conflicting labels, such as train 0, train 2",
        "1 of 2 test images also occurs in train: test 1 = train 1",
        "Leave them out with --exclude duplicates, conflicts, constant, leaks, near, joined by +.",
        "Near duplicates were not looked for.",
    ]


def test_near_duplicates_have_their_distance():
    # One corner of four that differs by 4 levels: sqrt(16 / 4) = 2 in the root mean square.
    lines = audit_words(found([40, 100], [104, 200], near=3))
    assert lines == [
        (
            "1 pair of images that differ by at most 3 levels of 255: 0 inside a split, 1 across splits; "
            "such as train 1 and test 0 (2.0)"
        ),
        "1 of 2 test images differs from one in train by at most 3 levels of 255",
        "Leave them out with --exclude duplicates, conflicts, constant, leaks, near, joined by +.",
    ]


def test_long_lists_of_places_are_cut():
    (line, *_) = [line for line in audit_words(found([0] * 9, [50])) if "constant" in line]
    assert line == "9 (near-)constant images, such as train 0, train 1, train 2, train 3"
