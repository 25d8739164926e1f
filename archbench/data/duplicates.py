"""Images that are alike: identical ones by their hash, nearly identical ones by a tree search, constant ones.

The images of all splits are numbered end to end, as they lie in `Collection.parts`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.data import SPLITS
from archbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]
    Mask = NDArray[np.bool_]

Place = tuple[str, int]  # where an image is: split and index
CELLS = 16  # cells times channels of a description, about: trees lose their edge where there are many dimensions
NEIGHBOURS = (32, 128)  # candidates looked at for an image: first few, then more where those were not all
CHUNK = 2**22  # pixels taken at a time


@dataclass(frozen=True)
class Collection:
    """The images of all splits, and the groups that byte-identical ones form.

    Attributes:
        names: the splits, what is trained on before what it is judged by.
        parts: uint8 (N, C, H, W) of each split.
        split: int64 (N,), the position in `names` of each image's split.
        group: int64 (N,), each image's group; groups are numbered by their first image.
        counts: int64 (G, S), the images of each group in each split.
    """

    names: tuple[str, ...]
    parts: tuple[Pixels, ...]
    split: Indices
    group: Indices
    counts: Indices

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each split with every one before it, by position: test in train, validation in train, test in validation."""
        count = len(self.names)
        return [(split, other) for other in range(count) for split in range(count - 1, other, -1)]

    def place(self, number: int) -> Place:
        """Return where an image is."""
        split = int(self.split[number])
        return self.names[split], int(number) - sum(len(part) for part in self.parts[:split])

    def firsts(self) -> Indices:
        """Return the first image of each group, (G,)."""
        import numpy as np

        return np.unique(self.group, return_index=True)[1]

    def conflicting(self, labels: Mapping[str, Tensor]) -> Mask:
        """Return whether the images of a group differ in any of their labels, (G,).

        Raises:
            DataError: the labels are not one row for each image.
        """
        import numpy as np

        shapes = {name: tuple(tensor.shape) for name, tensor in labels.items()}
        counts = {name: len(part) for name, part in zip(self.names, self.parts, strict=True)}
        positions = {shape[1:] for shape in shapes.values()}
        if {name: sum(shape[:1]) for name, shape in shapes.items()} != counts or len(positions) > 1:
            msg = f"labels of shapes {shapes} do not fit the images, {counts}"
            raise DataError(msg, "Give (N,) or (N, P) labels for the N images of each split.")
        rows = np.concatenate([labels[name].numpy() for name in self.names])
        differs = rows != rows[self.firsts()[self.group]]
        conflicting = np.zeros(len(self.counts), np.bool_)
        conflicting[self.group[differs if differs.ndim == 1 else differs.any(axis=1)]] = True
        return conflicting

    def occurs_later(self) -> Mask:
        """Return whether an image also occurs in a later split, (N,)."""
        import numpy as np

        last = len(self.names) - 1 - np.argmax(self.counts[:, ::-1] > 0, axis=1)  # of each group
        later: Mask = last[self.group] > self.split
        return later

    def repeats(self) -> Mask:
        """Return whether an image is another than the one of its group that comes first in the last split, (N,)."""
        import numpy as np

        latest = np.flatnonzero(~self.occurs_later())
        repeats = np.ones(len(self.group), np.bool_)
        repeats[latest[np.unique(self.group[latest], return_index=True)[1]]] = False
        return repeats

    def deviations(self) -> Floats:
        """Return each image's standard deviation of pixels in levels of 255, that of its most varied channel, (N,)."""
        import numpy as np

        cells = (cell for part in self.parts for cell in _cells(part, side=1))
        return np.concatenate([deviation.max(axis=(1, 2, 3)) for _, deviation, _ in cells])


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images that differ by at most a given distance, the nearest first.

    Attributes:
        first: int64 (P,), the lower number of each pair.
        second: int64 (P,).
        distance: float64 (P,), root-mean-square difference of the pixels in levels of 255.
        capped: images with as many candidates as are looked at, or more, so that pairs of theirs may be missing.
    """

    first: Indices
    second: Indices
    distance: Floats
    capped: int


def collect(images: Mapping[str, Tensor]) -> Collection:
    """Return the images of all splits with the groups of identical ones.

    Raises:
        DataError: they are not uint8 (N, C, H, W) of one shape.
    """
    import numpy as np
    import torch

    names = sorted(images, key=lambda name: SPLITS.index(name) if name in SPLITS else -1)
    shape = images[names[0]].shape[1:]
    for name in names:
        tensor = images[name]
        if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[1:] != shape:  # N, C, H, W
            msg = f"the {name} images are {tensor.dtype} {tuple(tensor.shape)}"
            raise DataError(msg, "Give torch.uint8 (N, C, H, W), of one shape in all splits.")
    parts = tuple(images[name].numpy() for name in names)
    split = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    groups: dict[bytes, int] = {}
    rows = (image.ravel() for part in parts for image in part)
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in rows)  # of 128 bits, no two collide
    group = np.fromiter((groups.setdefault(digest, len(groups)) for digest in digests), np.int64)
    counts = np.bincount(group * len(parts) + split, minlength=len(groups) * len(parts))
    return Collection(tuple(names), parts, split, group, counts.reshape(len(groups), len(parts)))


def describe(images: Pixels) -> Floats:
    """Return (N, F) points that lie no further apart than the images' root-mean-square difference, in levels of 255.

    Of every cell of a grid they hold the mean m and the standard deviation s of each channel. Over the n pixels of a
    cell the squared differences of two images sum up to n (m - m')² and those of the centred pixels, which by the
    triangle inequality are at least n (s - s')².
    """
    import numpy as np

    shape = images.shape[1:]
    side = max(1, math.isqrt(CELLS // shape[0]))
    points = []
    for mean, deviation, pixels in _cells(images, side):
        weighted = np.stack([mean, deviation], axis=1) * np.sqrt(pixels / math.prod(shape))
        points.append(weighted.reshape(len(mean), math.prod(weighted.shape[1:])))
    return np.concatenate(points)


def near_pairs(parts: Sequence[Pixels], chosen: Indices, near: float) -> NearPairs:
    """Return every pair of the chosen images whose root-mean-square difference is at most `near` levels of 255.

    A tree over their descriptions names the candidates, none being missed; the images themselves decide. Where a crowd
    of images is alike, only the nearest candidates of each are looked at, and `capped` says so.

    Args:
        parts: uint8 (N, C, H, W) each, of one shape; the images are numbered through them, end to end.
        chosen: int64 (M,), the numbers of the images to compare.
        near: levels of 255.
    """
    import numpy as np
    from scipy.spatial import KDTree

    points = np.concatenate([describe(part) for part in parts])[chosen]
    tree = KDTree(points)
    radius = near + 1e-5  # rounding loses no pair
    total = sum(len(part) for part in parts)
    first, second, distance = [chosen[:0]], [chosen[:0]], [points[:0, 0]]
    searched = np.arange(len(points))
    for neighbours in NEIGHBOURS:
        crowded = [searched[:0]]
        for rows in np.array_split(searched, 1 + len(searched) * neighbours // CHUNK):
            answer = tree.query(points[rows], k=neighbours + 1, distance_upper_bound=radius, workers=-1)
            reach, found = (np.asarray(column) for column in answer)
            crowded.append(rows[np.isfinite(reach[:, -1])])  # itself and as many others as fit: there may be more
            fits = np.isfinite(reach) & (rows[:, None] != found)
            one, other = chosen[np.repeat(rows, fits.sum(axis=1))], chosen[found[fits]]
            keys = np.unique(np.minimum(one, other) * total + np.maximum(one, other))  # most are found from both sides
            for a, b, rms in _verified(parts, keys // total, keys % total, near):
                first.append(a)
                second.append(b)
                distance.append(rms)
        searched = np.concatenate(crowded)
    one, other, rms = (np.concatenate(column) for column in (first, second, distance))
    once = np.unique(one * total + other, return_index=True)[1]
    once = once[np.argsort(rms[once], kind="stable")]
    return NearPairs(one[once], other[once], rms[once], capped=len(searched))


def _verified(
    parts: Sequence[Pixels], one: Indices, other: Indices, near: float
) -> Iterator[tuple[Indices, Indices, Floats]]:
    """Yield those candidates whose images are near, with their distance, a chunk at a time."""
    import numpy as np

    size = math.prod(parts[0].shape[1:])
    count = 1 + len(one) * size // CHUNK
    for a, b in zip(np.array_split(one, count), np.array_split(other, count), strict=True):
        difference = _rows(parts, a).astype(np.int32) - _rows(parts, b)
        squares = np.einsum("nd,nd->n", difference, difference, dtype=np.int64)
        fits = squares <= near**2 * size
        yield a[fits], b[fits], np.sqrt(squares[fits] / size)


def _rows(parts: Sequence[Pixels], index: Indices) -> Pixels:
    """Return images by their numbers, flattened to (N, C x H x W)."""
    import numpy as np

    starts = np.cumsum([0, *(len(part) for part in parts)])
    owner = np.searchsorted(starts, index, side="right") - 1
    rows = np.empty((len(index), *parts[0].shape[1:]), np.uint8)
    for number, part in enumerate(parts):
        rows[owner == number] = part[index[owner == number] - starts[number]]
    return rows.reshape(len(index), math.prod(parts[0].shape[1:]))


def _cells(images: Pixels, side: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield (N, C, rows, columns) means and standard deviations of a grid's cells, and their pixels (rows, columns).

    Cells differ by a pixel where `side` does not divide the height or width. An even cell deviates by exactly 0, as
    the sums are of whole numbers.
    """
    import numpy as np

    rows, columns = (np.unique(np.arange(side) * length // side) for length in images.shape[2:])
    heights, widths = np.diff(rows, append=images.shape[2]), np.diff(columns, append=images.shape[3])
    pixels = np.outer(heights, widths).astype(np.float64)

    def total(values: Floats) -> Floats:
        return np.add.reduceat(np.add.reduceat(values, rows, axis=2), columns, axis=3)

    for chunk in np.array_split(images, 1 + images.size // CHUNK):
        values = chunk.astype(np.float64)
        sums, squares = total(values), total(values**2)
        yield sums / pixels, np.sqrt(np.maximum(pixels * squares - sums**2, 0)) / pixels, pixels
