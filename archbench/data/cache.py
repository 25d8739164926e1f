"""What is made once and kept, outside any results folder: arrays and nouns, under a hash of what they follow from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from archbench.errors import OutputError
from archbench.files import UNFINISHED, check_folder, write_bytes, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

T = TypeVar("T")

CACHE_VARIABLE = "ARCHBENCH_CACHE"
STALE_SECONDS = 3600
NAMES = "names"  # of the array that lists the others, so that none of them is missed


def cache_folder() -> Path:
    """Return the folder of the variable ARCHBENCH_CACHE, else the user's cache folder of archbench."""
    from platformdirs import user_cache_path

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else user_cache_path("archbench")


def check_cache() -> Path:
    """Return the cache's folder, once it is sure that it can be written.

    Raises:
        OutputError: it cannot.
    """
    folder = cache_folder()
    check_folder(folder, f"Name a folder of yours by the variable {CACHE_VARIABLE}.", "the cache ")
    return folder


def cached(kind: str, key: str, make: Callable[[], Arrays], *, most_bytes: int | None = None) -> Arrays:
    """Return the arrays that `make` gives, made at most once for a key.

    A file that is damaged (each array has a checksum) is made again; a cache that cannot be written is done without.

    Args:
        kind: the folder inside the cache.
        key: all that the arrays follow from, in any words.
        make: makes them; they hold no objects, and none is called `names`.
        most_bytes: arrays that are larger are not kept, but made each time; None keeps any.
    """
    import numpy as np

    file = _file(kind, key, ".npz")
    try:
        with file.open("rb") as source, np.load(source, allow_pickle=False) as stored:
            if stored.zip.testzip() is None:  # numpy checks only as much of an array as its header asks for
                return {name: stored[name] for name in stored[NAMES].tolist()}
    except Exception:  # noqa: BLE001, S110 - missing or damaged, and damage shows in too many ways to list
        pass
    arrays = make()
    if most_bytes is not None and sum(array.nbytes for array in arrays.values()) > most_bytes:
        return arrays

    def write(path: Path) -> None:
        with path.open("wb") as target:
            np.savez(target, **arrays, **{NAMES: np.array(list(arrays))})  # type: ignore[arg-type]

    with contextlib.suppress(OutputError):
        write_file(file, write)
        _sweep(file)
    return arrays


def recalled(kind: str, key: str, of: type[T]) -> T | None:
    """Return the noun that was kept under a key; None where there is none, or its file is damaged."""
    try:
        checksum, _, content = _file(kind, key, ".json").read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() == checksum:
            return msgspec.json.decode(content, type=of)
    except (OSError, msgspec.DecodeError):
        pass
    return None


def remember(kind: str, key: str, noun: object) -> None:
    """Keep a noun under a key: all that it follows from. A cache that cannot be written is done without."""
    content = msgspec.json.encode(noun)
    with contextlib.suppress(OutputError):
        write_bytes(_file(kind, key, ".json"), hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def _file(kind: str, key: str, suffix: str) -> Path:
    return cache_folder() / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{suffix}"


def _sweep(file: Path) -> None:
    """Remove what a writer of the same file left half done, being killed, an hour ago or more."""
    for left in file.parent.glob(f"{UNFINISHED}{file.stem[:40]}-*{file.suffix}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink()
