"""Images in a folder for each class: a user's own by `folder:PATH`, and copies of known data sets in image files."""

from __future__ import annotations

import os
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.data import Parts, Request, register_dataset
from archbench.data.cache import cached
from archbench.data.listing import SUFFIXES, folders_in, list_files, must_be_folder, part_folders
from archbench.data.preprocess import VERSION, apply_steps, steps_text
from archbench.errors import DataError, reason
from archbench.markup import encodable
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from archbench.data.listing import File

    Image = NDArray[np.uint8]

PART_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
LAYOUT = (
    "Lay it out as PATH/train/<class>/*.png, PATH/test/<class>/... and, if wanted, PATH/validation/<class>/...; "
    f"or as PATH/<class>/*.png, to be split here. Accepted are {', '.join(SUFFIXES)}."
)
LARGE = 160 * 160  # pixels; below, threads are slower than one: most of the time is Python's, not the decoder's
MOST_SIZES = 5  # in a message
MANY = 5000  # files that are worth keeping as one array: decoding them takes seconds, in every process anew
MOST_KEPT = 2**30  # bytes of such an array
CACHED_AS = f"1-{VERSION}"  # the first number is raised when files are decoded to something else
CHUNK = 64  # images a task of a thread


@register_dataset(
    "folder", summary="your own images: PATH/train/<class> and PATH/test/<class>, or PATH/<class>", takes_argument=True
)
def load(request: Request) -> Parts:
    """Load all images; they are gray where every one is, else RGB, what is transparent on white.

    A relative PATH is looked for in the current folder, then in the data root. Images of several sizes are brought to
    one by the first of the steps asked for, up to the one that does.

    Raises:
        DataError: folders, classes or images are missing, an image cannot be read, or there are several sizes and no
            step that brings them to one.
    """
    path = own_path(request)
    must_be_folder(path, LAYOUT)
    folders = part_folders(path, PART_NAMES) or {"all": path}
    if "all" not in folders:
        folders = {part: folders.get(part, path / part) for part in ("train", *folders, "test")}
    home = next(iter(folders.values()))
    must_be_folder(home, LAYOUT)
    classes = [child.name for child in folders_in(home)]
    if len(classes) < 2:
        msg = f"{home} holds {'a single folder' if classes else 'no folders'}; a data set has two classes or more"
        hint = "" if home == path else f"A class cannot be named {home.name}. "
        raise DataError(msg, hint + LAYOUT)
    files, passed = list_files(folders, classes, LAYOUT)
    return _read(files, classes, f"image folder {path.resolve().name}{passed}", request.preprocess)


def own_path(request: Request) -> Path:
    """Return the path of a name such as `folder:PATH`: as it is from the current folder, else from the data root.

    Raises:
        DataError: it cannot be a path.
    """
    try:
        path = Path(request.argument).expanduser()
        return path if path.exists() or request.root is None else request.root / path
    except (OSError, RuntimeError) as error:
        msg = f"{request.argument[:80]!r} is no path: {reason(error)}"
        raise DataError(msg, "Give a path from the current folder, from the data root, or from /.") from error


def read_copy(
    places: Iterable[Path],
    names: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    shape: tuple[int, int, int],
    source: str,
    layout: str,
) -> Parts | None:
    """Return a known data set from image files in the first of some places that holds it; None where none does.

    Args:
        places: folders that may hold it.
        names: what the folder of each part may be called.
        classes: names of the folders inside, in the order of the labels.
        shape: (C, H, W) of every image.
        source: where the images come from, with `{kinds}` for the kinds of files.
        layout: the remedy.

    Raises:
        DataError: a place holds a training folder with one of the classes, but not what is trained and tested on.
    """
    for place in places:
        folders = part_folders(place, names)
        if "train" not in folders or not {name.lower() for name in classes} & {
            f.name.lower() for f in folders_in(folders["train"])
        }:
            continue
        needed = {
            part: folders.get(part, place / names[part][0]) for part in names if part in folders or part != "validation"
        }
        files, passed = list_files(needed, classes, layout)
        kinds = sorted({_kind(file) for listed in files.values() for file, _ in listed})
        parts = _read(files, classes, source.format(kinds=", ".join(kinds)) + passed)
        found = tuple(parts.images["train"].shape[1:])
        if found != shape:
            msg = f"the images in {place} are {_times(found)} (channels x height x width), not {_times(shape)}"
            raise DataError(msg, f"Read them by folder:{place}.")
        return parts
    return None


def _kind(file: Path) -> str:
    kind = file.suffix.lower().removeprefix(".")
    return {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())


def _times(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape)


