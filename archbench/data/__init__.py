"""Data sets: resident uint8 images and labels in three fixed splits.

A source is one function in one file of this package, registered under its name; it returns a `Dataset`. What has no
split of its own gets a stratified one from `archbench.data.splits`, always the same.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.errors import DataError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from archbench.schema import Split

    Loader = Callable[["Request"], "Dataset"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ROOT_VARIABLE = "ARCHBENCH_DATA"


@dataclass(frozen=True)
class Dataset:
    """Images and labels by split.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), indices into `classes`.
        source: where the images come from and how they were split, in a sentence.
        shown_as: (C, H, W) that a batch is brought to on its way into a network; None for the images' own.
    """

    name: str
    images: Mapping[Split, Tensor]
    labels: Mapping[Split, Tensor]
    classes: tuple[str, ...]
    source: str
    shown_as: tuple[int, int, int] | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image as a network sees it."""
        channels, height, width = self.images["train"].shape[1:]
        return self.shown_as or (channels, height, width)

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


@dataclass(frozen=True)
class Request:
    """What a source is asked for: the part of the name after a colon, the data root, and whether it may download."""

    name: str
    argument: str
    root: Path | None
    download: bool

    def root_for(self, what: str) -> Path:
        """Return the data root.

        Raises:
            DataError: none was given, or it is no folder; `what` says what belongs there.
        """
        if self.root is None:
            msg = f"no data root is given for {self.name}"
            raise DataError(msg, f"Name the folder with --data-root DIR or {ROOT_VARIABLE}. {what}")
        if not self.root.is_dir() and not self.download:
            msg = f"the data root {self.root} is no folder"
            raise DataError(msg, what)
        return self.root


@dataclass(frozen=True)
class Source:
    """A registered data set: its name, the function that loads it, and what a list shows of it."""

    name: str
    load: Loader
    summary: str
    input_shape: tuple[int, int, int] | None
    classes: int | None
    takes_argument: bool


_SOURCES: dict[str, Source] = {}


def register_dataset(
    name: str,
    *,
    summary: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    takes_argument: bool = False,
) -> Callable[[Loader], Loader]:
    """Register the decorated function, `Request -> Dataset`, as the source of a data set.

    Args:
        name: what users call it; `name:ARGUMENT` where it `takes_argument`.
        summary: one line for the list.
        input_shape: (C, H, W), where it is known beforehand.
        classes: their number, where it is known beforehand.
        takes_argument: whether the name is followed by a colon and an argument.

    Raises:
        ValueError: the name is taken.
    """

    def decorate(load: Loader) -> Loader:
        if name in _SOURCES and _SOURCES[name].load.__module__ != load.__module__:
            msg = f"two data sets are named {name!r}"
            raise ValueError(msg)
        _SOURCES[name] = Source(name, load, summary, input_shape, classes, takes_argument)
        return load

    return decorate


def sources() -> Mapping[str, Source]:
    """Return every registered data set by name."""
    from archbench.data import digits, folder, torchvision_sets  # noqa: F401 - importing registers

    return dict(_SOURCES)


def find_source(name: str) -> Source:
    """Return the source that `name` (`mnist`, `folder:PATH`) stands for.

    Raises:
        InputError: there is none; the remedy holds the nearest names.
    """
    known = sources()
    base, colon, argument = name.partition(":")
    source = known.get(base)
    if source is None:
        near = difflib.get_close_matches(base.lower(), known, n=3, cutoff=0.4)
        forms = [s.name + (":PATH" if s.takes_argument else "") for s in known.values()]
        msg = f"unknown data set {name!r}"
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise InputError(msg, f"{hint}Known: {', '.join(forms)}.")
    if source.takes_argument != bool(argument) or bool(colon) != bool(argument):
        msg = f"{name!r} is not how the data set {base} is named"
        raise InputError(msg, f"Write {base}:PATH." if source.takes_argument else f"Write {base}.")
    return source


def load_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    download: bool = False,
    input_shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        name: a registered name, `folder:PATH` included.
        root: the folder that holds the files of data sets; by default that of the variable ARCHBENCH_DATA.
        download: whether files that are missing may be downloaded.
        input_shape: (C, H, W) that batches are brought to; None for the images' own.

    Raises:
        InputError: the name is unknown.
        DataError: files are missing, cut or malformed; the remedy says what to put where.
    """
    source = find_source(name)
    root = root or os.environ.get(ROOT_VARIABLE) or None
    request = Request(name, name.partition(":")[2], Path(root) if root else None, download)
    return source.load(request).shown(input_shape)
