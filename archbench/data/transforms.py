"""What is done to a batch before it is scaled: augmentation, on the device, each sample by its own draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from archbench.data.batches import ordered
from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

SHIFT_FRACTION = 8  # a shift goes up to a side / 8: 1 pixel of 8, 4 of 32
CUTOUT_FRACTION = 4  # a cutout's side is the shorter side / 4, where none is given


class Augmentation(NamedTuple):
    """One kind of augmentation, and the amount that may be given for it.

    Attributes:
        summary: what happens to each image, in words.
        amount: what the amount is called; empty where there is none.
        default: None where there is no amount, or where it depends on the image.
        low: the least amount accepted. high: the most. whole: whether only whole numbers are.
    """

    summary: str
    amount: str = ""
    default: float | None = None
    low: float = 0.0
    high: float = 0.0
    whole: bool = False


# In the order in which they are applied.
AUGMENTATIONS: Mapping[str, Augmentation] = {
    "flip": Augmentation("half of the images are mirrored, left to right"),
    "shift": Augmentation("moved by up to an eighth of each side, the edge filled with zeros"),
    "crop": Augmentation(
        "padded with zeros all round, cut to the old size anywhere", "PIXELS", 4.0, 1, 512, whole=True
    ),
    "rotate": Augmentation("turned by up to so much to either side", "DEGREES", 15.0, 0.1, 180),
    "zoom": Augmentation("scaled by a factor that is up to so much from 1", "FRACTION", 0.1, 0.001, 0.9),
    "brightness": Augmentation("multiplied by a factor that is up to so much from 1", "FRACTION", 0.2, 0.001, 1),
    "cutout": Augmentation(
        "a square of zeros anywhere, a quarter side by default", "PIXELS", None, 1, 4096, whole=True
    ),
}


def parse_augment(items: str | Sequence[str]) -> tuple[str, ...]:
    """Return augmentations as `name` or `name:amount`, in the order of `AUGMENTATIONS`.

    Default amounts are written out, where they do not depend on the image: `rotate+flip` gives `flip`, `rotate:15`.

    Args:
        items: such words one by one, or in one text joined by +; an empty text for none.

    Raises:
        InputError: a name is unknown or given twice, or its amount is not accepted.
    """
    if isinstance(items, str):
        items = items.split("+") if items.strip() else ()
    amounts = _amounts(items)
    return tuple(name + (f":{amount!r}".removesuffix(".0") if amount else "") for name, amount in amounts.items())


def _amounts(items: Sequence[str]) -> dict[str, float | None]:
    """Return the amounts by name, in the order in which the augmentations are applied."""
    amounts: dict[str, float | None] = {}
    for item in items:
        name, colon, text = item.strip().partition(":")
        kind = AUGMENTATIONS.get(name)
        if kind is None:
            msg = f"{item[:40]!r} is no augmentation"
            forms = [known + (f":{own.amount}" if own.amount else "") for known, own in AUGMENTATIONS.items()]
            raise InputError(msg, f"Give any of {', '.join(forms)}, joined by +; the amounts may be left out.")
        if name in amounts:
            msg = f"the augmentation {name} is given twice"
            raise InputError(msg, "Name each once.")
        amounts[name] = _amount(item, kind, text) if colon else kind.default
    return {name: amounts[name] for name in AUGMENTATIONS if name in amounts}


def _amount(item: str, kind: Augmentation, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if kind.amount and kind.low <= amount <= kind.high and not (kind.whole and amount % 1):
        return amount
    msg = f"{item[:40]!r} is not accepted"
    if not kind.amount:
        raise InputError(msg, f"{item.partition(':')[0].strip()} has no amount.")
    numbers = f"a {'whole ' * kind.whole}number from {kind.low:g} to {kind.high:g}"
    raise InputError(msg, f"Behind the colon, give {kind.amount}, {numbers}.")


def augment(images: Tensor, names: Sequence[str]) -> Tensor:
    """Apply augmentations to a batch, each sample with its own randomness, drawn on the device that they lie on.

    Args:
        images: uint8 (N, C, H, W).
        names: of `AUGMENTATIONS`, with or without amounts; they are applied in its order.

    Returns:
        uint8 (N, C, H, W), on the same device.
    """
    import torch

    if not names:
        return images
    amounts = _amounts(names)
    samples, _, height, width = images.shape
    device = images.device
    if "flip" in amounts:
        flipped = torch.rand(samples, device=device) < 0.5  # half
        # Modulo 256, as bytes are; torch's choice between two of them takes twice as long on a CPU.
        images = torch.addcmul(images, flipped[:, None, None, None].view(torch.uint8), images.flip(3) - images)
    if "shift" in amounts:
        images = _moved(images, max(1, height // SHIFT_FRACTION), max(1, width // SHIFT_FRACTION))
    if margin := amounts.get("crop"):
        images = _moved(images, int(margin), int(margin))
    if "rotate" in amounts or "zoom" in amounts:
        degrees = _around(0, amounts.get("rotate"), samples, device)
        factors = _around(1, amounts.get("zoom"), samples, device)
        images = turned(images, degrees, factors)
    if "brightness" in amounts:
        factors = _around(1, amounts["brightness"], samples, device)
        images = _levels(images.float() * factors[:, None, None, None])
    if "cutout" in amounts:
        images = _cut(images, int(amounts["cutout"] or max(1, min(height, width) // CUTOUT_FRACTION)))
    return images


def _around(middle: float, reach: float | None, samples: int, device: torch.device) -> Tensor:
    """Return (N,) numbers, uniform in middle ± reach; without a reach nothing is drawn."""
    import torch

    if not reach:
        return torch.full((samples,), float(middle), device=device)
    return middle + reach * (2 * torch.rand(samples, device=device) - 1)


def _levels(values: Tensor) -> Tensor:
    """Return values, which are lost, as levels."""
    import torch

    # In one step, from numbers to bytes, it takes a CPU three times as long.
    return values.round_().clamp_(0, 255).to(torch.int16).to(torch.uint8)


def _moved(images: Tensor, reach_y: int, reach_x: int) -> Tensor:
    """Move each image by whole pixels, uniform in ± reach; what comes in is 0."""
    import torch
    from torch.nn.functional import pad

    samples, _, height, width = images.shape
    device = images.device
    tops, lefts = (torch.randint(2 * reach + 1, (samples, 1), device=device) for reach in (reach_y, reach_x))
    padded = pad(images, (reach_x, reach_x, reach_y, reach_y))
    pixels = padded.permute(0, 2, 3, 1)
    if device.type == "cpu":  # a copy of each image's window takes a fraction of gathering its pixels one by one
        places = zip(pixels, tops.flatten().tolist(), lefts.flatten().tolist(), strict=True)
        windows = torch.stack([image[top : top + height, left : left + width] for image, top, left in places])
    else:
        rows, columns = tops + torch.arange(height, device=device), lefts + torch.arange(width, device=device)
        index = torch.arange(samples, device=device)[:, None, None]
        windows = pixels[index, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2)


def turned(images: Tensor, degrees: Tensor, factors: Tensor) -> Tensor:
    """Turn each image anticlockwise and scale it, both about its middle, in one bilinear step; outside is 0.

    Args:
        images: uint8 (N, C, H, W), on any device.
        degrees: (N,), on that device.
        factors: (N,), above 1 to magnify; likewise.
    """
    import torch
    from torch.nn.functional import grid_sample

    height, width = images.shape[2:]
    radians = degrees.double().deg2rad()
    cos, sin = radians.cos() / factors, radians.sin() / factors
    # From places of the result to places of the image, in units of half a side each: x + iy, so that both are one sum.
    of_x, of_y = torch.complex(cos, sin * (width / height)), torch.complex(sin * (-height / width), cos)
    x, y = (
        torch.linspace(1 / side - 1, 1 - 1 / side, side, dtype=torch.float64, device=images.device)  # pixels' middles
        for side in (width, height)
    )
    of_x, of_y = (of_x[:, None] * x).to(torch.complex64), (of_y[:, None] * y).to(torch.complex64)
    grid = torch.view_as_real(of_x[:, None, :] + of_y[:, :, None])
    planes = ordered(images, "contiguous").float()  # of which torch takes samples in half the time
    return _levels(grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False))


def _cut(images: Tensor, side: int) -> Tensor:
    """Set a square of each image to 0; its middle is uniform over the pixels, so it may hang over the edge."""
    import torch

    samples, _, height, width = images.shape

    def beyond(length: int) -> Tensor:
        first = torch.randint(length, (samples, 1), device=images.device) - side // 2
        places = torch.arange(length, device=images.device)
        return (places < first) | (places >= first + side)

    rows, columns = beyond(height), beyond(width)
    kept = rows[:, :, None] | columns[:, None, :]
    return images * kept[:, None].view(torch.uint8)  # torch's filling of a mask takes twice as long on a CPU
