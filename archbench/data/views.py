"""Parts -> Dataset: what is excluded, how it is split and limited, what is done to the images, in this order."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from archbench.data import SPLITS, Dataset, Parts
from archbench.data.audit import leaks
from archbench.data.batches import ordered
from archbench.data.cache import cached
from archbench.data.exclusions import LEAKS, kept
from archbench.data.preprocess import VERSION, apply_steps, steps_text
from archbench.data.splits import by_class, divide, stratified
from archbench.errors import DataError, InputError
from archbench.units import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from archbench.schema import Split, View

MOST_NAMED = 30  # classes in a message
MOST_ABSENT = 5
CHANCE = 10  # times as many labels as classes, where none but chance gives each class its labels


def seen(name: str, parts: Parts, view: View) -> Dataset:
    """Return a data set as a view shows it.

    Raises:
        DataError: a part is empty, images of two shapes meet, or what is asked for cannot be had.
    """
    _check(name, parts)
    parts = only(name, parts, view.only)
    parts, notes = without(name, parts, view.exclude)
    taken, how = divide(name, parts.labels, view)
    images: dict[Split, Tensor] = {}
    labels: dict[Split, Tensor] = {}
    for split in SPLITS:
        part, index = taken[split]
        images[split], labels[split] = parts.images[part][index], parts.labels[part][index]
    if LEAKS in view.exclude:  # what repeats inside a part may have come into two splits
        divided = Parts({str(s): images[s] for s in SPLITS}, {str(s): labels[s] for s in SPLITS}, parts.classes, "")
        rest, more = without(name, divided, (LEAKS,))
        images, labels = ({split: tensors[split] for split in SPLITS} for tensors in (rest.images, rest.labels))
        notes += [f"{note}, once it was split" for note in more if rest.counts != divided.counts]
    for split in SPLITS:
        if view.limit is not None and len(labels[split]) > view.limit:
            _, chosen = stratified(labels[split], view.limit, view.split_seed)
            images[split], labels[split] = images[split][chosen], labels[split][chosen]
    limited = (
        f"at most {grouped(view.limit)} images of each split, {by_class(parts.labels)}"
        if view.limit is not None
        else ""
    )
    found = leaks({str(split): tensor for split, tensor in images.items()})
    warnings = (*parts.warnings, *_absent(labels, parts.classes), *(leak.sentence for leak in found))
    if left := view.preprocess[len(parts.applied) :]:
        images = {split: preprocessed(left, images[split]) for split in SPLITS}
    # As training gathers them, of this memory, which all its processes share.
    images = {split: ordered(images[split], "channels_last") for split in SPLITS}
    done = f"pre-processed: {steps_text(view.preprocess)}" if view.preprocess else ""
    source = "; ".join(note for note in (parts.source, *notes, how, limited, done) if note)
    return Dataset(name, images, labels, parts.classes, source, warnings=warnings).shown(view.input_shape)


def _absent(labels: Mapping[Split, Tensor], classes: Sequence[str]) -> list[str]:
    """Say which classes a split has no image of, unless it is too small to have one of each."""
    import torch

    said = []
    for split, own in labels.items():
        missing = set(range(len(classes))) - set(torch.unique(own).tolist())
        enough = len(classes) * (1 if own.ndim == 1 else CHANCE)
        if missing and own.numel() >= enough:
            few = [classes[label] for label in sorted(missing)]
            said.append(
                f"no {split} image is of {', '.join(few[:MOST_ABSENT])}" + (", ..." if few[MOST_ABSENT:] else "")
            )
    return said


def preprocessed(steps: Sequence[str], images: Tensor) -> Tensor:
    """Return uint8 (N, C, H, W) images after the steps; computed once and kept in the cache."""
    import torch

    content = hashlib.sha256(images.contiguous().numpy().data).hexdigest()
    key = f"{VERSION}-{steps_text(steps)}-{tuple(images.shape)}-{content}"
    made = cached("preprocess", key, lambda: {"images": apply_steps(steps, images).numpy()})
    return torch.from_numpy(made["images"])


def only(name: str, parts: Parts, classes: Sequence[str]) -> Parts:
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
        parts.warnings,
        parts.applied,
    )


def without(name: str, parts: Parts, exclude: Sequence[str]) -> tuple[Parts, list[str]]:
    """Return the parts without what is excluded (`archbench.data.exclusions.EXCLUSIONS`), and what went, in words.

    Raises:
        DataError: nothing of a part remains.
    """
    if not exclude:
        return parts, []
    index = kept(parts.images, parts.labels, exclude)
    for part, remaining in index.items():
        if len(remaining) == 0:
            msg = f"excluding {'+'.join(exclude)} leaves nothing of {part} of {name}"
            raise DataError(msg, "Exclude less; `archbench datasets check` shows what there is.")
    dropped = ", ".join(
        f"{grouped(len(labels) - len(index[part]))} of {grouped(len(labels))} in {part}"
        for part, labels in parts.labels.items()
    )
    images = {part: tensor[index[part]] for part, tensor in parts.images.items()}
    labels = {part: tensor[index[part]] for part, tensor in parts.labels.items()}
    rest = replace(parts, images=images, labels=labels)
    return rest, [f"excluded ({'+'.join(exclude)}): {dropped}"]


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
