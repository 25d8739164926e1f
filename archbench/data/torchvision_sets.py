"""The data sets that torchvision reads: MNIST, Fashion-MNIST, CIFAR-10, FER2013."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from archbench.data import Dataset, Request, register_dataset
from archbench.data.splits import split_validation, three_splits
from archbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FER_USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
FER_SIDE = 48


@register_dataset("mnist", summary="handwritten digits: 60,000 + 10,000 images", input_shape=(1, 28, 28), classes=10)
def load_mnist(request: Request) -> Dataset:
    """Load MNIST from its four files, packed (.gz) or not."""
    return _load_idx(request, "MNIST")


@register_dataset(
    "fashion_mnist", summary="pieces of clothing: 60,000 + 10,000 images", input_shape=(1, 28, 28), classes=10
)
def load_fashion_mnist(request: Request) -> Dataset:
    """Load Fashion-MNIST from its four files, packed (.gz) or not."""
    return _load_idx(request, "FashionMNIST")


def _load_idx(request: Request, kind: str) -> Dataset:
    from torchvision import datasets

    cls = getattr(datasets, kind)
    names = [url.rpartition("/")[2].removesuffix(".gz") for url, _ in cls.resources]
    what = f"Put {', '.join(n + '.gz' for n in names)} (or unpacked) into DIR/{kind}/raw, or add --download."
    root = request.root_for(what)
    if request.download:
        _download(lambda: cls(root, download=True), request, what)
    folders = [folder for folder in (root / kind / "raw", root / "raw", root) if _idx_file(folder, names[0])]
    if not folders:
        msg = f"{names[0]} is neither in {root / kind / 'raw'} nor in {root}"
        raise DataError(msg, what)
    md5 = {url.rpartition("/")[2]: checksum for url, checksum in cls.resources}
    parts: dict[str, Tensor] = {name: _read_idx(folders[0], name, md5[f"{name}.gz"], what) for name in names}
    train_images, train_labels, test_images, test_labels = parts.values()
    return split_validation(
        request.name,
        (train_images[:, None], train_labels),
        (test_images[:, None], test_labels),
        cls.classes,
        f"{kind}'s official files",
    )


def _idx_file(folder: Path, name: str) -> Path | None:
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def _read_idx(folder: Path, name: str, md5: str, what: str) -> Tensor:
    """Return the images (N, 28, 28) or labels (N,) of one file; the folder is only read from, never written to."""
    from torchvision.datasets.mnist import read_image_file, read_label_file
    from torchvision.datasets.utils import check_integrity

    file = _idx_file(folder, name)
    if file is None:
        msg = f"{name} is missing in {folder}"
        raise DataError(msg, what)
    if file.suffix == ".gz" and not check_integrity(file, md5):
        msg = f"{file} is damaged or another file: its MD5 is not {md5}"
        raise DataError(msg, "Fetch it again, or add --download once it is deleted.")
    read: Callable[[str], Tensor] = read_image_file if "images" in name else read_label_file
    try:
        if file.suffix != ".gz":
            return read(str(file))
        with gzip.open(file) as packed, tempfile.NamedTemporaryFile() as unpacked:
            shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            return read(unpacked.name)
    except (OSError, EOFError, ValueError, AssertionError, RuntimeError) as error:
        msg = f"{file} cannot be read: {error}"
        raise DataError(msg, "Fetch it again.") from error


@register_dataset("cifar10", summary="small photographs: 50,000 + 10,000 images", input_shape=(3, 32, 32), classes=10)
def load_cifar10(request: Request) -> Dataset:
    """Load CIFAR-10 from its unpacked Python archive."""
    import torch
    from torchvision.datasets import CIFAR10

    what = (
        "Unpack cifar-10-python.tar.gz there, so that DIR/cifar-10-batches-py exists; or add --download, "
        "which also unpacks an archive that is already in DIR."
    )
    root = request.root_for(what)
    train, test = (
        _download(lambda part=part: CIFAR10(root, train=part, download=request.download), request, what)
        for part in (True, False)
    )
    splits = [(torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets)) for part in (train, test)]
    return split_validation(request.name, splits[0], splits[1], train.classes, "CIFAR-10's official files")


def _download(make: Any, request: Request, what: str) -> Any:
    """Call a torchvision data set's constructor; its complaints become errors that say what to put where."""
    try:
        return make()
    except Exception as error:
        doing = "be downloaded" if request.download else "be loaded"
        msg = (
            f"{request.name} cannot {doing} at {request.root}: {str(error).splitlines()[0] if str(error) else error!r}"
        )
        raise DataError(msg, what) from error


@register_dataset(
    "fer2013", summary="faces with 7 expressions: 28,709 + 3,589 + 3,589 images", input_shape=(1, 48, 48), classes=7
)
def load_fer2013(request: Request) -> Dataset:
    """Load FER2013 from fer2013.csv or icml_face_data.csv; Public and Private Test are validation and test."""
    import pandas as pd
    import torch

    what = "Put fer2013.csv (or icml_face_data.csv) into DIR/fer2013; image folders are read by folder:PATH."
    root = request.root_for(what)
    names = ("fer2013.csv", "icml_face_data.csv")
    candidates = [folder / name for folder in (root / "fer2013", root) for name in names]
    file = next((f for f in candidates if f.is_file()), None)
    if file is None:
        msg = f"neither {' nor '.join(names)} is in {root / 'fer2013'}"
        raise DataError(msg, what)
    try:
        table = pd.read_csv(file, skipinitialspace=True)
        pixels = table["pixels"].str.split(expand=True).astype("uint8").to_numpy()
        labels = torch.tensor(table["emotion"].to_numpy(copy=True)).long()
        images = torch.from_numpy(pixels).reshape(-1, 1, FER_SIDE, FER_SIDE)
        usage = table["Usage"].map(FER_USAGES)
    except (KeyError, ValueError, TypeError, RuntimeError, pd.errors.ParserError) as error:
        msg = f"{file} is not FER2013's table (emotion, Usage, pixels): {error}"
        raise DataError(msg, what) from error
    if usage.isna().any() or not labels.ge(0).logical_and(labels.lt(len(FER_CLASSES))).all():
        msg = f"{file} has a row whose Usage or emotion is unknown"
        raise DataError(msg, f"Usage is one of {', '.join(FER_USAGES)}; emotion is 0 to 6.")
    train, validation, test = (
        (images[mask], labels[mask])
        for mask in (torch.tensor((usage == split).to_numpy()) for split in FER_USAGES.values())
    )
    source = "FER2013's table; validation is PublicTest, test PrivateTest"
    return three_splits(request.name, train, validation, test, FER_CLASSES, source)
