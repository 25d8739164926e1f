"""From stored images to what a network sees of them: gathered, scaled, brought to shape, in an order of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from archbench.data import Dataset
    from archbench.schema import MemoryFormat

    Prepare = Callable[[Tensor], Tensor]


def gatherer(images: Tensor, order: MemoryFormat = "channels_last") -> Callable[[Tensor], Tensor]:
    """Return the function from places (n,) to the images there, in an order of memory.

    Args:
        images: (N, C, H, W), or features (N, ...); gathered soonest where they are in that order.
        order: of what is gathered.
    """
    if images.ndim != 4 or order == "contiguous":
        return lambda places: images.index_select(0, places)
    pixels = images.permute(0, 2, 3, 1)
    return lambda places: pixels.index_select(0, places).permute(0, 3, 1, 2)


def normaliser(train_images: Tensor, device: str = "cpu", order: MemoryFormat = "channels_last") -> Prepare:
    """Return the function that maps uint8 (N, C, H, W) to float32 with mean 0 and deviation 1 on the training images.

    Mean and deviation are per channel, from the training split alone; a constant channel is only centred.
    """
    import torch

    # From the histogram: exact, and without a float copy of the whole set.
    levels = torch.arange(256, dtype=torch.float64)
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in train_images.unbind(1)])
    weights = counts.double() / counts.sum(1, keepdim=True)
    mean = weights @ levels
    deviation = ((levels - mean[:, None]) ** 2 * weights).sum(1).sqrt()
    deviation[deviation == 0] = 1.0
    shape = train_images.shape[1:]
    scale, offset = (
        _by_pixel(channels.float(), shape, order).to(device) for channels in (1 / deviation, -mean / deviation)
    )
    return lambda images: images.to(torch.float32, copy=True).mul_(scale).add_(offset)


def _by_pixel(channels: Tensor, shape: Sequence[int], order: MemoryFormat) -> Tensor:
    """Return what is multiplied with images of a shape (C, H, W), so that it is gone through as they are."""
    values = channels[:, None, None]
    if order == "contiguous" or len(channels) == 1:
        return values
    # Three values at a time, a pixel's, would be no way to go through memory.
    return ordered(values.expand(*shape)[None], order)[0]


def ordered(images: Tensor, order: MemoryFormat) -> Tensor:
    """Return images (N, C, H, W) in an order of memory; themselves, where they are."""
    import torch

    return images.contiguous(memory_format=torch.channels_last if order == "channels_last" else torch.contiguous_format)


def _to_unit(images: Tensor) -> Tensor:
    """Map uint8 to float32 from 0 to 1."""
    import torch

    return images.to(torch.float32, copy=True).div_(255)


def _centrer(train_images: Tensor, device: str, order: MemoryFormat) -> Prepare:
    """Return the function that maps uint8 (N, C, H, W) to float32, 0 to 1, less the mean training image (C, H, W)."""
    import torch

    total = torch.zeros(train_images.shape[1:], dtype=torch.int64)
    for part in train_images.split(4096):  # images; torch would copy all of them to int64
        total += part.sum(0, dtype=torch.int64)
    mean = ordered((total.double() / (255 * len(train_images))).float()[None], order).to(device)
    return lambda images: _to_unit(images) - mean


def _scaler(train_images: Tensor, device: str, scaling: str, order: MemoryFormat) -> Prepare:
    if scaling == "unit":
        return _to_unit
    return (normaliser if scaling == "standard" else _centrer)(train_images, device, order)


def preparer(
    dataset: Dataset, device: str = "cpu", scaling: str = "standard", order: MemoryFormat = "channels_last"
) -> Prepare:
    """Return the function that maps uint8 images of a data set to what a network sees: scaled and brought to shape.

    One channel becomes three equal ones, three become their luma (ITU-R BT.601); other sizes are bilinear with
    antialiasing, after the scaling. What is learned from training images (mean, deviation, mean image) is that of the
    images as they are stored, and of their luma where that is shown.

    Args:
        dataset: whose training split is learned from, and whose `shown_as` is the shape.
        device: where the images will be.
        scaling: `standard`, mean 0 and deviation 1 a channel; `unit`, 0 to 1; `centered`, 0 to 1 less the mean image.
        order: of memory, in which a network sees them; soonest where they come in it.
    """
    stored = dataset.images["train"]
    if dataset.shown_as is None:
        scaled = _scaler(stored, device, scaling, order)
        return lambda images: scaled(ordered(images, order))
    from torchvision.transforms.v2.functional import resize, rgb_to_grayscale

    channels, *sides = dataset.input_shape
    to_gray = stored.shape[1] == 3 and channels == 1
    scale = _scaler(rgb_to_grayscale(stored) if to_gray else stored, device, scaling, order)

    def prepare(images: Tensor) -> Tensor:
        batch = scale(rgb_to_grayscale(images) if to_gray else images)
        if batch.shape[2:] != (*sides,):
            batch = resize(batch, sides, antialias=True)
        return ordered(batch.expand(-1, channels, -1, -1), order)

    return prepare
