"""Which image files are in the folders of parts and classes, and what is wrong with how they are laid out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archbench.errors import DataError
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    File = tuple[Path, int]  # and the label of its image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def part_folders(path: Path, names: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Return the folders of the parts that are there, each under the first of its names."""
    found = {
        part: [home for name in options if (home := path / name).is_dir() or home.is_symlink()]  # perhaps to nowhere
        for part, options in names.items()
    }
    return {part: folders[0] for part, folders in found.items() if folders}


def must_be_folder(path: Path, layout: str) -> None:
    """Make sure that a folder is there.

    Raises:
        DataError: it is not; `layout` is the remedy.
    """
    if not path.is_dir():
        msg = f"{path} is no folder"
        raise DataError(msg, layout)


def _entries(folder: Path) -> list[Path]:
    """Return what a folder holds, by name, hidden entries left out."""
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError as error:
        msg = f"{folder} cannot be listed: {error.strerror}"
        raise DataError(msg, "Name a folder that you may read.") from error


def folders_in(folder: Path) -> list[Path]:
    """Return the folders inside a folder, by name.

    Raises:
        DataError: a link leads nowhere, so that a class would be missed.
    """
    entries = _entries(folder)
    if lost := [child for child in entries if child.is_symlink() and not child.exists()]:
        msg = f"{lost[0]} is a link that leads nowhere"
        raise DataError(msg, "Mend or remove it.")
    return [child for child in entries if child.is_dir()]


def list_files(folders: Mapping[str, Path], classes: Sequence[str], layout: str) -> tuple[dict[str, list[File]], str]:
    """Return the image files of each part, class by class, and what was passed over, in words."""
    listed = {}
    passed: list[Path] = []
    for part, folder in folders.items():
        must_be_folder(folder, layout)
        found = [(_spelt(child.name, classes), child) for child in folders_in(folder)]
        inside = dict(found)
        if twice := [child for name, child in found if inside[name] != child]:
            msg = f"{twice[0]} and {inside[_spelt(twice[0].name, classes)]} are one class"
            raise DataError(msg, "Put its images into one folder.")
        if unknown := sorted(inside.keys() - set(classes)):
            few = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
            msg = f"{folder} has the class {unknown[0]!r}, which is none of {few}"
            raise DataError(msg, layout)
        files: list[File] = []
        for label, name in enumerate(classes):
            entries = _entries(inside[name]) if name in inside else []
            images = [file for file in entries if file.suffix.lower() in SUFFIXES]
            if not images and (name in inside or part != "validation"):  # which may do without a class
                msg = f"{folder / name} holds no image{_others(entries)}"
                raise DataError(msg, layout)
            files += [(file, label) for file in images]
            passed += [entry for entry in entries if entry.suffix.lower() not in SUFFIXES]
        if not files:
            msg = f"{folder} holds no images{_others([e for child in inside.values() for e in _entries(child)])}"
            raise DataError(msg, layout)
        listed[part] = files
    return listed, _others(passed)


def _spelt(name: str, classes: Sequence[str]) -> str:
    """Return the one class that a folder's name is but for capitals, else the name itself."""
    same = [known for known in classes if known.lower() == name.lower()]
    return same[0] if name not in classes and len(same) == 1 else name


def _others(entries: Sequence[Path]) -> str:
    """Say what is there instead of images."""
    folders = sum(entry.is_dir() for entry in entries)
    kinds = Counter(entry.suffix.lower() or "without a suffix" for entry in entries if not entry.is_dir())
    said = [f"{count} {kind}" for kind, count in kinds.most_common(5)] + [number(folders, "folder")] * (folders > 0)
    return f"; passed over: {', '.join(said)}" if said else ""
