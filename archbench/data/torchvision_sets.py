"""The data sets that torchvision reads: MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100, SVHN."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.data import Parts, Request, register_dataset
from archbench.data.folder import read_copy
from archbench.data.idx import find_idx, read_idx
from archbench.errors import DataError
from archbench.units import grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IDX_COUNTS = (60_000, 10_000)  # of MNIST and its kin
UNPACKED_MD5 = {  # of MNIST's files once unpacked; torchvision knows those of the packed ones
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@register_dataset("mnist", summary="handwritten digits: 60,000 + 10,000 images", input_shape=(1, 28, 28), classes=10)
def load_mnist(request: Request) -> Parts:
    """Load MNIST from its four files, packed (.gz) or not."""
    return _load_idx(request, "MNIST")


@register_dataset(
    "fashion_mnist", summary="pieces of clothing: 60,000 + 10,000 images", input_shape=(1, 28, 28), classes=10
)
def load_fashion_mnist(request: Request) -> Parts:
    """Load Fashion-MNIST from its four files, packed (.gz) or not."""
    return _load_idx(request, "FashionMNIST")


def _load_idx(request: Request, kind: str) -> Parts:
    from torchvision import datasets

    cls = getattr(datasets, kind)
    md5 = {url.rpartition("/")[2].removesuffix(".gz"): checksum for url, checksum in cls.resources}
    what = f"Put {', '.join(f'{name}.gz' for name in md5)} (or unpacked) into DIR/{kind}/raw, or add --download."
    root = request.root_for(what)
    home = root / kind / "raw"
    folder = next((f for f in (home, root / "raw", root) if any(find_idx(f, name) for name in md5)), home)
    if request.download and (missing := [name for name in md5 if not find_idx(folder, name)]):
        places = {Path(kind, "raw", f"{name}.gz"): folder / f"{name}.gz" for name in missing}
        _download(request, partial(cls, download=True), places, what)
    files = {name: find_idx(folder, name) or folder / f"{name}.gz" for name in md5}
    _verify({file: md5[name] if file.suffix == ".gz" else None for name, file in files.items()}, what)
    train, train_labels, test, test_labels = (read_idx(file) for file in files.values())
    for images, labels in ((train, train_labels), (test, test_labels)):
        if images.shape != (len(labels), 28, 28) or labels.max() >= len(cls.classes):
            sizes = f"images {tuple(images.shape)} and {len(labels)} labels up to {labels.max()}"
            msg = f"{folder} holds {sizes}, which is not {kind}"
            raise DataError(msg, what)
    counts = (len(train), len(test))
    known = all(file.suffix == ".gz" for file in files.values()) or _known_unpacked(files, kind, counts, what)
    found = f"{grouped(counts[0])} + {grouped(counts[1])} images"
    return Parts(
        {"train": train[:, None], "test": test[:, None]},
        {"train": train_labels, "test": test_labels},
        tuple(cls.classes),
        f"{kind}'s official files" if known else f"files named as {kind}'s, whose checksums are not known",
        () if counts == IDX_COUNTS else (f"{found} are not {kind}, which has 60,000 + 10,000",),
    )


def _known_unpacked(files: Mapping[str, Path], kind: str, counts: tuple[int, int], what: str) -> bool:
    """Return whether files of which some are unpacked are known to be the official ones, as MNIST's are.

    Raises:
        DataError: as many images as MNIST has with another checksum, or MNIST's own file under another set's name.
    """
    from torchvision.datasets.utils import check_md5

    unpacked = {name: file for name, file in files.items() if file.suffix != ".gz"}
    for name, file in unpacked.items():
        of_mnist = check_md5(file, UNPACKED_MD5[name])
        if kind == "MNIST" and not of_mnist and counts == IDX_COUNTS:
            msg = f"{file} is damaged or another file: its MD5 is not {UNPACKED_MD5[name]}"
            raise DataError(msg, f"Fetch it again, or remove it. {what}")
        if kind != "MNIST" and of_mnist:
            msg = f"{file} is MNIST's, not {kind}'s"
            raise DataError(msg, what)
    return kind == "MNIST" and counts == IDX_COUNTS


@register_dataset("cifar10", summary="small photographs: 50,000 + 10,000 images", input_shape=(3, 32, 32), classes=10)
def load_cifar10(request: Request) -> Parts:
    """Load CIFAR-10 from its unpacked Python archive, else from a copy of it in image files."""
    from torchvision.datasets import CIFAR10

    what = f"{_archive_words(CIFAR10)} Or put image files into DIR/cifar10/train/<class> and DIR/cifar10/test/<class>."
    root = request.root_for(what)
    if not any((root / official).exists() for official in (CIFAR10.base_folder, CIFAR10.filename)):
        copy = read_copy(
            (root / "cifar10", root / "cifar10-jpeg", root),
            {"train": ("train",), "test": ("test",)},
            CIFAR10_CLASSES,
            (3, 32, 32),
            "a copy of CIFAR-10 in image files ({kinds}), not its official files",
            what,
        )
        if copy is not None:
            return copy
    return _load_cifar(request, CIFAR10, "CIFAR-10", what)


@register_dataset(
    "cifar100", summary="small photographs of 100 things: 50,000 + 10,000 images", input_shape=(3, 32, 32), classes=100
)
def load_cifar100(request: Request) -> Parts:
    """Load CIFAR-100, with its fine labels, from its unpacked Python archive."""
    from torchvision.datasets import CIFAR100

    return _load_cifar(request, CIFAR100, "CIFAR-100", _archive_words(CIFAR100))


def _archive_words(cls: Any) -> str:
    return (
        f"Unpack {cls.filename} there, so that DIR/{cls.base_folder} exists; or add --download, which also unpacks "
        "an archive that is already in DIR."
    )


def _load_cifar(request: Request, cls: Any, title: str, what: str) -> Parts:
    import torch
    from torchvision.datasets.utils import extract_archive

    root = request.root_for(what)
    folder, archive = root / cls.base_folder, root / cls.filename
    if request.download and not folder.is_dir():
        if archive.is_file():
            _verify({archive: cls.tgz_md5}, what)
            _download(request, partial(extract_archive, archive), {cls.base_folder: folder}, what)
        else:
            _download(request, partial(cls, download=True), {cls.base_folder: folder}, what)
    if not folder.is_dir():
        msg = f"{folder} is no folder"
        raise DataError(msg, what)
    files = [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]
    _verify({folder / name: md5 for name, md5 in files}, what)
    parts = {part: cls(root, train=part == "train") for part in ("train", "test")}
    return Parts(
        {part: torch.from_numpy(made.data).permute(0, 3, 1, 2).contiguous() for part, made in parts.items()},
        {part: torch.tensor(made.targets) for part, made in parts.items()},
        tuple(parts["train"].classes),
        f"{title}'s official files",
    )


@register_dataset(
    "svhn",
    summary="house numbers of Street View, a digit each: 73,257 + 26,032 images",
    input_shape=(3, 32, 32),
    classes=10,
)
def load_svhn(request: Request) -> Parts:
    """Load the cropped digits of SVHN from train_32x32.mat and test_32x32.mat; the extra images are left out."""
    import torch
    from torchvision.datasets import SVHN

    names, md5 = ({part: SVHN.split_list[part][column] for part in ("train", "test")} for column in (1, 2))
    what = f"Put {' and '.join(names.values())} into DIR/svhn, or add --download."
    root = request.root_for(what)
    home = root / "svhn"
    folder = next(
        (f for f in (home, root / "SVHN", root) if any((f / name).is_file() for name in names.values())), home
    )
    files = {part: folder / name for part, name in names.items()}
    for part, file in files.items():
        if request.download and not file.is_file():
            _download(request, partial(SVHN, split=part, download=True), {file.name: file}, what)
    _verify({file: md5[part] for part, file in files.items()}, what)
    parts = {part: SVHN(folder, part) for part in files}
    return Parts(
        {part: torch.from_numpy(made.data).contiguous() for part, made in parts.items()},
        {part: torch.from_numpy(made.labels) for part, made in parts.items()},
        tuple(str(digit) for digit in range(10)),
        "SVHN's official files, without the extra images",
    )


def _verify(files: Mapping[Path, str | None], what: str) -> None:
    """Make sure that files are there and, where it is known, have their MD5.

    Raises:
        DataError: one is missing, cut or another.
    """
    from torchvision.datasets.utils import check_integrity

    for file, md5 in files.items():
        if not file.is_file():
            msg = f"{file} is {'no file' if file.exists() else 'missing'}"
            raise DataError(msg, what)
        if not check_integrity(file, md5):
            msg = f"{file} is damaged or another file: its MD5 is not {md5}"
            raise DataError(msg, f"Fetch it again, or remove it. {what}")


def _download(request: Request, fetch: Callable[[Path], object], places: Mapping[Any, Path], what: str) -> None:
    """Let torchvision fetch files into a folder inside the root, then move them to their places: whole or not at all.

    Args:
        request: names the data set and the root.
        fetch: is given the folder, which is removed in the end.
        places: by the path of a file or folder inside it.
        what: the remedy.

    Raises:
        DataError: something went wrong; what was fetched is removed.
    """
    root = request.root_for(what)
    new = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            fetch(Path(temporary))
            for made, place in places.items():
                place.parent.mkdir(parents=True, exist_ok=True)
                (Path(temporary) / made).replace(place)
    except Exception as error:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        msg = f"{request.name} cannot be downloaded to {root}: {' '.join(str(error).split())[:300] or repr(error)}"
        raise DataError(msg, what) from error
