"""Is a data set fit to compare models on? What is wrong with its images and splits, and what to leave out of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.data.duplicates import Place, collect, near_pairs
from archbench.data.exclusions import CONSTANT_STD, NEAR
from archbench.errors import DataError, InputError
from archbench.units import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from archbench.data.duplicates import Collection, Mask, Pixels

EXAMPLES = 10  # of each finding


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds; the values of the pixels are None where it is empty.

    Attributes:
        shape: (C, H, W) of its images.
        counts: labels of each class, in the order of the classes; where images have several labels, all are counted.
        absent: the classes that no label of the split names.
        constant: its (near-)constant images.
        low: the smallest value of a pixel, of 0 to 255; `high` the largest, `mean` that of all pixels.
    """

    split: str
    images: int
    shape: tuple[int, int, int]
    counts: tuple[int, ...]
    absent: tuple[str, ...]
    constant: int
    low: int | None
    high: int | None
    mean: float | None


@dataclass(frozen=True)
class Duplicates:
    """Groups of byte-identical images over all splits together, (near-)constant images among them.

    Attributes:
        groups: their number; `images` are in them.
        conflicting: groups whose images do not all have the same labels.
        within: groups that lie in one split; `across` are in several.
        examples: up to ten places of each of the first ten groups; `conflicts` of the first ten conflicting ones.
    """

    groups: int
    images: int
    conflicting: int
    within: int
    across: int
    examples: tuple[tuple[Place, ...], ...]
    conflicts: tuple[tuple[Place, ...], ...]


