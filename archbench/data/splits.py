"""The one place that decides splits: a source's own where it has them, else stratified and always the same."""

from __future__ import annotations

import hashlib
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any

from archbench.data.cache import cached
from archbench.errors import DataError, InputError
from archbench.units import grouped, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from archbench.schema import View

    Index = Mapping[str, Tensor]  # by split: which images of the part that they are taken from

VALIDATION_SHARE = 0.1  # of a source's training images, where it has no validation split
MANY = 200  # images, of which the draw is kept
VERSION = 1
"""Raised whenever the same call draws other images: part of the keys of what is cached."""
THIRDS = (0.6, 0.2, 0.2)  # train, validation, test, where a source has no split at all


def parse_split(text: str) -> tuple[int, int, int]:
    """Return the counts of `48000/6000/10000`: images to train on, to validate on and to test on.

    Raises:
        InputError: anything but three whole numbers from 1.
    """
    counts = [part.strip().replace(",", "").replace("_", "") for part in text.split("/")]
    if len(counts) == 3 and all(re.fullmatch(r"[0-9]{1,12}", c) and int(c) > 0 for c in counts):
        train, validation, test = (int(count) for count in counts)
        return train, validation, test
    msg = f"{text[:40]!r} is no split"
    raise InputError(msg, "Give train/validation/test as numbers of images, such as 48000/6000/10000.")


def divide(name: str, labels: Mapping[str, Tensor], view: View) -> tuple[dict[str, tuple[str, Tensor]], str]:
    """Return, for each split, the part that its images are taken from and which of them; and what was done, in words.

    Test images come from the source's test part alone where it has one: none of them is ever trained on.

    Args:
        name: of the data set, for messages.
        labels: (N,) or (N, P) by part: `all`; `train` and `test`; or `train`, `validation` and `test`.
        view: asks for numbers of images, if it does, and gives the seed.

    Raises:
        DataError: more images are asked for than there are, or there are too few for all splits.
    """
    import torch

    seed = view.split_seed
    homes = {split: split if split in labels else "train" for split in ("train", "validation", "test")}
    if "all" in labels:
        homes = dict.fromkeys(homes, "all")
    if view.split is not None:
        asked = dict(zip(homes, view.split, strict=True))
    elif "all" in labels:
        total = len(labels["all"])
        held = [max(1, round(total * share)) for share in THIRDS[1:]]
        asked = {"train": total - sum(held), "validation": held[0], "test": held[1]}
    elif "validation" in labels:
        asked = {split: len(labels[split]) for split in homes}
    else:
        held = [_held(labels)]
        asked = {"train": len(labels["train"]) - held[0], "validation": held[0], "test": len(labels["test"])}
    left = {part: torch.arange(len(own)) for part, own in labels.items()}
    taken: dict[str, tuple[str, Tensor]] = {}
    for split in ("test", "validation", "train"):  # what is held out is drawn first
        part, count = homes[split], asked[split]
        wanted = sum(asked[other] for other in homes if homes[other] == part)
        if wanted > len(labels[part]):
            msg = f"{name} has {grouped(len(labels[part]))} images in {part}, not {grouped(wanted)}"
            raise DataError(msg, "Ask for fewer with --split TRAIN/VALIDATION/TEST.")
        if count < 1:
            msg = f"the {split} split of {name} is empty: {part} has {number(len(labels[part]), 'image')}"
            raise DataError(msg, f"Give it at least {sum(home == part for home in homes.values())}.")
        rest, chosen = stratified(labels[part][left[part]], count, seed)
        taken[split] = (part, left[part][chosen])
        left[part] = left[part][rest]
    return {split: taken[split] for split in homes}, _words(labels, view)


def _words(labels: Mapping[str, Tensor], view: View) -> str:
    if view.split is not None:
        counts = "/".join(grouped(count) for count in view.split)
        return f"split {counts}, {by_class(labels)}, seed {view.split_seed}"
    if "all" in labels:
        return f"split 60 : 20 : 20, {by_class(labels)}" + (f", seed {view.split_seed}" if view.split_seed else "")
    if "validation" in labels:
        return ""
    return f"{grouped(_held(labels))} of its training images, {by_class(labels)}, are the validation split"


def _held(labels: Mapping[str, Tensor]) -> int:
    """Return how many of the training images are held out for validation where the source has no such split."""
    return max(1, round(len(labels["train"]) * VALIDATION_SHARE))


def by_class(labels: Mapping[str, Tensor]) -> str:
    """Say how images are drawn: images with several labels have no one class to be drawn by."""
    return "stratified" if all(own.ndim == 1 for own in labels.values()) else "drawn at random"


def stratified(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices left and the `count` chosen, each sorted; classes keep their shares.

    Images with several labels, and remainders smaller than the number of classes, are drawn without regard to class.
    Where a class is too small, or fewer are chosen than there are classes, shares are kept as nearly as can be.
    What is drawn of many images is kept in the cache: to import what draws takes longer than all else.
    """
    import torch

    everything, nothing = torch.arange(len(labels)), torch.arange(0)
    if count == len(labels):
        return nothing, everything
    if count == 0:
        return everything, nothing

    def drawn() -> dict[str, Any]:
        rest, chosen = _drawn(labels, count, seed)
        return {"rest": rest.numpy(), "chosen": chosen.numpy()}

    if len(labels) < MANY:
        return _drawn(labels, count, seed)
    content = hashlib.sha256(labels.numpy().tobytes()).hexdigest()
    told = (VERSION, metadata.version("scikit-learn"), content, tuple(labels.shape), count, seed)
    kept = cached("split", repr(told), drawn)
    return torch.from_numpy(kept["rest"]), torch.from_numpy(kept["chosen"])


def _drawn(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    import torch
    from sklearn.model_selection import train_test_split

    of_each: Sequence[int] | None = labels.tolist() if labels.ndim == 1 else None
    classes = len(set(of_each)) if of_each else 1
    if of_each and len(labels) - count < classes <= count:
        of_each = None
    try:
        rest, chosen = train_test_split(range(len(labels)), test_size=count, random_state=seed, stratify=of_each)
    except ValueError:  # a class of one image, or fewer than classes on a side
        return _nearly_stratified(labels, count, seed)
    return torch.tensor(sorted(rest)), torch.tensor(sorted(chosen))


def _nearly_stratified(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices left and the `count` chosen: each class its share, rounded by the largest remainders."""
    import numpy as np
    import torch

    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    own = [order[labels.numpy()[order] == label] for label in torch.unique(labels).tolist()]
    shares = np.array([len(members) * count / len(labels) for members in own])
    taken = np.floor(shares).astype(int)
    for place in np.argsort(taken - shares, kind="stable")[: count - taken.sum()]:
        taken[place] += 1
    chosen = np.concatenate([members[:share] for members, share in zip(own, taken, strict=True)])
    left = np.setdiff1d(order, chosen)
    return torch.from_numpy(left), torch.from_numpy(np.sort(chosen))
