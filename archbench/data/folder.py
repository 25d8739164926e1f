"""A user's own images: `folder:PATH` with PATH/train/<class>/*.png|jpg, PATH/test and perhaps PATH/validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archbench.data import Dataset, Request, register_dataset
from archbench.data.splits import split_validation, three_splits
from archbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Part = tuple[Tensor, Tensor]
    Image = NDArray[np.uint8]

LAYOUT = "Lay it out as PATH/train/<class>/*.png|jpg, PATH/test/<class>/... and, if wanted, PATH/validation/<class>/..."
SUFFIXES = (".png", ".jpg", ".jpeg")
VALIDATION_NAMES = ("validation", "valid", "val")


@register_dataset(
    "folder", summary="your own images: PATH/train, PATH/test and perhaps PATH/validation", takes_argument=True
)
def load(request: Request) -> Dataset:
    """Load all images of one size; they are gray where every one is, else RGB.

    A relative PATH is looked for in the current folder, then in the data root. Without a validation folder a stratified
    tenth of train is held out.
    """
    path = Path(request.argument).expanduser()
    if not path.is_dir() and request.root is not None:
        path = request.root / path
    for part in ("train", "test"):
        if not (path / part).is_dir():
            msg = f"{path / part} is no folder"
            raise DataError(msg, LAYOUT)
    held = next((path / name for name in VALIDATION_NAMES if (path / name).is_dir()), None)
    folders = [path / "train", path / "test", *([held] if held else [])]
    classes = [child.name for child in _folders(path / "train")]
    parts = _read(folders, classes)
    source = f"image folder {path.name}"
    if held is None:
        return split_validation(request.name, parts[0], parts[1], classes, source)
    return three_splits(request.name, parts[0], parts[2], parts[1], classes, source)


def _read(folders: list[Path], classes: list[str]) -> list[Part]:
    """Return (images, labels) of each folder, all of one shape."""
    import numpy as np
    import torch

    listed = [_list(folder, classes) for folder in folders]
    with_mode = [[(_open(file), label) for file, label in part] for part in listed]
    gray = all(image.ndim == 2 for part in with_mode for image, _ in part)  # rows and columns only
    first = with_mode[0][0][0].shape[:2]
    parts = []
    for part, files in zip(with_mode, listed, strict=True):
        for (image, _), (file, _) in zip(part, files, strict=True):
            if image.shape[:2] != first:
                sizes = [f"{height}x{width}" for height, width in (image.shape[:2], first)]
                msg = f"{file} is {sizes[0]} (height x width), the first image {sizes[1]}"
                raise DataError(msg, "Bring all images to one size.")
        images = [image[None] if gray else _rgb(image) for image, _ in part]
        parts.append((torch.from_numpy(np.stack(images)), torch.tensor([label for _, label in part])))
    return parts


def _folders(path: Path) -> list[Path]:
    """Return the folders of a folder by name, hidden ones left out."""
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _list(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    unknown = [child.name for child in _folders(folder) if child.name not in classes]
    if unknown:
        msg = f"{folder} has the class {unknown[0]!r}, which train has not"
        raise DataError(msg, LAYOUT)
    files = []
    for label, name in enumerate(classes):
        found = sorted(f for f in (folder / name).glob("[!.]*") if f.suffix.lower() in SUFFIXES)
        if not found and folder.name == "train":
            msg = f"{folder / name} holds no image"
            raise DataError(msg, f"Accepted are {', '.join(SUFFIXES)}. {LAYOUT}")
        files += [(file, label) for file in found]
    if not files:
        msg = f"{folder} holds no images"
        raise DataError(msg, LAYOUT)
    return files


def _open(file: Path) -> Image:
    """Return an image as uint8 (H, W), or (H, W, 3) where it has colours."""
    import numpy as np
    import PIL.Image

    try:
        with PIL.Image.open(file) as image:
            if image.mode.startswith("I;16"):
                return (np.asarray(image) >> 8).astype(np.uint8)  # 16 bits of gray: the upper 8
            if image.mode in {"I", "F"}:
                msg = f"its pixels are of the kind {image.mode}"
                raise ValueError(msg)
            return np.asarray(image.convert("L" if image.mode in {"L", "1", "LA"} else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        msg = f"{file} cannot be read as an image: {error}"
        raise DataError(msg, "Replace or remove the file.") from error


def _rgb(image: Image) -> Image:
    """Return (3, H, W), a gray image thrice."""
    import numpy as np

    return np.stack([image] * 3) if image.ndim == 2 else image.transpose(2, 0, 1)  # rows and columns
