"""Data sets: resident uint8 images and labels in three fixed splits.

A source is one function in one file of this package, registered under its name; it returns `Parts`: the images as they
come, in the splits that they come with. What is made of them, a `Dataset`, follows from the `View` that is asked for.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.data.nouns import SPLITS, Dataset, Parts
from archbench.errors import DataError, InputError
from archbench.schema import View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Loader = Callable[["Request"], "Parts"]

__all__ = [
    "ROOT_VARIABLE", "SPLITS", "Dataset", "Parts", "Request", "Source", "canonical_dataset", "load_dataset",
    "load_parts", "parse_dataset", "register_dataset", "sources",
]  # fmt: skip

ROOT_VARIABLE = "ARCHBENCH_DATA"


@dataclass(frozen=True)
class Request:
    """What a source is asked for.

    Attributes:
        name: the data set as it was written.
        argument: the part behind a colon. options: those in brackets.
        root: the data root. download: whether missing files may be downloaded.
        split: images asked for by split, for a source that makes as many as are wanted.
        preprocess: steps asked for, for a source whose images have several sizes.
    """

    name: str
    argument: str = ""
    root: Path | None = None
    download: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    split: tuple[int, int, int] | None = None
    preprocess: tuple[str, ...] = ()

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
    options: Mapping[str, str]
    counts: tuple[int, int, int] | None

    @property
    def form(self) -> str:
        """How users write it: `mnist`, `folder:PATH`."""
        return self.name + (":PATH" if self.takes_argument else "")


_SOURCES: dict[str, Source] = {}


def register_dataset(
    name: str,
    *,
    summary: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    takes_argument: bool = False,
    options: Mapping[str, str] | None = None,
    counts: tuple[int, int, int] | None = None,
) -> Callable[[Loader], Loader]:
    """Register the decorated function, `Request -> Parts`, as the source of a data set.

    Args:
        name: what users call it; `name:ARGUMENT` where it `takes_argument`.
        summary: one line for the list.
        input_shape: (C, H, W), where it is known beforehand.
        classes: their number, where it is known beforehand.
        takes_argument: whether the name is followed by a colon and an argument.
        options: names of what may stand in brackets behind the name, and what each means.
        counts: images in train, validation and test of what is made on request, so that a list need not make it.

    Raises:
        ValueError: the name is taken.
    """

    def decorate(load: Loader) -> Loader:
        if name in _SOURCES and _SOURCES[name].load.__module__ != load.__module__:
            msg = f"two data sets are named {name!r}"
            raise ValueError(msg)
        _SOURCES[name] = Source(name, load, summary, input_shape, classes, takes_argument, options or {}, counts)
        return load

    return decorate


def sources() -> Mapping[str, Source]:
    """Return every registered data set by name."""
    from archbench.data import captcha, digits, fer2013, folder, npz, torchvision_sets  # noqa: F401 - importing registers

    return dict(_SOURCES)


def parse_dataset(name: str) -> tuple[Source, str, dict[str, Any]]:
    """Return the source, the argument and the options that `name` (`mnist`, `folder:PATH`, `captcha[seed=1]`) holds.

    Raises:
        InputError: there is no such source, or it takes no such thing; the remedy holds the nearest names.
    """
    from zoo.grammar import OptionError, split_options  # with torch behind it, which drawing images does not need

    known = sources()
    base, colon, argument = name.partition(":")
    options: dict[str, Any] = {}
    if "[" in base:
        try:
            base, options = split_options(name)
        except OptionError as error:
            raise InputError(str(error), "Write captcha[difficulty=2,seed=1].") from error
        colon = argument = ""
    source = known.get(base)
    if source is None:
        near = difflib.get_close_matches(base.lower(), known, n=3, cutoff=0.4)
        msg = f"unknown data set {name!r}"
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise InputError(msg, f"{hint}Known: {', '.join(s.form for s in known.values())}.")
    if source.takes_argument != bool(argument) or bool(colon) != bool(argument):
        msg = f"{name!r} is not how the data set {base} is named"
        raise InputError(msg, f"Write {source.form}.")
    for option in options.keys() - source.options.keys():
        msg = f"the data set {base} has no option {option!r}"
        accepted = "; ".join(f"{key}: {text}" for key, text in source.options.items())
        raise InputError(msg, f"It has {accepted}." if accepted else f"Write {base}.")
    return source, argument, options


def canonical_dataset(name: str) -> str:
    """Return the one spelling of a data set's name, its options in alphabetical order.

    Raises:
        InputError: as `parse_dataset`.
    """
    from zoo.grammar import join_options

    source, argument, options = parse_dataset(name)
    return f"{source.name}:{argument}" if argument else join_options(source.name, options)


def load_parts(name: str, root: str | Path | None = None, *, download: bool = False, view: View | None = None) -> Parts:
    """Load a data set as it comes.

    Args:
        name: a registered name, `folder:PATH` included.
        root: the folder that holds the files of data sets; by default that of the variable ARCHBENCH_DATA.
        download: whether files that are missing may be downloaded.
        view: what will be asked for, for a source that makes as many images as are wanted or has them in several sizes.

    Raises:
        InputError: the name is unknown.
        DataError: files are missing, cut or malformed; the remedy says what to put where.
    """
    source, argument, options = parse_dataset(name)
    root, view = root or os.environ.get(ROOT_VARIABLE) or None, view or View()
    request = Request(name, argument, Path(root) if root else None, download, options, view.split, view.preprocess)
    try:
        return source.load(request)
    except OSError as error:  # any file or folder, by any source: one that may not be read, or a disk that fails
        msg = f"{error.filename or name} cannot be read: {error.strerror or error}"
        raise DataError(msg, "Make it readable to you, or put another copy there.") from error


def load_dataset(
    name: str, root: str | Path | None = None, *, download: bool = False, view: View | None = None
) -> Dataset:
    """Load a data set and bring it to how it is asked for.

    Args:
        name: a registered name, `folder:PATH` included.
        root: the folder that holds the files of data sets; by default that of the variable ARCHBENCH_DATA.
        download: whether files that are missing may be downloaded.
        view: what is excluded, how it is split and limited, what is done to the images; by default nothing.

    Raises:
        InputError: the name is unknown.
        DataError: files are missing, cut or malformed, or do not give what is asked for.
    """
    from archbench.data.views import seen

    view = view or View()
    return seen(canonical_dataset(name), load_parts(name, root, download=download, view=view), view)
