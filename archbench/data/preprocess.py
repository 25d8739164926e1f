"""What is done to stored images once, before anything is learned from them: a chain of named steps.

    original      nothing
    gray          luma of ITU-R BT.601; gray images stay
    denoise       speckles and a crossing arc removed, gray: `archbench.data.denoise`
    denoise2      speckles removed, the arc left, gray
    resize:S      S x S pixels, bilinear with antialiasing; resize:HxW height x width
    letterbox:S   the longer side S pixels, the shorter filled up to S on both sides with the border's median colour
    normalize     the range of each image, all its channels together, stretched to 0 to 255; a constant image stays

A chain is written `gray+resize:24+normalize`, so that a comparison can set several side by side. Every step maps uint8
to uint8, treats each image by itself, and always does the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from archbench.choices import nearest
from archbench.environment import memory_bytes, usable_cores
from archbench.errors import DataError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Sides = tuple[int, ...]
    Shape = tuple[int, int, int]

VERSION = 1
"""Raised whenever a step makes something else of the same images: part of the keys of what is cached."""

ORIGINAL = "original"
MAX_SIDE = 4096  # pixels; a bound on typing errors
CHUNK_BYTES = 2**26  # of images that are worked on at a time
PARALLEL_PIXELS = 2**22  # that one process denoises in the time that others take to start


def parse_steps(text: str) -> tuple[str, ...]:
    """Return the steps of a chain in their one spelling: `resize:24` is `resize:24x24`, `original` is no step at all.

    Args:
        text: steps joined by `+`, in the order in which they are done; case and the spaces around them do not matter.
            An empty text is `original`.

    Raises:
        InputError: a step that is unknown, or whose sides are not whole numbers from 1 to 4096.
    """
    steps = (_parse_step(part.strip().lower()) for part in (text.strip() or ORIGINAL).split("+"))
    return tuple(step for step in steps if step != ORIGINAL)


def steps_text(steps: Sequence[str]) -> str:
    """Return a chain as it is written: `gray+resize:24x24`, and `original` where nothing is done."""
    return "+".join(steps) or ORIGINAL


def shape_after(steps: Sequence[str], shape: Shape) -> Shape:
    """Return the (C, H, W) that images of a shape have once a chain is applied.

    Raises:
        InputError: a step is unknown.
        DataError: images that have neither one channel nor three are to be made gray.
    """
    for step, sides in _resolved(steps):
        shape = step.shape(shape, sides)
    return shape


def apply_steps(steps: Sequence[str], images: Tensor) -> Tensor:
    """Return images that a chain was applied to, chunk by chunk: little more memory is needed than for the result.

    Args:
        steps: as `parse_steps` returns them.
        images: uint8 (N, C, H, W), on the CPU.

    Returns:
        uint8 (N, *shape_after(steps, (C, H, W))); the very images where nothing is done.

    Raises:
        InputError: a step is unknown, or needs a library that is not installed.
        DataError: images that have neither one channel nor three are to be made gray, or the result is larger than the
            machine's memory.
    """
    import torch

    if not steps:
        return images
    channels, height, width = images.shape[1:]
    shapes = [shape_after(steps[:done], (channels, height, width)) for done in range(len(steps) + 1)]
    needed, there = len(images) * torch.Size(shapes[-1]).numel(), memory_bytes()
    if there is not None and needed > there:
        sizes = f"{needed / 2**30:,.0f} GiB for {len(images):,} images, and the machine has {there / 2**30:,.0f} GiB"
        msg = f"{steps_text(steps)} would take {sizes}"
        raise DataError(msg, "Give a smaller size, or fewer images with --limit.")
    made = torch.empty((len(images), *shapes[-1]), dtype=torch.uint8)
    size = max(1, CHUNK_BYTES // max(torch.Size(shape).numel() for shape in shapes))
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        for step, sides in _resolved(steps):
            chunk = step.apply(chunk, sides)
        made[start : start + size] = chunk
    return made


def _gray(images: Tensor, _sides: Sides = ()) -> Tensor:
    from torchvision.transforms.v2.functional import rgb_to_grayscale

    return images if images.shape[1] == 1 else rgb_to_grayscale(images)


def _denoise(images: Tensor, _sides: Sides) -> Tensor:
    return _denoised(images, arc=True)


def _denoise2(images: Tensor, _sides: Sides) -> Tensor:
    return _denoised(images, arc=False)


def _denoised(images: Tensor, *, arc: bool) -> Tensor:
    import numpy as np
    import torch

    gray = _gray(images)[:, 0].numpy()
    cores = min(usable_cores(), len(gray))
    if cores == 1 or gray.size < PARALLEL_PIXELS:
        made = _denoise_all(gray, arc=arc)
    else:
        from joblib import Parallel, delayed

        parts = np.array_split(gray, cores)
        made = np.concatenate(Parallel(n_jobs=cores)(delayed(_denoise_all)(part, arc=arc) for part in parts))
    return torch.from_numpy(made)[:, None]


def _denoise_all(gray: NDArray[np.uint8], *, arc: bool) -> NDArray[np.uint8]:
    import numpy as np

    from archbench.data.denoise import denoise

    return np.stack([denoise(image, arc=arc) for image in gray])


def _resize(images: Tensor, sides: Sides) -> Tensor:
    from torchvision.transforms.v2.functional import resize

    made: Tensor = resize(images, [*sides], antialias=True)
    return made


def _letterbox(images: Tensor, sides: Sides) -> Tensor:
    import torch

    side = sides[0]
    longer = max(images.shape[2:])
    inner = _resize(images, tuple(max(1, round(old * side / longer)) for old in images.shape[2:]))
    border = torch.cat([images[:, :, [0, -1]].flatten(2), images[:, :, 1:-1, [0, -1]].flatten(2)], 2)
    height, width = inner.shape[2:]
    top, left = (side - height) // 2, (side - width) // 2
    boxed = border.median(2).values[:, :, None, None].repeat(1, 1, side, side)
    boxed[:, :, top : top + height, left : left + width] = inner
    return boxed


def _normalize(images: Tensor, _sides: Sides) -> Tensor:
    import torch

    low, high = (part[:, :, None, None] for part in images.flatten(1).aminmax(dim=1, keepdim=True))
    stretched = (images - low).float() * 255 / (high - low).clamp(min=1)
    return torch.where(high > low, stretched.round().to(torch.uint8), images)


def _gray_shape(shape: Shape, _sides: Sides) -> Shape:
    if shape[0] not in {1, 3}:
        msg = f"images of {shape[0]} channels have no luma"
        raise DataError(msg, "Only images of 1 or 3 channels are made gray or denoised.")
    return (1, *shape[1:])


class _Step(NamedTuple):
    form: str  # how it is written
    numbers: tuple[int, ...]  # of sides that it may be given
    apply: Callable[[Tensor, Sides], Tensor]
    shape: Callable[[Shape, Sides], Shape]


_STEPS = {
    "gray": _Step("gray", (0,), _gray, _gray_shape),
    "denoise": _Step("denoise", (0,), _denoise, _gray_shape),
    "denoise2": _Step("denoise2", (0,), _denoise2, _gray_shape),
    "resize": _Step("resize:S or resize:HxW", (1, 2), _resize, lambda shape, sides: (shape[0], sides[0], sides[-1])),
    "letterbox": _Step("letterbox:S", (1,), _letterbox, lambda shape, sides: (shape[0], sides[0], sides[0])),
    "normalize": _Step("normalize", (0,), _normalize, lambda shape, _sides: shape),
}


def _parse_step(text: str) -> str:
    name, colon, argument = text.partition(":")
    if text == ORIGINAL:
        return ORIGINAL
    if name not in _STEPS:
        forms = ", ".join([ORIGINAL, *(step.form for step in _STEPS.values())])
        msg = f"unknown pre-processing step {text[:40]!r}"
        remedy = nearest(name, [ORIGINAL, *_STEPS])
        raise InputError(msg, f"{remedy} They are written {forms}; join several with +.")
    step = _STEPS[name]
    sides = argument.split("x") if colon else []
    digits = all(re.fullmatch("[0-9]{1,4}", side) and 1 <= int(side) <= MAX_SIDE for side in sides)
    if not digits or len(sides) not in step.numbers:
        msg = f"{text[:40]!r} is not how the pre-processing step {name} is written"
        raise InputError(msg, f"Write {step.form}{f', in pixels from 1 to {MAX_SIDE}' if any(step.numbers) else ''}.")
    written = [str(int(side)) for side in sides]
    if len(written) < max(step.numbers):
        written *= max(step.numbers)  # one side for both
    return name + colon + "x".join(written)


def _resolved(steps: Sequence[str]) -> list[tuple[_Step, Sides]]:
    parts = [step.partition(":") for step in parse_steps(steps_text(steps))]
    return [(_STEPS[name], tuple(int(side) for side in sides.split("x") if side)) for name, _, sides in parts]