def _read(files: Mapping[str, Sequence[File]], classes: Sequence[str], source: str, steps: Sequence[str] = ()) -> Parts:
    import torch

    paths = [file for listed in files.values() for file, _ in listed]
    make = partial(_stacked, paths, steps)
    made = make() if len(paths) < MANY else cached("folder", _state(paths, steps), make, most_bytes=MOST_KEPT)
    parts = torch.from_numpy(made["images"]).split([len(listed) for listed in files.values()])
    labels = {part: torch.tensor([label for _, label in listed]) for part, listed in files.items()}
    applied = tuple(steps[: int(made["applied"])])
    named = tuple(map(encodable, classes))
    return Parts(dict(zip(files, parts, strict=True)), labels, named, encodable(source), applied=applied)


def _state(paths: Sequence[Path], steps: Sequence[str]) -> str:
    """Return what tells that files are as they were: their names, sizes and times of change.

    Raises:
        DataError: one cannot be read, such as a link that leads nowhere.
    """
    try:
        state = [(str(path.absolute()), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in paths]
    except OSError as error:
        msg = f"{error.filename} cannot be read: {error.strerror}"
        raise DataError(msg, "Replace or remove the file.") from error
    return repr((CACHED_AS, steps_text(steps), state))


def _stacked(paths: Sequence[Path], steps: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return all images as uint8 `images` (N, C, H, W), and how many steps were `applied` to bring them to one size.

    Raises:
        DataError: an image cannot be read, or there are several sizes and no step brings them to one.
    """
    import numpy as np
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow: what it reads all the same is fit for use, or it raises too
        opened = _open_all(paths)
    gray = all(image.ndim == 2 for image in opened)
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(opened):
        sizes.setdefault(image.shape[:2], []).append(place)
    first = _sizing(sizes, paths, steps) if len(sizes) > 1 else ()
    stacked = None
    for places in sizes.values():  # images of one size at a time
        made = apply_steps(first, torch.stack([torch.from_numpy(_channels(opened[i], gray=gray)) for i in places]))
        if stacked is None:
            stacked = made.new_empty((len(opened), *made.shape[1:]))
        stacked[places] = made
    assert stacked is not None  # noqa: S101 - every part holds images
    return {"images": stacked.numpy(), "applied": np.array(len(first))}


def _sizing(
    sizes: Mapping[tuple[int, ...], Sequence[int]], paths: Sequence[Path], steps: Sequence[str]
) -> Sequence[str]:
    """Return the steps up to the first that brings images of all sizes to one.

    Raises:
        DataError: there is none.
    """
    for done, step in enumerate(steps, start=1):
        if step.startswith(("resize", "letterbox")):
            return steps[:done]
    ordered = sorted(sizes, key=lambda size: -len(sizes[size]))
    few = [f"{len(sizes[s])} of {_times(s)} (such as {paths[sizes[s][0]].name})" for s in ordered[:MOST_SIZES]]
    more = f" and {number(len(ordered) - MOST_SIZES, 'other size')}" if ordered[MOST_SIZES:] else ""
    home = os.path.commonpath(paths)
    msg = f"the images in {home} have {len(sizes)} sizes (height x width): {', '.join(few)}{more}"
    raise DataError(msg, f"Bring them to one by folder:{home} with --preprocess letterbox:S or resize:S.")


def _open_all(files: Sequence[Path]) -> list[Image]:
    from concurrent.futures import ThreadPoolExecutor

    import PIL.Image

    from archbench.environment import usable_cores

    PIL.Image.preinit()  # common formats are tried first
    PIL.Image.init()  # here, for threads would get in each other's way
    pixels = _open(files[0]).size
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    with ThreadPoolExecutor(usable_cores() if pixels >= LARGE else 1) as pool:
        return [image for opened in pool.map(lambda chunk: [_open(file) for file in chunk], chunks) for image in opened]


def _open(file: Path) -> Image:
    """Return an image as uint8 (H, W), or (H, W, 3) where it has colours."""
    import numpy as np
    import PIL.Image

    try:
        with PIL.Image.open(file) as image:
            if image.mode.startswith("I;16"):
                return (np.asarray(image) >> 8).astype(np.uint8)  # 16 bits of gray: the upper 8
            if image.mode in {"I", "F"}:
                msg = f"its pixels are of the kind {image.mode}; accepted are 8 and 16 bits of gray, and colours"
                raise ValueError(msg)
            mode = "L" if image.mode in {"L", "1", "LA"} else "RGB"
            if image.has_transparency_data:
                seen = image.convert("RGBA")
                ground = PIL.Image.new("RGBA", image.size, "white")
                return np.asarray(PIL.Image.alpha_composite(ground, seen).convert(mode))
            return np.asarray(image if image.mode == mode else image.convert(mode))
    except Exception as error:  # what a damaged file brings up inside of Pillow may be anything
        said = str(error).partition("\n")[0] or type(error).__name__
        msg = f"{file} cannot be read as an image: {said}"
        raise DataError(msg, "Replace or remove the file.") from error


def _channels(image: Image, *, gray: bool) -> Image:
    """Return (1, H, W) where all are gray, else (3, H, W), a gray image thrice."""
    import numpy as np

    if gray:
        return image[None].copy()
    return np.stack([image] * 3) if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))
