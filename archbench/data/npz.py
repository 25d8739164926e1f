"""Arrays in one file: `npz:PATH`, named as Keras, MedMNIST or scikit-learn name them."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from archbench.data import Parts, Request, register_dataset
from archbench.data.folder import own_path
from archbench.errors import DataError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray

    Array = NDArray[Any]

PAIRS = {  # names of images and labels by part
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "validation": (("x_val", "y_val"), ("x_validation", "y_validation"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
    "all": (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "target")),
}
KEYS = (
    "Accepted are x_train, y_train, x_test, y_test and perhaps x_val, y_val (or x_validation, y_validation); "
    "train_images, train_labels and so on with val_ and test_; or, to be split here, images and labels, x and y, "
    "X and y, or data and target. An array `classes` may hold names."
)
SHAPES = "Accepted are (N, H, W), (N, H, W, C) and (N, C, H, W) with 1 or 3 channels C."
PIXELS = "Accepted are uint8, other whole numbers from 0 to 255, truths, and floats from 0 to 1 or from 0 to 255."
LABELS = "Accepted are whole numbers from 0, of the shape (N,), (N, 1) or, for P labels an image, (N, P)."
MOST_CLASSES = 65_536  # a bound on mistakes
# NotImplementedError, a kind of RuntimeError, is what zipfile says of versions and methods that it does not know;
# a header may ask for more memory than there is.
UNREADABLE = (
    OSError, ValueError, EOFError, SyntaxError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError,
)  # fmt: skip
DIM = 16  # levels of 255; pixels that stay below were hardly meant so
AGAIN = "Write the file again with numpy.savez; its arrays hold numbers or text."
ROUNDING = 1e-5  # floats may leave 0 to 1 by this


@register_dataset(
    "npz",
    summary="your own arrays in a .npz file: x_train, y_train, x_test, y_test, or images, labels",
    takes_argument=True,
)
def load(request: Request) -> Parts:
    """Load images and labels from a file of numpy's; nothing in it is executed.

    A relative PATH is looked for in the current folder, then in the data root.

    Raises:
        DataError: the file is missing, cut or of another kind, or an array is not what is accepted.
    """
    import torch

    file = own_path(request)
    if not file.is_file():
        msg = f"{file} is no file"
        raise DataError(msg, "Name a file that numpy.savez wrote.")
    with _opened(file) as stored:
        pairs = _pairs(file, stored.files)
        arrays = {key: _array(file, stored, key) for pair in pairs.values() for key in pair}
        names = _array(file, stored, "classes") if "classes" in stored.files else None
    pixels, note = _pixels(file, {images: arrays[images] for images, _ in pairs.values()})
    brightest = max(int(array.max()) for array in pixels.values())
    dim = (f"no pixel is above {brightest} of 255",) if brightest < DIM else ()
    labels = {part: _labels(file, key, arrays[key], len(arrays[images])) for part, (images, key) in pairs.items()}
    classes = _classes(file, names, {pairs[part][1]: own for part, own in labels.items()})
    return Parts(
        {part: torch.from_numpy(pixels[images]) for part, (images, _) in pairs.items()},
        {part: torch.from_numpy(own) for part, own in labels.items()},
        classes,
        f"arrays of {file.name}{note}",
        dim,
    )


@contextmanager
def _opened(file: Path) -> Iterator[NpzFile]:
    import numpy as np

    with ExitStack() as stack:
        try:
            stored = np.load(stack.enter_context(file.open("rb")), allow_pickle=False)
        except UNREADABLE as error:
            msg = f"{file} cannot be read as .npz: {reason(error)}"
            raise DataError(msg, "Name a file that numpy.savez wrote, without objects in it.") from error
        if not isinstance(stored, np.lib.npyio.NpzFile):
            msg = f"{file} holds one array without a name"
            raise DataError(msg, f"Write it with numpy.savez. {KEYS}")
        _check_sums(file)  # numpy itself checks only as much of an array as its header asks for
        yield stack.enter_context(stored)


def _check_sums(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as packed:
            damaged = packed.testzip()
    except UNREADABLE as error:
        damaged, why = "an array", reason(error)
    else:
        why = "its CRC is wrong"
    if damaged is not None:
        msg = f"{file}: {damaged.removesuffix('.npy')} cannot be read: {why}"
        raise DataError(msg, AGAIN)


def _pairs(file: Path, keys: list[str]) -> dict[str, tuple[str, str]]:
    """Return the names of images and labels of each part that is there."""
    found = [(part, pair) for part, pairs in PAIRS.items() for pair in pairs if pair[0] in keys]
    pairs = dict(found)
    if not found:
        msg = f"{file} has no images under a name that is known; it holds {', '.join(sorted(keys)[:20]) or 'nothing'}"
    elif len(found) > len(pairs) or ("all" in pairs and len(pairs) > 1):
        msg = f"{file} has images under several names: {', '.join(images for _, (images, _) in found)}"
    elif "all" not in pairs and (absent := {"train", "test"} - pairs.keys()):
        msg = f"{file} has {found[0][1][0]}, but no images of {' and '.join(sorted(absent))}"
    elif missing := [pair for pair in pairs.values() if pair[1] not in keys]:
        msg = f"{file} has {missing[0][0]}, but not {missing[0][1]}"
    else:
        return pairs
    raise DataError(msg, KEYS)


def _array(file: Path, stored: NpzFile, key: str) -> Array:
    import numpy as np

    try:
        array: Any = stored[key]
    except UNREADABLE as error:
        msg = f"{file}: {key} cannot be read: {reason(error)}"
        raise DataError(msg, AGAIN) from error
    if not isinstance(array, np.ndarray):  # numpy returns the bytes of what is no array
        msg = f"{file}: {key} is no array"
        raise DataError(msg, "Write the file again with numpy.savez.")
    return array


def _pixels(file: Path, arrays: Mapping[str, Array]) -> tuple[dict[str, NDArray[np.uint8]], str]:
    """Return the images as uint8 (N, C, H, W), and a note on what was done to them."""
    import numpy as np

    factor = _factor(file, arrays)
    pixels = {}
    for key, array in arrays.items():
        levels = array if factor == 1 and array.dtype.kind != "f" else np.rint(array.astype(np.float32) * factor)
        pixels[key] = np.ascontiguousarray(_channels_first(file, key, levels.clip(0, 255)), dtype=np.uint8)
    if factor == 255:
        return pixels, "; pixels from 0 to 1 rounded to 256 levels"
    return pixels, "; pixels rounded to whole levels" if any(a.dtype.kind == "f" for a in arrays.values()) else ""


def _factor(file: Path, arrays: Mapping[str, Array]) -> int:
    """Return what brings the pixels of all arrays to 0 to 255: 1, or 255 where they are floats or truths up to 1."""
    for key, array in arrays.items():
        if array.dtype.kind not in "uifb" or array.size == 0:
            msg = f"{file}: {key} is {'empty' if array.size == 0 else f'of the kind {array.dtype}'}"
            raise DataError(msg, PIXELS)
    kinds = {"f" if array.dtype.kind == "f" else "b" if array.dtype.kind == "b" else "i" for array in arrays.values()}
    low = min(float(array.min()) for array in arrays.values())
    high = max(float(array.max()) for array in arrays.values())
    if len(kinds) > 1:
        accepted, factor = False, 1
    elif kinds == {"i"}:
        accepted, factor = low >= 0 and high <= 255, 1
    elif high <= 1 + ROUNDING:
        accepted, factor = low >= -ROUNDING, 255
    else:
        accepted, factor = low >= 0 and 2 <= high <= 255, 1  # levels between 0 and 2 are no levels
    if not accepted:
        ranges = ", ".join(
            f"{key} is {a.dtype} from {float(a.min()):g} to {float(a.max()):g}" for key, a in arrays.items()
        )
        msg = f"{file}: {ranges}"
        raise DataError(msg, f"{PIXELS} All arrays are of one kind.")
    return factor


def _channels_first(file: Path, key: str, array: Array) -> Array:
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4:
        first, last = array.shape[1] in {1, 3}, array.shape[3] in {1, 3}
        if first != last:
            return array if first else array.transpose(0, 3, 1, 2)
    msg = f"{file}: {key} has the shape {array.shape}"
    doubt = " Here both the second and the last could be C." if array.ndim == 4 and array.shape[1] in {1, 3} else ""
    raise DataError(msg, SHAPES + doubt)


def _labels(file: Path, key: str, array: Array, images: int) -> NDArray[np.int64]:
    """Return labels as int64 (N,) or (N, P)."""
    import numpy as np

    if array.ndim not in {1, 2} or len(array) != images or array.size == 0:
        msg = f"{file}: {key} has the shape {array.shape}, for {images} images"
        raise DataError(msg, LABELS)
    if array.dtype.kind not in "uif" or not (array.min() >= 0 and array.max() < MOST_CLASSES) or (array % 1 != 0).any():
        values = f"{array.dtype}" + (f" from {array.min():g} to {array.max():g}" if array.dtype.kind in "uif" else "")
        msg = f"{file}: {key} is {values}"
        raise DataError(msg, f"{LABELS} They are below {MOST_CLASSES:,}.")
    if array.ndim == 2 and array.shape[1] > 1 and array.max() == 1 and (array.sum(1) == 1).all():
        msg = f"{file}: {key}, of the shape {array.shape}, looks one-hot"
        raise DataError(msg, f"Write {key}.argmax(1) instead. {LABELS}")
    labels = array.astype(np.int64)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _classes(file: Path, names: Array | None, labels: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """Return the names of the classes: those given, else `0` to the largest label that is trained on."""
    home = next(iter(labels))
    positions = {key: own.shape[1:] for key, own in labels.items()}
    if len(set(positions.values())) > 1:
        msg = f"{file}: {' and '.join(labels)} have different numbers of labels an image"
        raise DataError(msg, LABELS)
    if names is None:
        if lowest := labels[home].min():
            msg = f"{file}: the labels of {home} begin at {lowest}"
            raise DataError(msg, "Count them from 0, or give `classes`, an array of names.")
        classes = tuple(str(label) for label in range(labels[home].max() + 1))
    else:
        classes = tuple(str(name) for name in names.ravel())
        if names.ndim != 1 or names.dtype.kind not in "Uiu" or len(set(classes)) < len(classes):
            msg = f"{file}: classes is {names.dtype} of the shape {names.shape}"
            raise DataError(msg, "Give one array of texts, each another.")
    for key, own in labels.items():
        if own.max() >= len(classes):
            given = "classes names" if names is not None else f"{home} has"
            msg = f"{file}: {key} has the label {own.max()}, but {given} {len(classes)} classes, from 0"
            raise DataError(msg, "Give every class images to train on, or correct the labels.")
    return classes