@dataclass(frozen=True)
class Leak:
    """Images of one split that are also in another, in which they may have been learned.

    Attributes:
        images: images of `split` that occur in `other`, out of `of`.
        examples: (index in `split`, index in `other`) of the first ten.
        near: None where they are byte-identical; otherwise the largest root-mean-square difference in levels of 255
            to one of `other`, and images that have an identical one there are not counted.
    """

    split: str
    other: str
    images: int
    of: int
    examples: tuple[tuple[int, int], ...]
    near: float | None = None

    @property
    def sentence(self) -> str:
        """What was found: `288 of 3,589 test images also occur in train`."""
        one = self.images == 1
        found = f"{grouped(self.images)} of {grouped(self.of)} {self.split} images"
        if self.near is None:
            return f"{found} also {'occurs' if one else 'occur'} in {self.other}"
        return (
            f"{found} {'differs' if one else 'differ'} from one in {self.other} by at most {self.near:g} levels of 255"
        )


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of images that are not identical and differ by at most `near`, (near-)constant images apart.

    Every copy counts: an image that resembles one of a group of three makes three pairs.

    Attributes:
        near: root-mean-square difference of the pixels, in levels of 255.
        within: pairs in one split; `across` are pairs in two.
        leaks: the leakage between splits that identical images do not account for.
        capped: images with as many candidates as are looked at; where there are any, all counts are lower bounds.
        examples: the ten nearest pairs, with their distance.
    """

    near: float
    within: int
    across: int
    leaks: tuple[Leak, ...]
    capped: int
    examples: tuple[tuple[Place, Place, float], ...]


@dataclass(frozen=True)
class Audit:
    """All that was found in a data set; `near` is None where it was not looked for.

    Attributes:
        constant: places of the first ten (near-)constant images.
        leaks: of byte-identical images, for every two splits of which the later is judged by the earlier.
    """

    classes: tuple[str, ...]
    splits: tuple[SplitSummary, ...]
    constant: tuple[Place, ...]
    duplicates: Duplicates
    leaks: tuple[Leak, ...]
    near: NearDuplicates | None


def audit(
    images: Mapping[str, Tensor], labels: Mapping[str, Tensor], classes: tuple[str, ...], *, near: float = NEAR
) -> Audit:
    """Look for what makes a data set unfit to compare models on.

    Args:
        images: uint8 (N, C, H, W) by split, of one shape.
        labels: int64 (N,) or (N, P) by the same splits, indices into `classes`.
        classes: their names.
        near: two images are near duplicates where the root-mean-square difference of their pixels is at most this, in
            levels of 255; 0 looks for none.

    Raises:
        DataError: images and labels do not fit each other or `classes`.
        InputError: `near` is no distance.
    """
    import numpy as np

    if not (math.isfinite(near) and near >= 0):
        msg = f"{near:g} is no distance between near duplicates"
        raise InputError(msg, "Give levels of 255, such as 3, or 0 to look for none.")
    collection = collect(images)
    conflicting = collection.conflicting(labels)
    for split in collection.names:
        if len(labels[split]) and not 0 <= int(labels[split].min()) <= int(labels[split].max()) < len(classes):
            msg = f"labels of {split} lie outside of 0 to {len(classes) - 1}"
            raise DataError(msg, "Give indices into the classes.")
    constant = collection.deviations() <= CONSTANT_STD
    return Audit(
        tuple(classes),
        tuple(
            _summary(name, part, labels[name], classes, constant[collection.split == number])
            for number, (name, part) in enumerate(zip(collection.names, collection.parts, strict=True))
        ),
        tuple(collection.place(number) for number in np.flatnonzero(constant)[:EXAMPLES]),
        _duplicates(collection, conflicting),
        _leaks(collection),
        _near(collection, near, constant) if near else None,
    )


def leaks(images: Mapping[str, Tensor]) -> tuple[Leak, ...]:
    """Return where images of one split occur, byte for byte, in another that is trained on or chosen by before it.

    Args:
        images: uint8 (N, C, H, W) by split, of one shape.

    Returns:
        the leaks that there are, none without an image: test in train, validation in train, test in validation.

    Raises:
        DataError: the images are not of that kind.
    """
    return tuple(leak for leak in _leaks(collect(images)) if leak.images)


def _summary(name: str, images: Pixels, labels: Tensor, classes: Sequence[str], constant: Mask) -> SplitSummary:
    import numpy as np

    counts = np.bincount(labels.numpy().ravel(), minlength=len(classes)).tolist()
    channels, height, width = images.shape[1:]
    return SplitSummary(
        split=name,
        images=len(images),
        shape=(channels, height, width),
        counts=tuple(counts),
        absent=tuple(label for label, count in zip(classes, counts, strict=True) if not count),
        constant=int(constant.sum()),
        low=int(images.min()) if len(images) else None,
        high=int(images.max()) if len(images) else None,
        mean=float(images.mean()) if len(images) else None,
    )


def _duplicates(collection: Collection, conflicting: Mask) -> Duplicates:
    import numpy as np

    sizes = collection.counts.sum(axis=1)
    spanned = (collection.counts > 0).sum(axis=1)
    repeated = sizes > 1

    def examples(groups: Mask) -> tuple[tuple[Place, ...], ...]:
        first = np.flatnonzero(groups)[:EXAMPLES]
        members = (np.flatnonzero(collection.group == group)[:EXAMPLES] for group in first)
        return tuple(tuple(collection.place(number) for number in numbers) for numbers in members)

    return Duplicates(
        groups=int(repeated.sum()),
        images=int(sizes[repeated].sum()),
        conflicting=int(conflicting.sum()),
        within=int((repeated & (spanned == 1)).sum()),
        across=int((spanned > 1).sum()),
        examples=examples(repeated),
        conflicts=examples(conflicting),
    )


def _leaks(collection: Collection) -> tuple[Leak, ...]:
    """Return the exact leakage of every pair of splits, those without any included."""
    import numpy as np

    found = []
    for split, other in collection.pairs:
        shared = np.flatnonzero(collection.counts[:, other]).tolist()
        found.append(_leak(collection, split, other, dict(zip(shared, shared, strict=True)), None))
    return tuple(found)


def _near(collection: Collection, near: float, constant: Mask) -> NearDuplicates:
    import numpy as np

    counts, firsts = collection.counts, collection.firsts()
    pairs = near_pairs(collection.parts, firsts[~constant[firsts]], near)
    first, second = collection.group[pairs.first], collection.group[pairs.second]
    within = int((counts[first] * counts[second]).sum())
    # Both directions, still the nearest first.
    group, neighbour = np.stack([[first, second], [second, first]]).swapaxes(1, 2).reshape(2, 2 * len(first))
    found = []
    for split, other in collection.pairs:
        counted = (counts[group, other] == 0) & (counts[neighbour, other] > 0)
        groups, nearest = np.unique(group[counted], return_index=True)
        partners = dict(zip(groups.tolist(), neighbour[counted][nearest].tolist(), strict=True))
        found.append(_leak(collection, split, other, partners, near))
    return NearDuplicates(
        near=near,
        within=within,
        across=int((counts[first].sum(axis=1) * counts[second].sum(axis=1)).sum()) - within,
        leaks=tuple(found),
        capped=pairs.capped,
        examples=tuple(
            (collection.place(pairs.first[i]), collection.place(pairs.second[i]), float(pairs.distance[i]))
            for i in range(min(EXAMPLES, len(first)))
        ),
    )


def _leak(collection: Collection, split: int, other: int, partners: Mapping[int, int], near: float | None) -> Leak:
    """Return the images of `split` whose group has a partner, another group or itself, in `other`."""
    import numpy as np

    found = np.flatnonzero((collection.split == split) & np.isin(collection.group, list(partners)))
    examples = []
    for number in found[:EXAMPLES]:
        partner = np.flatnonzero((collection.split == other) & (collection.group == partners[collection.group[number]]))
        examples.append((collection.place(number)[1], collection.place(partner[0])[1]))
    names = collection.names
    return Leak(names[split], names[other], len(found), len(collection.parts[split]), tuple(examples), near)
