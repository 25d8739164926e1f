"""What a source gives, and what is made of it: images and labels by part, then by split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from archbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from archbench.schema import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """What a source gives.

    Attributes:
        images: uint8 (N, C, H, W) by part: `all` where the source has no splits, else `train`, `test` and perhaps
            `validation`.
        labels: int64 by the same parts, indices into `classes`: (N,), or (N, P) for P labels an image.
        source: where the images come from, in a sentence.
        warnings: what everybody who reads a result must know, such as that a table misses rows.
        applied: the first of the steps asked for, where images of several sizes had to be brought to one.
    """

    images: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    classes: tuple[str, ...]
    source: str
    warnings: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """Images in each part."""
        return tuple(len(own) for own in self.labels.values())


@dataclass(frozen=True)
class Dataset:
    """Images and labels by split.

    Attributes:
        images: uint8 (N, C, H, W); those of a source lie in memory pixel by pixel, channels last.
        labels: int64 (N,), indices into `classes`; (N, P) where every image has P of them.
        source: where the images come from and what was done to them, in a sentence.
        shown_as: (C, H, W) that a batch is brought to on its way into a network; None for the images' own.
        warnings: what everybody who reads a result must know, such as test images that also occur in train.
    """

    name: str
    images: Mapping[Split, Tensor]
    labels: Mapping[Split, Tensor]
    classes: tuple[str, ...]
    source: str
    shown_as: tuple[int, int, int] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image as a network sees it."""
        channels, height, width = self.images["train"].shape[1:]
        return self.shown_as or (channels, height, width)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Images in train, validation and test."""
        train, validation, test = (len(self.labels[split]) for split in SPLITS)
        return train, validation, test

    @property
    def positions(self) -> int:
        """Labels that every image has."""
        labels = self.labels["train"]
        return 1 if labels.ndim == 1 else labels.shape[1]

    def shown(self, shape: tuple[int, int, int] | None) -> Dataset:
        """Return the data set with every batch brought to (C, H, W); None leaves the images as they are.

        Raises:
            DataError: the channels are neither the images' own nor one of 1 and 3 for the other.
        """
        channels = self.images["train"].shape[1]
        if shape is None or shape == self.input_shape:
            return self
        if shape[0] != channels and {shape[0], channels} != {1, 3}:
            msg = f"the images of {self.name} have {channels} channels; they cannot be shown with {shape[0]}"
            raise DataError(msg, f"Give {'1 or 3' if channels in {1, 3} else channels} channels.")
        return replace(self, shown_as=shape)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of all that training and testing see: images, labels and their order in each split."""
        state = hashlib.sha256(repr((self.input_shape, self.classes)).encode())
        for split in SPLITS:
            state.update(self.images[split].contiguous().numpy().data)
            state.update(self.labels[split].contiguous().numpy().data)
        return state.hexdigest()
