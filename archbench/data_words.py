"""What a check of a data set found, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.data.exclusions import EXCLUSIONS
from archbench.units import grouped, number, shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from archbench.data import Dataset
    from archbench.data.audit import Audit, Duplicates, NearDuplicates
    from archbench.data.duplicates import Place

MOST_CLASSES = 20  # whose counts are listed one by one


def splits_words(found: Audit) -> pd.DataFrame:
    """Return a row a split: images, their shape and values, and how many each class has."""
    import pandas as pd

    return pd.DataFrame([
        {
            "split": split.split, "images": grouped(split.images), "shape": shape(split.shape),
            "values": "" if split.mean is None else f"{split.low} to {split.high}, mean {split.mean:.1f}",
            "constant": str(split.constant), "images by class": _counts(found.classes, split.counts),
        }
        for split in found.splits
    ])  # fmt: skip


def _counts(classes: Sequence[str], counts: Sequence[int]) -> str:
    if len(counts) <= MOST_CLASSES:
        return ", ".join(f"{name} {grouped(count)}" for name, count in zip(classes, counts, strict=True))
    return f"{len(counts)} classes of {grouped(min(counts))} to {grouped(max(counts))}"


def audit_words(found: Audit) -> list[str]:
    """Return a line a finding, with examples by split and index; the first says so where nothing was found."""
    lines = [
        f"{split.split} has no image of {', '.join(split.absent[:MOST_CLASSES])}"
        for split in found.splits
        if split.absent
    ]
    constant = sum(split.constant for split in found.splits)
    if constant:
        lines.append(f"{number(constant, '(near-)constant image')}, such as {_places(found.constant)}")
    lines += _duplicates(found.duplicates)
    lines += [
        f"{leak.sentence}: {', '.join(f'{leak.split} {a} = {leak.other} {b}' for a, b in leak.examples[:3])}"
        for leak in found.leaks
        if leak.images
    ]
    lines += _near(found.near) if found.near else []
    unlooked = [] if found.near else ["Near duplicates were not looked for."]
    if not lines:
        near = f"none that differ by at most {found.near.near:g} levels of 255" if found.near else ""
        return [f"nothing was found: no constant image, no identical ones{', ' if near else ''}{near}", *unlooked]
    lines.append(f"Leave them out with --exclude {', '.join(EXCLUSIONS)}, joined by +.")
    return lines + unlooked


def used_words(dataset: Dataset) -> list[str]:
    """Return what splits are used, and what everybody must know of them."""
    train, validation, test = (grouped(count) for count in dataset.counts)
    line = f"Used are {train} images to train on, {validation} to validate and {test} to test: {dataset.source}"
    return [line, *(f"warning: {text}" for text in dataset.warnings)]


def _duplicates(found: Duplicates) -> list[str]:
    if not found.groups:
        return []
    lines = [
        f"{number(found.groups, 'group')} of identical images, {grouped(found.images)} images in all: "
        f"{grouped(found.within)} inside a split, {grouped(found.across)} across splits; such as "
        + "; ".join(_places(group) for group in found.examples[:2])
    ]
    if found.conflicting:
        groups = "; ".join(_places(group) for group in found.conflicts[:2])
        lines.append(f"{number(found.conflicting, 'group')} of them with conflicting labels, such as {groups}")
    return lines


def _near(found: NearDuplicates) -> list[str]:
    if not found.within + found.across:
        return []
    pairs = ", ".join(f"{_places((a, b), ' and ')} ({distance:.1f})" for a, b, distance in found.examples[:3])
    line = (
        f"{number(found.within + found.across, 'pair')} of images that differ by at most {found.near:g} levels of 255: "
        f"{grouped(found.within)} inside a split, {grouped(found.across)} across splits; such as {pairs}"
    )
    cap = f"{number(found.capped, 'image')} had more candidates than were looked at: the counts are lower bounds"
    return [line, *([cap] if found.capped else []), *(leak.sentence for leak in found.leaks if leak.images)]


def _places(places: Sequence[Place], joint: str = ", ") -> str:
    return joint.join(f"{split} {index}" for split, index in places[:4])
