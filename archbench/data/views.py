"""Parts -> Dataset: what is excluded, how it is split and limited, what is done to the images, in this order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from archbench.data import SPLITS, Dataset, Parts
from archbench.data.audit import leaks
from archbench.data.cache import cached
from archbench.data.exclusions import kept
from archbench.data.preprocess import VERSION, apply_steps, steps_text
from archbench.data.splits import divide, stratified
from archbench.errors import DataError, InputError
from archbench.units import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from archbench.schema import Split, View

MOST_NAMED = 30  # classes in a message


def seen(name: str, parts: Parts, view: View) -> Dataset:
    """Return a data set as a view shows it.

    Raises:
        DataError: a part is empty, images of two shapes meet, or what is asked for cannot be had.
    """
    _check(name, parts)
    parts = _only(name, parts, view.only)
    parts, notes = without(parts, view.exclude)
    taken, how = divide(name, parts.labels, view)
    images: dict[Split, Tensor] = {}
    labels: dict[Split, Tensor] = {}
    for split in SPLITS:
        part, index = taken[split]
        images[split], labels[split] = parts.images[part][index], parts.labels[part][index]
        if view.limit is not None and len(index) > view.limit:
            _, chosen = stratified(labels[split], view.limit, view.split_seed, f"{view.limit} {split} images of {name}")
            images[split], labels[split] = images[split][chosen], labels[split][chosen]
        if len(labels[split]) == 0:
            msg = f"the {split} split of {name} is empty"
            raise DataError(msg, "Put at least one image of each class into it.")
    limited = f"at most {grouped(view.limit)} images of each split, stratified" if view.limit is not None else ""
    warnings = tuple(leak.sentence for leak in leaks({str(split): tensor for split, tensor in images.items()}))
    if view.preprocess:
        images = {split: preprocessed(view.preprocess, images[split]) for split in SPLITS}
    done = f"pre-processed: {steps_text(view.preprocess)}" if view.preprocess else ""
    source = "; ".join(note for note in (parts.source, *notes, how, limited, done) if note)
    return Dataset(name, images, labels, parts.classes, source, warnings=warnings).shown(view.input_shape)


def preprocessed(steps: Sequence[str], images: Tensor) -> Tensor:
    """Return uint8 (N, C, H, W) images after the steps; computed once and kept in the cache."""
    import torch

    content = hashlib.sha256(images.contiguous().numpy().data).hexdigest()
    key = f"{VERSION}-{steps_text(steps)}-{tuple(images.shape)}-{content}"
    made = cached("preprocess", key, lambda: {"images": apply_steps(steps, images).numpy()})
    return torch.from_numpy(made["images"])


def _only(name: str, parts: Parts, classes: Sequence[str]) -> Parts:
    """Return the images of some classes alone, numbered in the order in which the classes are named."""
    import torch

    if not classes:
        return parts
    for wanted in classes:
        if wanted not in parts.classes or classes.count(wanted) > 1:
            msg = f"{name} has no class {wanted!r}" if wanted not in parts.classes else f"{wanted!r} is named twice"
            raise InputError(msg, f"It has {', '.join(parts.classes[:MOST_NAMED])}.")
    if next(iter(parts.labels.values())).ndim > 1:
        msg = f"images of {name} have several labels, so that no class can be picked"
        raise InputError(msg, "Leave --only out.")
    place = torch.full((len(parts.classes),), -1)
    place[[parts.classes.index(wanted) for wanted in classes]] = torch.arange(len(classes))
    stay = {part: place[labels] >= 0 for part, labels in parts.labels.items()}
    return Parts(
        {part: images[stay[part]] for part, images in parts.images.items()},
        {part: place[labels][stay[part]] for part, labels in parts.labels.items()},
        tuple(classes),
        f"{parts.source}; only {', '.join(classes)}",
    )


def without(parts: Parts, exclude: Sequence[str]) -> tuple[Parts, list[str]]:
    """Return the parts without what is excluded (`archbench.data.exclusions.EXCLUSIONS`), and what went, in words."""
    if not exclude:
        return parts, []
    index = kept(parts.images, parts.labels, exclude)
    dropped = ", ".join(
        f"{grouped(len(labels) - len(index[part]))} of {grouped(len(labels))} in {part}"
        for part, labels in parts.labels.items()
    )
    images = {part: tensor[index[part]] for part, tensor in parts.images.items()}
    labels = {part: tensor[index[part]] for part, tensor in parts.labels.items()}
    return Parts(images, labels, parts.classes, parts.source), [f"excluded ({'+'.join(exclude)}): {dropped}"]


def _check(name: str, parts: Parts) -> None:
    first = next(iter(parts.images))
    shape = parts.images[first].shape[1:]
    for part, tensor in parts.images.items():
        if len(tensor) == 0:
            msg = f"the {part} split of {name} is empty"
            raise DataError(msg, "Put at least one image of each class into it.")
        if len(parts.labels[part]) != len(tensor):
            msg = f"the {part} split of {name} has {len(tensor)} images and {len(parts.labels[part])} labels"
            raise DataError(msg, "Give every image its label.")
        if tensor.shape[1:] != shape:
            shapes = [tuple(shape), tuple(tensor.shape[1:])]
            msg = f"images of {name} are {shapes[0]} in {first} and {shapes[1]} in {part}"
            raise DataError(msg, "Bring all images to one size and number of channels.")
