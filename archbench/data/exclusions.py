"""What a data set is better compared without: repeated, contradictory, empty and leaked images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.data.duplicates import collect, near_pairs
from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from archbench.data.duplicates import Collection, Mask

CONSTANT_STD = 2.0
"""The standard deviation of the pixels, in levels of 255, up to which an image counts as constant.

Rounding and compression leave one or two levels on an even surface; whatever is depicted deviates by more. In FER2013
twelve images deviate by 0 and one by 0.6, the next two by 4 and 9; in MNIST and CIFAR-10 all deviate by 8 or more.
"""
LEAKS = "leaks"
EXCLUSIONS = ("duplicates", "conflicts", "constant", LEAKS, "near")
NEAR = 3.0
"""The root-mean-square difference of the pixels, in levels of 255, up to which two images are near duplicates."""


def parse_exclusions(text: str) -> tuple[str, ...]:
    """Return the exclusions that `duplicates+constant` names, each once, in the order of `EXCLUSIONS`; none for "".

    Raises:
        InputError: a word that is none of them.
    """
    return _canonical([word.strip() for word in text.split("+")] if text.strip() else [])


def kept(images: Mapping[str, Tensor], labels: Mapping[str, Tensor], exclude: Sequence[str]) -> dict[str, Tensor]:
    """Return what remains of each split, as sorted int64 indices into it.

    Identical images are those whose bytes are, in whichever split. The exclusions:

    - `duplicates` keeps one of identical images, in the split that is tested rather than trained on (test before
      validation before train) and there the first; of those with conflicting labels it keeps none.
    - `conflicts` drops identical images whose labels conflict, every one of them: no copy can be believed.
    - `constant` drops (near-)constant images, by `CONSTANT_STD`.
    - `leaks` drops from train what occurs in validation or test, and from validation what occurs in test; repeats in a
      split remain.
    - `near` keeps one of images that are not identical and differ by at most `NEAR`, (near-)constant ones apart, in
      the order of `duplicates`; an image goes only where the one that it resembles stays.

    Args:
        images: uint8 (N, C, H, W) by split, of one shape.
        labels: int64 (N,) or (N, P) by the same splits.
        exclude: any of `EXCLUSIONS`; an image is dropped where one of them drops it.

    Raises:
        DataError: images and labels do not fit each other.
        InputError: an exclusion is unknown.
    """
    import numpy as np
    import torch

    exclude = _canonical(exclude)
    collection = collect(images)
    conflicting = collection.conflicting(labels)[collection.group]
    dropped = np.zeros(len(collection.group), np.bool_)
    if "duplicates" in exclude:
        dropped |= conflicting | collection.repeats()
    if "conflicts" in exclude:
        dropped |= conflicting
    if "constant" in exclude:
        dropped |= collection.deviations() <= CONSTANT_STD
    if LEAKS in exclude:
        dropped |= collection.occurs_later()
    if "near" in exclude:
        dropped |= _resembling(collection, dropped)
    remains = [~dropped[collection.split == number] for number in range(len(collection.names))]
    return {name: torch.from_numpy(mask.nonzero()[0]) for name, mask in zip(collection.names, remains, strict=True)}


def _resembling(collection: Collection, dropped: Mask) -> Mask:
    """Return the images that resemble another which stays and comes before them: in a later split, or earlier in it."""
    import numpy as np

    firsts = collection.firsts()
    constant = collection.deviations() <= CONSTANT_STD
    pairs = near_pairs(collection.parts, firsts[~constant[firsts]], NEAR)
    neighbours: dict[int, list[int]] = {}
    for one, other in zip(collection.group[pairs.first].tolist(), collection.group[pairs.second].tolist(), strict=True):
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    staying = np.flatnonzero(~dropped)
    order = staying[np.lexsort((staying, -collection.split[staying]))]
    first_of: dict[int, int] = {}  # the first image of each group that stays
    for number in order.tolist():
        first_of.setdefault(int(collection.group[number]), number)
    kept_groups: set[int] = set()
    for group in first_of:  # in that order
        if not kept_groups.intersection(neighbours.get(group, ())):
            kept_groups.add(group)
    gone = [group for group in first_of if group not in kept_groups]
    resembling: Mask = np.isin(collection.group, gone)
    return resembling


def _canonical(words: Sequence[str]) -> tuple[str, ...]:
    for word in words:
        if word not in EXCLUSIONS:
            msg = f"{word!r} is no exclusion"
            raise InputError(msg, f"Join any of {', '.join(EXCLUSIONS)} by +, such as duplicates+constant.")
    return tuple(word for word in EXCLUSIONS if word in words)
