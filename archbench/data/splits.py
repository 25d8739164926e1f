"""The one place that decides splits: a source's own where it has them, else stratified and always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.data import Dataset
from archbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SPLIT_SEED = 0
VALIDATION_SHARE = 0.1  # of a source's training images, where it has no validation split
THIRDS = (0.6, 0.2, 0.2)  # train, validation, test, where a source has no split at all


def split_validation(
    name: str,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: Sequence[str],
    source: str,
) -> Dataset:
    """Return a data set whose validation split is a stratified tenth of its training images."""
    images, labels = train
    kept, held = _stratified(labels, round(len(labels) * VALIDATION_SHARE), name)
    return three_splits(
        name,
        (images[kept], labels[kept]),
        (images[held], labels[held]),
        test,
        classes,
        f"{source}; {len(held):,} of its training images, stratified, are the validation split",
    )


def split_all(name: str, images: Tensor, labels: Tensor, classes: Sequence[str], source: str) -> Dataset:
    """Return a data set split 60 : 20 : 20, stratified."""
    validation, test = (round(len(labels) * share) for share in THIRDS[1:])
    rest, tested = _stratified(labels, test, name)
    kept, held = (rest[part] for part in _stratified(labels[rest], validation, name))
    train, held_out, tested_on = ((images[index], labels[index]) for index in (kept, held, tested))
    return three_splits(name, train, held_out, tested_on, classes, f"{source}; split 60 : 20 : 20, stratified")


def three_splits(
    name: str,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: Sequence[str],
    source: str,
) -> Dataset:
    """Return a data set with the splits as given.

    Raises:
        DataError: a split is empty, or images of two shapes meet.
    """
    images = {"train": train[0], "validation": validation[0], "test": test[0]}
    labels = {"train": train[1], "validation": validation[1], "test": test[1]}
    for split, tensor in images.items():
        if len(tensor) == 0:
            msg = f"the {split} split of {name} is empty"
            raise DataError(msg, "Put at least one image of each class into it.")
        if tensor.shape[1:] != train[0].shape[1:]:
            shapes = [tuple(t.shape[1:]) for t in (train[0], tensor)]
            msg = f"images of {name} are {shapes[0]} in train and {shapes[1]} in {split}"
            raise DataError(msg, "Bring all images to one size and number of channels.")
    return Dataset(name, images, labels, tuple(classes), source)  # type: ignore[arg-type]


def _stratified(labels: Tensor, held: int, name: str) -> tuple[Tensor, Tensor]:
    """Return the indices kept and held out, each sorted."""
    import torch
    from sklearn.model_selection import train_test_split

    try:
        kept, out = train_test_split(
            range(len(labels)), test_size=held, random_state=SPLIT_SEED, stratify=labels.numpy()
        )
    except ValueError as error:
        msg = f"{name} has too few images to be split by class: {error}"
        raise DataError(msg, "Give every class more images, or a validation split of its own.") from error
    return torch.tensor(sorted(kept)), torch.tensor(sorted(out))
